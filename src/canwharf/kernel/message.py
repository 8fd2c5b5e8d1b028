"""Netlink messages and attributes as bytes, both ways. Pure.

The layout is that of linux/netlink.h: everything is in the machine's own byte order and padded
to four bytes; a length counts its header but not the padding behind it.

Rules:

- What comes from the kernel is still checked: a length that points outside the buffer ends the
  walk with a MessageError, never with a wrong slice.
- A message that is to be sent does not know its sequence number; the socket gives it one.
"""

from __future__ import annotations

from struct import Struct

from canwharf.errors import MessageError
from canwharf.kernel import uapi
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = Struct("=HH")  # struct nlattr: length, type; four bytes
_U32 = Struct("=I")
_S32 = Struct("=i")


class Message(NamedTuple):
    """One netlink message without its header's length: what was received."""

    type: int
    flags: int
    sequence: int
    body: bytes


def u32(value: int) -> bytes:
    """A 32 bit attribute value."""
    return _U32.pack(value)


def read_u32(data: bytes) -> int:
    """The value of a 32 bit attribute. Raises MessageError where it is shorter."""
    if len(data) < _U32.size:
        raise MessageError(f"a 32 bit attribute of {len(data)} bytes")
    return int(_U32.unpack_from(data)[0])


def text(value: str) -> bytes:
    """A string attribute's value: UTF-8 with the closing NUL that the kernel wants."""
    return value.encode() + b"\0"


def read_text(data: bytes) -> str:
    """The value of a string attribute."""
    return data.split(b"\0", 1)[0].decode(errors="replace")


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes in `data` from `offset` on; of a type that stands twice, the last.

    Raises MessageError where a length is impossible.
    """
    found = {}
    end = len(data)
    unpack = _ATTRIBUTE.unpack_from  # a link has some forty attributes, and links are many
    while offset + 4 <= end:
        length, kind = unpack(data, offset)
        if length < 4 or offset + length > end:
            raise MessageError(f"netlink attribute {kind} of impossible length {length}")
        found[kind & uapi.NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def repeated(data: bytes, kind: int) -> list[bytes]:
    """The values of every attribute of this type, of which there may be several.

    Raises MessageError where a length is impossible.
    """
    found = []
    offset = 0
    while offset + 4 <= len(data):
        length, each = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > len(data):
            raise MessageError(f"netlink attribute {each} of impossible length {length}")
        if each & uapi.NLA_TYPE_MASK == kind:
            found.append(data[offset + 4 : offset + length])
        offset += (length + 3) & ~3
    return found


def encode(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """One message, padded, ready to be sent; the kernel fills in our port."""
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind, flags, sequence, 0) + body + b"\0" * (-length % 4)


def decode(data: bytes) -> Iterator[Message]:
    """The messages in one datagram. Raises MessageError where a length is impossible."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            raise MessageError(f"netlink message of impossible length {length}")
        yield Message(kind, flags, sequence, data[offset + _HEADER.size : offset + length])
        offset += (length + 3) & ~3


def error_of(message: Message) -> tuple[int, str]:
    """The errno (0: acknowledged) and the kernel's own words of an NLMSG_ERROR or NLMSG_DONE.

    Relies on NETLINK_CAP_ACK: behind the number stands the header of the refused message only.
    """
    if len(message.body) < 4:
        return 0, ""
    errno = -_S32.unpack_from(message.body)[0]
    if not message.flags & uapi.NLM_F_ACK_TLVS:
        return errno, ""
    start = 4 + (_HEADER.size if message.type == uapi.NLMSG_ERROR else 0)
    return errno, read_text(attributes(message.body, start).get(uapi.NLMSGERR_ATTR_MSG, b""))
