"""Observe, plan, apply: the one way in which anything in the kernel is changed.

Theory of operation. A call observes once, checks what it observed, and applies the plan that
follows. The first observation is a full dump of the kernel. From then on it is kept current by the
steps applied here and by the kernel's announcements, which `observe` reads. A plan is applied
in two sends: the first deletes and makes links, and its answers have the indexes of the new links;
the second brings these up, sets their alias, and sets filters and rules.

Rules:

- After any failure, and after lost announcements, the observation is invalid: the next call dumps
  the kernel again, and `changes` says that anything may have changed. To undo is to plan for the
  old state; there is no undo list to get wrong.
- If an interface disappears between the dump and the send (ENODEV), both are repeated.
- The kernel works through a send although a part of it is refused. So filters of a host end that is
  there already have a send of their own: refused, they keep the rules behind them from being made.
  While the kernel sets the first filter of an interface that is up, it drops the frames for it
  (dev_deactivate in qdisc_graft): the interface counts them, and they are told as lost.
- Where a container's policy is refused, or something before it, all rules from and to it go: it is
  never open meanwhile.
- Whether the kernel has what a linear bus needs is tried once, on a hub: when the first is made, or
  when the first filters are due. If it has not, the hub goes, and the plan is made again, for a
  mesh.
- Every step that was applied is returned to the caller; nothing is printed here.
"""

from __future__ import annotations

import errno

from canwharf.bus import announced, requests
from canwharf.bus.model import Bus, Port
from canwharf.bus.naming import (
    AdapterOwner,
    EndpointOwner,
    format_alias,
    group_of,
    hub_end,
    owner_of,
)
from canwharf.bus.observed import Observed
from canwharf.bus.plan import plan
from canwharf.bus.requests import Composed
from canwharf.bus.steps import (
    AddMarks,
    BringUp,
    DeleteLink,
    Inject,
    MakeBus,
    MakeHub,
    MakeIfb,
    MakePair,
    Plan,
    Redirect,
    RuleStep,
    Scope,
    SetPolicy,
    Step,
)
from canwharf.errors import KernelError, NetlinkOverrunError
from canwharf.kernel import firewall, gateway, impairment, injection, link, traffic_control, uapi
from canwharf.kernel.firewall import Firewall
from canwharf.kernel.gateway import Entry, Rule
from canwharf.kernel.impairment import Impaired
from canwharf.kernel.link import Link
from canwharf.kernel.message import Message
from canwharf.kernel.request import Announcements, Requests
from canwharf.kernel.traffic_control import Ability, Marks
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ATTEMPTS = 3  # dumps and sends, before interfaces that keep disappearing are an error


class Changed(NamedTuple):
    """The names of links that others made, changed or deleted; `anything`: any may have changed."""

    names: frozenset[str]
    anything: bool = False


class Snapshot(NamedTuple):
    """A dump of the kernel's links, gateway rules, and filters of ours."""

    links: Sequence[Link] = ()
    entries: Sequence[Entry] = ()
    marks: Mapping[int, Marks] = {}
    firewalls: Mapping[int, Firewall] = {}
    injected: Mapping[int, Mapping[injection.Key, injection.Found]] = {}
    impaired: Impaired = Impaired()


def snapshot(requests: Requests) -> Snapshot:
    """Dump links, rules and filters. Raises KernelError."""
    links, entries = link.links(requests), gateway.entries(requests)
    gacts = traffic_control.actions(requests, "gact")
    marks = traffic_control.find(requests, gacts)
    firewalls, injected = firewall.find(requests, gacts), injection.find(gacts)
    impaired = impairment.find(requests, links)
    return Snapshot(links, entries, marks, firewalls, injected, impaired)


class Sent(NamedTuple):
    """Steps that were applied, the frames lost by that, and whether another plan has to follow."""

    steps: tuple[Step, ...]
    lost: int = 0
    again: bool = False

    def plus(self, more: Sent) -> Sent:
        """Both, one after the other."""
        return Sent(self.steps + more.steps, self.lost + more.lost, more.again)


class Reconciler:
    """Brings the host's kernel to a state. Not for use by two threads at once."""

    def __init__(self, requests: Requests, announcements: Announcements, driver: str) -> None:
        self._requests = self.requests = requests
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
            dump = self._snapshot()
            rules = (entry.rule for entry in dump.entries if entry.plain)
            filters = dump.marks, dump.firewalls
            self._observed.renew(
                dump.links, rules, *filters, injected=dump.injected, impaired=dump.impaired
            )
            self._current = True
        return self._observed

    def apply(self, buses: Iterable[Bus], observed: Observed, scope: Scope) -> Plan:
        """Bring the kernel to these buses, within the scope; the steps that were applied.

        `observed` is the result of `observe` in this call. Raises KernelError (some steps may have
        been applied by then), or ConflictError (none was).
        """
        buses, done, failures = list(buses), Sent((), again=True), 0
        while done.again:
            if not self._current:
                observed = self.observe()
            planned = plan(self._driver, buses, observed, scope)
            try:
                done = done.plus(self._send_steps(planned.steps, observed))
            except KernelError as error:
                # A container ended between the dump and the send, or a module that marks need has
                # gone since it was tried: dump and try again.
                tried = bool(observed.ability and observed.ability.classifier)
                again = error.errno == errno.ENODEV or (error.errno == errno.ENOENT and tried)
                self.invalidate()
                observed.trust_dump()
                failures += 1
                if not again or failures == _ATTEMPTS:
                    raise
            except BaseException:
                self.invalidate()
                raise
        return Plan(done.steps, planned.absent, done.lost)

    def _snapshot(self) -> Snapshot:
        return snapshot(self._requests)

    def changes(self) -> Changed:
        """What others changed in the kernel since the last call of this."""
        self._catch_up()
        names, self._changed = frozenset(self._changed), set()
        anything, self._anything = self._anything, False
        return Changed(names, anything)

    @property
    def anything(self) -> bool:
        """Whether anything may have changed since the last call of `changes`."""
        return self._anything

    def invalidate(self) -> None:
        """Dump the kernel again the next time: anything may have changed."""
        self._current = False
        self._anything = True
        if self._observed.linear:
            self._observed.ability = None  # what it needs may have gone

    @property
    def ability(self) -> Ability | None:
        """What the kernel has for linear buses; None before a first try."""
        return self._observed.ability

    def try_linear(self) -> None:
        """Try again whether the kernel has what a linear bus needs: it may have come."""
        self._observed.ability = None

    def _catch_up(self) -> None:
        """Apply the kernel's announcements to the observation."""
        news = None
        while news is None:
            try:
                news = self._announcements.take()
            except NetlinkOverrunError:
                self.invalidate()  # and read the rest, which is older than the next dump
        if self._current:
            self._fold(news, self._observed)
        else:  # the next dump has all but this: it may still list filters that were deleted
            for message in news:
                self._changed.update(announced.deletions(message, self._observed))

    def _fold(self, news: Iterable[Message], observed: Observed) -> None:
        before: dict[int, Link | None] = {}
        last: dict[int, Message] = {}  # a link that is made or moved is announced several times
        for message in news:
            index = link.announced(message)
            if not index:
                self._changed.update(announced.deletions(message, observed))
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

    def _send_steps(self, steps: Sequence[Step], observed: Observed) -> Sent:
        """Apply the steps. Raises KernelError."""
        apart = _is_apart(steps, observed)
        unguarded = [step.port.name for step in steps if isinstance(step, SetPolicy)]
        there = [found.ifindex for name in unguarded if (found := observed.link(name))]
        faulty = [a.port.name for a in steps if isinstance(a, Inject) and a.port.injected]
        try:
            ready = self._make_links(steps, observed)
            if not self._can_mark(steps, observed):
                kept = (MakeBus, MakeIfb, MakePair, DeleteLink)
                return Sent(tuple(each for each in steps if isinstance(each, kept)), again=True)
            self._learn_filtering(unguarded or faulty, observed)
        except KernelError:
            self._close(there, observed)  # nothing was filtered yet
            raise
        composed = requests.compose(steps, ready, observed)
        lost = self._send(composed, observed, apart=apart)
        for port, made in ready:
            now = observed.at(made.ifindex) or made
            observed.put(now._replace(up=True, alias=format_alias(port.owner)))
        requests.settle(composed, observed)
        if not composed.witnesses:
            return Sent(tuple(steps), lost)
        entries = {each.rule: each for each in gateway.entries(self._requests)}
        return Sent(tuple(steps), lost + requests.lost(composed, entries), again=True)

    def _send(self, composed: Composed, observed: Observed, *, apart: bool) -> int:
        """Send filters and rules; the frames that were lost by the filters. Raises KernelError."""
        if not apart:
            if both := composed.first + composed.then:
                self._requests.batch(both)
            return 0
        before = self._not_sent(composed.marked)
        try:
            self._requests.batch(composed.first)
        except KernelError:
            self._close(composed.guarded, observed)
            raise
        lost = self._not_sent(composed.marked) - before
        if composed.then:
            self._requests.batch(composed.then)
        self._catch_up()  # damaged filters were deleted; the announcement is older than these
        return lost

    def _close(self, indexes: Iterable[int], observed: Observed) -> None:
        """Keep all frames from and to containers whose policy was refused. Raises KernelError."""
        rules: list[Rule] = []
        for index in indexes:
            for other in observed.destinations(index):
                rules += observed.rules(index, other)
            for other in observed.sources(index):
                rules += observed.rules(other, index)
        if rules:
            self._requests.batch([gateway.delete(rule, "a closed container") for rule in rules])

    def _learn_filtering(self, ends: Iterable[str], observed: Observed) -> None:
        """Learn what the kernel has for policies when one is set first. Raises KernelError.

        `ends` are the names of the host ends for which one is to be set.
        """
        there = next(filter(None, map(observed.link, ends)), None)
        if there and observed.filtering is None:
            end = traffic_control.Port(there.ifindex, there.name)
            found = firewall.probe(self._requests, end)
            if not found.match:
                raise firewall.refused(end, found)
            observed.filtering = found

    def _not_sent(self, indexes: Iterable[int]) -> int:
        """The frames for these interfaces that never got into them. Raises KernelError."""
        return sum(map(link.not_sent, self._requests.batch(list(map(link.get_counters, indexes)))))

    def _can_mark(self, steps: Iterable[Step], observed: Observed) -> bool:
        """Whether the kernel has what a linear bus needs; if not, a new hub goes again.

        It is tried once, on the entry of a hub. Raises KernelError.
        """
        made = [step.hub.entry.name for step in steps if isinstance(step, MakeHub)]
        # By its name, as a hub of which the making was cut off has no alias yet.
        marked = [step.port.owner for step in steps if isinstance(step, AddMarks)]
        buses = [owner.bus for owner in marked if isinstance(owner, EndpointOwner)]
        needed = [*made, *(hub_end(self._driver, bus, "in") for bus in buses)]
        hub = next(filter(None, map(observed.link, needed)), None)
        if observed.ability is None and hub:
            end = traffic_control.Port(hub.ifindex, hub.name)
            observed.ability = traffic_control.probe(self._requests, end)
        if observed.linear or not needed:
            return True
        self._requests.batch(
            [link.delete(each.ifindex, name) for name in made if (each := observed.link(name))]
        )
        self.invalidate()  # a recovery has to follow: other hubs are of no use, either
        return False

    def _make_links(self, steps: Sequence[Step], observed: Observed) -> list[tuple[Port, Link]]:
        """Delete, make and configure links; the new ones, which still need to be brought up."""
        group = group_of(self._driver)
        batch = requests.unmarked(steps)
        names: list[str] = []  # of the links to be read afterwards
        for step in steps:
            if not isinstance(step, AddMarks | SetPolicy | Inject | Redirect | RuleStep):
                of_link, touched = requests.of_link(step, group)
                batch += of_link
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
            if isinstance(step, MakeBus | MakeIfb | MakePair)
        ]
        # The end that is brought up last is ready at once, the other one a moment later: frames go
        # into the entry.
        hubs = [step.hub for step in steps if isinstance(step, MakeHub)]
        made += [(port, observed.link(port.name)) for hub in hubs for port in (hub.exit, hub.entry)]
        return ready + [(port, new) for port, new in made if new is not None]


def _is_apart(steps: Iterable[Step], observed: Observed) -> bool:
    """Whether filters must be there before a rule is sent.

    Refused on a link that was there before, they keep its rules from being made. A policy and
    faults do in any case.
    """
    guarded = any(isinstance(step, SetPolicy | Inject) for step in steps)
    marking = (step.port.name for step in steps if isinstance(step, AddMarks))
    return guarded or any(map(observed.link, marking))


def _as_planned(link: Link | None) -> Link | None:
    """The part of a link that a plan depends on: not the carrier, which each container changes."""
    return link and link._replace(carrier=True)
