"""CAN interfaces: a link as a value, and the messages that make, change and delete one. Pure.

Rules:

- Both ends of a pair and every vcan get MTU 72 (CANFD_MTU) at creation: since 6.18 the default is
  2060 (CAN XL), and common tools then refuse CAN FD.
- A pair is made from its container end's side, with that end up in the creating message; the
  peer cannot be up there (ENOTCONN: its partner does not exist yet), and the kernel ignores an
  alias at creation. So a link is made first, and brought up and given its alias by its index
  once that is known: by its name, the alias could be set on another program's link.
- A pair whose container end is made straight in another namespace is made in the same way, with
  that namespace's descriptor. We choose the end's index: without one, kernels
  before 6.15 (ec061546c6cf, "rtnetlink: Lookup device in target netns when creating link") look
  the name up in *our* namespace first, and an adapter can1 of the host would keep every
  container from having a can1.
- A link that was made and has no alias yet is known by its group (IFLA_GROUP), which the kernel
  does take at creation: so nothing is left behind if the daemon dies in between.
- Delete means "make sure it is absent": a link that is already gone is no error.
- A link is deleted and changed by its index, which unlike a name is not soon taken by another.

Sources: linux/if_link.h, drivers/net/can/vxcan.c, net/core/rtnetlink.c.
"""

from __future__ import annotations

import errno
from struct import Struct

from canwharf.errors import KernelError, MessageError, no_module
from canwharf.kernel import can, uapi
from canwharf.kernel.can import CanSettings, Controller
from canwharf.kernel.message import (
    Message,
    attribute,
    attributes,
    read_text,
    read_u32,
    repeated,
    text,
    u32,
)
from canwharf.kernel.request import Request, Requests
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

_IFINFO = Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change mask
_TX_DROPPED = Struct("=56xQ")  # struct rtnl_link_stats64, as far as tx_dropped
_NEW = uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE | uapi.NLM_F_EXCL
VIRTUAL = ("vcan", "vxcan")  # kinds without hardware
_GONE = frozenset({errno.ENODEV})
_FIRST_INDEX, _INDEXES = 1 << 30, (1 << 30) - 35  # the upper half of all; their number is a prime
_BAND = 100  # frames that wait in each band of an ifb
_MTU = attribute(uapi.IFLA_MTU, u32(uapi.CANFD_MTU))
_NO_STATISTICS = attribute(uapi.IFLA_EXT_MASK, u32(uapi.RTEXT_FILTER_SKIP_STATS))


class Link(NamedTuple):
    """A network interface of the host's namespace.

    `kind` is the kernel's ("vcan", "vxcan", "can"; empty where it names none), `mtu` in bytes.
    `peer` is the index of a pair's other end; `peer_away` says that this end is in another
    namespace (where the index means something else). `controller` is an adapter's, `txqueuelen`
    the length of its queue in frames. `altnames` are its alternative names: the kernel gives
    none of them to another link. `carrier`: frames get through; a pair has it while both its ends
    are up, in whatever namespace.
    """

    ifindex: int
    name: str
    kind: str = ""
    can: bool = True
    up: bool = True
    mtu: int = uapi.CANFD_MTU
    alias: str = ""
    group: int = 0
    peer: int = 0
    peer_away: bool = False
    controller: Controller | None = None
    txqueuelen: int = 0
    altnames: tuple[str, ...] = ()
    carrier: bool = True

    @property
    def fd(self) -> bool:
        """Whether its MTU takes CAN FD frames (an adapter for classic CAN only has 16 bytes)."""
        return self.mtu >= uapi.CANFD_MTU


def parse(message: Message) -> Link:
    """A link from an RTM_NEWLINK or RTM_DELLINK. Raises MessageError on a malformed one."""
    if len(message.body) < _IFINFO.size:
        raise MessageError(f"a link message of {len(message.body)} bytes")
    _family, hardware, index, flags, _change = _IFINFO.unpack_from(message.body)
    attrs = attributes(message.body, _IFINFO.size)
    info = attributes(attrs.get(uapi.IFLA_LINKINFO, b""))
    kind = read_text(info.get(uapi.IFLA_INFO_KIND, b""))
    data = info.get(uapi.IFLA_INFO_DATA) if kind == can.KIND else None
    return Link(
        ifindex=index,
        name=read_text(attrs.get(uapi.IFLA_IFNAME, b"")),
        kind=kind,
        can=hardware == uapi.ARPHRD_CAN,
        up=bool(flags & uapi.IFF_UP),
        mtu=read_u32(attrs.get(uapi.IFLA_MTU, bytes(4))),
        alias=read_text(attrs.get(uapi.IFLA_IFALIAS, b"")),
        group=read_u32(attrs.get(uapi.IFLA_GROUP, bytes(4))),
        peer=read_u32(attrs.get(uapi.IFLA_LINK, bytes(4))),
        peer_away=uapi.IFLA_LINK_NETNSID in attrs,
        controller=(
            None if data is None else can.parse(data, info.get(uapi.IFLA_INFO_XSTATS, b""))
        ),
        txqueuelen=read_u32(attrs.get(uapi.IFLA_TXQLEN, bytes(4))),
        altnames=_altnames(attrs.get(uapi.IFLA_PROP_LIST, b"")),
        carrier=attrs.get(uapi.IFLA_CARRIER, b"\1") != b"\0",
    )


def announced(message: Message) -> int:
    """The index of the link that an announcement is about; 0 if it is not about a link.

    A bridge announces its ports in the same form, and the removal of one as RTM_DELLINK.
    Raises MessageError on a malformed one.
    """
    of_a_link = message.type in (uapi.RTM_NEWLINK, uapi.RTM_DELLINK)
    if not of_a_link or message.body[:1] != b"\0":
        return 0
    if len(message.body) < _IFINFO.size:
        raise MessageError(f"a link message of {len(message.body)} bytes")
    return int(_IFINFO.unpack_from(message.body)[2])


def attributes_of(message: Message) -> dict[int, bytes]:
    """The attributes of a link message, by their type."""
    return attributes(message.body, _IFINFO.size)


def listing() -> Request:
    """The request for a dump of all links."""
    body = _info() + _NO_STATISTICS
    return Request(uapi.RTM_GETLINK, uapi.NLM_F_REQUEST, body, "list", "the network interfaces")


def links(netlink: Requests) -> list[Link]:
    """All links of the host's namespace. Raises KernelError."""
    return [parse(answer) for answer in netlink.dump(listing())]


def get(name: str) -> Request:
    """Request one link by its name; there is no reply if no link has it."""
    body = _info() + _NO_STATISTICS + attribute(uapi.IFLA_IFNAME, text(name))
    return Request(uapi.RTM_GETLINK, uapi.NLM_F_REQUEST, body, "read", f"interface {name}", _GONE)


def get_counters(index: int) -> Request:
    """Request one link by its index with its counters; no reply if there is none."""
    body, target = _info(index), f"the counters of interface {index}"
    return Request(uapi.RTM_GETLINK, uapi.NLM_F_REQUEST, body, "read", target, _GONE)


def not_sent(message: Message) -> int:
    """How many frames were never sent by the link of an answer to `get_counters` (tx_dropped)."""
    counters = attributes_of(message).get(uapi.IFLA_STATS64, b"")
    return int(_TX_DROPPED.unpack_from(counters)[0]) if len(counters) >= _TX_DROPPED.size else 0


def get_at(index: int, where: bytes) -> Request:
    """Request one link by its index; `where` is an attribute that names another namespace."""
    body = _info(index) + _NO_STATISTICS + where
    return Request(uapi.RTM_GETLINK, uapi.NLM_F_REQUEST, body, "read", f"interface {index}", _GONE)


def make_vcan(name: str, group: int) -> Request:
    """Make a virtual CAN interface, which is still down."""
    body = _info() + _named(name, group) + _link_info("vcan")
    hints = {**_module("vcan"), errno.EEXIST: _another_name(name)}
    return Request(uapi.RTM_NEWLINK, _NEW, body, "create", f"bus interface {name}", hints=hints)


def make_pair(host: str, container: str, group: int) -> Request:
    """Make a vxcan pair in the host's namespace: the container end up, the host end still down."""
    peer = _info() + _named(host, group)
    data = attribute(uapi.VXCAN_INFO_PEER, peer)
    body = _info(up=True) + _named(container, 0) + _link_info("vxcan", data)
    return Request(
        uapi.RTM_NEWLINK, _NEW, body, "create", f"interface pair {host}", hints=_module("vxcan")
    )


def make_hub(entry: str, out: str, group: int) -> Request:
    """Make a vxcan pair with both ends in the host's namespace, still down."""
    data = attribute(uapi.VXCAN_INFO_PEER, _info() + _named(out, group))
    body = _info() + _named(entry, group) + _link_info("vxcan", data)
    return Request(uapi.RTM_NEWLINK, _NEW, body, "create", f"hub {entry}", hints=_module("vxcan"))


def make_ifb(name: str, group: int) -> Request:
    """Make what delays frames (`impairment`), still down."""
    body = _info() + _named(name, group) + attribute(uapi.IFLA_TXQLEN, u32(_BAND))
    hints = {**_module("ifb"), errno.EEXIST: _another_name(name)}
    body += _link_info("ifb")
    return Request(uapi.RTM_NEWLINK, _NEW, body, "create", f"interface {name}", hints=hints)


def place_pair(host: str, name: str, namespace: int, group: int) -> Request:
    """Make a vxcan pair whose container end is in `namespace` (a descriptor), named and up."""
    index = _FIRST_INDEX + int.from_bytes(host.encode()) % _INDEXES
    data = attribute(uapi.VXCAN_INFO_PEER, _info() + _named(host, group))
    body = _info(index, up=True) + _named(name, 0)
    body += attribute(uapi.IFLA_NET_NS_FD, u32(namespace)) + _link_info("vxcan", data)
    hints = {
        **_module("vxcan"),
        errno.EEXIST: f"{name} is taken in this container, by another bus or network: "
        "each needs a name of its own there",
        errno.EPERM: "CAP_NET_ADMIN over the container's network namespace is missing",
    }
    target = f"interface {name} in the container"
    return Request(uapi.RTM_NEWLINK, _NEW, body, "create", target, hints=hints)


def is_known(netlink: Requests, kind: str) -> bool:
    """Whether the kernel can make links of this kind, or loads what it needs for that.

    The request has a name that no link can have (of a pair's peer, which is made first), so
    nothing is made. Raises KernelError.
    """
    impossible = _info() + attribute(uapi.IFLA_IFNAME, text("a/b"))
    data = attribute(uapi.VXCAN_INFO_PEER, impossible) if kind == "vxcan" else b""
    body = (_info() if data else impossible) + _link_info(kind, data)
    try:
        netlink.batch([Request(uapi.RTM_NEWLINK, _NEW, body, "try", f"a link of kind {kind}")])
    except KernelError as error:
        if error.errno == errno.EOPNOTSUPP:
            return False
        if error.errno != errno.EINVAL:
            raise
    return True


def bring_up(index: int, name: str, alias: str) -> Request:
    """Bring a link up and set its alias."""
    body = _info(index, up=True) + attribute(uapi.IFLA_IFALIAS, alias.encode())
    return Request(
        uapi.RTM_NEWLINK, uapi.NLM_F_REQUEST, body, "bring up and name", f"interface {name}"
    )


def configure(link: Link, settings: CanSettings, alias: str, requested: str = "") -> list[Request]:
    """Configure an adapter, set its alias and bring it up.

    `requested` are the settings as the user wrote them, for errors: the kernel's texts often do not
    name them.

    An adapter that is up is taken down for this, and brought up again: if the kernel refuses the
    settings, the adapter is up with the old ones. Without settings it only gets its alias.
    """
    rates = can.possible(link.controller) if link.controller and settings.timed else ""
    hint = "; ".join(filter(None, (f"asked for: {requested}" if requested else "", rates)))
    hints = dict.fromkeys((errno.EINVAL, errno.ERANGE, errno.EDOM, errno.EOPNOTSUPP), hint)
    attrs = can.link_attributes(settings)
    body = attrs + attribute(uapi.IFLA_IFALIAS, alias.encode())
    message = _info(link.ifindex, up=bool(attrs) and not link.up) + body
    requests = [_adapter("configure", link, message, hints)]
    if attrs and link.up:
        requests.insert(0, _adapter("take down", link, _down(link.ifindex)))
        requests.append(_adapter("bring up", link, _info(link.ifindex, up=True)))
    return requests


def take_down(link: Link) -> Request:
    """Take an adapter down and remove our alias from it."""
    body = _down(link.ifindex) + attribute(uapi.IFLA_IFALIAS, b"")
    return _adapter("take down", link, body)._replace(harmless=_GONE)


def _adapter(operation: str, link: Link, body: bytes, hints: Mapping[int, str] = {}) -> Request:
    target = f"adapter {link.name}"
    return Request(uapi.RTM_NEWLINK, uapi.NLM_F_REQUEST, body, operation, target, hints=hints)


def rename(index: int, name: str, new: str) -> Request:
    """Give a link, which must be down, another name."""
    body = _info(index) + attribute(uapi.IFLA_IFNAME, text(new))
    hints = {errno.EEXIST: _another_name(new)}
    return Request(
        uapi.RTM_NEWLINK, uapi.NLM_F_REQUEST, body, "rename", f"{name} to {new}", hints=hints
    )


def move(link: Link, namespace: int, name: str, *, up: bool) -> Request:
    """Move a link into a namespace (a descriptor), give it a name there, and bring it up or not.

    The kernel moves it down, under its own name if that is free there, and then renames it.
    """
    body = _info(link.ifindex, up=True) if up else _info(link.ifindex)
    body += attribute(uapi.IFLA_NET_NS_FD, u32(namespace)) + attribute(uapi.IFLA_IFNAME, text(name))
    what = f"adapter {link.name}, to be {name}"
    return Request(uapi.RTM_SETLINK, uapi.NLM_F_REQUEST, body, "move", what)


def delete(index: int, name: str) -> Request:
    """Make sure that a link is absent; of a pair, both ends go, and with them all their rules."""
    return Request(
        uapi.RTM_DELLINK, uapi.NLM_F_REQUEST, _info(index), "delete", f"interface {name}", _GONE
    )


def _altnames(properties: bytes) -> tuple[str, ...]:
    return tuple(map(read_text, repeated(properties, uapi.IFLA_ALT_IFNAME)))


def _named(name: str, group: int) -> bytes:
    """Name, MTU and group of a link that is to be made."""
    named = attribute(uapi.IFLA_IFNAME, text(name)) + _MTU
    return named + attribute(uapi.IFLA_GROUP, u32(group)) if group else named


def _info(index: int = 0, up: bool = False) -> bytes:
    flags = uapi.IFF_UP if up else 0
    return _IFINFO.pack(0, 0, index, flags, flags)


def _down(index: int) -> bytes:
    return _IFINFO.pack(0, 0, index, 0, uapi.IFF_UP)


def _link_info(kind: str, data: bytes = b"") -> bytes:
    inner = attribute(uapi.IFLA_INFO_KIND, kind.encode())
    if data:
        inner += attribute(uapi.IFLA_INFO_DATA, data)
    return attribute(uapi.IFLA_LINKINFO, inner)


def _another_name(name: str) -> str:
    return f"'ip link show {name}' shows whose name, or alternative name (altname), it is"


def _module(kind: str) -> dict[int, str]:
    """The hint for EOPNOTSUPP ("Unknown device type"): the module is missing."""
    return {errno.EOPNOTSUPP: no_module(kind)}
