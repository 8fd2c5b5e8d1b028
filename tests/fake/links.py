"""What the fake kernel holds: links, rules, filters, and the word no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tests.fake import wire

HOST = ""  # the host's namespace


class Refusal(Exception):  # noqa: N818 - not an error yet: the request may call it harmless
    """A message that is not applied: the errno, and the extended acknowledgement's text."""

    def __init__(self, number: int, words: str = "") -> None:
        super().__init__(number, words)
        self.number = number
        self.words = words


class Controller(Protocol):
    """What a link needs of an adapter's; see tests/fake/controllers.py."""

    @property
    def bitrate(self) -> int:
        """In bit/s; 0: it cannot be brought up."""

    @property
    def mtu(self) -> int:
        """That of the link."""

    def changed(self, data: Mapping[int, bytes], up: bool) -> Controller:
        """It with what is asked for. Raises Refusal."""

    def body(self, up: bool) -> bytes:
        """As the kernel tells it."""


@dataclass(eq=False)
class FakeLink:
    """A link in some namespace (empty: the host's)."""

    index: int
    name: str
    kind: str
    hardware: int
    up: bool
    mtu: int
    alias: str = ""
    group: int = 0
    peer: FakeLink | None = None
    namespace: str = ""
    txqueuelen: int = 0
    controller: Controller | None = None
    altnames: tuple[str, ...] = ()  # alternative names
    carrier: bool = True  # an adapter's; a pair has one while both its ends are up
    qdisc: str = ""  # clsact, or the older ingress
    filters: list[FakeFilter] = field(default_factory=list)

    def body(self) -> bytes:
        """As the kernel tells it (rtnl_fill_ifinfo)."""
        found = {
            wire.IFNAME: self.name.encode() + b"\0",
            wire.MTU: wire.u32(self.mtu),
            wire.GROUP: wire.u32(self.group),
            wire.CARRIER: bytes([self.peer.up and self.up if self.peer else self.carrier]),
        }
        if self.txqueuelen:
            found[wire.TXQLEN] = wire.u32(self.txqueuelen)
        if self.alias:
            found[wire.IFALIAS] = self.alias.encode() + b"\0"
        if self.kind:
            info = wire.attribute(wire.INFO_KIND, self.kind.encode() + b"\0")
            if self.controller:
                info += wire.attribute(wire.INFO_DATA, self.controller.body(self.up))
            found[wire.LINKINFO] = info
        if self.altnames:
            names = (
                wire.attribute(wire.ALT_IFNAME, each.encode() + b"\0") for each in self.altnames
            )
            found[wire.PROP_LIST | wire.NESTED] = b"".join(names)
        if self.peer:
            found[wire.LINK] = wire.u32(self.peer.index)
            if self.peer.namespace != self.namespace:
                found[wire.LINK_NETNSID] = wire.u32(0)
        return wire.ifinfo(self.hardware, self.index, wire.UP if self.up else 0, found)

    def told(self) -> tuple[object, ...]:
        """All but the index."""
        peer = (self.peer.namespace, self.peer.name) if self.peer else None
        return (
            *(self.name, self.kind, self.hardware, self.up, self.mtu, self.alias, self.group),
            *(peer, self.txqueuelen, self.controller),
        )

    def carries(self, fd: bool) -> bool:
        """Whether a frame gets through: up, with its peer if it has one, and large enough."""
        up = self.up and (self.peer is None or self.peer.up)
        return up and self.mtu >= (72 if fd else 16)

    def received(self, mark: int) -> int:
        """The mark of a frame that had this one, behind the filters at ingress."""
        for each in self.filters:
            if each.parent == wire.INGRESS and each.action and each.action.kind == "skbedit":
                mark = each.action.mark
        return mark

    def ends(self, parent: int) -> bool:
        """Whether each frame in this direction ends, as nothing may pass that has an id.

        Of other filters for ids it knows only that they are there.
        """
        return any(
            (each.parent, each.kind) == (parent, "basic")
            and each.action is not None
            and each.action.then == wire.STOLEN
            and (each.matches is None or len(each.matches) <= _ONE_MATCH)
            for each in self.filters
        )

    def holds_back(self, mark: int, *, error: bool) -> bool:
        """Whether a frame with this mark ends at egress."""
        return (not error and self.ends(wire.EGRESS)) or any(
            (each.parent, each.kind, each.handle) == (wire.EGRESS, "fw", mark)
            and each.action is not None
            and each.action.then in (wire.DROP, wire.STOLEN)
            for each in self.filters
        )


_ONE_MATCH = 40  # bytes of a tree with one u32, which is that of error frames


class FakeFilter(NamedTuple):
    """A filter of tc; the priorities of both directions start with the lowest."""

    parent: int
    kind: str
    handle: int
    priority: int
    action: wire.Action | None
    matches: bytes | None = None  # of ids; None: every frame

    def told(self, index: int) -> tuple[object, ...]:
        """All of it, without the index of its link."""
        handle = "the index" if self.handle == index else self.handle
        action: tuple[object, ...] = self.action or ()
        if self.action:
            mark = "the index" if self.action.mark == index else self.action.mark
            cookie = self.action.cookie.replace(wire.u32(index), b" and the index")
            action = (self.action.kind, self.action.then, mark, cookie)
        return (self.parent, self.kind, handle, self.priority, action, self.matches)


class FakeRule(NamedTuple):
    """A gateway rule; `more` are its attributes besides the interfaces."""

    source: int
    destination: int
    flags: int
    more: bytes = b""

    @property
    def echo(self) -> bool:
        """Whether programs on the host, and the rules of its destination, see what it forwards."""
        return bool(self.flags & wire.ECHO)

    @property
    def limit(self) -> int:
        """Its hop limit; 0: none of its own."""
        found = wire.attributes(self.more).get(wire.LIM_HOPS, b"\0")
        return found[0]

    @property
    def kind(self) -> str:
        """The frames that it lets pass, and all of them; empty where that cannot be said."""
        found = wire.attributes(self.more).keys() - {wire.LIM_HOPS}
        if not self.flags & wire.IIF_TX_OK or found - {wire.FILTER}:
            return ""
        if found:
            return "errors" if wire.EVERY_ERROR in self.more else ""
        return "fd" if self.flags & wire.FD else "classic"

    def body(self, handled: int) -> bytes:
        """As the kernel tells it, in its order (cgw_put_job), with a count of frames."""
        counted = wire.rtcan(self.flags, {wire.HANDLED: wire.u32(handled)})
        ends = ((wire.SRC_IF, self.source), (wire.DST_IF, self.destination))
        told = b"".join(wire.attribute(kind, wire.u32(index)) for kind, index in ends)
        return counted + self.more + told
