"""The difference between what should be and what is, as ordered steps. Pure.

Theory of operation. A plan is always for a few ports, its focus: the endpoint that joins or
leaves, or all of them. Only they are made, brought up or deleted, and only rules that begin or
end at one of them are looked at, so that a Join costs what its own endpoint costs, however
large the bus. There is no other way to act: a call, its undoing and a recovery differ in
nothing but the state and the focus that they plan for.

Rules:

- A bus interface that is missing is made, and every rule of its bus looked at. One that is there
  and does not bear our alias is used as it is: not brought up, not deleted. An adapter that is
  missing is waited for: a vcan in its place would take its name.
- An adapter is set up as its network asks, and brought up, when it is there and was not up yet
  (it was plugged in, the machine has booted). One that is up is left alone, whatever its
  settings, unless its network insists; one that somebody took down stays down.
- An adapter that is lent to a container and came back under another name gets its own again.
- A pair is made only for an endpoint that is joining: for one that is not, nobody would take
  the container's end. Endpoints without a pair are left out of the mesh, and reported.
- Between every two ports that are there, in both directions: exactly one rule for classic
  frames, and exactly one for FD frames where both ports can carry them; from an adapter one more
  for its error frames. Missing ones are added, surplus equal ones deleted.
- An interface of ours that no bus wants is deleted; its rules go with it. Ours is what bears our
  alias, or no alias at all and our group (it was made, and we died before we could name it).
- Interfaces of others are never changed or deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from canwharf.bus.model import Bus, Port
from canwharf.bus.naming import BusAlias, EndpointAlias, group_of, parse_alias
from canwharf.bus.view import View
from canwharf.kernel import can
from canwharf.kernel.can import Setup
from canwharf.kernel.gateway import Rule
from canwharf.kernel.link import VIRTUAL, Link
from canwharf.kernel.uapi import CAN_CTRLMODE_FD


class DeleteLink(NamedTuple):
    """Delete an interface of ours, and its rules with it."""

    link: Link


class MakeBus(NamedTuple):
    """Make the vcan that a bus needs."""

    port: Port


class MakePair(NamedTuple):
    """Make an endpoint's pair."""

    port: Port


class Claim(NamedTuple):
    """Bring up an interface of ours that is down, give it the alias that it should have."""

    port: Port
    link: Link


class Configure(NamedTuple):
    """Set an adapter up and bring it up."""

    link: Link
    setup: Setup


class Rename(NamedTuple):
    """Give an adapter its own name again."""

    link: Link
    name: str


class AddRule(NamedTuple):
    """Forward classic, FD or error frames from one interface to another that may not exist yet."""

    source: str
    destination: str
    fd: bool
    errors: bool = False


class DeleteRule(NamedTuple):
    """Delete one of several equal rules, each of which would deliver every frame once more."""

    rule: Rule
    source: str
    destination: str


Step = DeleteLink | MakeBus | MakePair | Claim | Configure | Rename | AddRule | DeleteRule


class Plan(NamedTuple):
    """Steps in the order in which they are to be applied, and the ports that were left out."""

    steps: tuple[Step, ...]
    absent: tuple[Port, ...]


class _Member(NamedTuple):
    """A port that is there, or will be when the plan has been applied."""

    port: Port
    link: Link | None
    setup: Setup = Setup()  # what it is about to get

    @property
    def fd(self) -> bool:
        if self.setup.mask & CAN_CTRLMODE_FD:
            return bool(self.setup.modes & CAN_CTRLMODE_FD)
        return self.link is None or self.link.fd


def plan(
    driver: str,
    buses: Iterable[Bus],
    view: View,
    focus: Collection[str],
    joining: Collection[str] = (),
) -> Plan:
    """What to do so that these buses are as they should be.

    `focus` names the ports to look at; what is in the focus and on none of `buses` should not be
    there. `joining` names the endpoints' ports whose pair is to be made if it is missing.
    """
    buses = list(buses)
    wanted = {port.name for bus in buses for port in bus.ports}
    steps: list[Step] = []
    for name in focus:
        link = view.link(name)
        if link is not None and name not in wanted and is_ours(link, driver):
            steps.append(DeleteLink(link))
    absent: list[Port] = []
    rules: list[Step] = []
    for bus in buses:
        made, members, missing = _members(driver, bus, view, focus, joining)
        steps += made
        absent += missing
        whole = any(isinstance(step, MakeBus) for step in made)
        telling = bus.interface.name if bus.physical and bus.adapter.errors else ""
        rules += _mesh(members, view, None if whole else focus, telling)
    return Plan((*steps, *rules), tuple(absent))


def is_ours(link: Link, driver: str) -> bool:
    """Whether we made this link: only then may it be changed or deleted."""
    if not link.alias:
        return link.group == group_of(driver)
    owner = parse_alias(link.alias)
    return isinstance(owner, BusAlias | EndpointAlias) and owner.driver == driver


def setup_of(bus: Bus, link: Link, view: View) -> Setup | None:
    """What the adapter of a bus is to get now; None if it is to be left alone."""
    setup = bus.adapter.setup
    if setup == Setup() or link.controller is None:
        return None
    if link.up:
        differs = can.differences(setup, link.controller, link.txqueuelen)
        return setup if differs and bus.adapter.force else None
    return None if link.ifindex in view.seen_up else setup


def _members(
    driver: str, bus: Bus, view: View, focus: Collection[str], joining: Collection[str]
) -> tuple[list[Step], list[_Member], list[Port]]:
    """The steps that make ports, the ports to be meshed, and those that are left out."""
    steps: list[Step] = []
    members: list[_Member] = []
    absent: list[Port] = []
    for port in bus.ports:
        link = view.link(port.name)
        ours = link is not None and is_ours(link, driver)
        if port is bus.interface:
            real = not bus.physical or (link is not None and link.kind not in VIRTUAL)
            usable, makeable = (
                link is not None and link.can and real,
                link is None and not bus.physical,
            )
        else:  # if somebody else has taken the name of one that is to be made, the kernel says so
            usable, makeable = ours and _same(link, port), port.name in joining
        if not usable and not makeable:
            absent.append(port)
            steps += [Rename(each, port.name) for each in _astray(bus, port, view)]
        elif not usable:
            steps.append(MakeBus(port) if port is bus.interface else MakePair(port))
            members.append(_Member(port, None))
        else:
            setup = None
            if link and bus.physical and port is bus.interface and port.name in focus:
                setup = setup_of(bus, link, view)
                steps += [Configure(link, setup)] if setup else []
                ours = bus.adapter.moved and port.name in joining
            members.append(_Member(port, link, setup or Setup()))
            if link and ours and port.name in focus and not _as_wanted(link, port):
                steps.append(Claim(port, link))
    return steps, members, absent


def _astray(bus: Bus, port: Port, view: View) -> list[Link]:
    """The adapter that was lent and came back under the name that it had in its container."""
    if not bus.adapter.moved or view.link(port.name) is not None:
        return []
    return [each for each in view.links() if each.alias == port.alias]


def _same(link: Link | None, port: Port) -> bool:
    """Whether this is the port's link, not that of another endpoint whose name is equal."""
    told, wanted = parse_alias(link.alias if link else ""), parse_alias(port.alias)
    return not told or told[:3] == (wanted or told)[:3]


def _as_wanted(link: Link, port: Port) -> bool:
    return link.up and link.alias == port.alias


def _mesh(
    members: list[_Member], view: View, focus: Collection[str] | None, telling: str
) -> Iterator[AddRule | DeleteRule]:
    """The rules that are missing or surplus, as far as the focus reaches (None: everywhere).

    `telling` names the port whose error frames are forwarded, if any.
    """
    done: set[str] = set()  # every pair of members is looked at once, in both directions
    for member in members:
        if focus is not None and member.port.name not in focus:
            continue
        done.add(member.port.name)
        for other in members:
            if other.port.name not in done:
                yield from _exactly_one(member, other, view, telling)
                yield from _exactly_one(other, member, view, telling)


def _exactly_one(
    source: _Member, destination: _Member, view: View, telling: str
) -> Iterator[AddRule | DeleteRule]:
    names = (source.port.name, destination.port.name)
    kinds = [(False, False)]  # fd, errors
    if source.fd and destination.fd:
        kinds.append((True, False))
    if source.port.name == telling:
        kinds.append((False, True))
    for fd, errors in kinds:
        if source.link is None or destination.link is None:
            yield AddRule(*names, fd, errors)
            continue
        rule = Rule(source.link.ifindex, destination.link.ifindex, fd, errors)
        count = view.count(rule)
        if not count:
            yield AddRule(*names, fd, errors)
        for _surplus in range(count - 1):
            yield DeleteRule(rule, *names)
