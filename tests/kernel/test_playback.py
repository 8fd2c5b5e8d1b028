"""Eight containers at 5,000 frames a second, classic and FD: recorded, and played back."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic

import pytest

from canwharf.frames.formats import Recording
from canwharf.frames.frame import BRS
from tests.kernel.seen import PACKAGES, N, end, frame_of, raw_listeners, start
from tests.kernel.site import Site
from tests.kernel.test_shapes import make_mesh
from tests.world.host import LIMIT, wait_until
from tests.world.member import Member, raw_socket

EACH = 250  # frames of each container: its socket has room for all, however slow a machine is
RATE = 5000  # frames a second, of all together
sys.path.extend(PACKAGES)  # python-can, which reads a blf

Said = tuple[int, bytes, int | None]


def said(who: int, number: int) -> Said:
    """Every other frame is of CAN FD."""
    data = number.to_bytes(4, "big")
    return (0x100 + who, data * 4, BRS) if number % 2 else (0x100 + who, data, None)


def talk(members: list[Member]) -> None:
    """All of them send in turn, at this rate."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(raw_socket(each))) for each in members]
        for each in sockets:
            each.setblocking(True)
        begun = monotonic()
        for number in range(EACH):
            for who, opened in enumerate(sockets):
                opened.send(frame_of(*said(who, number)))
            due = begun + (number + 1) * len(members) / RATE
            select.select((), (), (), max(0.0, due - monotonic()))


def record(site: Site, stack: ExitStack, path: Path) -> subprocess.Popen[str]:
    """The command, when it listens to all of them."""
    process = start(site, stack, "record", "bus0", "-o", str(path), "--json")

    def listens() -> bool:
        return all(raw_listeners(port) for port in site.ports()) or process.poll() is not None

    wait_until(listens)
    return process


def recorded(process: subprocess.Popen[str], path: Path) -> list[tuple[str, Said]]:
    """Who sent what, when the command has ended without a loss."""
    status, out, err = end(process, signal.SIGTERM)
    told = json.loads(out)
    assert (status, err, told["lost"], told["left_out"]) == (0, "", [], 0)
    return [(each.sender, (each.can_id, each.data, each.fd)) for each in Recording(str(path))]


@pytest.mark.parametrize(("shape", "ending"), [("linear", "log"), ("mesh", "blf")])
def test_the_same_frames_in_the_same_order_with_the_same_senders(
    site: Site, stack: ExitStack, tmp_path: Path, shape: str, ending: str
) -> None:
    site.network(N)
    names = [f"e{number}" for number in range(1, 9)]
    site.start(N, *names)
    if shape == "mesh":
        make_mesh(site.ports())
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    process = record(site, stack, first)
    talk(site.members()[1:])
    found = recorded(process, first)
    assert len(found) == EACH * len(names)
    for who in range(len(names)):
        theirs = [what for sender, what in found if sender == f"ecu{who + 1}"]
        assert theirs == [said(who, number) for number in range(EACH)]

    process = record(site, stack, second)
    play = start(site, stack, "play", str(first), "--bus", "bus0")
    assert play.communicate(timeout=6 * LIMIT) == (f"sent {len(found)} frames on vcan0\n", "")
    assert recorded(process, second) == [("host", what) for _sender, what in found]
