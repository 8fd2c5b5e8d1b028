"""The fake kernel's own codec: numbers and layouts from the headers, nothing from canwharf.

A mistake in canwharf's codec must not be made good by the same mistake here, so this file names
the kernel's numbers once more, and reads strictly: padding must be zero, nothing may be left over.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

# linux/rtnetlink.h
NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
# linux/netlink.h
REQUEST, EXCL, CREATE, NESTED = 0x1, 0x200, 0x400, 0x8000
# linux/if_link.h
IFNAME, MTU, LINK, TXQLEN, LINKINFO, IFALIAS, GROUP = 3, 4, 5, 13, 18, 20, 27
NET_NS_FD, EXT_MASK, CARRIER, LINK_NETNSID, PROP_LIST, ALT_IFNAME = 28, 29, 33, 37, 52, 53
INFO_KIND, INFO_DATA = 1, 2
VXCAN_PEER = 1  # linux/can/vxcan.h
UP = 1  # linux/if.h
CAN, ETHERNET = 280, 1  # linux/if_arp.h
AF_INET, AF_CAN = 2, 29  # linux/socket.h
# linux/can/gw.h
CAN_TO_CAN = 1
ECHO, IIF_TX_OK, FD = 0x1, 0x4, 0x8
HANDLED, SRC_IF, DST_IF, FILTER, LIM_HOPS = 7, 9, 10, 11, 13
EVERY_ERROR = struct.pack("=II", 0, 0x3FFFFFFF)  # linux/can.h: CAN_ERR_FLAG, CAN_ERR_MASK

_IFINFO = struct.Struct("=BBHiII")
_RTCAN = struct.Struct("=BBH")
_HEADER = struct.Struct("=HH")


class IfInfo(NamedTuple):
    """`struct ifinfomsg` and the attributes behind it."""

    family: int
    hardware: int
    ifindex: int
    flags: int
    change: int
    attributes: Mapping[int, bytes]


class RtCan(NamedTuple):
    """`struct rtcanmsg` and the attributes behind it."""

    family: int
    type: int
    flags: int
    attributes: Mapping[int, bytes]


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes, read strictly: each type once, zero padding, nothing left over."""
    found: dict[int, bytes] = {}
    while data:
        length, kind = _HEADER.unpack_from(data)
        assert _HEADER.size <= length <= len(data), f"attribute {kind} has length {length}"
        padded = (length + 3) & ~3
        assert not any(data[length:padded]), f"padding of attribute {kind} is not zero"
        assert kind & ~NESTED not in found, f"attribute {kind} stands twice"
        found[kind & ~NESTED] = data[_HEADER.size : length]
        data = data[padded:]
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _HEADER.pack(_HEADER.size + len(value), kind) + value + bytes(-len(value) % 4)


def number(data: bytes) -> int:
    """A u32."""
    (value,) = struct.unpack("=I", data)
    return int(value)


def u32(value: int) -> bytes:
    """A u32."""
    return struct.pack("=I", value)


def string(data: bytes) -> str:
    """A string with its closing NUL, without which the kernel would refuse a name."""
    assert data.endswith(b"\0")
    assert b"\0" not in data[:-1]
    return data[:-1].decode()


def read_ifinfo(body: bytes) -> IfInfo:
    """The body of a link message."""
    family, padding, hardware, index, flags, change = _IFINFO.unpack_from(body)
    assert padding == 0
    return IfInfo(family, hardware, index, flags, change, attributes(body[_IFINFO.size :]))


def ifinfo(
    hardware: int, index: int, flags: int, found: Mapping[int, bytes], family: int = 0
) -> bytes:
    """The body of a link message as the kernel sends it."""
    head = _IFINFO.pack(family, 0, hardware, index, flags, 0)
    return head + b"".join(attribute(kind, value) for kind, value in found.items())


def read_rtcan(body: bytes) -> RtCan:
    """The body of a gateway message."""
    family, kind, flags = _RTCAN.unpack_from(body)
    return RtCan(family, kind, flags, attributes(body[_RTCAN.size :]))


def rtcan(flags: int, found: Mapping[int, bytes]) -> bytes:
    """The body of a gateway message as the kernel sends it."""
    head = _RTCAN.pack(AF_CAN, CAN_TO_CAN, flags)
    return head + b"".join(attribute(kind, value) for kind, value in found.items())
