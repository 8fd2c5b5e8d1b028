"""The message of a span: frames of one host's bus, in their order. Pure.

Version 1, all numbers little-endian, nothing aligned:

    offset  size  field
         0     1  version: 1
         1     1  flags: 0
         2     2  number of frames, at most 64; with none, the message says where the sequence is
         4     8  epoch: a random number that the sender draws at its start
        12     8  sequence number of the first frame, from 0 on in each epoch
        20     8  the sender's clock (CLOCK_REALTIME), in nanoseconds since 1970
        28     8  the sender's uptime (CLOCK_BOOTTIME), in nanoseconds
        36     1  number of names
        37        each name: 1 byte for its length, then UTF-8

then each frame:

         0     8  when the host received it (CLOCK_REALTIME), in nanoseconds since 1970
         8     4  id, with the flags of linux/can.h (CAN_EFF_FLAG, CAN_RTR_FLAG)
        12     1  its sender: an index among the names
        13     1  flags of struct canfd_frame: CANFD_FDF, BRS, ESI; 0 for classic CAN
        14     1  length of the data
        15        data; of a remote frame, zeros

Rules:

- A message that breaks this form in any point is refused as a whole. So is one of another version:
  a new version has another number.
- Error frames are reports of an adapter, and never in a message.
- Of a name, what is not printable is read as `?`: it comes to terminals, and into recordings. So is
  an empty one: a recording would have the host in the place of a container.
- The sending host is not in the message, but in the key under which it came, which access control
  can bind to a certificate. A sender is `host/name`.
"""

from __future__ import annotations

import struct
from struct import Struct

from canwharf.errors import SpanError
from canwharf.frames.frame import BRS, ESI, Frame
from canwharf.kernel import uapi
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
MOST = 64  # frames in a message

_HEAD = Struct("<BBHQQQQB")
_FRAME = Struct("<QIBBB")
_FDF = 0x04  # CANFD_FDF
_NAME = 255  # bytes
_FD_LENGTHS = frozenset((*range(9), 12, 16, 20, 24, 32, 48, 64))


class Message(NamedTuple):
    """Frames of one host, and when it sent them: `clock` and `uptime`, both in nanoseconds."""

    epoch: int
    sequence: int
    clock: int
    uptime: int
    frames: Sequence[Frame] = ()


def encode(message: Message) -> bytes:
    """The bytes of a message, without the frames' bus. A name that is too long is cut."""
    names: dict[str, int] = {}
    body = bytearray()
    for time, _bus, sender, can_id, data, fd in message.frames:
        index = names.setdefault(sender, len(names))
        flags = 0 if fd is None else _FDF | fd
        body += _FRAME.pack(time, can_id, index, flags, len(data)) + data
    head = _HEAD.pack(
        *(VERSION, 0, len(message.frames), message.epoch, message.sequence),
        *(message.clock, message.uptime, len(names)),
    )
    return head + b"".join(map(_packed_name, names)) + body


def decode(payload: bytes, bus: str, host: str) -> Message:
    """A message that came from this host, its frames as those of this bus. Raises SpanError."""
    if payload[:1] and payload[0] != VERSION:
        raise SpanError(f"a message of version {payload[0]}; this canwharf reads {VERSION}")
    try:
        return _decode(payload, bus, host)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise SpanError(f"a message that is cut or garbled: {error}") from error


def _decode(payload: bytes, bus: str, host: str) -> Message:
    _version, flags, count, epoch, sequence, clock, uptime, names = _HEAD.unpack_from(payload)
    if flags or count > MOST:
        raise SpanError(f"a message with flags {flags} and {count} frames")
    place = _HEAD.size
    senders = []
    for _name in range(names):
        end = place + 1 + payload[place]
        name = payload[place + 1 : end].decode()
        if not name or not name.isprintable():
            name = "".join(each if each.isprintable() else "?" for each in name) or "?"
        senders.append(f"{host}/{name}")
        place = end
    frames = _frames(payload, place, count, bus, senders)
    return Message(epoch, sequence, clock, uptime, frames)


def _frames(
    payload: bytes, place: int, count: int, bus: str, senders: Sequence[str]
) -> list[Frame]:
    """The frames from this place on, to the end."""
    frames = []
    unpack, size, make = _FRAME.unpack_from, _FRAME.size, Frame._make  # looked up once
    for _frame in range(count):
        time, can_id, index, flags, length = unpack(payload, place)
        place += size + length
        data = payload[place - length : place]
        if flags or length > 8 or can_id > uapi.CAN_SFF_MASK:  # most are simple
            _check(can_id, flags, length)
        fd = flags & ~_FDF if flags else None
        frames.append(make((time, bus, senders[index], can_id, data, fd)))
    if place != len(payload):
        raise SpanError(f"a message of {len(payload)} bytes that should have {place}")
    return frames


def _check(can_id: int, flags: int, length: int) -> None:
    """Refuse what is no frame that may be sent on a bus. Raises SpanError."""
    extended = can_id & uapi.CAN_EFF_FLAG
    mask = uapi.CAN_EFF_MASK if extended else uapi.CAN_SFF_MASK
    if can_id & ~(mask | uapi.CAN_EFF_FLAG | uapi.CAN_RTR_FLAG):
        raise SpanError(f"a frame with the id {can_id:#x}")
    if not flags:
        fits = length <= 8
    elif flags & ~(BRS | ESI) == _FDF and not can_id & uapi.CAN_RTR_FLAG:
        fits = length in _FD_LENGTHS
    else:
        fits = False
    if not fits:
        raise SpanError(f"a frame of {length} bytes with flags {flags:#x} and the id {can_id:#x}")


def _packed_name(name: str) -> bytes:
    text = name.encode()
    if len(text) > _NAME:
        text = text[:_NAME].decode(errors="ignore").encode()
    return bytes((len(text),)) + text
