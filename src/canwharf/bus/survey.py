"""A bus as it is: who is on it, who hears whom, and how many frames went where. Pure.

Theory of operation. A gateway rule is a direction: from one port of a bus to another, for classic,
FD or error frames, with the kernel's own counters. All that a picture of a bus needs follows from
the state, the links, the rules, and what a recovery would change.

Rules:

- Who should hear whom is not decided here: a rule that a recovery would add is one that is missing.
- A rule that is not of our form, or does not stay on one bus, is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from canwharf.bus import adapters
from canwharf.bus.model import Bus, Network, State
from canwharf.bus.plan import AddRule, DeleteRule, ReplaceRule, Step, adapter_of, is_ours
from canwharf.bus.traffic import Count, Traffic
from canwharf.bus.view import View
from canwharf.bus.words import kind_of
from canwharf.kernel.gateway import Entry
from canwharf.kernel.link import VIRTUAL, Link


class Kernel(NamedTuple):
    """What is: links, gateway rules, and the container's ends by the index of their host end.

    `max_hops` is how often can-gw forwards a frame whose rules do not say otherwise.
    """

    links: Sequence[Link] = ()
    entries: Sequence[Entry] = ()
    inside: Mapping[int, Link] = {}
    max_hops: int = 1


class Member(NamedTuple):
    """Who is on a bus: the host (with all that is on an adapter's wire), or an endpoint.

    `link` is its host-side interface, `inside` the container's, where they are there and known.
    """

    interface: str
    link: Link | None
    network: str = ""
    endpoint: str = ""
    inside: Link | None = None
    frames: Count = Count()


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
    """A member that should hear another and does not, or hears it more than once (`surplus`)."""

    source: str
    destination: str
    kind: str
    surplus: bool


class Foreign(NamedTuple):
    """Somebody else's rule from or to a port; `within` says that both its ends are on the bus."""

    source: str
    destination: str
    within: bool
    entry: Entry


class Picture(NamedTuple):
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
        """Whether all that are there hear each other exactly once."""
        return not self.gaps


def survey(state: State, kernel: Kernel, steps: Iterable[Step]) -> list[Picture]:
    """A picture of each bus; `steps` are those of a recovery."""
    view = View(kernel.links)
    steps = list(steps)
    buses = [bus for interface in state.interfaces() if (bus := state.bus(interface))]
    return [_picture(state, bus, view, kernel, steps) for bus in buses]


def _picture(state: State, bus: Bus, view: View, kernel: Kernel, steps: Iterable[Step]) -> Picture:
    interface = bus.interface.name
    networks = tuple(
        each for each in state.networks.values() if each.settings.interface == interface
    )
    ports = {port.name for port in bus.ports}
    names = {link.ifindex: link.name for link in kernel.links}
    rules, others = _sorted(kernel.entries, names, ports)
    link = adapter_of(bus, view) if bus.physical else view.link(interface)
    problem = adapters.complaint(bus, link, view.link(interface))
    traffic = Traffic()
    traffic.look(rules)
    places = [
        (each.id, endpoint, interface if bus.adapter.moved else state.port(each, endpoint).name)
        for each in networks
        for endpoint in each.endpoints
    ]
    return Picture(
        interface,
        link,
        bus.physical,
        link is not None and is_ours(link, state.driver),
        bus.adapter.moved,
        networks,
        tuple(_members(bus, places, view, kernel.inside, traffic.counts)),
        _directions(rules, names),
        tuple(_gaps(steps, ports, kernel.max_hops)),
        others,
        _words(problem.what, problem.fields) if problem else "",
    )


def _words(what: str, fields: Mapping[str, str]) -> str:
    difference = fields.get("difference", "")
    return f"{what}: {difference}" if difference else what


def _sorted(
    entries: Iterable[Entry], names: Mapping[int, str], ports: set[str]
) -> tuple[list[Entry], tuple[Foreign, ...]]:
    """The rules of this bus, and those of others that touch it."""
    ours: list[Entry] = []
    others: list[Foreign] = []
    for entry in entries:
        source = names.get(entry.rule.source, "")
        destination = names.get(entry.rule.destination, "")
        within = {source, destination} <= ports
        if within and entry.plain:
            ours.append(entry)
        elif source in ports or destination in ports:
            others.append(Foreign(source, destination, within, entry))
    return ours, tuple(others)


def _directions(rules: Iterable[Entry], names: Mapping[int, str]) -> tuple[Direction, ...]:
    found: dict[tuple[str, str], Direction] = {}
    for entry in rules:
        ends = names[entry.rule.source], names[entry.rule.destination]
        old = found.get(ends, Direction(*ends, {}, 0, 0))
        kind = kind_of(entry.rule.fd, entry.rule.errors)
        found[ends] = old._replace(
            kinds={**old.kinds, kind: old.kinds.get(kind, 0) + 1},
            handled=old.handled + entry.handled,
            dropped=old.dropped + entry.dropped,
        )
    return tuple(found.values())


def _members(
    bus: Bus,
    places: Iterable[tuple[str, str, str]],
    view: View,
    inside: Mapping[int, Link],
    counts: Mapping[int, Count],
) -> Iterable[Member]:
    """The host and the endpoints, which are told by network, id and host-side interface."""
    name = bus.interface.name
    if not bus.adapter.moved:
        link = view.link(name)
        frames = counts.get(link.ifindex if link else 0, Count())
        yield Member(name, link, frames=frames)
    for network, endpoint, port in places:
        link = view.link(port)
        end = inside.get(link.ifindex) if link else None
        frames = counts.get(link.ifindex if link else 0, Count())
        yield Member(port, link, network, endpoint, end, frames)


def multiplies(step: Step, max_hops: int) -> bool:
    """Whether this step puts an end to frames that arrive more than once."""
    match step:
        case DeleteRule():
            return True
        case ReplaceRule(rule):  # what it forwards is forwarded again, and back
            return max_hops > 1 and not rule.limited
    return False


def _gaps(steps: Iterable[Step], ports: set[str], max_hops: int) -> Iterable[Gap]:
    for step in steps:
        match step:
            case AddRule(source, destination, fd, errors) if source in ports:
                yield Gap(source, destination, kind_of(fd, errors), surplus=False)
            case ReplaceRule(rule) | DeleteRule(rule) if step.source in ports:
                if multiplies(step, max_hops):
                    kind = kind_of(rule.fd, rule.errors)
                    yield Gap(step.source, step.destination, kind, surplus=True)


def is_virtual(link: Link) -> bool:
    """Whether there is no hardware behind it."""
    return link.kind in VIRTUAL
