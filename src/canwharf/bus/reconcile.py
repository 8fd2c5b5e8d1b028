"""Observe, plan, apply: the one way in which anything in the kernel is changed.

Theory of operation. The first call takes a full look at the kernel; from then on the view is
kept current by what is applied here and by the kernel's link announcements, which are taken
before each plan. A plan is applied in two sends: one for links (whose answers tell the indexes
of what was made), one for rules.

Rules:

- After any failure, and after lost announcements, the view is thrown away: the next call looks
  again. Undoing is planning for the old state; there is no undo list to get wrong.
- What is about to be used is checked before anything is done.
- Every step that was applied is reported to the caller; nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from canwharf.bus import naming
from canwharf.bus.model import Bus
from canwharf.bus.plan import (
    AddRule,
    DeleteLink,
    DeleteRule,
    MakeBus,
    MakePair,
    Plan,
    SetUp,
    Step,
    is_ours,
    plan,
)
from canwharf.bus.view import View
from canwharf.errors import ConflictError, NetlinkOverrunError
from canwharf.kernel import gateway, link, uapi
from canwharf.kernel.gateway import Rule
from canwharf.kernel.link import Link
from canwharf.kernel.netlink import Announcements, Request, Requests


class Changed(NamedTuple):
    """Names of links that came, went or changed without our doing, or: anything may have."""

    names: frozenset[str]
    anything: bool = False


class Reconciler:
    """Brings the host's kernel to what a state wants. Not for use by two threads at once."""

    def __init__(self, requests: Requests, announcements: Announcements, driver: str) -> None:
        self._requests = requests
        self._announcements = announcements
        self._driver = driver
        self._view: View | None = None
        self._changed: set[str] = set()

    def bring(
        self,
        buses: Iterable[Bus],
        focus: Collection[str],
        joining: Collection[str] = (),
    ) -> Plan:
        """Make it so, as far as the focus reaches (see `bus.plan`); what was done.

        Raises KernelError or ConflictError; some steps may have been applied by then.
        """
        buses = list(buses)
        view = self.observe()
        for bus in buses:
            fault = interface_fault(view.link(bus.interface.name))
            if fault:
                raise ConflictError(f"bus interface {bus.interface.name}: {fault}")
        planned = plan(self._driver, buses, view, focus, joining)
        try:
            self._apply(planned.steps, view)
        except BaseException:
            self._view = None
            raise
        return planned

    def observe(self) -> View:
        """The kernel as it is now. Raises KernelError."""
        self._catch_up()
        if self._view is None:
            # Announcements that come during the look repeat what it finds, and do no harm.
            links = link.links(self._requests)
            entries = gateway.entries(self._requests)
            self._view = View(links, (entry.rule for entry in entries if entry.plain))
        return self._view

    def changes(self) -> Changed:
        """What changed in the kernel without our doing since this was last asked."""
        self._catch_up()
        names, self._changed = frozenset(self._changed), set()
        return Changed(names, anything=self._view is None)

    def _catch_up(self) -> None:
        """Take the kernel's announcements into the view."""
        try:
            announced = self._announcements.take()
        except NetlinkOverrunError:
            self._view = None
        if self._view is None:
            return
        before: dict[int, Link | None] = {}
        for message in announced:
            told = link.parse(message)
            before.setdefault(told.ifindex, self._view.at(told.ifindex))
            if message.type == uapi.RTM_NEWLINK:
                self._view.put(told)
            elif message.type == uapi.RTM_DELLINK:
                self._view.drop(told.ifindex)
        for index, old in before.items():
            new = self._view.at(index)
            if old != new:
                self._changed.update(each.name for each in (old, new) if each)

    def owned(self) -> frozenset[str]:
        """The names of all links that bear our alias. Raises KernelError."""
        links = self.observe().links()
        return frozenset(link.name for link in links if is_ours(link, self._driver))

    def away(self, names: Collection[str]) -> frozenset[str]:
        """Those of these pairs' host ends whose other end is in another namespace.

        Asks the kernel, which does not announce it. Raises KernelError.
        """
        view = self.observe()
        for answer in self._requests.batch([link.get(name) for name in names]):
            view.put(link.parse(answer))
        found = map(view.link, names)
        return frozenset(link.name for link in found if link is not None and link.peer_away)

    def _apply(self, steps: Iterable[Step], view: View) -> None:
        links = [step for step in steps if not isinstance(step, AddRule | DeleteRule)]
        rules = [step for step in steps if isinstance(step, AddRule | DeleteRule)]
        if links:
            self._apply_links(links, view)
        if rules:
            self._apply_rules(rules, view)

    def _apply_links(
        self, steps: list[DeleteLink | MakeBus | MakePair | SetUp], view: View
    ) -> None:
        batch: list[Request] = []
        names: list[str] = []  # whose state and index we want to be told afterwards
        for step in steps:
            match step:
                case DeleteLink(gone):
                    batch.append(link.delete(gone.ifindex, gone.name))
                case MakeBus(port):
                    batch += link.make_vcan(port.name, port.alias)
                    names.append(port.name)
                case MakePair(port):
                    batch += link.make_pair(port.name, port.container, port.alias)
                    names += [port.name, port.container]
                case SetUp(down):
                    batch.append(link.set_up(down.ifindex, down.name))
                    names.append(down.name)
        for answer in self._requests.batch(batch + [link.get(name) for name in names]):
            view.put(link.parse(answer))
        for step in steps:
            if isinstance(step, DeleteLink):
                view.drop(step.link.ifindex)
                view.drop(step.link.peer if not step.link.peer_away else 0)

    def _apply_rules(self, steps: list[AddRule | DeleteRule], view: View) -> None:
        batch: list[Request] = []
        added: list[Rule] = []
        for step in steps:
            target = f"{step.source} -> {step.destination}"
            match step:
                case AddRule(source, destination, fd):
                    added.append(Rule(_index(view, source), _index(view, destination), fd))
                    batch.append(gateway.add(added[-1], target))
                case DeleteRule(rule):
                    batch.append(gateway.delete(rule, target))
        self._requests.batch(batch)
        for rule in added:
            view.add(rule)
        for step in steps:
            if isinstance(step, DeleteRule):
                view.remove(step.rule)


def interface_fault(found: Link | None) -> str:
    """Why this host interface cannot be a bus; empty if it can (or can be made)."""
    if found is None:
        return ""
    if not found.can:
        return "it exists and is not a CAN interface"
    if isinstance(naming.parse_alias(found.alias), naming.EndpointAlias):
        return "it is the host end of a container's interface pair"
    return ""


def _index(view: View, name: str) -> int:
    found = view.link(name)
    if found is None:
        raise ConflictError(f"interface {name} went away while its gateway rules were being made")
    return found.ifindex
