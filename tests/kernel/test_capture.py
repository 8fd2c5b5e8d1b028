"""Each frame is seen once, with its sender: on each shape of a bus, and whatever comes and goes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from time import monotonic

import pytest

from canwharf.bus.report import Names
from canwharf.frames.capture import Capture
from canwharf.frames.filters import Filter
from canwharf.frames.frame import BRS, Frame
from canwharf.frames.sources import Sources
from tests.kernel.site import DRIVER, Site
from tests.kernel.test_shapes import make_mesh
from tests.world.host import LIMIT
from tests.world.member import Member, raw_socket

N, M = "n" * 64, "m" * 64
NAMES = Names({N: "bus0", M: "bus1"}, {"e1": "ecu1", "e2": "ecu2", "e3": "ecu3", "f1": "gate"})
LAST = 0x7FF  # the id with which a round ends
EFF, RTR = 0x80000000, 0x40000000
_CLASSIC = struct.Struct("=IB3x8s")
_FD = struct.Struct("=IBB2x64s")

Seen = tuple[str, str, int, bytes, int | None]
Listen = Callable[..., Capture]


@pytest.fixture(name="listen")
def _listen(site: Site, stack: ExitStack) -> Listen:
    """Opens a capture of the site's buses."""

    def opened(*buses: str, **filters: Filter) -> Capture:
        sources = Sources(DRIVER, site._directory, lambda: NAMES, buses)
        return stack.enter_context(Capture(sources, filters))

    return opened


def seen(frame: Frame) -> Seen:
    return frame[1:]


def send(member: Member, can_id: int, data: bytes = b"", fd: int | None = None) -> None:
    with closing(raw_socket(member)) as opened:
        opened.setblocking(True)
        if fd is None:
            opened.send(_CLASSIC.pack(can_id, len(data), data))
        else:
            opened.send(_FD.pack(can_id, len(data), fd, data))


def until(capture: Capture, count: int) -> list[Frame]:
    """So many frames, and what else has come by then."""
    found: list[Frame] = []
    deadline = monotonic() + LIMIT
    while len(found) < count:
        assert monotonic() < deadline, f"of {count} frames came {found}"
        found += capture.read(0.1)
    return found + capture.read(0.05) + capture.rest()


def expected(names: Sequence[str], bus: str, fd: bool = True) -> list[Seen]:
    return [
        each
        for number, name in enumerate(names)
        for each in (
            (bus, name, 0x100 + number, b"\x01\x02", None),
            (bus, name, 0x18FEF100 + number | EFF, b"", None),
            (bus, name, 0x200 + number | RTR, bytes(4), None),
            *([(bus, name, 0x300 + number, bytes(range(48)), BRS)] if fd else []),
        )
    ]


def say(members: Iterable[Member], fd: bool = True) -> None:
    """Each of them sends a frame of each kind."""
    for number, member in enumerate(members):
        send(member, 0x100 + number, b"\x01\x02")
        send(member, 0x18FEF100 + number | EFF)
        send(member, 0x200 + number | RTR, bytes(4))
        if fd:
            send(member, 0x300 + number, bytes(range(48)), BRS)


@pytest.mark.parametrize("shape", ["linear", "mesh"])
def test_each_frame_once_with_its_sender(site: Site, listen: Listen, shape: str) -> None:
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    if shape == "mesh":
        make_mesh(site.ports())
    capture = listen()
    members = site.members()
    say(members)
    wanted = expected(["host", "ecu1", "ecu2", "ecu3"], "bus0")
    frames = until(capture, len(wanted))
    assert list(map(seen, frames)) == wanted
    assert [each.time for each in frames] == sorted(each.time for each in frames)
    assert capture.losses == {}
