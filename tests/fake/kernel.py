"""A kernel with CAN, as far as canwharf can tell: links, namespaces, gateway rules, announcements.

Theory of operation. It takes the requests that canwharf would send, decodes their bytes with a
codec of its own and does what net/core/rtnetlink.c, drivers/net/can/vxcan.c and net/can/gw.c do:
in order, each message for itself, no rollback. A test plays everybody else: it adds and deletes
links, moves ends into namespaces, refuses messages, ends the process between two sends.

Rules:

- What cannot be undone on a real host is remembered: `flushes` counts deletions of every rule.
- Nothing is announced that the kernel does not announce: the end that stays behind when its peer
  moves into another namespace changes in silence.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from canwharf.errors import KernelError, NamespaceError, NetlinkOverrunError
from canwharf.kernel import netlink
from canwharf.kernel.message import Message
from canwharf.kernel.netlink import Request
from tests.fake import wire
from tests.fake.controllers import FakeController
from tests.fake.links import Controller, FakeLink, FakeRule, Refusal

HOST = ""
MODULES = frozenset({"vcan", "vxcan", "can-gw"})


class Crash(BaseException):
    """The daemon's process ends here; nothing may run behind it."""


class Snapshot(NamedTuple):
    """The host's namespace without its indexes: equal if no program could tell the difference."""

    links: frozenset[tuple[object, ...]]
    rules: Counter[tuple[object, ...]]


class FakeKernel:
    """The kernel's answers to `Requests` and `Announcements`, and the world's hand on it."""

    def __init__(
        self,
        *,
        reuse_indexes: bool = False,
        modules: Iterable[str] = MODULES,
        max_hops: int = 1,
    ) -> None:
        self.modules = set(modules)
        self.max_hops = max_hops  # of can-gw
        self.rules: list[FakeRule] = []
        self.flushes = 0
        self.applied: list[int] = []  # the types of all messages that were not refused
        self.dumps = 0
        self.sends = 0
        self._links: list[FakeLink] = []  # of every namespace
        self._reuse_indexes = reuse_indexes
        self._last_index = 0
        self._events: list[Message] = []
        self._overrun = False
        self._seen = 0  # messages of all batches so far
        self._refusals: dict[int, Refusal] = {}
        self._crash_at = 0
        self._open: dict[int, str] = {}  # namespaces by descriptor
        self.add_link("lo", hardware=772, mtu=65536)
        self.take()

    # What canwharf asks for: the protocols Requests and Announcements.

    def batch(self, requests: Sequence[Request]) -> list[Message]:
        """Apply each message in order; raise for the first that was refused."""
        replies: list[Message] = []
        failures: list[KernelError] = []
        for part in netlink._parts(requests):
            for request in part:
                self._seen += 1
                try:
                    refusal = self._refusals.pop(self._seen, None)
                    if refusal:
                        raise refusal
                    replies += self._handle(request)
                    self.applied.append(request.type)
                except Refusal as refusal:
                    if refusal.number not in request.harmless:
                        failures.append(request.refused(refusal.number, refusal.words))
            # The kernel works through a whole send before the process can die.
            self.sends += 1
            if self.sends == self._crash_at:
                raise Crash
        if failures:
            raise netlink.first_of(failures)
        return replies

    def dump(self, request: Request) -> list[Message]:
        """List all links, or all rules."""
        self.dumps += 1
        if request.type == wire.GETLINK:
            assert wire.read_ifinfo(request.body).family == 0
            return [_message(wire.NEWLINK, link.body()) for link in self.links()]
        assert request.type == wire.GETROUTE
        if "can-gw" not in self.modules:  # rtnl_dump_all: everybody's routes but CAN's
            return [_message(wire.NEWROUTE, bytes([wire.AF_INET]) + bytes(11))]
        assert wire.read_rtcan(request.body)[:2] == (wire.AF_CAN, wire.CAN_TO_CAN)
        return [_message(wire.NEWROUTE, rule.body()) for rule in self.rules]

    def take(self) -> list[Message]:
        """What was announced since the last call; raises NetlinkOverrunError if some was lost."""
        if self._overrun:
            self._overrun = False
            raise NetlinkOverrunError("link events were lost")
        taken, self._events = self._events, []
        return taken

    # What goes wrong.

    def refuse(self, place: int, number: int = errno.ENOMEM, words: str = "") -> None:
        """Refuse the message at this place (1: the next one)."""
        self._refusals[self._seen + place] = Refusal(number, words)

    def crash_after(self, sends: int) -> None:
        """End the daemon when so many more sends are done."""
        self._crash_at = self.sends + sends

    def stop_faults(self) -> None:
        """Forget the refusals and the crash that have not happened."""
        self._refusals.clear()
        self._crash_at = 0

    def overrun(self, keep: int = 0) -> None:
        """Lose all announcements but the oldest, which are delivered behind the error."""
        del self._events[keep:]
        self._overrun = True

    # What everybody else does.

    def add_link(
        self,
        name: str,
        kind: str = "",
        *,
        hardware: int = wire.CAN,
        mtu: int = 72,
        up: bool = True,
        alias: str = "",
        group: int = 0,
    ) -> FakeLink:
        """Somebody makes a link, or plugs in an adapter."""
        link = FakeLink(self._new_index(), name, kind, hardware, up, mtu, alias, group)
        self._links.append(link)
        self._announce(link)
        return link

    def plug(self, name: str, controller: Controller | None = None) -> FakeLink:
        """Somebody plugs in an adapter."""
        link = self.add_link(name, "can", mtu=16, up=False)
        link.controller = controller or FakeController()
        link.txqueuelen = 10
        self._announce(link)
        return link

    def unplug(self, name: str) -> None:
        """Somebody pulls it out."""
        self._delete(self.link(name))

    def add_rule(
        self,
        source: str,
        destination: str,
        *,
        fd: bool = False,
        flags: int = wire.ECHO | wire.IIF_TX_OK,
        more: bytes = b"",
    ) -> FakeRule:
        """Somebody makes a rule; `more` are attributes, such as a filter.

        Without more it is one of an earlier version of ours.
        """
        flags |= wire.FD if fd else 0
        rule = FakeRule(self.link(source).index, self.link(destination).index, flags, more)
        self.rules.insert(0, rule)  # hlist_add_head_rcu
        return rule

    def delete_link(self, name: str) -> None:
        """Somebody deletes a link of the host's namespace, and the other end of a pair with it."""
        self._delete(self.link(name))

    @contextmanager
    def opened(self, path: str, what: str) -> Iterator[int]:
        """In the place of canwharf.kernel.namespace.opened: `/ns/NAME` is the namespace NAME."""
        if not path.startswith("/ns/"):
            raise NamespaceError(what, path, "No such file or directory", missing=True)
        descriptor = 1000 + len(self._open)
        self._open[descriptor] = path.removeprefix("/ns/")
        try:
            yield descriptor
        finally:
            del self._open[descriptor]

    def give_altname(self, name: str, other: str) -> None:
        """Somebody gives a link another name: ip link property add dev NAME altname OTHER."""
        self.link(name).others += (other,)
        self._announce(self.link(name))

    def set_up(self, name: str, *, up: bool = True) -> None:
        """Somebody brings a link of the host's namespace up or down."""
        self.link(name).up = up
        self._announce(self.link(name))

    def rename(self, name: str, new: str) -> None:
        """Somebody gives a link of the host's namespace another name."""
        link = self.link(name)
        link.name = new
        self._announce(link)

    def move(self, name: str, namespace: str, source: str = HOST, new_name: str = "") -> None:
        """Move a link to another namespace, rename it there, bring it up: as an engine does."""
        link = self.link(name, source)
        self._leave_namespace(link)
        link.namespace = namespace
        link.name = new_name or name
        if any(each.index == link.index for each in self.links(namespace) if each is not link):
            link.index = self._new_index()
        self._announce(link)

    def kill_namespace(self, namespace: str) -> None:
        """The last process of a container ends: pairs go, an adapter comes back to the host."""
        for link in list(self._links):
            if link.namespace != namespace:
                continue
            if link.kind in ("vcan", "vxcan"):
                self._delete(link)
            else:
                link.up = False
                self.move(link.name, HOST, namespace)

    def bridge_port(self, name: str, kind: int) -> None:
        """Announce, as net/bridge does to the same group, that a link joined or left a bridge."""
        link = self.link(name)
        body = wire.ifinfo(
            link.hardware, link.index, 1, {wire.IFNAME: name.encode() + b"\0"}, family=7
        )
        self._events.append(_message(kind, body))

    # What a test looks at.

    def links(self, namespace: str = HOST) -> list[FakeLink]:
        """The links of one namespace."""
        return [link for link in self._links if link.namespace == namespace]

    def names(self) -> set[str]:
        """The names of the host's links."""
        return {link.name for link in self.links()}

    def link(self, name: str, namespace: str = HOST) -> FakeLink:
        """One link; KeyError if it is not there."""
        for link in self.links(namespace):
            if link.name == name:
                return link
        raise KeyError(name)

    def deliveries(self, source: str) -> Counter[tuple[str, str]]:
        """How often a frame that enters by this interface leaves by each other one.

        The keys are a name and a kind of frame: classic, fd, errors.
        """
        arrived: Counter[tuple[str, str]] = Counter()
        for kind in ("classic", "fd", "errors"):
            self._forward(self.link(source), kind, 0, arrived)
        return arrived

    def _forward(
        self, source: FakeLink, kind: str, hops: int, arrived: Counter[tuple[str, str]]
    ) -> None:
        """What can_can_gw_rcv does with a frame that was forwarded so often already."""
        if hops >= self.max_hops or not source.carries(kind == "fd"):
            return
        for rule in self.rules:
            receiver = self._at(rule.destination)
            if rule.source != source.index or receiver is None or rule.kind != kind:
                continue
            if not receiver.carries(kind == "fd"):
                continue
            if rule.echo or receiver.kind != "vcan":  # on a vcan nobody else is
                arrived[receiver.name, kind] += 1
            if rule.echo:
                now = self.max_hops - rule.limit + 1 if rule.limit and not hops else hops + 1
                self._forward(receiver, kind, now, arrived)

    def snapshot(self) -> Snapshot:
        """The host's namespace, to be compared with another moment's."""
        names = {link.index: link.name for link in self.links()}
        return Snapshot(
            frozenset(link.told() for link in self.links()),
            Counter((names[r.source], names[r.destination], r.flags, r.more) for r in self.rules),
        )

    # How it works.

    def _handle(self, request: Request) -> list[Message]:
        assert request.flags & wire.REQUEST
        if request.type in (wire.NEWROUTE, wire.DELROUTE):
            self._route(request.type, wire.read_rtcan(request.body))
            return []
        info = wire.read_ifinfo(request.body)
        found = self._find(info)
        if request.type == wire.NEWLINK and found is None and request.flags & wire.CREATE:
            self._create(info)
        elif found is None:
            raise Refusal(errno.ENODEV)
        elif request.type == wire.GETLINK:
            return [_message(wire.NEWLINK, found.body())]
        elif request.type == wire.DELLINK:
            if found.kind not in ("vcan", "vxcan"):
                raise Refusal(errno.EOPNOTSUPP)
            self._delete(found)
        elif request.flags & wire.EXCL:
            raise Refusal(errno.EEXIST)
        else:
            assert request.type == wire.NEWLINK
            self._set(found, info)
        return []

    def _find(self, info: wire.IfInfo) -> FakeLink | None:
        if info.ifindex:
            return self._at(info.ifindex)
        name = wire.string(info.attributes[wire.IFNAME])
        return next((each for each in self.links() if name in (each.name, *each.others)), None)

    def _at(self, index: int) -> FakeLink | None:
        return next((link for link in self.links() if link.index == index), None)

    def _create(self, info: wire.IfInfo) -> None:
        linkinfo = wire.attributes(info.attributes[wire.LINKINFO])
        kind = linkinfo[wire.INFO_KIND].rstrip(b"\0").decode()
        if kind not in self.modules:
            raise Refusal(errno.EOPNOTSUPP, "Unknown device type")
        peer, namespace = None, HOST
        if wire.NET_NS_FD in info.attributes:
            namespace = self._open[wire.number(info.attributes[wire.NET_NS_FD])]
        if kind == "vxcan":
            data = wire.attributes(linkinfo[wire.INFO_DATA])
            peer_info = wire.read_ifinfo(data[wire.VXCAN_PEER])
            # The peer is made first, and is gone again if it or its partner cannot be.
            names = [wire.string(each.attributes[wire.IFNAME]) for each in (info, peer_info)]
            inside = {link.name for link in self.links(namespace)}
            if names[1] in self.names() or names[0] in inside or names[0] == names[1]:
                raise Refusal(errno.EEXIST)
            if peer_info.flags & wire.UP:
                raise Refusal(errno.ENOTCONN)
            peer = self._make(peer_info, kind)
        link = self._make(info, kind, namespace)
        link.up = bool(info.flags & info.change & wire.UP)
        link.peer = peer
        if peer:
            peer.peer = link
            self._announce(peer)
        self._announce(link)

    def _make(self, info: wire.IfInfo, kind: str, namespace: str = HOST) -> FakeLink:
        name = wire.string(info.attributes[wire.IFNAME])
        assert 0 < len(name.encode()) < 16
        mtu = wire.number(info.attributes[wire.MTU]) if wire.MTU in info.attributes else 2060
        group = wire.number(info.attributes.get(wire.GROUP, bytes(4)))
        index = info.ifindex or self._new_index()
        link = FakeLink(index, name, kind, wire.CAN, False, mtu, group=group, namespace=namespace)
        self._links.append(link)
        return link

    def _set(self, link: FakeLink, info: wire.IfInfo) -> None:
        self._set_up_adapter(link, info.attributes.get(wire.LINKINFO))  # changelink comes first
        alias = info.attributes.get(wire.IFALIAS)
        if alias is not None:
            if len(alias) >= 256:  # IFALIASZ
                raise Refusal(errno.EINVAL)
            link.alias = alias.decode()
        if wire.IFNAME in info.attributes and info.ifindex:
            name = wire.string(info.attributes[wire.IFNAME])
            others = {each for link in self.links() for each in (link.name, *link.others)}
            if link.up or name in others:
                raise Refusal(errno.EBUSY if link.up else errno.EEXIST)
            link.name = name
        if wire.TXQLEN in info.attributes:
            link.txqueuelen = wire.number(info.attributes[wire.TXQLEN])
        if info.change & wire.UP:
            up = bool(info.flags & wire.UP)
            if up and link.controller and not link.controller.bitrate:
                raise Refusal(errno.EINVAL)  # open_candev: bit-timing not yet defined
            link.up = up
        self._announce(link)

    def _set_up_adapter(self, link: FakeLink, linkinfo: bytes | None) -> None:
        if linkinfo is None:
            return
        asked = wire.attributes(linkinfo)
        if link.controller is None or asked[wire.INFO_KIND].rstrip(b"\0") != b"can":
            raise Refusal(errno.EOPNOTSUPP)
        link.controller = link.controller.changed(wire.attributes(asked[wire.INFO_DATA]), link.up)
        link.mtu = link.controller.mtu

    def _delete(self, link: FakeLink) -> None:
        for each in (link, link.peer):
            if each is not None:
                self._leave_namespace(each)
                self._links.remove(each)

    def _leave_namespace(self, link: FakeLink) -> None:
        if link.namespace == HOST:
            self.rules = [r for r in self.rules if link.index not in (r.source, r.destination)]
            self._events.append(_message(wire.DELLINK, link.body()))

    def _route(self, kind: int, asked: wire.RtCan) -> None:
        if "can-gw" not in self.modules:
            raise Refusal(errno.EOPNOTSUPP)
        if (asked.family, asked.type) != (wire.AF_CAN, wire.CAN_TO_CAN):
            raise Refusal(errno.EINVAL)
        rest = dict(asked.attributes)
        ends = [wire.number(rest.pop(end, bytes(4))) for end in (wire.SRC_IF, wire.DST_IF)]
        more = b"".join(wire.attribute(*each) for each in rest.items())
        rule = FakeRule(ends[0], ends[1], asked.flags, more)
        if kind == wire.NEWROUTE:
            for link in map(self._at, ends):
                if link is None or link.hardware != wire.CAN:
                    raise Refusal(errno.ENODEV)
            self.rules.insert(0, rule)
        elif ends == [0, 0]:
            self.flushes += 1
            self.rules.clear()
        elif rule in self.rules:
            self.rules.remove(rule)
        else:
            raise Refusal(errno.EINVAL)

    def _announce(self, link: FakeLink) -> None:
        if link.namespace == HOST:
            self._events.append(_message(wire.NEWLINK, link.body()))

    def _new_index(self) -> int:
        if self._reuse_indexes:
            used = {link.index for link in self._links}
            return next(index for index in range(1, len(used) + 2) if index not in used)
        self._last_index += 1
        return self._last_index


def _message(kind: int, body: bytes) -> Message:
    return Message(kind, 0, 0, body)
