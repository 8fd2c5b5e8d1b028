"""A real CAN interface without a CAN adapter: slcan on a pseudo-terminal, played by a thread."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import threading
import tty

from tests.kernel.world import LIMIT, can_interfaces, ip, wait_until

_TIOCSETD, _N_SLCAN = 0x5423, 17
_SIOCGIFNAME_OF_TTY = 0x8910  # SIOCGIFNAME, answered by the slcan line discipline


class Adapter:
    """A classic CAN adapter on a serial line (slcan), played by a thread."""

    def __init__(self) -> None:
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._ours)
        fcntl.ioctl(self._theirs, _TIOCSETD, struct.pack("i", _N_SLCAN))
        answer = fcntl.ioctl(self._theirs, _SIOCGIFNAME_OF_TTY, bytes(16))
        self.name = answer.split(b"\0")[0].decode()
        self._lines: list[str] = []
        self._came = threading.Condition()
        self._end, end_of_thread = os.pipe()
        self._thread = threading.Thread(target=self._play, args=(end_of_thread,), daemon=True)
        self._thread.start()

    def start(self, bitrate: int = 500000) -> None:
        """Configure it and bring it up."""
        ip(f"link set {self.name} type can bitrate {bitrate}")
        ip(f"link set {self.name} up")

    def send(self, line: str) -> None:
        """A frame from the wire, as `t1232BEEF`."""
        os.write(self._ours, line.encode() + b"\r")

    def wait_for(self, line: str) -> None:
        """Wait until this was written to the adapter."""
        with self._came:
            assert self._came.wait_for(lambda: line in self._lines, LIMIT), self._lines

    def written(self) -> list[str]:
        """All frames that were written to the adapter."""
        with self._came:
            return [line for line in self._lines if line[:1] in "tTrR"]

    def unplug(self) -> None:
        """Pull the plug; the interface goes."""
        if self._ours < 0:
            return
        os.close(self._end)
        self._thread.join(LIMIT)
        os.close(self._ours)
        os.close(self._theirs)
        self._ours = -1
        wait_until(lambda: self.name not in can_interfaces())

    def _play(self, end: int) -> None:
        rest = b""
        while end not in (ready := select.select([self._ours, end], [], [])[0]):
            if self._ours in ready:
                *lines, rest = (rest + os.read(self._ours, 4096)).split(b"\r")
                with self._came:
                    self._lines += [line.decode(errors="replace") for line in lines]
                    self._came.notify_all()
        os.close(end)
