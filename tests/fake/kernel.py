"""A kernel with CAN, as far as canwharf can tell: links, namespaces, rules, filters, announcements.

Theory of operation. It takes the requests that canwharf would send, decodes their bytes with a
codec of its own and does what net/core/rtnetlink.c, drivers/net/can/vxcan.c, net/can/gw.c and
net/sched do: in order, each message for itself, no rollback. A test plays everybody else: it adds
and deletes links, moves ends into namespaces, refuses messages, ends the process between two sends.

Rules:

- What cannot be undone on a real host is remembered: `flushes` counts deletions of every rule.
- Nothing is announced that the kernel does not announce: the end that stays behind when its peer
  moves into another namespace changes in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from canwharf.errors import NamespaceError
from tests.fake import frames, wire
from tests.fake.answers import MODULES, Answers, _message
from tests.fake.controllers import FakeController
from tests.fake.links import HOST, Controller, FakeLink, FakeRule


class Snapshot(NamedTuple):
    """The host's namespace without its indexes: equal if no program could tell the difference.

    A clsact without filters does nothing, and is not in it.
    """

    links: frozenset[tuple[object, ...]]
    rules: Counter[tuple[object, ...]]
    filters: frozenset[tuple[object, ...]]  # each with the name of its link


class FakeKernel(Answers):
    """The kernel, and the world's hand on it."""

    def __init__(
        self,
        *,
        reuse_indexes: bool = False,
        modules: Iterable[str] = MODULES,
        max_hops: int = 1,
    ) -> None:
        super().__init__(reuse_indexes=reuse_indexes, modules=modules, max_hops=max_hops)
        self.add_link("lo", hardware=772, mtu=65536)
        self.take()

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
        self.link(name).altnames += (other,)
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
            if link.namespace != namespace or link not in self._links:
                continue  # of a pair with both ends in there one goes with the other
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

    def deliveries(self, source: str) -> Counter[tuple[str, str]]:
        """How often a frame that enters by this interface leaves by each one, also by this one.

        The keys are a name and a kind of frame: classic, fd, errors.
        """
        return frames.deliveries(self.link(source), self.links(), self.rules, self.max_hops)

    def snapshot(self) -> Snapshot:
        """The host's namespace, to be compared with another moment's."""
        names = {link.index: link.name for link in self.links()}
        return Snapshot(
            frozenset(link.told() for link in self.links()),
            Counter((names[r.source], names[r.destination], r.flags, r.more) for r in self.rules),
            frozenset(
                (link.name, *each.told(link.index))
                for link in self.links()
                for each in link.filters
            ),
        )
