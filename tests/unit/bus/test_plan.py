"""The planner against random hosts: whatever is there, the plan leads to exactly once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus.interfaces import is_ours
from canwharf.bus.model import Endpoint, Network, Port, Settings, State
from canwharf.bus.naming import format_alias
from canwharf.bus.plan import plan
from canwharf.bus.steps import (
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
)
from canwharf.errors import ConflictError
from canwharf.kernel.gateway import CLASSIC, FD, FRAMES, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.traffic_control import Ability
from tests.unit.bus.cases import (
    ABLE,
    DRIVER,
    FORMS,
    UNABLE,
    Case,
    Host,
    cases,
    members,
    sent,
)


def assert_exactly_once(case: Case, host: Host) -> None:
    """Each direction has one rule of the right form; containers have one way to each other."""
    for bus in case.buses():
        containers = list(members(host, bus).values())
        interface = host.named(bus.interface.name)
        assert interface
        linear = host.ability is not UNABLE
        directions = [
            *product([interface], containers),
            *product(containers, [interface]),
        ]
        if linear:
            hub = host.hub(bus)
            assert hub
            assert all(link.up for link in hub)
            directions += [*product(containers, [hub[0]]), *product([hub[1]], containers)]
            assert all(host.marks[link.ifindex].whole for link in containers)
        else:
            directions += permutations(containers, 2)
        for source, destination in directions:
            for frames in FRAMES:
                if frames == FD and not (source.fd and destination.fd):
                    continue
                for form in FORMS:
                    rule = Rule(source.ifindex, destination.ifindex, frames, *form)
                    wanted = (destination is interface, True)
                    assert host.rules[rule] == (form == wanted), rule
        for source, destination in product(containers, repeat=2):
            for frames in FRAMES:
                assert host.ways(bus, source, destination, frames) == (source is not destination)


@given(cases())
def test_a_plan_for_everything_leads_to_exactly_once(case: Case) -> None:
    """After any change of the host by hand, in both shapes: no frame is lost, none comes twice."""
    planned = case.plan(case.host)
    after = case.host.after([*sent(planned.steps)])
    assert_exactly_once(case, after)
    for bus in case.buses():
        assert after.named(bus.interface.name)
        for port in bus.endpoints:
            was_there = case.host.named(port.name) is not None
            there = after.named(port.name) is not None
            assert there == (was_there or port.name in case.joining)
            assert (port in planned.absent) == (not there)


@given(cases())
def test_on_the_way_no_frame_arrives_twice_and_none_comes_back(case: Case) -> None:
    """After each of the steps, in the order in which they are sent, and whatever was there before.

    The process may end there, and the next one looks at the host only then.
    """
    host = case.host
    before = every_way(case, host)
    for step in sent(case.plan(host).steps):
        host = host.applied(step)
        for direction, number in every_way(case, host).items():
            source, destination, _frames = direction
            most = max(int(source != destination), before.get(direction, 0))
            assert number <= most, (direction, step)


def every_way(case: Case, host: Host) -> dict[tuple[Port, Port, str], int]:
    """How often a frame of each container arrives at each one."""
    return {
        (one, other, frames): host.ways(bus, there[one], there[other], frames)
        for bus in case.buses()
        for there in [members(host, bus)]
        for one, other in product(there, repeat=2)
        for frames in FRAMES
    }


@given(cases())
def test_nothing_foreign_is_touched(case: Case) -> None:
    """No link without our alias, no rule between foreign links; unowned links of ours go."""
    after = case.host.after([*sent(case.plan(case.host).steps)])
    wanted = frozenset[str]().union(*(bus.names for bus in case.buses()))
    hubs = {port.name for bus in case.buses() for port in bus.hub or ()}
    for index, link in case.host.links.items():
        names = case.host.names.names(link)
        if not is_ours(link, DRIVER):
            assert after.links[index] == link
        elif not hubs.intersection(names):
            assert (index in after.links) == (link.name in wanted)
    foreign = {
        link.ifindex
        for link in case.host.links.values()
        if not wanted.intersection(case.host.names.names(link))
    }
    kept = foreign & after.links.keys()
    for rule, count in case.host.rules.items():
        if rule.source in kept or rule.destination in kept:
            alive = rule.source in after.links and rule.destination in after.links
            assert after.rules[rule] == (count if alive else 0)


@given(cases())
def test_what_is_ours_is_up_afterwards(case: Case) -> None:
    """Somebody's `ip link set down` does not outlive a repair."""
    after = case.host.after([*sent(case.plan(case.host).steps)])
    assert all(
        link.up
        for link in after.links.values()
        if is_ours(link, DRIVER) and not (after.ability is UNABLE and link.peer)
    )


@given(cases())
def test_a_second_plan_has_nothing_to_do(case: Case) -> None:
    """But to delete what counted frames; or the daemon would never come to rest."""
    after = case.host.after([*sent(case.plan(case.host).steps)])
    second = case.plan(after).steps
    assert all(isinstance(step, DeleteRule) and step.why == WITNESS for step in second)
    last = after.after(second)
    assert case.plan(last).steps == ()
    for bus in case.buses():
        hub = last.hub(bus)
        leaving = hub and hub[1]
        for frames, link in product(FRAMES, members(last, bus).values()):
            assert last.number(link, leaving, frames) == 0


@given(cases(), st.booleans())
def test_a_bus_goes_from_each_shape_to_the_other(case: Case, linear: bool) -> None:
    """When a module goes or comes: each frame once, and then all is quiet."""
    first = replace(case.host, ability=ABLE if linear else UNABLE)
    first = first.after([*sent(case.plan(first).steps)])
    first = first.after([*sent(case.plan(first).steps)])
    assert_exactly_once(case, first)
    other = replace(first, ability=UNABLE if linear else ABLE)
    changed = other.after([*sent(case.plan(other).steps)])
    assert_exactly_once(case, changed)
    assert_exactly_once(case, changed.after([*sent(case.plan(changed).steps)]))


@given(cases(), st.data())
def test_a_join_touches_only_what_begins_or_ends_at_it(case: Case, data: st.DataObject) -> None:
    """It costs what its own endpoint costs, however large the bus and whatever else is wrong."""
    endpoints = [port for bus in case.buses() for port in bus.endpoints]
    if not endpoints:
        return
    joining = data.draw(st.sampled_from(endpoints)).name
    (bus,) = [bus for bus in case.buses() if joining in {port.name for port in bus.endpoints}]
    planned = plan(DRIVER, [bus], case.host.view(), Scope({joining}, {joining: None}))
    after = case.host.after([*sent(planned.steps)])
    made = {step.port.name for step in planned.steps if isinstance(step, MakeBus | MakePair)}
    hub = any(isinstance(step, MakeHub) for step in planned.steps)
    whole = bus.interface.name in made or hub
    for step in planned.steps:
        match step:
            case AddRule() | ReplaceRule() | DeleteRule():
                assert whole or joining in (step.source, step.destination)
            case AddMarks(port):
                assert whole or port.name == joining
            case BringUp(_, link):
                assert link.name == joining
            case DeleteLink(link):
                assert hub, "but for what is left of a hub"
                assert set(case.host.names.names(link)) & {port.name for port in bus.hub or ()}
    assert made <= {joining, bus.interface.name}
    again = plan(DRIVER, [bus], after.view(), Scope({joining}, {joining: None})).steps
    assert all(isinstance(step, DeleteRule) and step.why == WITNESS for step in again)
    own = after.named(joining)
    assert own
    interface = after.named(bus.interface.name)
    assert interface
    for source, destination in ((own, interface), (interface, own)):
        rule = Rule(source.ifindex, destination.ifindex, CLASSIC, echo=destination is interface)
        assert after.rules[rule] == 1
    for frames in FRAMES:
        assert after.ways(bus, own, own, frames) == 0


@pytest.mark.parametrize("ability", [None, ABLE, UNABLE])
@pytest.mark.parametrize("end", [0, 1])
def test_a_foreign_interface_with_the_name_of_a_hubs_end(ability: Ability, end: int) -> None:
    """It is never deleted: the bus waits for the name, and says which. A mesh does without."""
    network = Network("n1", Settings("vcan0", "can"), {"e1": Endpoint(), "e2": Endpoint()})
    case = Case(State(DRIVER, {"n1": network}), Host({}, Counter()), {})
    [bus] = case.buses()
    assert bus.hub
    names = [*(port.name for port in bus.endpoints), bus.hub[end].name]
    links = {index: Link(index, name) for index, name in enumerate(names, 1)}
    links |= {
        index: links[index]._replace(alias=format_alias(port.owner))
        for index, port in enumerate(bus.endpoints, 1)
    }
    host = Host(links, Counter(), ability=ability)
    if ability is UNABLE:
        after = host.after([*sent(case.plan(host).steps)])
        assert_exactly_once(case, after)
        assert after.links[3] == links[3]
        return
    with pytest.raises(ConflictError, match=f"the interface pair {names[2]}: the host has an"):
        case.plan(host)


def test_an_empty_focus_does_nothing() -> None:
    """Even where everything is missing, but for a bus interface."""
    case = Case(State(DRIVER, {}), Host({1: Link(1, "can0")}, Counter()), {})
    assert case.plan(case.host, set()) == Plan((), ())
