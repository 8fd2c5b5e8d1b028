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
- A pair is made only for an endpoint that is joining: for one that is not, nobody would take
  the container's end. Endpoints without a pair are left out of the mesh, and reported.
- Between every two ports that are there, in both directions: exactly one rule for classic
  frames, and exactly one for FD frames where both ports can carry them. Missing ones are added,
  surplus equal ones deleted.
- An interface of ours that no bus wants is deleted; its rules go with it. Ours is what bears our
  alias, or no alias at all and our group (it was made, and we died before we could name it).
- Interfaces of others are never changed or deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from canwharf.bus.model import Bus, Port
from canwharf.bus.naming import group_of, parse_alias
from canwharf.bus.view import View
from canwharf.kernel.gateway import Rule
from canwharf.kernel.link import Link


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


class AddRule(NamedTuple):
    """Forward classic or FD frames from one interface to another; they may not exist yet."""

    source: str
    destination: str
    fd: bool


class DeleteRule(NamedTuple):
    """Delete one of several equal rules, each of which would deliver every frame once more."""

    rule: Rule
    source: str
    destination: str


Step = DeleteLink | MakeBus | MakePair | Claim | AddRule | DeleteRule


class Plan(NamedTuple):
    """Steps in the order in which they are to be applied, and the ports that were left out."""

    steps: tuple[Step, ...]
    absent: tuple[Port, ...]


class _Member(NamedTuple):
    """A port that is there, or will be when the plan has been applied."""

    port: Port
    link: Link | None

    @property
    def fd(self) -> bool:
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
        rules += _mesh(members, view, None if whole else focus)
    return Plan((*steps, *rules), tuple(absent))


def is_ours(link: Link, driver: str) -> bool:
    """Whether we made this link: only then may it be changed or deleted."""
    if not link.alias:
        return link.group == group_of(driver)
    owner = parse_alias(link.alias)
    return owner is not None and owner.driver == driver


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
            usable, makeable = link is not None and link.can, link is None and not bus.physical
        else:  # if somebody else has taken the name of one that is to be made, the kernel says so
            usable, makeable = ours and _same(link, port), port.name in joining
        if not usable and not makeable:
            absent.append(port)
        elif not usable:
            steps.append(MakeBus(port) if port is bus.interface else MakePair(port))
            members.append(_Member(port, None))
        else:
            members.append(_Member(port, link))
            if link and ours and port.name in focus and not _as_wanted(link, port):
                steps.append(Claim(port, link))
    return steps, members, absent


def _same(link: Link | None, port: Port) -> bool:
    """Whether this is the port's link, not that of another endpoint whose name is equal."""
    told, wanted = parse_alias(link.alias if link else ""), parse_alias(port.alias)
    return not told or told[:3] == (wanted or told)[:3]


def _as_wanted(link: Link, port: Port) -> bool:
    return link.up and link.alias == port.alias


def _mesh(
    members: list[_Member], view: View, focus: Collection[str] | None
) -> Iterator[AddRule | DeleteRule]:
    """The rules that are missing or surplus, as far as the focus reaches (None: everywhere)."""
    done: set[str] = set()  # every pair of members is looked at once, in both directions
    for member in members:
        if focus is not None and member.port.name not in focus:
            continue
        done.add(member.port.name)
        for other in members:
            if other.port.name not in done:
                yield from _exactly_one(member, other, view)
                yield from _exactly_one(other, member, view)


def _exactly_one(
    source: _Member, destination: _Member, view: View
) -> Iterator[AddRule | DeleteRule]:
    names = (source.port.name, destination.port.name)
    for fd in (False, True) if source.fd and destination.fd else (False,):
        if source.link is None or destination.link is None:
            yield AddRule(*names, fd)
            continue
        rule = Rule(source.link.ifindex, destination.link.ifindex, fd)
        count = view.count(rule)
        if not count:
            yield AddRule(*names, fd)
        for _surplus in range(count - 1):
            yield DeleteRule(rule, *names)
