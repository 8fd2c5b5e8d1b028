"""How the fake kernel answers: messages are decoded, checked and done, as rtnetlink does.

In order, each message for itself, no rollback; refusals and crashes happen where a test wants them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence

from canwharf.errors import KernelError, NetlinkOverrunError
from canwharf.kernel import netlink
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request, first_of
from tests.fake import filters, wire
from tests.fake.filters import Filters
from tests.fake.links import HOST, FakeLink, FakeRule, Refusal

MODULES = frozenset({"vcan", "vxcan", "can-gw"}) | filters.MODULES


class Crash(BaseException):
    """The daemon's process ends here; nothing may run behind it."""


class Answers(Filters):
    """The kernel's answers to `Requests` and `Announcements`."""

    def __init__(
        self,
        *,
        reuse_indexes: bool = False,
        modules: Iterable[str] = MODULES,
        max_hops: int = 1,
    ) -> None:
        super().__init__(modules)
        self.max_hops = max_hops  # of can-gw
        self.rules: list[FakeRule] = []
        self.flushes = 0
        self.handled: Callable[[FakeRule], int] = lambda _rule: 7  # frames that a rule forwarded
        self.applied: list[int] = []  # the types of all messages that were not refused
        self.dumps = 0
        self.sends = 0
        self._reuse_indexes = reuse_indexes
        self._last_index = 0
        self._overrun = False
        self._seen = 0  # messages of all batches so far
        self._refusals: dict[int, Refusal] = {}
        self._crash_at = 0
        self._open: dict[int, str] = {}  # namespaces by descriptor

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
            raise first_of(failures)
        return replies

    def dump(self, request: Request) -> list[Message]:
        """List all links, all rules, or all actions of a kind."""
        self.dumps += 1
        if request.type == wire.GETLINK:
            assert wire.read_ifinfo(request.body).family == 0
            return [_message(wire.NEWLINK, link.body()) for link in self.links()]
        if request.type == wire.GETACTION:
            return self._actions(request)
        assert request.type == wire.GETROUTE
        if "can-gw" not in self.modules:  # rtnl_dump_all: everybody's routes but CAN's
            return [_message(wire.NEWROUTE, bytes([wire.AF_INET]) + bytes(11))]
        assert wire.read_rtcan(request.body)[:2] == (wire.AF_CAN, wire.CAN_TO_CAN)
        told = [(rule, self.handled(rule)) for rule in self.rules]
        return [_message(wire.NEWROUTE, rule.body(count)) for rule, count in told]

    def take(self) -> list[Message]:
        """What was announced since the last call; raises NetlinkOverrunError if some was lost."""
        if self._overrun:
            self._overrun = False
            raise NetlinkOverrunError("link events were lost")
        taken, self._events = self._events, []
        return taken

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

    def names(self) -> set[str]:
        """The names of the host's links."""
        return {link.name for link in self.links()}

    def _handle(self, request: Request) -> list[Message]:
        assert request.flags & wire.REQUEST
        if request.type in (wire.NEWROUTE, wire.DELROUTE):
            self._route(request.type, wire.read_rtcan(request.body))
            return []
        if request.type in (wire.NEWQDISC, wire.NEWTFILTER, wire.DELTFILTER):
            self._traffic_control(request)
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
        return next((each for each in self.links() if name in (each.name, *each.altnames)), None)

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
        if "%d" in name:  # dev_alloc_name
            taken = {link.name for link in self.links(namespace)}
            numbered = (name.replace("%d", str(number)) for number in range(100))
            name = next(each for each in numbered if each not in taken)
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
            others = {each for link in self.links() for each in (link.name, *link.altnames)}
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
        self._end_filters(link)
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
