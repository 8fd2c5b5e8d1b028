"""Frames that a bridge tells a program of its own host: one record after the other. Pure.

A record, all numbers little-endian:

    offset  size  field
         0     4  length of what follows
         4     1  kind
         5     8  a number, with a sign
        13     1  length of a host's name, then the name
                  a message of that host (see `message`), or nothing

Kinds, and what their number is:

- BEGIN, the first one: from this time on (CLOCK_REALTIME, nanoseconds) all is told.
- OWN: frames that entered the bus at its interface: of programs on the host, and of the wire. What
  containers send is not told, as each can be seen at its own interface. The number is 0. Once a
  second it comes without frames.
- OTHER: frames of another host, for the bus. Their times are by this host's clock: the number is
  what was added to the times that the other host told, in nanoseconds.
- LATE: the same of frames that the bus does not get, as they are too old.
- LOST: so many frames of a host were lost on the way.
- RECOVERED: frames of another host that were lost and came afterwards, only to a program that asked
  for them; the number as with OTHER.
- DROPPED: so many frames are not told, as the program did not read what was told before.
- PRESENT: a host is there (1) or has gone (0). After BEGIN, those that are there are told.

A record that breaks this form is refused: any process of the host may be the one that sends it. One
of another kind is left out, as a later service has more of them.
"""

from __future__ import annotations

import struct
from struct import Struct

from canwharf.bus.span import is_name
from canwharf.errors import SpanError
from canwharf.record import NamedTuple
from canwharf.span import message
from canwharf.span.message import MOST, Message

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from canwharf.frames.frame import Frame

BEGIN, OWN, OTHER, LATE, LOST, DROPPED, RECOVERED, PRESENT = range(8)

_LENGTH = Struct("<I")
_HEAD = Struct("<BqB")
_LARGEST = 1 << 15  # bytes of a record; MOST frames with a name each have less


class Told(NamedTuple):
    """A record. A frame of another host has the sender `host/name`."""

    kind: int
    number: int
    host: str = ""
    frames: Sequence[Frame] = ()


def encode(kind: int, number: int, host: str = "", frames: Sequence[Frame] = ()) -> bytes:
    """Records of these frames; without frames, one. The frames' senders are without the host."""
    parts = [frames[at : at + MOST] for at in range(0, len(frames), MOST)] or [()]
    return b"".join(_record(kind, number, host, part) for part in parts)


def _record(kind: int, number: int, host: str, frames: Sequence[Frame]) -> bytes:
    name = host.encode()
    body = message.encode(Message(0, 0, 0, 0, frames)) if frames else b""
    head = _HEAD.pack(kind, number, len(name)) + name
    return _LENGTH.pack(len(head) + len(body)) + head + body


class Reader:
    """Records from the bytes of a stream, of the bus on this interface."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._bytes = bytearray()

    def read(self, received: bytes) -> Iterator[Told]:
        """The records that are whole now. Raises SpanError."""
        self._bytes += received
        while len(self._bytes) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes)
            end = _LENGTH.size + length
            if not _HEAD.size <= length <= _LARGEST:
                raise SpanError(f"a record of {length} bytes")
            if len(self._bytes) < end:
                return
            record = bytes(self._bytes[_LENGTH.size : end])
            del self._bytes[:end]
            if record[0] <= PRESENT:
                yield self._decoded(record)

    def _decoded(self, record: bytes) -> Told:
        try:
            kind, number, length = _HEAD.unpack_from(record)
            name = record[_HEAD.size : _HEAD.size + length]
            host = name.decode("ascii")
        except (struct.error, UnicodeDecodeError) as error:
            raise SpanError(f"a record that is garbled: {error}") from error
        body = record[_HEAD.size + length :]
        if len(name) != length or (host and not is_name(host)):
            raise SpanError(f"a record of kind {kind} and host {host!r}")
        if kind not in (OWN, OTHER, LATE, RECOVERED):
            return Told(kind, number, host)
        frames = message.decode(body, self._interface, host).frames if body else ()
        if kind == OWN:
            frames = [each._replace(sender=each.sender.partition("/")[2]) for each in frames]
        elif not host:
            raise SpanError("frames of no host")
        return Told(kind, number, host, frames)
