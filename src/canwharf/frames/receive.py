"""Many frames of a raw CAN socket in one system call.

Theory of operation. A call of Python for each frame (recvmsg) would take most of a processor at a
few thousand frames a second. recvmmsg(2) fills a table of messages at once, and Struct.iter_unpack
reads the table's columns.

Rules:

- A time stamp is the kernel's, in nanoseconds of 64 bits on every machine (SO_TIMESTAMPNS_NEW, from
  Linux 5.1 on).
- The kernel writes into the table what it used of each message, so the table is reset before.
- Without its types, ctypes would pass an address as an int of 32 bits. User-Mode Linux has all
  memory below that; other machines do not.

Source: recvmmsg(2), linux/socket.h (struct mmsghdr), linux/can.h, net/socket.c (the time stamp is
the first control message).
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from struct import Struct

from canwharf.kernel import uapi

MOST = 128  # frames a call

Received = tuple[int, int, bytes, int | None, int]  # time, can_id, data, fd, flags of the message

_FRAME = Struct("=IBB2x64s")  # struct canfd_frame; a classic one ends after 8 bytes of data
_FD_FLAGS = 0x03  # BRS and ESI; the kernel's own CANFD_FDF is no news
_SPACE = socket.CMSG_SPACE(16)
_HEAD = socket.CMSG_LEN(0)
_STAMP = Struct(f"={_HEAD}xqq{_SPACE - _HEAD - 16}x")  # seconds, nanoseconds
# struct mmsghdr, as far as the flags and the length
HEADER = Struct("@PIPNPNi0PI0P")


class Vector(ctypes.Structure):
    """Where a message is (struct iovec)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


assert ctypes.sizeof(_Header) == HEADER.size


class Receiver:
    """The table; one for all sockets of a thread."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._call.argtypes = (
            *(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int),
            ctypes.c_void_p,
        )
        self._frames = bytearray(_FRAME.size * MOST)
        self._stamps = bytearray(_STAMP.size * MOST)
        self._headers = bytearray(HEADER.size * MOST)
        frames, stamps, headers = map(address, (self._frames, self._stamps, self._headers))
        self._vectors = (Vector * MOST)(
            *(Vector(frames + place * _FRAME.size, _FRAME.size) for place in range(MOST))
        )
        self._table = headers
        vectors = ctypes.addressof(self._vectors)
        for place in range(MOST):
            vector = vectors + place * ctypes.sizeof(Vector)
            stamp = stamps + place * _STAMP.size
            HEADER.pack_into(
                *(self._headers, place * HEADER.size),
                *(0, 0, vector, 1, stamp, _STAMP.size, 0, 0),
            )
        self._fresh = bytes(self._headers)

    def receive(self, descriptor: int) -> Iterator[Received]:
        """What the socket has, at most MOST frames. Raises OSError, BlockingIOError if nothing."""
        self._headers[:] = self._fresh
        count = self._call(descriptor, self._table, MOST, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        frames = _FRAME.iter_unpack(memoryview(self._frames)[: count * _FRAME.size])
        stamps = _STAMP.iter_unpack(memoryview(self._stamps)[: count * _STAMP.size])
        headers = HEADER.iter_unpack(memoryview(self._headers)[: count * HEADER.size])
        for (can_id, length, flags, data), (seconds, rest), header in zip(
            frames, stamps, headers, strict=True
        ):
            fd = flags & _FD_FLAGS if header[7] == uapi.CANFD_MTU else None
            yield seconds * 1_000_000_000 + rest, can_id, data[:length], fd, header[6]


def address(buffer: bytearray) -> int:
    """Where it is, for as long as it keeps its length."""
    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))
