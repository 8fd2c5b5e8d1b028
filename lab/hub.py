"""An Ethernet between guests: a hub, and a cable from it to each guest.

Theory of operation. The guest's end of a cable is a datagram socket, a frame a packet, which
User-Mode Linux and QEMU take as they are. For each guest that is on, a thread reads what it sends
and gives that to all others.

Rules:

- A hub learns no addresses: each frame goes to every other guest.
- Nothing waits for a guest: what one does not take in time is lost, as in a switch that is full.
- A cable that is cut loses all frames without a word: neither end is told. What was sent before
  it was fixed never comes, as frames are read, judged and passed on in one turn.
- A guest that boots gets a new socket, so nothing that was sent while it was off reaches it.
"""

from __future__ import annotations

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from lab.boot import Nic
from lab.errors import LabError

# Of a range for private use (RFC 1918), and addresses that no maker gives (the bit 02).
ADDRESS = "10.9.0.{}"
PREFIX = 24
MAC = "02:00:00:00:09:{:02x}"
HOST = "[a-z][a-z0-9-]{0,62}"
FRAME = 1 << 16  # bytes; more than any frame
# Bytes that a guest may be behind, or fewer: the kernel allows /proc/sys/net/core/wmem_max.
QUEUE = 4 << 20
# Frames that can wait in a queue: the kernel doubles its size, and counts at least 512 bytes each.
MOST = QUEUE >> 8


class Hub:
    """Joins guests. A context manager; at its end all cables are out."""

    def __init__(self) -> None:
        self._cables: list[Cable] = []
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for cable in self._cables:
            cable.unplug()

    @property
    def hosts(self) -> str:
        """The text of a guest's /etc/hosts: all guests by name."""
        rows = [f"{cable.address} {cable.host}\n" for cable in self._cables]
        return "".join(["127.0.0.1 localhost\n", *rows])

    def cable(self, host: str) -> Cable:
        """A cable for one more guest, whose name is `host`.

        Raises LabError for a name that is taken, or none of a host.
        """
        if not re.fullmatch(HOST, host) or host in (cable.host for cable in self._cables):
            raise LabError(f"no guest can be called {host!r}: each has a host name of its own")
        cable = Cable(self, host, len(self._cables) + 1, self._turn)
        self._cables.append(cable)
        return cable

    def spread(self, frame: bytes, sender: Cable) -> None:
        """Give a frame to all guests but its sender; called by a cable in its turn."""
        for cable in self._cables:
            if cable is not sender:
                cable.give(frame)

    def catch_up(self) -> None:
        """Pass on all that guests have sent until now; called by a cable in its turn."""
        for cable in self._cables:
            for _frame in range(MOST):  # they may go on and on
                if not cable.take():
                    break


class Cable:
    """From a guest to the hub; it can be cut and fixed, whether the guest is on or not."""

    def __init__(self, hub: Hub, host: str, number: int, turn: threading.Lock) -> None:
        self.host = host
        self.address = ADDRESS.format(number)
        self._whole = True
        self._mac = MAC.format(number)
        self._hub = hub
        self._turn = turn
        self._end: socket.socket | None = None
        self._reader: threading.Thread | None = None

    @property
    def hosts(self) -> str:
        """The text of a guest's /etc/hosts: all guests of the hub by name."""
        return self._hub.hosts

    def cut(self) -> None:
        """Lose all frames to and from the guest from now on."""
        with self._turn:
            self._whole = False

    def fix(self) -> None:
        """Let frames pass again; what was lost stays lost."""
        with self._turn:
            self._hub.catch_up()
            self._whole = True

    @contextmanager
    def plugged(self) -> Iterator[Nic]:
        """Plug it into a guest that is switched on inside this context and inherits the end."""
        self.unplug()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE)
            reader = threading.Thread(target=self._read, args=(ours,), daemon=True, name="lab-hub")
            with self._turn:
                self._end, self._reader = ours, reader
            reader.start()
            yield Nic(theirs.fileno(), self._mac, f"{self.address}/{PREFIX}", self.host)

    def unplug(self) -> None:
        """Take it out of the guest; no error if it is in none."""
        with self._turn:
            end, self._end = self._end, None
        if end is not None:
            assert self._reader is not None
            end.shutdown(socket.SHUT_RDWR)  # wakes the reader
            self._reader.join()
            end.close()

    def give(self, frame: bytes) -> None:
        """Send the guest a frame, if it takes one; called by the hub in its turn."""
        if self._whole and self._end is not None:
            with suppress(OSError):  # it is behind, or off
                self._end.send(frame, socket.MSG_DONTWAIT)

    def take(self) -> bool:
        """Pass on one frame of the guest's; False if there is none. Called in its turn."""
        if self._end is None:
            return False
        try:
            frame = self._end.recv(FRAME, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if self._whole:
            self._hub.spread(frame, self)
        return True

    def _read(self, end: socket.socket) -> None:
        waiter = select.poll()
        waiter.register(end, select.POLLIN)
        while self._end is end:
            waiter.poll()
            with self._turn:
                self.take()
