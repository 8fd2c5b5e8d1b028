"""The planner against random hosts: whatever is there, the plan leads to exactly once."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus.interfaces import is_ours
from canwharf.bus.model import Bus, Endpoint, Network, Settings, State
from canwharf.bus.naming import format_alias, owner_of
from canwharf.bus.observed import Observed
from canwharf.bus.plan import (
    AddRule,
    BringUp,
    DeleteLink,
    DeleteRule,
    MakeBus,
    MakePair,
    Plan,
    ReplaceRule,
    Scope,
    Step,
    plan,
)
from canwharf.kernel.gateway import CLASSIC, FD, FRAMES, Rule
from canwharf.kernel.link import Link

DRIVER = "canwharf"
FORMS = ((True, False), (True, True), (False, True))  # echo, limited; the first is that of old


class Host(NamedTuple):
    """Links by index and rules with repetitions: what a view is made from."""

    links: dict[int, Link]
    rules: Counter[Rule]

    def view(self) -> Observed:
        return Observed(self.links.values(), self.rules.elements())

    def named(self, name: str) -> Link | None:
        return next((link for link in self.links.values() if link.name == name), None)

    def after(self, steps: tuple[Step, ...]) -> Host:
        """The host when these steps were applied, by the letter and strictly."""
        links, rules = dict(self.links), Counter(self.rules)
        host = Host(links, rules)
        for step in steps:
            match step:
                case DeleteLink(gone):
                    assert links.pop(gone.ifindex) == gone
                    for rule in [each for each in rules if gone.ifindex in each[:2]]:
                        del rules[rule]
                case MakeBus(port) | MakePair(port):
                    assert host.named(port.name) is None
                    index = max({*self.links, *links}) + 1
                    links[index] = Link(index, port.name, alias=format_alias(port.owner))
                case BringUp(port, found):
                    assert links[found.ifindex] == found
                    assert not (found.up and owner_of(found) == port.owner)
                    links[found.ifindex] = found._replace(up=True, alias=format_alias(port.owner))
                case AddRule(source, destination, frames, echo):
                    ends = host.named(source), host.named(destination)
                    assert ends[0] is not None
                    assert ends[1] is not None
                    rules[Rule(ends[0].ifindex, ends[1].ifindex, frames, echo)] += 1
                case ReplaceRule(rule, new):
                    assert rules[rule] > 0
                    assert rule == new._replace(echo=rule.echo, limited=rule.limited)
                    rules[rule] -= 1
                    rules[new] += 1
                case DeleteRule(rule):
                    alike = sum(
                        rules[rule._replace(echo=echo, limited=limited)] for echo, limited in FORMS
                    )
                    assert rules[rule] > 0
                    assert alike > 1, "the last one"
                    rules[rule] -= 1
        return host


class Case(NamedTuple):
    """A state, a host, and the endpoints that are joining."""

    state: State
    host: Host
    joining: dict[str, None]

    def buses(self) -> list[Bus]:
        return [bus for name in self.state.interfaces() if (bus := self.state.bus(name))]

    def everything(self) -> set[str]:
        ours = {link.name for link in self.host.links.values() if is_ours(link, DRIVER)}
        return ours | {p.name for bus in self.buses() for p in (bus.interface, *bus.endpoints)}

    def plan(self, host: Host, targets: set[str] | None = None) -> Plan:
        wanted = self.everything() if targets is None else targets
        return plan(DRIVER, self.buses(), host.view(), Scope(wanted, self.joining))


@st.composite
def states(draw: st.DrawFn) -> State:
    """Several networks, some of them on one bus."""
    networks = {}
    for number in range(draw(st.integers(1, 4))):
        id = f"n{number}"
        endpoints = {f"e{number}{place}": Endpoint() for place in range(draw(st.integers(0, 3)))}
        interface = draw(st.sampled_from(["vcan0", "can0", "vcan1"]))
        networks[id] = Network(id, Settings(interface, "can"), endpoints)
    return State(DRIVER, networks)


# Of each port: missing, ours, or foreign (only a bus interface can be); and up; and its MTU.
fates = st.tuples(
    st.sampled_from(["missing", "ours", "foreign"]), st.booleans(), st.sampled_from([16, 72, 2060])
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Some ports missing, down, classic, or foreign; orphans; rules at random, also duplicates."""
    state = draw(states())
    links = [Link(1, "lo", can=False), Link(2, "can7", mtu=16)]
    endpoints = []
    for bus in filter(None, map(state.bus, state.interfaces())):
        for port in (bus.interface, *bus.endpoints):
            fate, up, mtu = draw(fates)
            foreign = fate == "foreign" and port is bus.interface
            if fate != "missing":
                alias, mtu = ("", mtu) if foreign else (format_alias(port.owner), 72)
                links.append(Link(len(links) + 1, port.name, up=up, mtu=mtu, alias=alias))
        endpoints += [port.name for port in bus.endpoints]
    for driver in draw(st.lists(st.sampled_from([DRIVER, "another"]), max_size=3)):
        alias = f"canwharf {driver} endpoint n9 x vcan0 can"
        links.append(
            Link(len(links) + 1, f"orphan{len(links)}", up=draw(st.booleans()), alias=alias)
        )
    index = st.integers(1, len(links))
    frames, form = st.sampled_from(FRAMES), st.sampled_from(FORMS)
    pairs = st.tuples(index, index, frames, form).filter(lambda ends: ends[0] != ends[1])
    rules = Counter(
        Rule(one, other, frames, *form)
        for one, other, frames, form in draw(st.lists(pairs, max_size=30))
    )
    joining = draw(st.sets(st.sampled_from(endpoints))) if endpoints else ()
    host = Host({link.ifindex: link for link in links}, rules)
    return Case(state, host, dict.fromkeys(joining))


def assert_meshed(case: Case, host: Host) -> None:
    for bus in case.buses():
        members = [
            link for port in (bus.interface, *bus.endpoints) if (link := host.named(port.name))
        ]
        for source, destination in permutations(members, 2):
            echo = destination.name == bus.interface.name
            for frames in FRAMES:
                if frames == FD and not (source.fd and destination.fd):
                    continue
                for form in FORMS:
                    rule = Rule(source.ifindex, destination.ifindex, frames, *form)
                    assert host.rules[rule] == (form == (echo, True)), rule


@given(cases())
def test_a_plan_for_everything_leads_to_exactly_once(case: Case) -> None:
    """After any change of the host by hand: no frame is lost, none arrives twice."""
    planned = case.plan(case.host)
    after = case.host.after(planned.steps)
    assert_meshed(case, after)
    there = {link.name for link in after.links.values()}
    for bus in case.buses():
        assert bus.interface.name in there
        for port in bus.endpoints:
            was_there = case.host.named(port.name) is not None
            assert (port.name in there) == (was_there or port.name in case.joining)
            assert (port in planned.absent) == (port.name not in there)


@given(cases())
def test_nothing_foreign_is_touched(case: Case) -> None:
    """No link without our alias, no rule between foreign links; unowned links of ours go."""
    after = case.host.after(case.plan(case.host).steps)
    wanted = {port.name for bus in case.buses() for port in (bus.interface, *bus.endpoints)}
    for index, link in case.host.links.items():
        if not is_ours(link, DRIVER):
            assert after.links[index] == link
        else:
            assert (index in after.links) == (link.name in wanted)
    foreign = {link.ifindex for link in case.host.links.values() if link.name not in wanted}
    kept = foreign & after.links.keys()
    for rule, count in case.host.rules.items():
        if rule.source in kept or rule.destination in kept:
            alive = rule.source in after.links and rule.destination in after.links
            assert after.rules[rule] == (count if alive else 0)


@given(cases())
def test_what_is_ours_is_up_afterwards(case: Case) -> None:
    """Somebody's `ip link set down` does not outlive a repair."""
    after = case.host.after(case.plan(case.host).steps)
    assert all(link.up for link in after.links.values() if is_ours(link, DRIVER))


@given(cases())
def test_a_second_plan_has_nothing_to_do(case: Case) -> None:
    """Or the daemon would never come to rest."""
    after = case.host.after(case.plan(case.host).steps)
    assert case.plan(after).steps == ()


@given(cases(), st.data())
def test_a_join_touches_only_what_begins_or_ends_at_it(case: Case, data: st.DataObject) -> None:
    """It costs what its own endpoint costs, however large the bus and whatever else is wrong."""
    endpoints = [port for bus in case.buses() for port in bus.endpoints]
    if not endpoints:
        return
    joining = data.draw(st.sampled_from(endpoints)).name
    (bus,) = [bus for bus in case.buses() if joining in {port.name for port in bus.endpoints}]
    planned = plan(DRIVER, [bus], case.host.view(), Scope({joining}, {joining: None}))
    after = case.host.after(planned.steps)
    made = {step.port.name for step in planned.steps if isinstance(step, MakeBus | MakePair)}
    whole = bus.interface.name in made
    for step in planned.steps:
        match step:
            case AddRule() | ReplaceRule() | DeleteRule():
                assert whole or joining in (step.source, step.destination)
            case BringUp(_, link):
                assert link.name == joining
            case _:
                assert not isinstance(step, DeleteLink)
    assert made <= {joining, bus.interface.name}
    assert plan(DRIVER, [bus], after.view(), Scope({joining}, {joining: None})).steps == ()
    own = after.named(joining)
    assert own is not None
    for port in (bus.interface, *bus.endpoints):
        other = after.named(port.name)
        if other is not None and other is not own:
            for source, destination in ((own, other), (other, own)):
                echo = destination.name == bus.interface.name
                rule = Rule(source.ifindex, destination.ifindex, CLASSIC, echo=echo)
                assert after.rules[rule] == 1


def test_an_empty_focus_does_nothing() -> None:
    """Even where everything is missing, but for a bus interface."""
    case = Case(State(DRIVER, {}), Host({1: Link(1, "can0")}, Counter()), {})
    assert case.plan(case.host, set()) == Plan((), ())
