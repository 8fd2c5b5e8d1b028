"""The few requests to the kernel's routing netlink that make a small network.

Each raises OSError with the operation's words and the kernel's errno. Numbers are those of the
kernel's headers: linux/rtnetlink.h, linux/if_link.h, linux/can/netlink.h.
"""

from __future__ import annotations

import os
import socket
import struct

NETLINK_ROUTE = 0
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL = 0x1, 0x4, 0x400, 0x200
NLMSG_ERROR = 2
RTM_NEWLINK, RTM_DELLINK, RTM_NEWROUTE = 16, 17, 24

IFF_UP, IFF_MULTICAST = 0x1, 0x1000
IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO = 3, 4, 18
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_CAN_BITTIMING = 1
VXCAN_INFO_PEER = 1

RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
RTPROT_BOOT, RTN_UNICAST, RTN_LOCAL = 3, 1, 2
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTA_DST, RTA_OIF = 1, 4


def _attribute(type: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, type) + value + bytes(-length % 4)


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def _name(name: str) -> bytes:
    return _attribute(IFLA_IFNAME, name.encode() + b"\0")


class Netlink:
    """A socket to the kernel."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def add(self, name: str, kind: str, data: bytes = b"") -> None:
        """Make an interface of a kind, with the kind's own attributes."""
        info = _attribute(IFLA_INFO_KIND, kind.encode())
        if data:
            info += _attribute(IFLA_INFO_DATA, data)
        body = _link() + _name(name) + _attribute(IFLA_LINKINFO, info)
        self._request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"add {kind} {name}")

    def delete(self, name: str) -> None:
        """Delete an interface."""
        body = _link(socket.if_nametoindex(name))
        self._request(RTM_DELLINK, 0, body, f"delete {name}")

    def add_pair(self, name: str, peer: str) -> None:
        """Make a vxcan pair."""
        self.add(name, "vxcan", _attribute(VXCAN_INFO_PEER, _link() + _name(peer)))

    def set_up(self, name: str, flags: int = 0) -> None:
        """Set an interface up, and other flags of it."""
        wanted = IFF_UP | flags
        body = _link(socket.if_nametoindex(name), wanted, wanted)
        self._request(RTM_NEWLINK, 0, body, f"set {name} up")

    def set_mtu(self, name: str, mtu: int) -> None:
        """Set an interface's largest frame: 16 for classic CAN, 72 for CAN FD."""
        body = _link(socket.if_nametoindex(name)) + _attribute(IFLA_MTU, struct.pack("=I", mtu))
        self._request(RTM_NEWLINK, 0, body, f"set {name}'s mtu to {mtu}")

    def set_bitrate(self, name: str, bitrate: int) -> None:
        """Set a controller's bit rate (bit/s); it must be down."""
        # struct can_bittiming: the kernel calculates all but the rate.
        timing = _attribute(IFLA_CAN_BITTIMING, struct.pack("=8I", bitrate, *(0,) * 7))
        info = _attribute(IFLA_INFO_KIND, b"can") + _attribute(IFLA_INFO_DATA, timing)
        body = _link(socket.if_nametoindex(name)) + _attribute(IFLA_LINKINFO, info)
        self._request(RTM_NEWLINK, 0, body, f"set {name}'s bit rate to {bitrate}")

    def rename(self, index: int, name: str) -> None:
        """Give the interface with this index a name."""
        self._request(RTM_NEWLINK, 0, _link(index) + _name(name), f"name an interface {name}")

    def route_multicast(self, name: str) -> None:
        """Send what goes to multicast addresses, of IPv4 and IPv6, by this interface."""
        out = _attribute(RTA_OIF, struct.pack("=i", socket.if_nametoindex(name)))
        for family, length, address, table, kind in (
            (socket.AF_INET, 4, b"\xe0\0\0\0", RT_TABLE_MAIN, RTN_UNICAST),
            (socket.AF_INET6, 8, b"\xff" + bytes(15), RT_TABLE_LOCAL, RTN_LOCAL),
        ):
            scope = RT_SCOPE_LINK if family == socket.AF_INET else RT_SCOPE_UNIVERSE
            route = struct.pack("=8BI", family, length, 0, 0, table, RTPROT_BOOT, scope, kind, 0)
            body = route + _attribute(RTA_DST, address) + out
            self._request(RTM_NEWROUTE, NLM_F_CREATE, body, f"route multicast by {name}")

    def _request(self, type: int, flags: int, body: bytes, what: str) -> None:
        head = struct.pack("=IHHII", 16 + len(body), type, flags | NLM_F_REQUEST | NLM_F_ACK, 1, 0)
        self._socket.send(head + body)
        answer = self._socket.recv(1 << 16)
        (kind,) = struct.unpack_from("=H", answer, 4)
        (error,) = struct.unpack_from("=i", answer, 16)
        if kind != NLMSG_ERROR or error:
            number = -error
            raise OSError(number, f"{what}: {os.strerror(number)}")
