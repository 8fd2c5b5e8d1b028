"""`canwharf watch` on a live bus: the screen in a terminal, the document, and where they end."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from canwharf.frames.formats import Recording
from tests.kernel.seen import PACKAGES, N, end, raw_listeners, start
from tests.kernel.site import Site
from tests.kernel.test_dump import say
from tests.world.host import LIMIT, run, wait_until

sys.path.extend(PACKAGES)
from aiohttp import ClientSession


@pytest.fixture(name="bus")
def _bus(site: Site) -> Site:
    """A bus with three containers; one sends nothing, and receives nothing but 100 to 1FF."""
    run("modprobe", "-a", "sch_ingress", "cls_basic", "em_canid", "em_u32")
    site.network(N)
    site.start(N, "e1", "e2")
    site.service.create_endpoint(N, "e3", {"can.receive": "100-1FF"})
    site.join(N, "e3")
    return site


def watch(
    bus: Site, stack: ExitStack, *words: str, terminal: int | None = None
) -> subprocess.Popen[str]:
    """The command, when it listens to all three."""
    process = start(bus, stack, "watch", *words, terminal=terminal)
    there = bus.port(N, "e3")
    wait_until(lambda: raw_listeners(there) > 0 or process.poll() is not None)
    return process


class Terminal:
    """A terminal of 100 columns and 30 lines, and all that was written to it."""

    def __init__(self, stack: ExitStack) -> None:
        self._user, self.descriptor = pty.openpty()
        stack.callback(os.close, self._user)
        stack.callback(os.close, self.descriptor)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("=HHHH", 30, 100, 0, 0))
        self._before = termios.tcgetattr(self.descriptor)
        self._shown = ""

    def shows(self, *words: str) -> None:
        """Wait until each of these was written, in this order, since the last time."""
        for word in words:
            deadline = monotonic() + 6 * LIMIT  # textual's import takes seconds on a slow machine
            while word not in self._shown:
                left = deadline - monotonic()
                assert left > 0, (word, self._shown)
                if select.select([self._user], [], [], left)[0]:
                    self._shown += os.read(self._user, 65536).decode(errors="replace")
            self._shown = self._shown.partition(word)[2]

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._user, keys.encode())

    def is_as_before(self) -> bool:
        """Whether its modes are those from before the command."""
        return termios.tcgetattr(self.descriptor) == self._before


@pytest.fixture(name="terminal")
def _terminal(stack: ExitStack) -> Terminal:
    return Terminal(stack)


def test_the_screen_of_a_live_bus(
    bus: Site, stack: ExitStack, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames, a recording from there, and the terminal as it was."""
    monkeypatch.chdir(tmp_path)
    process = watch(bus, stack, "bus0", terminal=terminal.descriptor)
    terminal.shows("sender", "lost")
    terminal.press("r")
    terminal.shows("recording ")
    say(bus.members()[:3])
    terminal.shows("18FEF100", "41 41")
    terminal.press("q")
    terminal.shows("\x1b[?1049l")  # back from the alternate screen
    assert process.wait(LIMIT) == 0
    assert terminal.is_as_before()
    (path,) = tmp_path.glob("canwharf-*.log")
    assert [each.sender for each in Recording(str(path))] == [
        *("ecu1", "ecu2", "host", "ecu1", "ecu2", "ecu2"),
    ]


def test_a_signal_ends_the_screen_and_leaves_the_terminal_as_it_was(
    bus: Site, stack: ExitStack, terminal: Terminal
) -> None:
    process = watch(bus, stack, terminal=terminal.descriptor)
    terminal.shows("lost")
    process.send_signal(signal.SIGTERM)
    terminal.shows("\x1b[?1049l")
    assert process.wait(LIMIT) == 128 + signal.SIGTERM
    assert terminal.is_as_before()


def test_the_screen_in_a_browser(bus: Site, stack: ExitStack) -> None:
    """The address that is printed shows the frames; it ends with all that its pages started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start(bus, stack, "watch", "bus0", "--serve", str(port))
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 6 * LIMIT)[0]
    address = process.stdout.readline().split()[0]
    assert address.startswith(f"http://127.0.0.1:{port}/")
    asyncio.run(_visit(address, bus))
    status, _out, err = end(process, signal.SIGTERM)
    assert (status, err) == (0, "")
    wait_until(lambda: raw_listeners(bus.port(N, "e3")) == 0)


async def _visit(address: str, bus: Site) -> None:
    """Open the page and its screen, and see frames there."""
    async with ClientSession() as session:
        async with session.get(address) as answer:
            assert answer.status == 200
        screen = address.replace("http", "ws", 1) + "ws"
        async with session.ws_connect(screen) as opened, asyncio.timeout(6 * LIMIT):
            shown, said = b"", False
            while b"18FEF100" not in shown:
                message = await opened.receive()
                shown += message.data if isinstance(message.data, bytes) else b""
                if not said and raw_listeners(bus.port(N, "e3")):
                    said = True
                    say(bus.members()[:3])


def test_without_a_terminal_there_is_no_screen(bus: Site, stack: ExitStack) -> None:
    process = start(bus, stack, "watch")
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert err.startswith("canwharf: the screen needs a terminal: 'canwharf dump' shows frames")


def test_the_matrix_of_a_live_bus(bus: Site, stack: ExitStack, tmp_path: Path) -> None:
    """A container that only listens is a receiver of what its policy lets in."""
    path = tmp_path / "matrix.csv"
    process = watch(bus, stack, "bus0", "--report", str(path))
    say(bus.members()[:3])
    status, out, err = end(process, signal.SIGTERM)
    assert (status, err) == (0, "")
    assert f"{path}: made from bus0, " in out
    assert "4 ids of 3 senders, 5 frames" in out
    lines = [
        (each["id"], each["sender"], each["receivers"], each["also_sent_by"])
        for each in csv.DictReader(path.read_text().splitlines())
    ]
    assert lines == [
        ("042", "ecu2", "ecu1;host", ""),
        ("123", "ecu1", "ecu2;ecu3;host", "ecu2"),
        ("123", "ecu2", "ecu1;ecu3;host", "ecu1"),
        ("7FF", "host", "ecu1;ecu2", ""),
        ("18FEF100", "ecu2", "ecu1;host", ""),
    ]


def test_a_full_disk_leaves_no_half_of_a_document(
    bus: Site, stack: ExitStack, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", tmp_path], check=True)
    stack.callback(subprocess.run, ["umount", "-l", str(tmp_path)], check=True)
    (tmp_path / "full").write_bytes(bytes(4096))
    path = tmp_path / "matrix.html"
    process = watch(bus, stack, "bus0", "--report", str(path))
    say(bus.members()[:3])
    status, _out, err = end(process)
    assert (status, err) == (1, f"canwharf: cannot write {path}: No space left on device\n")
    assert not path.exists()
