"""Observe, plan, apply: the one way in which anything in the kernel is changed.

Theory of operation. A call observes once, checks what it observed, and applies the plan that
follows. The first observation is a full dump of the kernel. From then on it is kept current by the
steps applied here and by the kernel's link announcements, which `observe` reads. A plan is applied
in two sends: the first deletes and makes links, and its answers have the indexes of the new links;
the second brings these up, sets their alias, and sets the rules.

Rules:

- After any failure, and after lost announcements, the observation is invalid: the next call dumps
  the kernel again, and `changes` says that anything may have changed. To undo is to plan for the
  old state; there is no undo list to get wrong.
- If an interface disappears between the dump and the send (ENODEV), both are repeated.
- Every step that was applied is returned to the caller; nothing is printed here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

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
from canwharf.record import NamedTuple

_ATTEMPTS = 3  # dumps and sends, before interfaces that keep disappearing are an error


class Changed(NamedTuple):
    """The names of links that others made, changed or deleted; `anything`: any may have changed."""

    names: frozenset[str]
    anything: bool = False


class Reconciler:
    """Brings the host's kernel to a state. Not for use by two threads at once."""

    def __init__(self, requests: Requests, announcements: Announcements, driver: str) -> None:
        self._requests = requests
        self._announcements = announcements
        self._driver = driver
        self._observed = Observed(driver=driver)
        self._current = False  # whether the observation is valid
        self._changed: set[str] = set()
        self._anything = True  # may have changed

    def observe(self) -> Observed:
        """The kernel as it is now; always the same object. Raises KernelError."""
        self._catch_up()
        if not self._current:
            # Announcements that arrive during the dump repeat its content, which is harmless.
            links, entries = self._snapshot()
            self._observed.renew(links, (entry.rule for entry in entries if entry.plain))
            self._current = True
        return self._observed

    def apply(self, buses: Iterable[Bus], observed: Observed, scope: Scope) -> Plan:
        """Bring the kernel to these buses, within the scope; the steps that were applied.

        `observed` is the result of `observe` in this call. Raises KernelError (some steps may have
        been applied by then), or ConflictError (none was).
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
                # A container ended between the dump and the send: dump again.
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
        """What others changed in the kernel since the last call of this."""
        self._catch_up()
        names, self._changed = frozenset(self._changed), set()
        anything, self._anything = self._anything, False
        return Changed(names, anything)

    def invalidate(self) -> None:
        """Dump the kernel again the next time: anything may have changed."""
        self._current = False
        self._anything = True

    def _catch_up(self) -> None:
        """Apply the kernel's announcements to the observation."""
        announced = None
        while announced is None:
            try:
                announced = self._announcements.take()
            except NetlinkOverrunError:
                self.invalidate()  # and read the rest, which is older than the next dump
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
                # Even if a link comes back under the same index, its rules do not.
                self._changed.update(observed.names(gone))
        for message in last.values():
            observed.put(link.parse(message))
        for index, old in before.items():
            new = observed.at(index)
            if _as_planned(old) != _as_planned(new):
                self._changed.update(*(observed.names(each) for each in (old, new) if each))
            match new and owner_of(new):
                case AdapterOwner(driver, name) if driver == self._driver:
                    self._changed.add(name)  # a moved adapter is back, under any name

    def read(self, name: str) -> Link | None:
        """Read one link now, with its counters, which are not announced. Raises KernelError.

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
        """Delete, make and configure links; the new ones, which still need to be brought up."""
        group = group_of(self._driver)
        batch: list[Request] = []
        names: list[str] = []  # of the links to be read afterwards
        for step in steps:
            if not isinstance(step, RuleStep):
                requests, touched = _link_requests(step, group)
                batch += requests
                names += touched
        ready = [(step.port, step.link) for step in steps if isinstance(step, BringUp)]
        if not batch:
            return ready
        answers = self._requests.batch(batch + [link.get(name) for name in names])
        deleted = [step.link for step in steps if isinstance(step, DeleteLink)]
        for each in deleted:
            observed.drop(each.ifindex)
        if deleted:
            # A link that is made now, or by the next plan of this call, may have the index of a
            # deleted one: read the announcement of the deletion now, before there are rules that
            # it would seem to delete.
            self._catch_up()
        for answer in answers:
            observed.put(link.parse(answer))
        made = [
            (step.port, observed.link(step.port.name))
            for step in steps
            if isinstance(step, MakeBus | MakePair)
        ]
        return ready + [(port, new) for port, new in made if new is not None]


def _as_planned(link: Link | None) -> Link | None:
    """The part of a link that a plan depends on: not the carrier, which each container changes."""
    return link and link._replace(carrier=True)


def _link_requests(step: Step, group: int) -> tuple[list[Request], list[str]]:
    """The requests of a step that is not about rules, and the names of the links to read."""
    match step:
        case DeleteLink(device):
            return [link.delete(device.ifindex, device.name)], []
        case MakeBus(port):
            return [link.make_vcan(port.name, group)], [port.name]
        case MakePair(port, target):
            return _pair(port, target, group)
    return _adapter_requests(step)


def _adapter_requests(step: Step) -> tuple[list[Request], list[str]]:
    """The requests of a step about an adapter, and the names of the links to read."""
    match step:
        case Configure(device, settings, owner):
            alias = format_alias(owner) if owner else device.alias
            requested = adapter.describe_settings(settings)
            return link.configure(device, settings, alias, requested), [device.name]
        case TakeDown(device):
            return [link.take_down(device)], [device.name]
        case Rename(device, name):
            return [link.rename(device.ifindex, device.name, name)], [name]
    return [], []


def _pair(port: Port, target: Target | None, group: int) -> tuple[list[Request], list[str]]:
    if target:
        return [link.place_pair(port.name, target.name, target.namespace, group)], [port.name]
    return [link.make_pair(port.name, port.container, group)], [port.name, port.container]


def _newest_first(step: Step) -> int:
    """A sort key: rules to be replaced, those of the newest interfaces first; other steps stay.

    The kernel searches for a rule to delete from the newest on. In this order the newer rules have
    been replaced already, and differ in the first field that it compares. Otherwise an upgrade
    under a bus of 100 containers takes five times as long, and longer than the watchdog allows.
    """
    return -max(step.rule[:2]) if isinstance(step, ReplaceRule) else 0


def _indexes(steps: Iterable[Step], observed: Observed) -> dict[str, int]:
    """The indexes of the interfaces of the rules to add, by name. Raises KernelError."""
    indexes = {}
    rules = [step for step in steps if isinstance(step, AddRule)]
    for name in {name: None for rule in rules for name in (rule.source, rule.destination)}:
        found = observed.link(name)
        if found is None:
            reason = "it went away while its gateway rules were being made"
            raise KernelError("find", f"interface {name}", errno.ENODEV, reason)
        indexes[name] = found.ifindex
    return indexes
