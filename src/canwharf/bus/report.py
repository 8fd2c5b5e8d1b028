"""A bus as it is: who is on it, who hears whom, and how many frames went where. Pure.

Theory of operation. A gateway rule is a direction: from one port of a bus to another, for classic,
FD or error frames, with the kernel's own counters. Whether frames get as far as into a container is
told by the host end of its pair: it has a carrier while both ends are up, wherever the other one
is, so no container is entered. All that is said of a bus, by whomever (status, doctor, figures),
follows from here.

Rules:

- Who should hear whom is not decided here: a rule that a plan would add is one that is missing.
- A member with a fault (FAULTS) neither hears anybody nor is heard, whatever the rules.
- A container that the engine knows on a network belongs to the bus, even if we know nothing of it;
  one of ours that the engine does not know any more is missed by nobody.
- A rule that is not of our form, or does not stay on one bus, is somebody else's. One within a bus
  doubles what it forwards, as our own rules are there beside it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from canwharf.bus import adapter, naming
from canwharf.bus.events import Event
from canwharf.bus.interfaces import is_ours
from canwharf.bus.model import Bus, Endpoint, Network, State
from canwharf.bus.naming import EndpointOwner
from canwharf.bus.observed import Observed
from canwharf.bus.plan import (
    UNWANTED,
    AddRule,
    DeleteRule,
    ReplaceRule,
    Scope,
    Step,
    plan,
)
from canwharf.bus.traffic import Count, Traffic
from canwharf.kernel.gateway import FD, Entry
from canwharf.kernel.link import VIRTUAL, Link

# Why a member is not connected; if several apply, the first.
MISSING = "missing"  # it has no interface, or the adapter is not there
NOT_IN_CONTAINER = "not-in-container"  # both ends of its pair are on the host
WRONG_NAMESPACE = "wrong-namespace"  # its interface is in another than its container's
DOWN = "down"  # its host-side interface is down
BUS_OFF = "bus-off"  # the adapter has given up
NO_CARRIER = "no-carrier"  # the container's end is down; the adapter has none
FAULTS = (MISSING, NOT_IN_CONTAINER, WRONG_NAMESPACE, DOWN, BUS_OFF, NO_CARRIER)
# Other reasons why frames from one member to another are lost or duplicated.
NO_RULE = "no-rule"  # a gateway rule is missing
DUPLICATE_RULE = "duplicate-rule"  # frames arrive more than once: a surplus rule, ours or foreign
NO_FD = "no-fd"  # the MTU of a host end was changed: it takes no CAN FD frames
REASONS = (*FAULTS, NO_RULE, DUPLICATE_RULE, NO_FD)

Known = Mapping[str, Collection[str]]  # what the engine tells: network -> endpoints
NOTHING_TOLD: Known = {}


class Names(NamedTuple):
    """What an engine calls its networks and containers, for people's eyes only.

    The names of `networks` are by their id, those of `containers` by the id of their endpoint.
    `members` are the endpoints on each network that the engine lists, `ids` the containers' ids by
    endpoint.
    """

    networks: Mapping[str, str]
    containers: Mapping[str, str]
    members: Mapping[str, Collection[str]] = {}
    ids: Mapping[str, str] = {}


class Kernel(NamedTuple):
    """What is: links, gateway rules, and the container's ends by the index of their host end.

    `max_hops` is how often can-gw forwards a frame whose rules do not say otherwise.
    `elsewhere` are the host ends whose other end is not in its container, where that was asked.
    """

    links: Sequence[Link] = ()
    entries: Sequence[Entry] = ()
    inside: Mapping[int, Link] = {}
    max_hops: int = 1
    elsewhere: Collection[int] = ()


class Member(NamedTuple):
    """Who is on a bus: the host (with all that is on an adapter's wire), or an endpoint.

    `link` is its host-side interface, `inside` the container's, where they are there and known.
    `fault` is one of FAULTS, or empty; `gone` says that the engine does not know it any more.
    """

    interface: str
    link: Link | None
    network: str = ""
    endpoint: str = ""
    inside: Link | None = None
    frames: Count = Count()
    fault: str = ""
    gone: bool = False


class Direction(NamedTuple):
    """From one port to another: `kinds` are the frames that get through, and their rules' number.

    The counters are of all of them.
    """

    source: str
    destination: str
    kinds: Mapping[str, int]
    handled: int
    dropped: int


class Gap(NamedTuple):
    """A member that should hear another and does not, or hears it more than once: see REASONS.

    `kind` are the frames; `all` of them where a member has a fault.
    """

    source: str
    destination: str
    kind: str
    reason: str


class Foreign(NamedTuple):
    """Somebody else's rule from or to a port; `within` says that both its ends are on the bus."""

    source: str
    destination: str
    within: bool
    entry: Entry


class BusReport(NamedTuple):
    """One bus. The host is the first of the members; names are those of host-side interfaces.

    `adapter` says that it is one, `ours` that we made its interface; `problem` is what an operator
    should know of the adapter.
    """

    interface: str
    link: Link | None
    adapter: bool
    ours: bool
    moved: bool
    networks: tuple[Network, ...]
    members: tuple[Member, ...]
    directions: tuple[Direction, ...]
    gaps: tuple[Gap, ...]
    others: tuple[Foreign, ...]
    problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether all members are connected exactly once."""
        return not self.gaps and not any(each.fault for each in self.members)


def bus_reports(state: State, kernel: Kernel, known: Known = NOTHING_TOLD) -> list[BusReport]:
    """A picture of each bus. Of a network that is not in `known` the engine has told nothing."""
    rules = (entry.rule for entry in kernel.entries if entry.plain)
    view = Observed(kernel.links, rules, driver=state.driver)
    view.seen_up.update(link.ifindex for link in kernel.links)  # who is down was taken down
    buses = [bus for interface in state.interfaces() if (bus := state.bus(interface))]
    return [_picture(state, bus, view, kernel, known) for bus in buses]


def _picture(state: State, bus: Bus, view: Observed, kernel: Kernel, known: Known) -> BusReport:
    interface = bus.interface.name
    networks = tuple(
        each for each in state.networks.values() if each.settings.interface == interface
    )
    link = adapter.link_of(bus, view) if bus.physical else view.link(interface)
    problem = adapter.complaint(bus, view)
    members = [] if bus.adapter.moved else [_host(interface, link)]
    for network in networks:
        members += _endpoints(state, network, view, kernel, known.get(network.id))
    ends = {each.link.ifindex: each.interface for each in members if each.link}
    rules, others = _sorted(
        kernel.entries, ends, {each.ifindex: each.name for each in view.links()}
    )
    traffic = Traffic()
    traffic.update(rules)
    counts = traffic.counts
    gaps = [*_gaps(state.driver, bus, view, members, kernel.max_hops), *_doubled(members, others)]
    return BusReport(
        interface,
        link,
        bus.physical,
        link is not None and is_ours(link, state.driver),
        bus.adapter.moved,
        networks,
        tuple(
            each._replace(frames=counts.get(each.link.ifindex, Count())) if each.link else each
            for each in members
        ),
        _directions(rules, ends),
        tuple(gaps),
        others,
        _words(problem) if problem else "",
    )


def _words(problem: Event) -> str:
    difference = problem.fields.get("difference", "")
    sentence = problem.type.sentence
    return f"{sentence}: {difference}" if difference else sentence


def _host(interface: str, link: Link | None) -> Member:
    fault = ""
    if link is None or not link.can:
        link, fault = None, MISSING
    elif not link.up:
        fault = DOWN
    elif link.controller and link.controller.state_name == "BUS-OFF":
        fault = BUS_OFF
    elif not link.carrier:
        fault = NO_CARRIER
    return Member(interface, link, fault=fault)


def _endpoints(
    state: State,
    network: Network,
    view: Observed,
    kernel: Kernel,
    known: Collection[str] | None,
) -> Iterator[Member]:
    """The endpoints of a network: those that we know, and those that the engine knows."""
    more = [each for each in known or () if naming.is_id(each) and each not in network.endpoints]
    whole = network._replace(endpoints={**network.endpoints, **dict.fromkeys(more, Endpoint())})
    for endpoint in whole.endpoints:
        gone = known is not None and endpoint not in known
        if network.settings.adapter.moved:
            link = view.link(network.settings.interface)
            fault = NOT_IN_CONTAINER if link and not gone else ""
            name = network.settings.interface
            yield Member(name, link, network.id, endpoint, fault=fault, gone=gone)
            continue
        name = state.port(whole, endpoint).name
        link = view.link(name)
        if link and not _is_of(link, state.driver, network.id, endpoint):
            link = None
        fault = "" if gone else _fault(link, kernel.elsewhere)
        end = kernel.inside.get(link.ifindex) if link else None
        told = link.name if link else name
        yield Member(told, link, network.id, endpoint, end, fault=fault, gone=gone)


def _is_of(link: Link, driver: str, network: str, endpoint: str) -> bool:
    """Whether it is the host end of this endpoint's pair; one without an alias yet may be."""
    owner = naming.owner_of(link)
    if owner is None:
        return is_ours(link, driver)
    return isinstance(owner, EndpointOwner) and owner.is_endpoint(driver, network, endpoint)


def _fault(link: Link | None, elsewhere: Collection[int]) -> str:
    """What is wrong with an endpoint of this host end."""
    if link is None:
        return MISSING
    if not link.peer_away:
        return NOT_IN_CONTAINER
    if link.ifindex in elsewhere:
        return WRONG_NAMESPACE
    return DOWN if not link.up else "" if link.carrier else NO_CARRIER


def _sorted(
    entries: Iterable[Entry], ends: Mapping[int, str], names: Mapping[int, str]
) -> tuple[list[Entry], tuple[Foreign, ...]]:
    """The rules of this bus, and those of others that touch it."""
    ours: list[Entry] = []
    others: list[Foreign] = []
    for entry in entries:
        indexes = {entry.rule.source, entry.rule.destination}
        within = indexes <= ends.keys()
        if within and entry.plain:
            ours.append(entry)
        elif indexes & ends.keys():
            source, destination = entry.rule.source, entry.rule.destination
            others.append(Foreign(names.get(source, ""), names.get(destination, ""), within, entry))
    return ours, tuple(others)


def _directions(rules: Iterable[Entry], names: Mapping[int, str]) -> tuple[Direction, ...]:
    between: dict[tuple[int, int], list[Entry]] = defaultdict(list)
    for entry in rules:
        between[entry.rule.source, entry.rule.destination].append(entry)
    return tuple(
        Direction(
            names[source],
            names[destination],
            Counter(each.rule.frames for each in found),
            sum(each.handled for each in found),
            sum(each.dropped for each in found),
        )
        for (source, destination), found in between.items()
    )


def _gaps(
    driver: str, bus: Bus, view: Observed, members: Sequence[Member], max_hops: int
) -> Iterator[Gap]:
    """Who does not hear whom, or more than once."""
    there = [each for each in members if not each.gone]
    for place, member in enumerate(there):
        for other in there[place + 1 :]:
            reason = member.fault or other.fault
            if reason:
                yield Gap(member.interface, other.interface, "all", reason)
                yield Gap(other.interface, member.interface, "all", reason)
            elif _lost_fd(member, other):
                yield Gap(member.interface, other.interface, FD, NO_FD)
                yield Gap(other.interface, member.interface, FD, NO_FD)
    # A port is planned for by the name that it was made with.
    called = {each.name: (view.link(each.name) or each).name for each in bus.ports}
    well = {each.interface for each in there if not each.fault}
    scope = Scope([each.name for each in bus.ports])
    for step in plan(driver, [bus], view, scope).steps:
        missing = isinstance(step, AddRule)
        surplus = isinstance(step, DeleteRule | ReplaceRule) and multiplies(step, max_hops)
        if isinstance(step, AddRule | DeleteRule | ReplaceRule) and (missing or surplus):
            ends = called.get(step.source), called.get(step.destination)
            if well.issuperset(ends):
                yield _rule_gap(step, str(ends[0]), str(ends[1]))


def _doubled(members: Iterable[Member], others: Iterable[Foreign]) -> Iterator[Gap]:
    """Who hears another once more by a rule of somebody else's."""
    well = {each.link.ifindex: each.interface for each in members if each.link and not each.fault}
    for rule in (each.entry.rule for each in others if each.within):
        if rule.source in well and rule.destination in well:
            yield Gap(well[rule.source], well[rule.destination], rule.frames, DUPLICATE_RULE)


def multiplies(step: Step, max_hops: int) -> bool:
    """Whether this step puts an end to frames that arrive more than once."""
    match step:
        case DeleteRule():
            return step.why != UNWANTED
        case ReplaceRule(rule):  # what it forwards is forwarded again, and back
            return max_hops > 1 and not rule.limited
    return False


def _rule_gap(step: AddRule | DeleteRule | ReplaceRule, source: str, destination: str) -> Gap:
    if isinstance(step, AddRule):
        return Gap(source, destination, step.frames, NO_RULE)
    return Gap(source, destination, step.rule.frames, DUPLICATE_RULE)


def _lost_fd(*members: Member) -> bool:
    """Whether CAN FD does not get through though it should: each pair is made for it."""
    fd = [each.link is not None and each.link.fd for each in members]
    return not all(fd) and all(has or each.endpoint for has, each in zip(fd, members, strict=True))


def is_virtual(link: Link) -> bool:
    """Whether there is no hardware behind it."""
    return link.kind in VIRTUAL
