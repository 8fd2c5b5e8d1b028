"""A program that sends while something else happens, and the frames that others received.

The sender is a process of its own: on one processor a change of rules would not be interrupted by
frames of the process that makes it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from typing import Self

from tests.world.member import Member, raw_socket

MOST = 3000  # frames; what a listener's buffer holds of two senders
LIMIT = 5.0  # seconds
# Seconds between two frames. A sender with a processor of its own would send MOST before a change
# is done; on one processor the two take turns.
PAUSE = 0.0 if len(os.sched_getaffinity(0)) == 1 else 0.001
_FRAME = struct.Struct("=IB3xII")  # id, length, who, number
_COUNT = struct.Struct("=I")

Heard = Counter[tuple[int, int]]  # who, number


class Sender:
    """Sends numbered frames, as fast as a change leaves it time, until it is told to stop."""

    def __init__(self, member: Member, who: int, first: int, pause: float = PAUSE) -> None:
        """Come back when `first` frames are sent; then a frame each `pause` seconds, at most."""
        told, tell = os.pipe()
        self._count, count = os.pipe()
        with raw_socket(member) as opened:
            opened.setblocking(True)
            self._process = os.fork()
            if not self._process:
                _keep(opened.fileno(), told, count)
                _send(opened, who, first, pause=pause, told=told, count=count)
        os.close(told)
        os.close(count)
        self._tell = tell
        self._read()

    def stop(self) -> int:
        """End it; how many frames it sent."""
        os.close(self._tell)
        self._tell = -1
        sent = self._read()
        assert sent < MOST, "it stopped too early"
        return sent

    def _read(self) -> int:
        assert select.select([self._count], [], [], LIMIT)[0], "the sender hangs"
        return int(_COUNT.unpack(os.read(self._count, _COUNT.size))[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            os.close(self._tell)
        os.close(self._count)
        os.waitpid(self._process, 0)


def _keep(*descriptors: int) -> None:
    """Close all others: a lock of the daemon's would stay with this process."""
    for each in os.listdir("/proc/self/fd"):
        if int(each) > 2 and int(each) not in descriptors:
            with suppress(OSError):  # that of the list
                os.close(int(each))


def _send(
    opened: socket.socket, who: int, first: int, *, pause: float, told: int, count: int
) -> None:
    """The other process, which does not come back."""
    number = 0
    while number < MOST and (number < first or not select.select([told], [], [], pause)[0]):
        opened.send(_FRAME.pack(0x100 + who, 8, who, number))
        number += 1
        if number == first:
            os.write(count, _COUNT.pack(number))
        os.sched_yield()
    os.write(count, _COUNT.pack(number))
    os._exit(0)


def heard(opened: socket.socket, wanted: Collection[tuple[int, int]]) -> Heard:
    """What a program has received, when all that is wanted is there or nothing comes any more."""
    found: Heard = Counter()
    missing = set(wanted)
    while select.select([opened], [], [], LIMIT if missing else 0.0)[0]:
        _id, _length, who, number = _FRAME.unpack(opened.recv(_FRAME.size))
        found[who, number] += 1
        missing.discard((who, number))
    return found
