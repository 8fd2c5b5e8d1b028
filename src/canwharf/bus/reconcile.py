"""Observe, plan, apply: the one way in which anything in the kernel is changed.

Theory of operation. A call observes once, asks its questions of what it has observed, and applies
the plan that follows. The first time this is a full look at the kernel; from then on it is kept
current by what is applied here and by the kernel's link announcements, which `observe` takes. A
plan is applied in two sends: one deletes and makes links, and its answers tell the indexes of what
was made; the other brings those up, gives them their alias, and sets the rules.

Rules:

- After any failure, and after lost announcements, what was observed is in doubt: the next call
  looks again, and `changes` says that anything may have changed. Undoing is planning for the old
  state; there is no undo list to get wrong.
- Where something went away between the look and the act (ENODEV), both are done once more.
- Every step that was applied is reported to the caller; nothing is printed here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from canwharf.bus import adapter
from canwharf.bus.model import Bus, Port, Target
from canwharf.bus.naming import AdapterOwner, format_alias, group_of, owner_of
from canwharf.bus.observed import Observed
from canwharf.bus.plan import (
    AddRule,
    BringUp,
    Configure,
    DeleteLink,
    DeleteRule,
    MakeBus,
    MakePair,
    Plan,
    Rename,
    ReplaceRule,
    RuleStep,
    Scope,
    Step,
    TakeDown,
    plan,
)
from canwharf.errors import KernelError, NetlinkOverrunError
from canwharf.kernel import gateway, link, uapi
from canwharf.kernel.gateway import Entry, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.message import Message
from canwharf.kernel.request import Announcements, Request, Requests

_ATTEMPTS = 3  # looks and acts, before what somebody else keeps changing is an error


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
        self._observed = Observed(driver=driver)
        self._current = False  # whether what is observed is true
        self._changed: set[str] = set()
        self._anything = True  # may have changed

    def observe(self) -> Observed:
        """The kernel as it is now; always the same object. Raises KernelError."""
        self._catch_up()
        if not self._current:
            # Announcements that come during the look repeat what it finds, and do no harm.
            links, entries = self._snapshot()
            self._observed.renew(links, (entry.rule for entry in entries if entry.plain))
            self._current = True
        return self._observed

    def apply(self, buses: Iterable[Bus], observed: Observed, scope: Scope) -> Plan:
        """Bring the kernel to where these buses should be, within the scope; what was done.

        `observed` is what `observe` gave in this call. Raises KernelError, and some steps may have
        been applied by then; or ConflictError, and none was.
        """
        buses = list(buses)
        for attempt in range(_ATTEMPTS):
            if not self._current:
                observed = self.observe()
            planned = plan(self._driver, buses, observed, scope)
            try:
                self._send_steps(planned.steps, observed)
            except KernelError as error:
                self.invalidate()
                # A container ended between our look and our act: look again.
                if error.errno == errno.ENODEV and attempt + 1 < _ATTEMPTS:
                    continue
                raise
            except BaseException:
                self.invalidate()
                raise
            break
        return planned

    def _snapshot(self) -> tuple[Iterable[Link], Iterable[Entry]]:
        return link.links(self._requests), gateway.entries(self._requests)

    def changes(self) -> Changed:
        """What changed in the kernel without our doing since this was last asked."""
        self._catch_up()
        names, self._changed = frozenset(self._changed), set()
        anything, self._anything = self._anything, False
        return Changed(names, anything)

    def invalidate(self) -> None:
        """Look at the kernel anew the next time: anything may have changed."""
        self._current = False
        self._anything = True

    def _catch_up(self) -> None:
        """Take the kernel's announcements into what is observed."""
        announced = None
        while announced is None:
            try:
                announced = self._announcements.take()
            except NetlinkOverrunError:
                self.invalidate()  # and take what is left, lest it be taken for news after the look
        if self._current:
            self._fold(announced, self._observed)

    def _fold(self, announced: Iterable[Message], observed: Observed) -> None:
        before: dict[int, Link | None] = {}
        last: dict[int, Message] = {}  # a link that is made or moved is announced several times
        for message in announced:
            index = link.announced(message)
            if not index:
                continue
            before.setdefault(index, observed.at(index))
            if message.type == uapi.RTM_NEWLINK:
                last[index] = message
                continue
            last.pop(index, None)
            if gone := observed.drop(index):
                # Even if it comes back under the same index: its rules do not.
                self._changed.update(observed.names(gone))
        for message in last.values():
            observed.put(link.parse(message))
        for index, old in before.items():
            new = observed.at(index)
            if _as_planned(old) != _as_planned(new):
                self._changed.update(*(observed.names(each) for each in (old, new) if each))
            match new and owner_of(new):
                case AdapterOwner(driver, name) if driver == self._driver:
                    self._changed.add(name)  # it is back, under whatever name

    def read(self, name: str) -> Link | None:
        """One link at this moment, with its counters, which nothing announces. Raises KernelError.

        None if no link has this name.
        """
        answers = map(link.parse, self._requests.batch([link.get(name)]))
        return next((each for each in answers if each.name == name), None)

    def _send_steps(self, steps: Sequence[Step], observed: Observed) -> None:
        ready = self._make_links(steps, observed)
        indexes = _indexes(steps, observed)
        batch = [
            link.bring_up(made.ifindex, made.name, format_alias(port.owner)) for port, made in ready
        ]
        added: list[Rule] = []
        removed: list[Rule] = []
        for step in sorted(steps, key=_newest_first):
            match step:
                case AddRule(source, destination, frames, echo):
                    added.append(Rule(indexes[source], indexes[destination], frames, echo))
                    batch.append(gateway.add(added[-1], f"{source} -> {destination}"))
                case ReplaceRule(rule, new, source, destination):
                    removed.append(rule)
                    added.append(new)
                    batch += gateway.replace(rule, new, f"{source} -> {destination}")
                case DeleteRule(rule, source, destination):
                    removed.append(rule)
                    batch.append(gateway.delete(rule, f"{source} -> {destination}"))
        if batch:
            self._requests.batch(batch)
        for port, made in ready:
            now = observed.at(made.ifindex) or made
            observed.put(now._replace(up=True, alias=format_alias(port.owner)))
        for rule in removed:
            observed.remove(rule)
        for rule in added:
            observed.add(rule)

    def _make_links(self, steps: Sequence[Step], observed: Observed) -> list[tuple[Port, Link]]:
        """Delete, make and set up links; those that are now to be brought up and given an alias."""
        group = group_of(self._driver)
        batch: list[Request] = []
        names: list[str] = []  # of the links to be looked at afterwards
        for step in steps:
            if not isinstance(step, RuleStep):
                requests, touched = _making(step, group)
                batch += requests
                names += touched
        ready = [(step.port, step.link) for step in steps if isinstance(step, BringUp)]
        if not batch:
            return ready
        answers = self._requests.batch(batch + [link.get(name) for name in names])
        gone = [step.link for step in steps if isinstance(step, DeleteLink)]
        for found in gone:
            observed.drop(found.ifindex)
        if gone:
            # What is made now or by the next plan of this call may have the index of what went: its
            # end must not be taken for news when there are rules again.
            self._catch_up()
        for answer in answers:
            observed.put(link.parse(answer))
        made = [
            (step.port, observed.link(step.port.name))
            for step in steps
            if isinstance(step, MakeBus | MakePair)
        ]
        return ready + [(port, new) for port, new in made if new is not None]


def _as_planned(found: Link | None) -> Link | None:
    """What a plan depends on: not on whether frames get through, which each container changes."""
    return found and found._replace(carrier=True)


def _making(step: Step, group: int) -> tuple[list[Request], list[str]]:
    """The requests of a step that is not about rules, and the names of what they touch."""
    match step:
        case DeleteLink(found):
            return [link.delete(found.ifindex, found.name)], []
        case MakeBus(port):
            return [link.make_vcan(port.name, group)], [port.name]
        case MakePair(port, target):
            return _pair(port, target, group)
    return _setting_up(step)


def _setting_up(step: Step) -> tuple[list[Request], list[str]]:
    """The same, of a step that is about an adapter."""
    match step:
        case Configure(found, settings, owner):
            alias = format_alias(owner) if owner else found.alias
            told = adapter.describe_settings(settings)
            return link.configure(found, settings, alias, told), [found.name]
        case TakeDown(found):
            return [link.take_down(found)], [found.name]
        case Rename(found, name):
            return [link.rename(found.ifindex, found.name, name)], [name]
    return [], []


def _pair(port: Port, target: Target | None, group: int) -> tuple[list[Request], list[str]]:
    if target:
        return [link.place_pair(port.name, target.name, target.namespace, group)], [port.name]
    return [link.make_pair(port.name, port.container, group)], [port.name, port.container]


def _newest_first(step: Step) -> int:
    """Rules that are to be replaced, those of the newest interfaces first; all else as it was.

    The kernel looks for a rule to be deleted from the newest on, and compares each with it: what is
    newer has been replaced by then, and differs at a glance. Otherwise an upgrade under a bus of
    100 containers takes five times as long, and longer than a hang may last.
    """
    return -max(step.rule[:2]) if isinstance(step, ReplaceRule) else 0


def _indexes(steps: Iterable[Step], observed: Observed) -> dict[str, int]:
    """The indexes of the interfaces that rules are to be added to. Raises KernelError."""
    indexes = {}
    rules = [step for step in steps if isinstance(step, AddRule)]
    for name in {name: None for rule in rules for name in (rule.source, rule.destination)}:
        found = observed.link(name)
        if found is None:
            reason = "it went away while its gateway rules were being made"
            raise KernelError("find", f"interface {name}", errno.ENODEV, reason)
        indexes[name] = found.ifindex
    return indexes
