"""The interfaces of a guest: what the caller asks for, and how they are made.

`vcan0` is a virtual bus. `can0=slcan` is a controller with a bit rate, as a USB adapter is, on a
pseudo-terminal whose other end canlab plays (`adapter`): all such controllers are on one wire.
`a=vxcan:b` is a pair, each end of which receives what the other sends.
"""

from __future__ import annotations

from canlab.errors import UsageError
from canlab.netlink import IFF_MULTICAST, Netlink

VCAN, SLCAN, VXCAN = "vcan", "slcan", "vxcan"
KINDS = (VCAN, SLCAN, VXCAN)
DEFAULT = "vcan0"
NAME_MOST = 15  # bytes; IFNAMSIZ
# bit/s that the protocol of serial adapters has a command for (S0 to S8)
BITRATES = (10000, 20000, 50000, 100000, 125000, 250000, 500000, 800000, 1000000)
CAN_FD_MTU = 72

# Name, kind, and the name of the other end of a pair.
Interface = tuple[str, str, str]


def parse(text: str) -> list[Interface]:
    """What `--interfaces` says. Raises UsageError."""
    found: list[Interface] = []
    for word in filter(None, text.replace(" ", "").split(",")):
        name, _, kind = word.partition("=")
        kind, _, peer = kind.partition(":")
        kind = kind or VCAN
        if kind not in KINDS:
            raise UsageError(
                f"--interfaces {word}: there is no kind {kind!r}; there are {', '.join(KINDS)} "
                "(vcan0, can0=slcan, a=vxcan:b)"
            )
        if (kind == VXCAN) != bool(peer):
            raise UsageError(f"--interfaces {word}: a vxcan, and no other, has two ends: a=vxcan:b")
        found.append((_checked(name, word), kind, _checked(peer, word) if peer else ""))
    names = [name for row in found for name in (row[0], row[2]) if name]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"--interfaces: {twice[0]} is named twice")
    return found


def _checked(name: str, word: str) -> str:
    if not name:
        raise UsageError(f"--interfaces {word}: the name is missing, as in vcan0 or can0=slcan")
    if len(name.encode()) > NAME_MOST:
        raise UsageError(f"--interfaces {word}: {name} is longer than {NAME_MOST} bytes")
    if name in (".", "..") or any(char in "/:%" for char in name):
        raise UsageError(f"--interfaces {word}: {name!r} is no name of an interface")
    if name in ("lo", "all", "default"):
        raise UsageError(f"--interfaces {word}: {name} is taken")
    return name


def parse_bitrate(text: str) -> int:
    """What `--bitrate` says, in bit/s: 500000, 500k, 1M. Raises UsageError."""
    factor = {"k": 1000, "K": 1000, "M": 1000000}.get(text[-1:], 1)
    digits = text[:-1] if factor > 1 else text
    rate = int(digits) * factor if digits.isascii() and digits.isdigit() else 0
    if rate not in BITRATES:
        rates = ", ".join(f"{each // 1000}k" for each in BITRATES)
        raise UsageError(f"--bitrate {text} must be one that a serial adapter has: {rates}")
    return rate


def make_loopback(netlink: Netlink) -> None:
    """Set the loopback interface up; what goes to multicast addresses goes there."""
    netlink.set_up("lo", IFF_MULTICAST)
    netlink.route_multicast("lo")


def make(netlink: Netlink, interface: Interface) -> None:
    """Make an interface that needs nothing but the kernel (no SLCAN), and set it up."""
    name, kind, peer = interface
    if kind == VXCAN:
        netlink.add_pair(name, peer)
    else:
        netlink.add(name, kind)
    for each in filter(None, (name, peer)):
        netlink.set_mtu(each, CAN_FD_MTU)
        netlink.set_up(each)
