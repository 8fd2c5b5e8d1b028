"""What tests of a capture share: it is opened, members send, frames are compared.

The verbs that read frames and send them share how they start: as a program, which knows the names
of Docker's containers without Docker.
"""

from __future__ import annotations

import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic

import pytest

from canwharf.bus.report import Names
from canwharf.frames.capture import Capture
from canwharf.frames.filters import Filter
from canwharf.frames.frame import BRS, Frame
from canwharf.frames.sources import Sources
from tests.kernel.site import DRIVER, Site
from tests.world.host import LIMIT
from tests.world.member import Member, raw_socket

N, M = "n" * 64, "m" * 64
# The container ecu1 has the endpoint e9 when it starts again.
NAMES = Names(
    {N: "bus0", M: "bus1"},
    {"f1": "gate", **{f"e{number}": f"ecu{number}" for number in range(1, 9)}, "e9": "ecu1"},
)
EFF, RTR = 0x80000000, 0x40000000
PACKAGES = [str(each) for each in Path("/repo/.venv/lib").glob("python3*/site-packages")]
_PROGRAM = f"""
import sys
from canwharf.bus.report import Names
from canwharf.cli import main
from canwharf.docker import names
names.ask = lambda *_any: {NAMES!r}
sys.exit(main(sys.argv[1:]))
"""
_CLASSIC = struct.Struct("=IB3x8s")
_FD = struct.Struct("=IBB2x64s")

Seen = tuple[str, str, int, bytes, int | None]
Listen = Callable[..., Capture]


@pytest.fixture
def listen(site: Site, stack: ExitStack) -> Listen:
    """Opens a capture of the site's buses."""

    def opened(*buses: str, **filters: Filter) -> Capture:
        sources = Sources(DRIVER, site._directory, lambda: NAMES, buses)
        return stack.enter_context(Capture(sources, filters))

    return opened


def start(
    site: Site, stack: ExitStack, verb: str, *words: str, terminal: int | None = None
) -> subprocess.Popen[str]:
    """The command line's verb, on this site's buses; on a terminal, if that is given."""
    output = subprocess.PIPE if terminal is None else terminal
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, verb, "--state-dir", site._directory, *words],
            env={"PYTHONPATH": ":".join(["/repo/src", *PACKAGES]), "TERM": "xterm-256color"},
            text=True,
            stdin=terminal,
            stdout=output,
            stderr=output,
        )
    )
    stack.callback(process.kill)
    return process


def end(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str, str]:
    """Its status, what it said, and its complaints, after this signal."""
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


def raw_listeners(interface: str) -> int:
    """How many raw sockets listen to an interface, by whichever filter."""
    lists = [each.read_text() for each in Path("/proc/net/can").glob("rcvlist_*")]
    return sum(len(re.findall(rf"^ *{interface} .* raw", each, re.MULTILINE)) for each in lists)


def seen(frame: Frame) -> Seen:
    return frame[1:]


def send(member: Member, can_id: int, data: bytes = b"", fd: int | None = None) -> None:
    with closing(raw_socket(member)) as opened:
        opened.setblocking(True)
        opened.send(frame_of(can_id, data, fd))


def frame_of(can_id: int, data: bytes, fd: int | None) -> bytes:
    """As the kernel takes it (linux/can.h)."""
    if fd is None:
        return _CLASSIC.pack(can_id, len(data), data)
    return _FD.pack(can_id, len(data), fd, data)


def until(capture: Capture, count: int) -> list[Frame]:
    """So many frames, and what else has come by then."""
    found: list[Frame] = []
    deadline = monotonic() + LIMIT
    while len(found) < count:
        assert monotonic() < deadline, f"of {count} frames came {found}"
        found += capture.read(0.1)
    return found + capture.read(0.05) + capture.rest()


def listening(capture: Capture, count: int) -> None:
    """Wait until it listens to so many interfaces: it learns of a new one when it reads."""
    deadline = monotonic() + LIMIT
    while len(capture.sources) != count:
        assert monotonic() < deadline, capture.sources
        assert capture.read(0.05) == []


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


def say(members: Iterable[Member], fd: bool = True, first: int = 0) -> None:
    """Each of them sends a frame of each kind; `first` is the number of the first."""
    for number, member in enumerate(members, first):
        send(member, 0x100 + number, b"\x01\x02")
        send(member, 0x18FEF100 + number | EFF)
        send(member, 0x200 + number | RTR, bytes(4))
        if fd:
            send(member, 0x300 + number, bytes(range(48)), BRS)


def burst(member: Member, can_id: int, count: int) -> None:
    """Send so many frames at once."""
    with closing(raw_socket(member)) as opened:
        opened.setblocking(True)
        data = _CLASSIC.pack(can_id, 8, b"burst")
        for _turn in range(count):
            opened.send(data)
