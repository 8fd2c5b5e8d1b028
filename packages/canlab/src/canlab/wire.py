"""What travels between the front and the guest: frames of bytes on one line. Pure.

A frame is a header (type, stream, length) and its payload. Streams carry the bytes of one
descriptor; the other frames are about the command.

    guest: READY                  the line is raw; nothing is sent to the guest before
    front: START json             the command and all that belongs to it (`start`)
           SIGNAL number          for the command; its group if a terminal would have sent it
           SIZE rows, columns     of its terminal
    both:  DATA stream bytes      at most as many as the other end has room for
           ACK stream number      so many bytes have been written: there is room for as many again
           END stream             no more bytes come
           BROKEN stream          the reader of these bytes is gone: send no more
    guest: GOT number             so many bytes of the line were read (see LINE_ROOM)
           OPEN stream port       connect it to a port of the machine
           STOPPED                the command was stopped, as by Ctrl-Z; SIGCONT continues it
           OFFSET number          where standard input, a regular file, was left
           ERROR text             in words
           STATUS number          the command has ended: the last frame of all

Rule: a sender never has more than WINDOW bytes of a stream under way, so a reader that is slow
holds up its own stream, and no other, nor a signal.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

READY, START, SIGNAL, SIZE, DATA, ACK, END, BROKEN, GOT, OPEN, ERROR, STATUS = range(1, 13)
STOPPED, OFFSET = 13, 14

STDIN, STDOUT, STDERR, TERMINAL = range(4)

WINDOW = 1 << 18  # bytes
# Bytes that the guest's line holds until they are read. At more its driver turns its interrupt off
# (line_throttle), and in Linux 7.2 line_unthrottle does not turn it on again: the line would hang.
# More would not be faster: its driver makes a system call for each byte (chan_interrupt).
LINE_ROOM = 3072

_HEADER = struct.Struct(">BHI")


class Frame:
    """One frame; `stream` is 0 where the type has none.

    No named tuple: `typing` is slow to load.
    """

    __slots__ = ("payload", "stream", "type")

    def __init__(self, type: int, stream: int, payload: bytes) -> None:
        self.type, self.stream, self.payload = type, stream, payload

    @property
    def number(self) -> int:
        """The payload of a frame that is made by `encode_number`."""
        return int.from_bytes(self.payload, "big")


def encode(type: int, stream: int = 0, payload: bytes | bytearray = b"") -> bytes:
    """A frame as bytes."""
    return _HEADER.pack(type, stream, len(payload)) + payload


def encode_number(type: int, number: int, stream: int = 0) -> bytes:
    """A frame whose payload is a number."""
    return encode(type, stream, number.to_bytes(8, "big"))


def frames(buffer: bytearray) -> Iterator[Frame]:
    """Take the frames that are complete from the front of the buffer."""
    while len(buffer) >= _HEADER.size:
        type, stream, length = _HEADER.unpack_from(buffer)
        end = _HEADER.size + length
        if len(buffer) < end:
            return
        payload = bytes(buffer[_HEADER.size : end])
        del buffer[:end]
        yield Frame(type, stream, payload)
