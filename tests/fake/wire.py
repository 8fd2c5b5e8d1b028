"""The fake kernel's own codec: numbers and layouts from the headers, nothing from canwharf.

A mistake in canwharf's codec must not be made good by the same mistake here, so this file names
the kernel's numbers once more, and reads strictly: padding must be zero, nothing may be left over.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# linux/rtnetlink.h
NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWQDISC, DELQDISC, NEWTFILTER, DELTFILTER = 36, 37, 44, 45
NEWACTION, GETACTION, NEWCHAIN, DELCHAIN = 48, 50, 100, 101
TC_KIND, TC_OPTIONS, TC_CHAIN = 1, 2, 11
ROOT_TAB, ROOT_FLAGS, ROOT_COUNT, LARGE_DUMP = 1, 2, 3, 1
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
# linux/pkt_sched.h, linux/if_ether.h in network byte order
CLSACT, CLSACT_HANDLE, INGRESS, EGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2, 0xFFFFFFF3
ALL_PROTOCOLS = int.from_bytes(struct.pack(">H", 3), sys.byteorder)
# linux/pkt_cls.h, linux/tc_act/tc_skbedit.h
ACTIONS = {"matchall": 2, "basic": 3, "fw": 4}  # of a kind of filter: the attribute with them
BASIC_MATCHES = 2
POLICE_OPTIONS = {1, 5, 10, 11}  # its form, the result, rate and burst in packets
ACT_KIND, ACT_OPTIONS, ACT_STATS, ACT_COOKIE, ACT_IN_HW_COUNT = 1, 2, 4, 6, 10
ACT_TIMES, ACT_PARAMETERS, SKBEDIT_MARK = 1, 2, 5
STATS_BASIC = 1
CONTINUE, PASS, DROP, STOLEN = -1, 0, 2, 4

_IFINFO = struct.Struct("=BBHiII")
_RTCAN = struct.Struct("=BBH")
_TC = struct.Struct("=BxxxiIII")
_TC_GEN = struct.Struct("=IIiii")
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


class Tc(NamedTuple):
    """`struct tcmsg` and the attributes behind it."""

    ifindex: int
    handle: int
    parent: int
    info: int
    attributes: Mapping[int, bytes]


class Action(NamedTuple):
    """What an action of tc does: `then` with the frame, after it set the mark if it sets one."""

    kind: str
    then: int
    mark: int = 0
    cookie: bytes = b""


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


def read_tc(body: bytes) -> Tc:
    """The body of a message about a qdisc or a filter."""
    family, ifindex, handle, parent, info = _TC.unpack_from(body)
    assert family == 0
    assert not any(body[1:4])
    return Tc(ifindex, handle, parent, info, attributes(body[_TC.size :]))


def tc(ifindex: int, handle: int, parent: int, info: int, found: Mapping[int, bytes]) -> bytes:
    """The body of a message about a qdisc, a filter or a chain as the kernel sends it."""
    head = _TC.pack(0, ifindex, handle, parent, info)
    return head + b"".join(attribute(kind, value) for kind, value in found.items())


def read_actions(kind: str, options: bytes) -> Action | None:
    """The one action in the options of a filter of this kind; None if it has none."""
    found = attributes(options)
    if not found:
        return None
    found.pop(BASIC_MATCHES if kind == "basic" else 0, None)
    assert found.keys() == {ACTIONS[kind]}, "a filter with more than an action"
    listed = attributes(found[ACTIONS[kind]])
    assert listed.keys() == {1}, "not exactly one action"
    action = attributes(listed[1])
    cookie = action.pop(ACT_COOKIE, b"")
    assert action.keys() == {ACT_KIND, ACT_OPTIONS}
    does = attributes(action[ACT_OPTIONS])
    if string(action[ACT_KIND]) == "police":
        assert does.keys() == POLICE_OPTIONS
        return Action("police", CONTINUE, 0, cookie)
    assert does.keys() <= {ACT_PARAMETERS, SKBEDIT_MARK}
    index, capabilities, then, references, bindings = _TC_GEN.unpack(does[ACT_PARAMETERS])
    assert (index, capabilities, references, bindings) == (0, 0, 0, 0)
    assert len(cookie) <= 16  # TC_COOKIE_MAX_SIZE
    mark = number(does.get(SKBEDIT_MARK, bytes(4)))
    return Action(string(action[ACT_KIND]), then, mark, cookie)


def read_matches(kind: str, options: bytes) -> bytes | None:
    """What a basic filter matches; None: every frame."""
    return attributes(options).get(BASIC_MATCHES) if kind == "basic" else None


def action(told: Action, index: int) -> bytes:
    """An action as the kernel lists it (tcf_action_dump_1); `index` is its own number."""
    does = attribute(ACT_PARAMETERS, _TC_GEN.pack(index, 0, told.then, 1, 1))
    does += attribute(SKBEDIT_MARK, u32(told.mark)) if told.kind == "skbedit" else b""
    does += attribute(ACT_TIMES, bytes(range(32)))
    body = attribute(ACT_KIND, told.kind.encode() + b"\0") + attribute(
        ACT_STATS, attribute(STATS_BASIC, bytes(16))
    )
    body += attribute(ACT_COOKIE, told.cookie) if told.cookie else b""
    return body + attribute(ACT_IN_HW_COUNT, u32(0)) + attribute(ACT_OPTIONS, does)


def read_listing(body: bytes) -> str:
    """The kind of the actions that a dump asks for (struct tcamsg, and what is behind it)."""
    assert body[:4] == bytes(4)
    found = attributes(body[4:])
    assert found.keys() == {ROOT_TAB, ROOT_FLAGS}
    assert found[ROOT_FLAGS] == u32(LARGE_DUMP) * 2, "at most 32 actions in a datagram"
    asked = attributes(attributes(found[ROOT_TAB])[1])
    assert asked.keys() == {ACT_KIND}
    return string(asked[ACT_KIND])


def listing(actions: Sequence[bytes]) -> bytes:
    """A part of a dump of actions as the kernel sends it (tc_dump_action)."""
    listed = b"".join(attribute(place, each) for place, each in enumerate(actions))
    count = attribute(ROOT_COUNT, u32(len(actions)))
    return bytes(4) + count + attribute(ROOT_TAB, listed)
