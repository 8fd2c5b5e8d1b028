"""A real CAN adapter without the hardware: slcan on a pseudo-terminal, played by a thread.

    python3 -m tests.world.adapter [--name NAME] [--bitrate RATE]

The kernel's slcan makes a real `can_dev` of a serial line: bit rates, states, error frames, MTU 16.
Here is what sits at the other end of the line. As a program it is plugged in while it runs: it
says `plugged NAME`, takes frames from the wire on its input (`t1232BEEF`), one a line, and prints
those that the host sends to the wire. Its end is the pulled plug.

Rules:

- It answers as the firmwares do: `S`, `O`, `C` with a CR, `V`, `N` and `F` with a value.
- A frame at another bit rate than it was set to is a form error, not a frame.
- Nothing comes from the wire while its channel is closed.

Sources: drivers/net/can/slcan/slcan-core.c (the lines, the error states), LAWICEL's CAN232 manual.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import threading
import tty
from contextlib import suppress
from time import monotonic

LIMIT = 20.0  # seconds: nothing here takes one
RATES = (10000, 20000, 50000, 100000, 125000, 250000, 500000, 800000, 1000000)  # S0 to S8

_TIOCSETD, _N_SLCAN = 0x5423, 17
_SIOCGIFNAME_OF_TTY = 0x8910  # SIOCGIFNAME, answered by the slcan line discipline
_RTMGRP_LINK = 1
_ANSWERS = {"V": "V1013", "N": "NA123", "F": "F00"}


class Adapter:
    """A classic CAN adapter on a serial line; plugged in when it is made.

    `bitrate` is that of the wire it is on (0: whatever it is set to). `name` renames the interface
    as udev does: after the kernel has announced it under a name of its own.
    """

    def __init__(self, name: str = "", bitrate: int = 0) -> None:
        self._wire = bitrate
        self._rate = 0
        self._lines: list[str] = []
        self._came = threading.Condition()
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._ours)
        fcntl.ioctl(self._theirs, _TIOCSETD, struct.pack("i", _N_SLCAN))
        answer = fcntl.ioctl(self._theirs, _SIOCGIFNAME_OF_TTY, bytes(16))
        self.name = answer.split(b"\0")[0].decode()
        self.index = socket.if_nametoindex(self.name)
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()
        if name and name != self.name:
            self.rename(name)

    def rename(self, name: str) -> None:
        """What udev does."""
        _ip("link", "set", self.name, "name", name)
        self.name = name

    def start(self, bitrate: int = 500000) -> None:
        """Configure it and bring it up, by hand."""
        _ip("link", "set", self.name, "type", "can", "bitrate", str(bitrate))
        _ip("link", "set", self.name, "up")

    def send(self, line: str) -> None:
        """A frame from the wire, as `t1232BEEF`."""
        if self._wire and self._wire != self._rate:
            line = "e1f"
        self._tell(line)

    def change_state(self, state: str, sending: int, receiving: int) -> None:
        """The controller's state: `a`ctive, `w`arning, `p`assive or `b`us-off; its counters."""
        self._tell(f"s{state}{receiving:03}{sending:03}")

    def wait_for(self, line: str) -> None:
        """Wait until this was written to the adapter."""
        with self._came:
            assert self._came.wait_for(lambda: line in self._lines, LIMIT), self._lines

    def written(self) -> list[str]:
        """All frames that were written to the adapter."""
        with self._came:
            return [line for line in self._lines if line[:1] in "tTrR"]

    def asked(self) -> list[str]:
        """All else that was written to it."""
        with self._came:
            return self._commands()

    def wait_for_last(self, *commands: str) -> None:
        """Wait until these were the last of all else; it is read a little after it is written."""
        count = len(commands)
        with self._came:
            done = self._came.wait_for(lambda: (*self._commands()[-count:],) == commands, LIMIT)
            assert done, self._lines

    def _commands(self) -> list[str]:
        return [line for line in self._lines if line and line[:1] not in "tTrR"]

    def remove(self) -> None:
        """Take it down if the host has it, then pull the plug: slcan has nothing to say then."""
        if self._ours >= 0 and self._there():
            _ip("link", "set", socket.if_indextoname(self.index), "down")
        self.unplug()

    def unplug(self) -> None:
        """Pull the plug, whatever is under way; the interface goes.

        Of one that is up, slcan waits for a second for the line to take its last words.
        """
        if self._ours < 0:
            return
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as links:
            links.bind((0, _RTMGRP_LINK))
            os.close(self._theirs)
            self._thread.join(LIMIT)
            os.close(self._ours)
            self._ours = -1
            deadline = monotonic() + LIMIT
            while self._there():
                left = deadline - monotonic()
                ready = left > 0 and select.select([links], [], [], left)[0]
                assert ready, f"{self.name} does not go"
                links.recv(65536)

    def _there(self) -> bool:
        """Whether the host has the interface; one in a container is not looked for."""
        return self.index in {index for index, _name in socket.if_nameindex()}

    def _tell(self, line: str) -> None:
        os.write(self._ours, line.encode() + b"\r")

    def _play(self) -> None:
        rest = b""
        with suppress(OSError):  # the other end is closed
            while True:
                *lines, rest = (rest + os.read(self._ours, 4096)).split(b"\r")
                for line in lines:
                    self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        with self._came:
            self._lines.append(line)
            self._came.notify_all()
        command, digit = line[:1], line[1:2]
        if command == "S" and digit.isdigit() and int(digit) < len(RATES):
            self._rate = RATES[int(digit)]
        if command in ("S", "O", "C", "V", "N", "F"):
            self._tell(_ANSWERS.get(command, ""))


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, timeout=LIMIT)


def main() -> int:
    """Be an adapter until the input ends, or this program."""
    parser = argparse.ArgumentParser("python3 -m tests.world.adapter")
    parser.add_argument("--name", default="", help="what udev would call it")
    parser.add_argument("--bitrate", type=int, default=0, help="of the wire it is on")
    options = parser.parse_args()
    adapter = Adapter(options.name, options.bitrate)
    sys.stdout.write(f"plugged {adapter.name}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        adapter.send(line.strip())
    for line in adapter.written():
        sys.stdout.write(f"{line}\n")
    adapter.unplug()
    return 0


if __name__ == "__main__":
    sys.exit(main())
