"""Many frames onto a raw CAN socket in one system call.

Theory of operation. As for `receive`: sendmmsg(2) takes a table of messages. It ends at the first
message that the kernel does not take, and tells how many it took; why it did not take the next one
is told by a call for this one alone.

Rule: the frames of a call are all classic, or all CAN FD: the kernel tells them by their size.

Source: sendmmsg(2), linux/can.h.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Sequence

from canwharf.frames.frame import Frame
from canwharf.frames.receive import HEADER, Vector, address
from canwharf.frames.transmit import packed
from canwharf.kernel import uapi

MOST = 64  # frames a call
_CLASSIC = 16  # bytes of struct can_frame
_DONTWAIT = int(socket.MSG_DONTWAIT)


class Batch:
    """The tables; one for all sockets of a thread."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._tables = {size: _Table(size) for size in (_CLASSIC, uapi.CANFD_MTU)}

    def send(self, descriptor: int, frames: Sequence[Frame]) -> int:
        """How many of these, MOST at most, the socket took at once; the others were not tried."""
        frames = frames[:MOST]  # a table that grew would move, and the kernel read elsewhere
        content = b"".join(map(packed, frames))
        size, rest = divmod(len(content), len(frames))
        table = self._tables.get(size)
        if rest or table is None:  # of both kinds
            return 0
        table.content[: len(content)] = content
        sent: int = self._call(descriptor, table.place, len(frames), _DONTWAIT)
        return max(0, sent)


class _Table:
    """Messages of one size, one behind the other."""

    def __init__(self, size: int) -> None:
        self.content = bytearray(size * MOST)
        self._headers = bytearray(HEADER.size * MOST)
        self.place, content = address(self._headers), address(self.content)
        self._vectors = (Vector * MOST)(
            *(Vector(content + place * size, size) for place in range(MOST))
        )
        vectors = ctypes.addressof(self._vectors)
        for place in range(MOST):
            vector = vectors + place * ctypes.sizeof(Vector)
            HEADER.pack_into(self._headers, place * HEADER.size, 0, 0, vector, 1, 0, 0, 0, 0)
