"""The gateway rules of a bus: those that there should be, and the steps to them. Pure.

Theory of operation. Each container has two rules with the bus interface, one a direction. To each
other, containers are connected in one of two shapes: by the hub, a pair of ours with both ends on
the host (a linear bus: two more rules a container), or directly (a mesh: two for each two
containers), where the kernel lacks a module.

                         bus interface ── programs on the host, an adapter's wire
                            |      ^
                            v      |
        container ── can0 ══ host end ──> entry ══ exit ──> the host end of each container
                              mark                           drop: not with its own mark

What a container sends comes out of the hub for each container, so for itself, too, and ends there
at its own host end: by two filters (`kernel.traffic_control`), the marks.

Rules:

- In each direction there is exactly one rule for classic frames, and exactly one for FD frames if
  both ports can carry them. Missing rules are added, surplus rules deleted.
- Error frames have one more rule: on a virtual bus in all directions, on a physical one from the
  adapter to its containers. Never to an adapter: drivers take an error frame for a data frame, and
  would send it. Such a rule is surplus, and so is one between two containers of an adapter.
- A rule echoes towards the bus interface, where programs on the host listen, and nowhere else. A
  rule of an earlier version that differs is replaced in place.
- A container never receives its own frames: to be deaf is the lesser evil. The rule from the hub to
  a host end comes after its marks. Where these are damaged the rule goes first, and comes back
  behind them.
- Two containers are never connected by both shapes at once: a frame would arrive twice. A bus goes
  from one shape to the other so that a sender's old rules go before its new ones come. Between
  these, its frames to other containers are lost; a witness, one more rule from it to where
  nobody listens, counts them. The witness is deleted by the next plan.
- What a container may send and receive is set before it has a rule (`firewall`). Without that, it
  gets none.
- The faults of a container (`fault`) are those of its port; filters of others go.
- On a bus with an impairment, what a container sends goes through its ifb, behind all other
  filters.
- Each sender and receiver is for itself: where one cannot be repaired, the others are.
"""

from __future__ import annotations

from canwharf.bus import fault, policy
from canwharf.bus.model import CLOSED, Bus, Port
from canwharf.bus.naming import EndpointOwner, host_end, owner_of
from canwharf.bus.observed import Observed
from canwharf.bus.steps import (
    BY_HUB,
    DIRECT,
    DUPLICATE,
    UNMARKED,
    UNWANTED,
    WITNESS,
    AddMarks,
    AddRule,
    DeleteRule,
    Inject,
    Redirect,
    ReplaceRule,
    RuleStep,
    SetPolicy,
    Step,
)
from canwharf.kernel import injection
from canwharf.kernel.can import CanSettings
from canwharf.kernel.firewall import NO_FIREWALL, Firewall
from canwharf.kernel.gateway import CLASSIC, ERRORS, FD, FRAMES, Frames, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.traffic_control import NOTHING, Marks
from canwharf.kernel.uapi import CAN_CTRLMODE_FD
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


class Member(NamedTuple):
    """A port that exists, or will exist when the plan has been applied."""

    port: Port
    link: Link | None
    adapter: bool = False
    settings: CanSettings = CanSettings()  # that the plan applies to the adapter

    @property
    def fd(self) -> bool:
        """Whether it carries CAN FD frames."""
        if self.settings.mask & CAN_CTRLMODE_FD:
            return bool(self.settings.modes & CAN_CTRLMODE_FD)
        return self.link is None or self.link.fd


class HubEnds(NamedTuple):
    """The two ends of a bus's hub as members."""

    entry: Member
    exit: Member


class Wiring(NamedTuple):
    """The members of a bus.

    `interface` is None while an adapter is missing. `hub` is None where there is none; a bus that
    is not `linear` may still have one. `checked` are the endpoints whose rules are compared; of a
    mesh `others` are the remaining ones. `ifb` is that of a bus with an impairment, `delays` are
    those of faults: by host end, and by how long a frame waits (in microseconds).
    """

    bus: Bus
    linear: bool
    interface: Member | None
    hub: HubEnds | None
    checked: Sequence[Member]
    others: Sequence[Member] = ()
    ifb: Member | None = None
    delays: Mapping[str, Mapping[int, Member]] = {}

    def steps(self, observed: Observed) -> Iterator[Step]:
        """The steps after which the rules of the checked endpoints are as they should be.

        A surplus rule goes first: where it is one to the hub, and another rule from the hub was
        missing, each frame would arrive twice until the surplus one is gone.
        """
        return iter(sorted(self._steps(observed), key=_is_not_surplus))

    def _steps(self, observed: Observed) -> Iterator[Step]:
        unmarked = [each for each in self.checked if not _marks(each, observed).whole]
        for member in self.checked:
            if not is_guarded(member, observed):
                yield SetPolicy(_restrained(member.port), _firewall(member, observed))
        for member in self.checked:
            there = observed.injected(member.link.ifindex) if member.link else injection.NOTHING
            ifbs = {
                time: each.link.ifindex if each.link else 0
                for time, each in self.delays.get(member.port.name, {}).items()
            }
            if not fault.are_injected(member.port.injected, there, ifbs):
                yield Inject(member.port, there)
        hub = self.hub if self.linear else None
        deaf = [each for each in unmarked if hub and self._rules(hub.exit, each, observed)]
        if hub:
            for member in deaf:
                yield from self._delete(hub.exit, member, observed, UNMARKED)
        for member in unmarked if self.linear else ():
            yield AddMarks(member.port, _marks(member, observed), member in deaf)
        yield from self._redirects(observed)
        if self.interface:
            for member in self.checked:
                yield from self._direction(member, self.interface, observed)
                yield from self._direction(self.interface, member, observed)
        yield from self._linear(deaf, observed) if self.linear else self._mesh(observed)

    def _redirects(self, observed: Observed) -> Iterator[Redirect]:
        """Into the ifb where the bus has one."""
        for member in self.checked:
            there = observed.redirect(member.link.ifindex) if member.link else None
            if self.ifb is None:
                if there is not None:
                    yield Redirect(member.port, None)
            elif self.ifb.link is None or there != self.ifb.link.ifindex:
                yield Redirect(member.port, self.ifb.port)

    def _linear(self, deaf: Sequence[Member], observed: Observed) -> Iterator[Step]:
        """By the hub: all that a container receives comes before what it sends."""
        hub = self.hub
        if hub is None:
            return
        done: set[Rule] = set()
        for member in self.checked:
            existing = () if member in deaf else self._rules(hub.exit, member, observed)
            receiving = list(_compare(self.bus, hub.exit, member, existing, echo=False))
            if any(isinstance(step, AddRule) for step in receiving):
                for other in self._partners(member, observed, observed.sources):
                    if self._rules(other, hub.entry, observed):
                        yield from self._delete(other, member, observed, DIRECT, done)
            yield from receiving
        steps: list[Step] = []
        for member in self.checked:
            direct = [
                step
                for other in self._partners(member, observed, observed.destinations)
                for step in self._delete(member, other, observed, DIRECT, done)
            ]
            steps += self._changed(
                member, direct, self._direction(member, hub.entry, observed), observed
            )
        yield from sorted(steps, key=_of_all_senders)

    def _mesh(self, observed: Observed) -> Iterator[Step]:
        """Directly: what a container sent by the hub goes before the new rules come."""
        others = [each for each in self.others if is_guarded(each, observed)]
        hub, everyone = self.hub, (*self.checked, *others)
        for member in self.checked:
            old = list(self._delete(member, hub.entry, observed, BY_HUB)) if hub else []
            new = [
                step
                for other in everyone
                if other is not member
                for step in self._direction(member, other, observed)
            ]
            yield from self._changed(member, old, new, observed)
        for member in self.checked:
            if hub:
                yield from self._delete(hub.exit, member, observed, BY_HUB)
            for other in others:
                yield from self._direction(other, member, observed)

    def _changed(
        self, member: Member, old: list[DeleteRule], new: list[RuleStep], observed: Observed
    ) -> Iterator[Step]:
        """From one shape to the other: what counts the lost frames, the old rules, the new ones."""
        hub = self.hub
        added = {step.frames for step in new if isinstance(step, AddRule)}
        changing = {step.rule.frames for step in old} & added
        if hub:
            yield from self._delete(member, hub.exit, observed, WITNESS)
            for frames in FRAMES:
                if frames in changing:
                    ends = member.port.name, hub.exit.port.name
                    yield AddRule(*ends, frames, witness=True)
        yield from old
        yield from new

    def _partners(
        self, member: Member, observed: Observed, along: Callable[[int], Iterable[int]]
    ) -> Iterator[Member]:
        """The other containers of this bus to which this one has rules, or from which.

        A host end that is no endpoint's any more is deleted, and its rules with it.
        """
        for index in list(along(member.link.ifindex)) if member.link else ():
            link = observed.at(index)
            match link and owner_of(link):
                case EndpointOwner(driver, network, endpoint, bus) as owner if link and (
                    (driver, bus) == (observed.driver, self.bus.interface.name)
                ):
                    port = Port(host_end(network, endpoint), owner)
                    if port.name in self.bus.host_ends:
                        yield Member(port, link)

    def _direction(self, source: Member, destination: Member, observed: Observed) -> list[RuleStep]:
        """The steps after which each kind of frame has one rule of the right form."""
        echo = destination is self.interface
        existing = self._rules(source, destination, observed)
        return list(_compare(self.bus, source, destination, existing, echo=echo))

    def _delete(
        self,
        source: Member,
        destination: Member,
        observed: Observed,
        why: str,
        done: set[Rule] | None = None,
    ) -> Iterator[DeleteRule]:
        """Delete all rules in a direction that are not `done`."""
        rules = self._rules(source, destination, observed)
        for rule in sorted(rules, key=lambda rule: FRAMES.index(rule.frames)):
            if done is None or rule not in done:
                yield DeleteRule(rule, source.port.name, destination.port.name, why)
        if done is not None:
            done.update(rules)

    @staticmethod
    def _rules(source: Member, destination: Member, observed: Observed) -> tuple[Rule, ...]:
        if source.link is None or destination.link is None:
            return ()
        return observed.rules(source.link.ifindex, destination.link.ifindex)


def _of_all_senders(step: Step) -> tuple[int, int]:
    """A sort key: what counts lost frames, then the old rules, the newest first, then the new ones.

    The kernel searches for a rule to delete from the newest on. One sender after the other, the
    upgrade of a bus of 100 containers takes longer than the watchdog allows.
    """
    match step:
        case DeleteRule(rule, why=why) if why == DIRECT:
            return 1, -max(rule[:2])
        case AddRule(witness=True) | DeleteRule():
            return 0, 0
    return 2, 0


def _is_not_surplus(step: Step) -> bool:
    return not (isinstance(step, DeleteRule) and step.why in (DUPLICATE, UNWANTED))


def _marks(member: Member, observed: Observed) -> Marks:
    return observed.marks(member.link.ifindex) if member.link else NOTHING


def _firewall(member: Member, observed: Observed) -> Firewall:
    return observed.firewall(member.link.ifindex) if member.link else NO_FIREWALL


def is_guarded(member: Member, observed: Observed) -> bool:
    """Whether the host end lets pass what the container's policy says, and no other frame."""
    wanted, there = member.port.policy, _firewall(member, observed)
    return policy.is_whole(there) if wanted is None else policy.is_in_force(wanted, there)


def _restrained(port: Port) -> Port:
    """The same with a policy: of an unknown one filters are missing, and nothing may pass."""
    return port._replace(policy=CLOSED) if port.policy is None else port


def _compare(
    bus: Bus, source: Member, destination: Member, existing: Iterable[Rule], *, echo: bool
) -> Iterator[RuleStep]:
    """The steps from these rules to exactly one of the right form for each kind of frame."""
    names = (source.port.name, destination.port.name)
    for frames, wanted in _frames(bus, source, destination):
        rules = [rule for rule in existing if rule.frames == frames]
        rules.sort(key=lambda rule: not _is_current(rule, echo))
        if wanted and not rules:
            yield AddRule(*names, frames, echo)
        elif wanted and not _is_current(rules[0], echo):
            yield ReplaceRule(rules[0], rules[0]._replace(echo=echo, limited=True), *names)
        for surplus in rules[wanted:]:
            yield DeleteRule(surplus, *names, DUPLICATE if wanted else UNWANTED)


def _is_current(rule: Rule, echo: bool) -> bool:
    """Whether a rule has the form that this version makes, not that of an earlier one."""
    return rule.limited and rule.echo == echo


def _frames(bus: Bus, source: Member, destination: Member) -> Iterator[tuple[Frames, bool]]:
    """The frames whose rules are checked, and whether they should be forwarded."""
    yield CLASSIC, True
    if source.fd and destination.fd:
        yield FD, True
    yield ERRORS, (bus.adapter.errors if source.adapter else not bus.physical)
