"""The fake kernel's traffic control: clsact, two filters for each link, and a dump of actions.

Theory of operation. It knows the filters of a linear bus in the form that canwharf sends and no
other: net/sched/cls_api.c and act_api.c decide about them in the order in which they stand here.
What each operation announces (to RTNLGRP_TC) is what real kernels do (6.1, 6.12 and 7.2:
tests/kernel/test_announced.py): the first filter of a direction makes a chain, and the last one
takes it away. A link that goes takes its filters and clsact along without a word of either: only
its chains are announced.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from canwharf.kernel.traffic_control import DAMAGED, MISSING, WHOLE, Marks
from tests.fake import wire
from tests.fake.links import HOST, FakeFilter, FakeLink, Refusal

MODULES = frozenset(
    {"sch_ingress", "cls_fw", "cls_matchall", "cls_basic", "act_gact", "act_skbedit"}
    | {"act_police", "em_canid", "em_u32"}
)
DIRECTIONS = {"ingress": wire.INGRESS, "egress": wire.EGRESS}
_IN_A_DATAGRAM = 150  # actions; the kernel takes 32 KiB


class Filters:
    """What the kernel holds of links, and what it does with their filters."""

    def __init__(self, modules: Iterable[str]) -> None:
        self.modules = set(modules)
        # While it is so, actions are listed after their filters were deleted. Seen on 6.12 with two
        # processors: for up to 37 ms, in up to nine dumps.
        self.slow_to_end = False
        self._ending: list[wire.Action] = []
        self._links: list[FakeLink] = []  # of every namespace
        self._events: list[Message] = []

    def links(self, namespace: str = HOST) -> list[FakeLink]:
        """The links of one namespace."""
        return [link for link in self._links if link.namespace == namespace]

    def link(self, name: str, namespace: str = HOST) -> FakeLink:
        """One link; KeyError if it is not there."""
        for link in self.links(namespace):
            if link.name == name:
                return link
        raise KeyError(name)

    def marks(self, name: str) -> Marks:
        """What there is of the two filters that canwharf makes on this link."""
        link = self.link(name)
        return Marks(
            _state(link, wire.INGRESS, wire.Action("skbedit", wire.CONTINUE, link.index)),
            _state(link, wire.EGRESS, wire.Action("gact", wire.STOLEN)),
        )

    def delete_filters(self, name: str, which: str) -> None:
        """Somebody's `tc filter del dev NAME ingress` (or egress), or of clsact with them ("all").

        They are those of others, too.
        """
        link = self.link(name)
        assert link.qdisc, "tc: Cannot find specified qdisc on specified device"
        if which != "all":
            self._delete_filters(link, DIRECTIONS[which])
            return
        self._tell_qdisc(wire.DELQDISC, link)
        self._end_filters(link)

    def change_filter(self, name: str, direction: str) -> None:
        """Somebody changes what one of our filters does: `tc actions change action … pass`."""
        link = self.link(name)
        (old,) = (
            each for each in link.filters if each.parent == DIRECTIONS[direction] and _ours(each)
        )
        assert old.action
        new = old._replace(action=old.action._replace(then=wire.PASS))
        link.filters[link.filters.index(old)] = new
        told = wire.listing([wire.action(old.action._replace(then=wire.PASS), 1)])
        self._events.append(Message(wire.NEWACTION, 0, 0, told))

    def add_qdisc(self, name: str, kind: str = "clsact") -> None:
        """Somebody's `tc qdisc add dev NAME clsact`, or the older ingress."""
        link = self.link(name)
        assert not link.qdisc, "tc: Exclusivity flag on, cannot modify"
        link.qdisc = kind
        self._tell_qdisc(wire.NEWQDISC, link)

    def add_filter(
        self, name: str, direction: str, kind: str = "matchall", priority: int = 10
    ) -> None:
        """Somebody's `tc filter add dev NAME DIRECTION pref PRIORITY KIND action pass`."""
        action = wire.Action("gact", wire.PASS)
        self._add_filter(
            self.link(name), FakeFilter(DIRECTIONS[direction], kind, 1, priority, action)
        )

    def remove_module(self, name: str) -> None:
        """Somebody's `rmmod`, and the kernel finds none that it could load."""
        kinds = {f"sch_{each.qdisc and 'ingress'}" for each in self._links}
        for each in (each for link in self._links for each in link.filters):
            kinds |= {f"cls_{each.kind}", f"act_{each.action.kind}" if each.action else ""}
        assert name not in kinds, f"rmmod: ERROR: Module {name} is in use"
        self.modules.remove(name)

    def _at(self, index: int) -> FakeLink | None:
        return next((link for link in self.links() if link.index == index), None)

    def _traffic_control(self, request: Request) -> None:
        """RTM_NEWQDISC (tc_modify_qdisc), RTM_NEWTFILTER, RTM_DELTFILTER."""
        asked = wire.read_tc(request.body)
        link = self._at(asked.ifindex)
        if link is None:
            raise Refusal(errno.ENODEV)
        if request.type == wire.NEWQDISC:
            self._new_qdisc(link, asked, request.flags)
            return
        if not link.qdisc:
            raise Refusal(errno.EINVAL, "Parent Qdisc doesn't exists")
        priority = asked.info >> 16
        assert asked.info & 0xFFFF == wire.ALL_PROTOCOLS
        assert asked.parent in DIRECTIONS.values()
        if request.type == wire.DELTFILTER:
            self._delete_filter(link, asked, priority)
            return
        assert request.flags & wire.CREATE
        assert asked.attributes.keys() == {wire.TC_KIND, wire.TC_OPTIONS}
        kind, options = (
            wire.string(asked.attributes[wire.TC_KIND]),
            asked.attributes[wire.TC_OPTIONS],
        )
        action, matches = wire.read_actions(kind, options), wire.read_matches(kind, options)
        new = FakeFilter(asked.parent, kind, asked.handle, priority, action, matches)
        self._add_filter(link, new, replacing=not request.flags & wire.EXCL)

    def _new_qdisc(self, link: FakeLink, asked: wire.Tc, flags: int) -> None:
        assert (asked.handle, asked.parent) == (wire.CLSACT_HANDLE, wire.CLSACT)
        assert asked.attributes == {wire.TC_KIND: b"clsact\0"}
        if link.qdisc and flags & wire.EXCL:
            raise Refusal(errno.EEXIST, "Exclusivity flag on, cannot modify")
        if link.qdisc not in ("", "clsact"):
            raise Refusal(errno.EINVAL, "Invalid qdisc name: must match existing qdisc")
        if "sch_ingress" not in self.modules:
            raise Refusal(errno.ENOENT, "Specified qdisc kind is unknown")
        link.qdisc = "clsact"
        self._tell_qdisc(wire.NEWQDISC, link)

    def _add_filter(self, link: FakeLink, new: FakeFilter, *, replacing: bool = False) -> None:
        """RTM_NEWTFILTER (tc_new_tfilter). Raises Refusal."""
        chain = _chain(link, new.parent)
        beside = [each for each in chain if each.priority == new.priority]
        if any(each.kind != new.kind for each in beside):
            raise Refusal(errno.EINVAL, "Specified filter kind does not match existing one")
        if f"cls_{new.kind}" not in self.modules:
            raise Refusal(errno.ENOENT, "TC classifier not found")
        if new.matches and "em_u32" not in self.modules:
            raise Refusal(errno.ENOENT)
        old = [each for each in beside if each.handle == new.handle]
        if old and not replacing:
            raise Refusal(errno.EEXIST, "Filter already exists")
        if new.kind == "matchall" and beside:
            raise Refusal(errno.EEXIST)
        if new.action and f"act_{new.action.kind}" not in self.modules:
            raise Refusal(errno.ENOENT, "Failed to load TC action module")
        if not chain:
            self._tell_chain(wire.NEWCHAIN, link)
        for each in old:
            self._remove(link, each)
        link.filters.append(new)
        link.filters.sort(key=lambda each: each.priority)
        # A new matchall is announced without its handle.
        handle = 0 if new.kind == "matchall" else new.handle
        self._tell_filter(wire.NEWTFILTER, link, new._replace(handle=handle))

    def _delete_filter(self, link: FakeLink, asked: wire.Tc, priority: int) -> None:
        """RTM_DELTFILTER (tc_del_tfilter) of one. Raises Refusal.

        The kind is not named, so it may be of another kind.
        """
        assert asked.handle
        assert not asked.attributes
        chain = _chain(link, asked.parent)
        if not chain:
            raise Refusal(errno.ENOENT, "Cannot find specified filter chain")
        beside = [each for each in chain if each.priority == priority]
        if not beside:
            words = "Filter with specified priority/protocol not found"
            raise Refusal(errno.ENOENT, words)
        for each in beside:
            if each.handle == asked.handle:
                self._remove(link, each)
                self._tell_filter(wire.DELTFILTER, link, each)
                break
        else:
            raise Refusal(errno.ENOENT, "Specified filter handle not found")
        if len(chain) == 1:
            self._tell_chain(wire.DELCHAIN, link)

    def _delete_filters(self, link: FakeLink, parent: int) -> None:
        """RTM_DELTFILTER without a handle: all filters of a direction."""
        chain = _chain(link, parent)
        for each in chain:
            self._remove(link, each)
        for first in {each.priority: each for each in chain}.values():
            self._tell_filter(wire.DELTFILTER, link, first._replace(handle=0))
        if chain:
            self._tell_chain(wire.DELCHAIN, link)

    def _end_filters(self, link: FakeLink) -> None:
        """They go with clsact, and with the link (dev_shutdown)."""
        parents = (wire.INGRESS, wire.EGRESS) if link.qdisc == "clsact" else (wire.INGRESS,)
        for parent in parents:
            if _chain(link, parent):
                self._tell_chain(wire.DELCHAIN, link)
        for each in list(link.filters):
            self._remove(link, each)
        link.qdisc = ""

    def _remove(self, link: FakeLink, gone: FakeFilter) -> None:
        link.filters.remove(gone)
        if gone.action and self.slow_to_end:
            self._ending.append(gone.action)

    def _actions(self, request: Request) -> list[Message]:
        """A dump of all actions of a kind; none where the kernel does not know the kind."""
        kind = wire.read_listing(request.body)
        there = [each.action for link in self.links() for each in link.filters]
        if not self.slow_to_end:
            self._ending.clear()
        of_kind = [each for each in (*self._ending, *there) if each and each.kind == kind]
        listed = [wire.action(each, index) for index, each in enumerate(of_kind, 1)]
        return [
            Message(wire.GETACTION, 0, 0, wire.listing(listed[first : first + _IN_A_DATAGRAM]))
            for first in range(0, len(listed), _IN_A_DATAGRAM)
        ]

    def _tell_qdisc(self, kind: int, link: FakeLink) -> None:
        found = {wire.TC_KIND: link.qdisc.encode() + b"\0"}
        there = int(kind == wire.NEWQDISC)
        body = wire.tc(link.index, wire.CLSACT_HANDLE, wire.CLSACT, there, found)
        self._events.append(Message(kind, 0, 0, body))

    def _tell_filter(self, kind: int, link: FakeLink, told: FakeFilter) -> None:
        found = {wire.TC_KIND: told.kind.encode() + b"\0", wire.TC_CHAIN: wire.u32(0)}
        info = told.priority << 16 | wire.ALL_PROTOCOLS
        body = wire.tc(link.index, told.handle, told.parent, info, found)
        self._events.append(Message(kind, 0, 0, body))

    def _tell_chain(self, kind: int, link: FakeLink) -> None:
        body = wire.tc(link.index, 0, wire.CLSACT_HANDLE, 0, {wire.TC_CHAIN: wire.u32(0)})
        self._events.append(Message(kind, 0, 0, body))


def _chain(link: FakeLink, parent: int) -> list[FakeFilter]:
    """The filters of a direction; the older ingress has one for both (ingress_tcf_block)."""
    return [each for each in link.filters if each.parent == parent or link.qdisc == "ingress"]


def _ours(each: FakeFilter) -> bool:
    return each.action is not None and each.action.cookie.startswith(b"canwharf")


def _state(link: FakeLink, parent: int, wanted: wire.Action) -> str:
    wanted = wanted._replace(cookie=b"canwharf" + wire.u32(link.index))
    for each in link.filters:
        if each.parent == parent and _ours(each):
            return WHOLE if each.action == wanted else DAMAGED
    return MISSING
