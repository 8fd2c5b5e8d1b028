"""Random hosts for the planner, and what a plan's steps make of one, by the letter and strictly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from hypothesis import strategies as st

from canwharf.bus.interfaces import is_ours
from canwharf.bus.model import Bus, Endpoint, Hub, Network, Port, Settings, State
from canwharf.bus.naming import format_alias, group_of, owner_of
from canwharf.bus.observed import Observed
from canwharf.bus.plan import plan
from canwharf.bus.steps import (
    BY_HUB,
    DIRECT,
    DUPLICATE,
    UNMARKED,
    WITNESS,
    AddMarks,
    AddRule,
    BringUp,
    DeleteLink,
    DeleteRule,
    MakeBus,
    MakeHub,
    MakePair,
    Plan,
    ReplaceRule,
    Scope,
    Step,
)
from canwharf.kernel.gateway import FRAMES, Frames, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.traffic_control import (
    DAMAGED,
    MISSING,
    NOTHING,
    WHOLE,
    Ability,
    Marks,
)

DRIVER = "canwharf"
FORMS = ((True, False), (True, True), (False, True))  # echo, limited; the first is that of old
BOTH = Marks(WHOLE, WHOLE)
ABLE, UNABLE = Ability("matchall"), Ability("", ("cls_fw",))


@dataclass(frozen=True)
class Host:
    """Links and marks by index, and rules with repetitions: what a view is made from."""

    links: Mapping[int, Link]
    rules: Counter[Rule]
    marks: Mapping[int, Marks] = field(default_factory=dict)
    ability: Ability | None = None

    @cached_property
    def names(self) -> Observed:
        """What finds links by their names; not to be changed."""
        return self.view()

    def view(self) -> Observed:
        """What the planner is given."""
        observed = Observed(self.links.values(), self.rules.elements(), self.marks, DRIVER)
        observed.ability = self.ability
        return observed

    def named(self, name: str) -> Link | None:
        """The link that a plan has under this name: a renamed hub's end is found by its alias."""
        return self.names.link(name)

    def number(self, source: Link | None, destination: Link | None, frames: Frames) -> int:
        """How many rules of any form there are in a direction."""
        if source is None or destination is None:
            return 0
        ends = source.ifindex, destination.ifindex
        return sum(self.rules[Rule(*ends, frames, *form)] for form in FORMS)

    def hub(self, bus: Bus) -> tuple[Link, Link] | None:
        """The entry and the exit, if what is sent to one is received by the other."""
        assert bus.hub
        entry, leaving = (self.named(port.name) for port in bus.hub)
        whole = entry and leaving and entry.peer == leaving.ifindex and not entry.peer_away
        return (entry, leaving) if entry and leaving and whole else None

    def ways(self, bus: Bus, source: Link, destination: Link, frames: Frames) -> int:
        """How often a frame of one container arrives at another, or at the same one."""
        direct = self.number(source, destination, frames)
        marked = source is destination and self.marks.get(source.ifindex, NOTHING).whole
        if (hub := self.hub(bus)) is None or marked:
            return direct
        entry, leaving = hub
        sent, received = (
            self.number(source, entry, frames),
            self.number(leaving, destination, frames),
        )
        return direct + sent * received

    def after(self, steps: Sequence[Step]) -> Host:
        """The host when these steps were applied."""
        host = self
        for step in steps:
            host = host.applied(step)
        return host

    def applied(self, step: Step) -> Host:  # noqa: C901 - one case a step
        """The host when this step was applied."""
        links, rules, marks = dict(self.links), Counter(self.rules), dict(self.marks)
        index = max(99, *links) + 1  # none that a deleted link had
        match step:
            case DeleteLink(gone):
                for each in (gone.ifindex, gone.peer if not gone.peer_away else 0):
                    assert links.pop(each, gone) in (gone, self.links.get(gone.peer))
                    marks.pop(each, None)
                    for rule in [rule for rule in rules if each in rule[:2]]:
                        del rules[rule]
            case MakeBus(port) | MakePair(port):
                assert self.named(port.name) is None
                links[index] = Link(index, port.name, alias=format_alias(port.owner))
            case MakeHub(hub):
                assert not any(self.named(port.name) for port in hub)
                links |= pair(hub, index)
            case BringUp(port, found):
                assert links[found.ifindex] == found
                assert not (found.up and owner_of(found) == port.owner)
                links[found.ifindex] = found._replace(up=True, alias=format_alias(port.owner))
            case AddMarks(port, found, healing):
                end = self.named(port.name)
                assert end, (port.name, sorted(each.name for each in links.values()))
                assert self.marks.get(end.ifindex, NOTHING) == found != BOTH
                marks[end.ifindex] = BOTH
                assert not healing or self.ability is not UNABLE
            case AddRule(source, destination, frames, echo):
                ends = self.named(source), self.named(destination)
                assert ends[0]
                assert ends[1]
                rules[Rule(ends[0].ifindex, ends[1].ifindex, frames, echo)] += 1
            case ReplaceRule(rule, new):
                assert rules[rule] > 0
                assert rule == new._replace(echo=rule.echo, limited=rule.limited)
                rules[rule] -= 1
                rules[new] += 1
            case DeleteRule(rule, why=why):
                alike = sum(
                    rules[rule._replace(echo=echo, limited=limited)] for echo, limited in FORMS
                )
                assert rules[rule] > 0
                assert why in (DIRECT, BY_HUB, UNMARKED, WITNESS) or alike > 1, "the last one"
                assert why != DUPLICATE or alike > 1
                rules[rule] -= 1
        return replace(self, links=links, rules=rules, marks=marks)


def pair(hub: Hub, index: int, **changed: Any) -> dict[int, Link]:  # noqa: ANN401 - of a Link
    """A hub's two ends."""
    return {
        index + place: Link(
            index + place,
            port.name,
            alias=format_alias(port.owner),
            peer=index + 1 - place,
        )._replace(**changed)
        for place, port in enumerate(hub)
    }


def sent(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps in the order in which they are sent (`requests.compose`)."""
    about_rules = (AddRule, ReplaceRule, DeleteRule)
    others = [each for each in steps if not isinstance(each, (*about_rules, AddMarks))]
    yield from sorted(others, key=lambda step: isinstance(step, BringUp))
    behind = []
    for step in steps:
        if isinstance(step, AddMarks) or (isinstance(step, DeleteRule) and step.why == UNMARKED):
            yield step
        elif isinstance(step, about_rules):
            behind.append(step)
    yield from sorted(behind, key=lambda step: not isinstance(step, ReplaceRule))


class Case(NamedTuple):
    """A state, a host, and the endpoints that are joining."""

    state: State
    host: Host
    joining: dict[str, None]

    def __repr__(self) -> str:
        """What matters of it, as a failing test prints it."""
        host, names = self.host, {}
        for index, link in host.links.items():
            names[index] = f"{index} {link.name}{'' if link.up else ' down'}"
        rules = (
            f"{number} x {names[rule.source]} -> {names[rule.destination]}: {rule[2:]}"
            for rule, number in host.rules.items()
        )
        links = (
            f"{names[each]} {link.alias} {host.marks.get(each)}"
            for each, link in host.links.items()
        )
        return "\n".join([str(host.ability), f"joining: {[*self.joining]}", *links, *rules])

    def buses(self) -> list[Bus]:
        return [bus for name in self.state.interfaces() if (bus := self.state.bus(name))]

    def everything(self) -> set[str]:
        """The names of all ports, and of what is ours beside them."""
        links = [link for link in self.host.links.values() if is_ours(link, DRIVER)]
        ours = {self.host.names.names(link)[-1] for link in links}
        return ours.union(*(bus.names for bus in self.buses()))

    def plan(self, host: Host, targets: set[str] | None = None) -> Plan:
        wanted = self.everything() if targets is None else targets
        return plan(DRIVER, self.buses(), host.view(), Scope(wanted, self.joining))


@st.composite
def states(draw: st.DrawFn) -> State:
    """Several networks, some of them on one bus."""
    networks = {}
    for number in range(draw(st.integers(1, 3))):
        id = f"n{number}"
        endpoints = {f"e{number}{place}": Endpoint() for place in range(draw(st.integers(0, 3)))}
        interface = draw(st.sampled_from(["vcan0", "can0"]))
        networks[id] = Network(id, Settings(interface, "can"), endpoints)
    return State(DRIVER, networks)


# Of each port: missing, ours, or foreign (only a bus interface can be); and up; and its MTU.
fates = st.tuples(
    st.sampled_from(["missing", "ours", "foreign"]), st.booleans(), st.sampled_from([16, 72, 2060])
)
HUBS = ("whole", "missing", "down", "nameless", "renamed", "moved away", "torn")
states_of_marks = st.sampled_from([MISSING, DAMAGED, WHOLE, WHOLE])
marks = st.tuples(states_of_marks, states_of_marks, st.just(0)).map(lambda each: Marks(*each))
shapes = st.sampled_from(["none", "mesh", "hub", "both"])


def hub_links(hub: Hub, fate: str, index: int) -> dict[int, Link]:
    """What there is of a hub: "nameless" where the daemon died before it could set an alias."""
    ends = pair(hub, index)
    nameless = {"up": False, "alias": "", "group": group_of(DRIVER)}
    return {
        "whole": ends,
        "missing": {},
        "down": pair(hub, index, up=False),
        "nameless": pair(hub, index, **nameless),
        "renamed": {**ends, index: ends[index]._replace(name=f"mine{index}")},
        "moved away": {index: ends[index]._replace(peer_away=True)},
        "torn": pair(hub, index, peer=index + 70),
    }[fate]


@st.composite
def wired(draw: st.DrawFn, bus: Bus, links: dict[int, Link]) -> Counter[Rule]:
    """The rules of a bus of either shape, or halfway, of either form, some of them twice."""
    host = Host(links, Counter())
    there = [link for port in bus.endpoints if (link := host.named(port.name))]
    assert bus.hub
    ends = [host.named(port.name) for port in bus.hub]
    shape, form = draw(shapes), draw(st.sampled_from(FORMS))
    whole: list[tuple[Link, Link]] = []
    if shape in ("mesh", "both"):
        whole += [(one, other) for one in there for other in there if one is not other]
    if shape in ("hub", "both") and ends[0] and ends[1]:
        whole += [(one, ends[0]) for one in there] + [(ends[1], one) for one in there]
        form = (False, True)
    rules = Counter(
        Rule(one.ifindex, other.ifindex, frames, *form) for one, other in whole for frames in FRAMES
    )
    if not there:
        return rules
    sources, destinations = ([*there, *filter(None, [end])] for end in reversed(ends))
    directions = st.tuples(st.sampled_from(sources), st.sampled_from(destinations))
    for source, destination in draw(st.lists(directions, max_size=6)):
        if source is destination or not {source, destination}.intersection(there):
            continue
        frames = draw(st.sampled_from(FRAMES))
        rule = Rule(source.ifindex, destination.ifindex, frames, *draw(st.sampled_from(FORMS)))
        if draw(st.booleans()):
            rules[rule] += 1
        else:
            rules -= Counter({each: 1 for each in rules if each[:3] == rule[:3]})
    for source in draw(st.lists(st.sampled_from(there), max_size=2)) if ends[1] else ():
        rules[
            Rule(
                source.ifindex,
                ends[1].ifindex if ends[1] else 0,
                draw(st.sampled_from(FRAMES)),
                False,
            )
        ] += 1
    return rules


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Some ports missing, down, classic, or foreign; orphans; rules at random, also duplicates."""
    state = draw(states())
    links = {1: Link(1, "lo", can=False), 2: Link(2, "can7", mtu=16)}
    endpoints: list[str] = []
    found: dict[int, Marks] = {}
    buses = [bus for name in state.interfaces() if (bus := state.bus(name))]
    for bus in buses:
        for port in (bus.interface, *bus.endpoints):
            fate, up, mtu = draw(fates)
            foreign = fate == "foreign" and port is bus.interface
            if fate != "missing":
                alias, mtu = ("", mtu) if foreign else (format_alias(port.owner), 72)
                index = max(links) + 1
                links[index] = Link(index, port.name, up=up, mtu=mtu, alias=alias)
                if port is not bus.interface and (each := draw(marks)) != NOTHING:
                    found[index] = each
        assert bus.hub
        links |= hub_links(bus.hub, draw(st.sampled_from(HUBS)), max(links) + 1)
        endpoints += [port.name for port in bus.endpoints]
    drivers = draw(st.lists(st.sampled_from([DRIVER, "another"]), max_size=2))
    for number, driver in enumerate(drivers):
        alias, index = f"canwharf {driver} endpoint n9 x{number} vcan0 can", max(links) + 1
        links[index] = Link(index, f"orphan{index}", up=draw(st.booleans()), alias=alias)
    hubs = {link.ifindex for link in links.values() if " hub " in link.alias or link.group}
    indexes = st.sampled_from(sorted(links.keys() - hubs))
    frames, form = st.sampled_from(FRAMES), st.sampled_from(FORMS)
    pairs = st.tuples(indexes, indexes, frames, form).filter(lambda ends: ends[0] != ends[1])
    rules = Counter(
        Rule(one, other, frames, *form)
        for one, other, frames, form in draw(st.lists(pairs, max_size=15))
    )
    for bus in buses:
        rules += draw(wired(bus, links))
    joining = draw(st.sets(st.sampled_from(endpoints))) if endpoints else ()
    ability = draw(st.sampled_from([None, ABLE, UNABLE]))
    return Case(state, Host(links, rules, found, ability), dict.fromkeys(joining))


def members(host: Host, bus: Bus) -> dict[Port, Link]:
    """The endpoints' ports that are there."""
    return {port: link for port in bus.endpoints if (link := host.named(port.name))}
