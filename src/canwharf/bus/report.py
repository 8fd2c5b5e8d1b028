"""The condition of a bus: its members, its directions, and its delivery errors. Pure.

Theory of operation. A gateway rule is a direction: from one port of a bus to another, for classic,
FD or error frames, with the kernel's counters. The host end of a pair shows whether frames reach
the container: it has a carrier while both ends are up, in any namespace. So no container is
entered. The status, the doctor and the metrics take all that they say of a bus from here.

Rules:

- The hub of a linear bus is in the directions under the names of its two ends, and is no member.
- A container that the engine lists on a network belongs to the bus, even if our state lacks it. An
  endpoint of ours that the engine does not list any more is orphaned: it causes no delivery error.
- A rule that is not of our form, or that leaves the bus, is foreign. A foreign rule within a bus
  duplicates the frames that it forwards, as our rules are there beside it.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from canwharf.bus import adapter, delivery, naming
from canwharf.bus.delivery import (
    BUS_OFF,
    DOWN,
    DUPLICATE_RULE,
    MISSING,
    NO_CARRIER,
    NOT_IN_CONTAINER,
    WRONG_NAMESPACE,
    DeliveryError,
    Member,
)
from canwharf.bus.events import Event
from canwharf.bus.interfaces import is_host_end, is_ours
from canwharf.bus.model import UNKNOWN, Bus, Endpoint, Network, State
from canwharf.bus.naming import NO_SPAN, EndpointOwner, Span
from canwharf.bus.observed import Observed
from canwharf.bus.reconcile import Snapshot
from canwharf.bus.traffic import Count, Traffic
from canwharf.kernel.firewall import NO_FIREWALL
from canwharf.kernel.gateway import Entry
from canwharf.kernel.impairment import NOTHING, PERFECT, Found, Impairment
from canwharf.kernel.link import VIRTUAL, Link
from canwharf.kernel.traffic_control import Ability
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import TypeAlias

# Network -> its endpoints, as the engine lists them.
Listed: TypeAlias = "Mapping[str, Collection[str]]"
NONE_LISTED: Listed = {}
NAMELESS = "; Docker does not answer, so its names of networks are not known"


class Names(NamedTuple):
    """An engine's names of its networks and containers, for output only.

    The names of `networks` are by their id, those of `containers` by the id of their endpoint.
    `members` are the endpoints on each network that the engine lists, `ids` the containers' ids by
    endpoint.
    """

    networks: Mapping[str, str]
    containers: Mapping[str, str]
    members: Mapping[str, Collection[str]] = {}
    ids: Mapping[str, str] = {}


class Kernel(NamedTuple):
    """What the kernel has: a dump, and the container ends by their host end's index.

    `max_hops` is the number of times that can-gw forwards a frame whose rules set no limit.
    `elsewhere` are the host ends whose peer is known not to be in its container. `ability` is what
    it has for a linear bus, if that is known.
    """

    dump: Snapshot = Snapshot()
    container_links: Mapping[int, Link] = {}
    max_hops: int = 1
    elsewhere: Collection[int] = ()
    ability: Ability | None = None


class Direction(NamedTuple):
    """From one port to another: `kinds` are the frames that pass, and the number of their rules.

    The counters are the sums over these rules.
    """

    source: str
    destination: str
    kinds: Mapping[str, int]
    handled: int
    dropped: int


class ForeignRule(NamedTuple):
    """A rule that is not ours, from or to a port; `within_bus`: both its ends are on the bus."""

    source: str
    destination: str
    within_bus: bool
    entry: Entry


class BusReport(NamedTuple):
    """One bus. The host is the first of the members; names are those of host-side interfaces.

    `physical` says that it is an adapter, `owned` that we made its interface; `warning` is what an
    operator should know of the adapter. `hub` are the names of its hub's two ends, entry and exit,
    if it has one. `linear` says that its containers are, or should be, connected by that; if not,
    `lacking` are the modules that are missing, if they are known. `impairment` is what it does to
    frames on purpose, `impaired` what the kernel has of that, with its counts. `span` is what makes
    it one with buses of other hosts.
    """

    interface: str
    link: Link | None
    physical: bool
    owned: bool
    moved: bool
    networks: tuple[Network, ...]
    members: tuple[Member, ...]
    directions: tuple[Direction, ...]
    delivery_errors: tuple[DeliveryError, ...]
    foreign_rules: tuple[ForeignRule, ...]
    hub: tuple[str, ...] = ()
    linear: bool = True
    lacking: tuple[str, ...] = ()
    warning: str = ""
    impairment: Impairment = PERFECT
    impaired: Found = NOTHING
    span: Span = NO_SPAN

    @property
    def healthy(self) -> bool:
        """Whether each member receives the frames of all others, once."""
        return not self.delivery_errors and not any(each.reason for each in self.members)


def bus_reports(state: State, kernel: Kernel, listed: Listed = NONE_LISTED) -> list[BusReport]:
    """One report for each bus. `listed` lacks the networks of which the engine said nothing."""
    rules = (entry.rule for entry in kernel.dump.entries if entry.plain)
    dump = kernel.dump
    filters = dump.marks, state.driver, dump.firewalls
    observed = Observed(dump.links, rules, *filters, injected=dump.injected, impaired=dump.impaired)
    observed.ability = kernel.ability
    observed.seen_up.update(link.ifindex for link in kernel.dump.links)  # a down link was set down
    buses = [bus for interface in state.interfaces() if (bus := state.bus(interface))]
    return [_report(state, bus, observed, kernel, listed) for bus in buses]


def _report(
    state: State, bus: Bus, observed: Observed, kernel: Kernel, listed: Listed
) -> BusReport:
    interface = bus.interface.name
    networks = tuple(
        each for each in state.networks.values() if each.settings.interface == interface
    )
    link = adapter.link_of(bus, observed) if bus.physical else observed.link(interface)
    if link and is_host_end(link):  # it has only the name of the bus interface
        link = None
    warning = adapter.complaint(bus, observed)
    members = [] if bus.adapter.moved else [_host(interface, link)]
    for network in networks:
        members += _endpoints(state, network, observed, kernel, listed.get(network.id))
    hub_ends = [observed.link(port.name) for port in bus.hub or ()]
    ifb = observed.link(bus.ifb.name) if bus.ifb else None
    ends = {each.link.ifindex: each.interface for each in members if each.link}
    ends |= {each.ifindex: each.name for each in hub_ends if each}
    rules, foreign_rules = _sorted(
        kernel.dump.entries, ends, {each.ifindex: each.name for each in observed.links()}
    )
    traffic = Traffic()
    traffic.update(rules, kernel.dump.marks, kernel.dump.firewalls)
    counts = traffic.counts
    errors = delivery.errors(bus, observed, members, kernel.max_hops)
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
        (*errors, *_duplicated(members, foreign_rules)),
        foreign_rules,
        tuple(each.name for each in hub_ends if each) if all(hub_ends) else (),
        observed.linear and bus.hub is not None,
        kernel.ability.missing if kernel.ability and bus.hub else (),
        _sentence(warning) if warning else "",
        bus.impairment,
        observed.qdiscs(ifb.ifindex) if ifb else NOTHING,
        bus.span,
    )


def _sentence(warning: Event) -> str:
    difference = warning.fields.get("difference", "")
    sentence = warning.type.sentence
    return f"{sentence}: {difference}" if difference else sentence


def _host(interface: str, link: Link | None) -> Member:
    reason = ""
    if link is None or not link.can:
        link, reason = None, MISSING
    elif not link.up:
        reason = DOWN
    elif link.controller and link.controller.state_name == "BUS-OFF":
        reason = BUS_OFF
    elif not link.carrier:
        reason = NO_CARRIER
    return Member(interface, link, reason=reason)


def _endpoints(
    state: State,
    network: Network,
    observed: Observed,
    kernel: Kernel,
    listed: Collection[str] | None,
) -> Iterator[Member]:
    """The endpoints of a network: those of our state, and those that only the engine lists."""
    more = [each for each in listed or () if naming.is_id(each) and each not in network.endpoints]
    extended = network._replace(endpoints={**network.endpoints, **dict.fromkeys(more, Endpoint())})
    for endpoint in extended.endpoints:
        orphaned = listed is not None and endpoint not in listed
        if network.settings.adapter.moved:
            link = observed.link(network.settings.interface)
            reason = NOT_IN_CONTAINER if link and not orphaned else ""
            name = network.settings.interface
            yield Member(name, link, network.id, endpoint, reason=reason, orphaned=orphaned)
            continue
        name = state.port(extended, endpoint).name
        link = observed.link(name)
        if link and not _is_of(link, state.driver, network.id, endpoint):
            link = None
        reason = "" if orphaned else _reason(link, kernel.elsewhere)
        end = kernel.container_links.get(link.ifindex) if link else None
        actual = link.name if link else name
        yield Member(
            actual,
            link,
            network.id,
            endpoint,
            end,
            reason=reason,
            orphaned=orphaned,
            policy=extended.policy_of(endpoint) or UNKNOWN,
            firewall=kernel.dump.firewalls.get(link.ifindex if link else 0, NO_FIREWALL),
            faults=extended.endpoints[endpoint].injected,
            injected=kernel.dump.injected.get(link.ifindex if link else 0, {}),
        )


def _is_of(link: Link, driver: str, network: str, endpoint: str) -> bool:
    """Whether it is the host end of this endpoint's pair; one without an alias yet may be."""
    owner = naming.owner_of(link)
    if owner is None:
        return is_ours(link, driver)
    return isinstance(owner, EndpointOwner) and owner.is_endpoint(driver, network, endpoint)


def _reason(link: Link | None, elsewhere: Collection[int]) -> str:
    """Why an endpoint with this host end is not connected; or empty."""
    if link is None:
        return MISSING
    if not link.peer_away:
        return NOT_IN_CONTAINER
    if link.ifindex in elsewhere:
        return WRONG_NAMESPACE
    return DOWN if not link.up else "" if link.carrier else NO_CARRIER


def _sorted(
    entries: Iterable[Entry], ends: Mapping[int, str], names: Mapping[int, str]
) -> tuple[list[Entry], tuple[ForeignRule, ...]]:
    """The rules of this bus, and the foreign rules from or to one of its ports."""
    rules: list[Entry] = []
    foreign_rules: list[ForeignRule] = []
    for entry in entries:
        indexes = {entry.rule.source, entry.rule.destination}
        within = indexes <= ends.keys()
        if within and entry.plain:
            rules.append(entry)
        elif indexes & ends.keys():
            source, destination = entry.rule.source, entry.rule.destination
            rule_ends = names.get(source, ""), names.get(destination, "")
            foreign_rules.append(ForeignRule(*rule_ends, within, entry))
    return rules, tuple(foreign_rules)


def _directions(rules: Iterable[Entry], names: Mapping[int, str]) -> tuple[Direction, ...]:
    between: dict[tuple[int, int], list[Entry]] = defaultdict(list)
    for entry in rules:
        between[entry.rule.source, entry.rule.destination].append(entry)
    return tuple(
        Direction(
            names[source],
            names[destination],
            Counter(each.rule.frames for each in entries),
            sum(each.handled for each in entries),
            sum(each.dropped for each in entries),
        )
        for (source, destination), entries in between.items()
    )


def _duplicated(
    members: Iterable[Member], foreign_rules: Iterable[ForeignRule]
) -> Iterator[DeliveryError]:
    """The directions in which a foreign rule duplicates frames."""
    names = {each.link.ifindex: each.interface for each in members if each.link and not each.reason}
    for rule in (each.entry.rule for each in foreign_rules if each.within_bus):
        if rule.source in names and rule.destination in names:
            ends = names[rule.source], names[rule.destination]
            yield DeliveryError(*ends, rule.frames, DUPLICATE_RULE)


def is_virtual(link: Link) -> bool:
    """Whether there is no hardware behind it."""
    return link.kind in VIRTUAL
