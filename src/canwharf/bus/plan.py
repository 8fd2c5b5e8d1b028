"""The difference between what should be and what is, as ordered steps. Pure.

Theory of operation. A plan is always for a few ports, its targets: the endpoint that joins or
leaves, or all of them. Only they are made, brought up or deleted, and only rules that begin or
end at one of them are looked at, so that a Join costs what its own endpoint costs, however
large the bus. There is no other way to act: a call, its undoing and a recovery differ in
nothing but the state and the targets that they plan for.

Rules:

- A bus interface that is missing is made, and every rule of its bus looked at. One that is there
  and does not bear our alias is used as it is: not brought up, not deleted. An adapter that is
  missing is waited for: a vcan in its place would take its name.
- An adapter is set up as its network asks, and brought up, when it is there and was not up yet
  (it was plugged in, the machine has booted), and when its network is made. One that is up is
  left alone, whatever its settings, unless its network insists; one that somebody took down
  stays down. What we brought up bears our alias, and is taken down when no network wants it.
- An adapter that is moved is set up when its container joins. If it comes back under another name
  it gets its own again; no other bus takes it for its own meanwhile. Without its network, too.
- A pair is made only for an endpoint that is joining: for one that is not, nobody would take
  the container's end. Endpoints without a pair are left out of the mesh, and reported.
- Where the name of a pair that is to be made is taken on the host, nothing is done, and that is
  the error: the kernel's "File exists" would be read as one about the name in the container.
- One that is made straight in its container's namespace is made anew if it is there already:
  nobody can say in whose namespace the other end of that one is.
- Between every two ports that are there, in both directions: exactly one rule for classic
  frames, and exactly one for FD frames where both ports can carry them. Missing ones are added,
  surplus ones deleted.
- One more for error frames: on a virtual bus between all, from an adapter to its containers. Never
  to an adapter: drivers take one for a data frame, and it would be on the wire. One that is there
  all the same is surplus, and so is one between two containers of an adapter.
- A rule echoes towards the bus interface, where programs on the host listen, and nowhere else. One
  that an earlier version made otherwise is replaced in place.
- An interface that had the bus's name and was renamed takes its rules along: those between it and
  the bus's endpoints are deleted, or they would hear two wires, one of another bus perhaps.
- An interface of ours that no bus wants is deleted; its rules go with it. Ours is what bears our
  alias, or no alias at all and our group (it was made, and we died before we could name it).
- Interfaces of others are never deleted, and never changed but for adapters as above.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from canwharf.bus import adapter
from canwharf.bus.interfaces import is_ours, is_set_up
from canwharf.bus.model import Bus, Port, Target
from canwharf.bus.naming import AdapterOwner, EndpointOwner, Owner, owner_of
from canwharf.bus.observed import Observed
from canwharf.errors import ConflictError
from canwharf.kernel import can
from canwharf.kernel.can import CanSettings
from canwharf.kernel.gateway import CLASSIC, ERRORS, FD, FRAMES, Frames, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.uapi import CAN_CTRLMODE_FD

DUPLICATE, LEFT, UNWANTED = "duplicate", "left", "unwanted"  # why a rule is deleted


class DeleteLink(NamedTuple):
    """Delete an interface of ours, and its rules with it."""

    link: Link


class MakeBus(NamedTuple):
    """Make the vcan that a bus needs."""

    port: Port


class MakePair(NamedTuple):
    """Make an endpoint's pair; its other end on the host until somebody takes it, or in place."""

    port: Port
    target: Target | None = None


class BringUp(NamedTuple):
    """Bring up an interface of ours that is down, give it the alias that it should have."""

    port: Port
    link: Link


class Configure(NamedTuple):
    """Set an adapter up and bring it up; with nothing asked for, only give it its alias.

    `owner` is what the alias tells; None leaves it as it is.
    """

    link: Link
    settings: CanSettings
    owner: Owner | None


class TakeDown(NamedTuple):
    """Take down an adapter that we brought up."""

    link: Link


class Rename(NamedTuple):
    """Give an adapter its own name again."""

    link: Link
    name: str


class AddRule(NamedTuple):
    """Forward frames from one interface to another that may not exist yet.

    `echo` says that programs on the host listen there.
    """

    source: str
    destination: str
    frames: Frames
    echo: bool = False


class ReplaceRule(NamedTuple):
    """Replace a rule of a form that we used once."""

    rule: Rule
    new: Rule
    source: str
    destination: str


class DeleteRule(NamedTuple):
    """Delete a rule: each DUPLICATE one would deliver every frame once more.

    A LEFT one is of an interface that left the bus, an UNWANTED one of error frames to a wrong end.
    """

    rule: Rule
    source: str
    destination: str
    why: str = DUPLICATE


RuleStep = AddRule | ReplaceRule | DeleteRule
Step = DeleteLink | MakeBus | MakePair | BringUp | Configure | TakeDown | Rename | RuleStep


class Scope(NamedTuple):
    """What a plan is about: all else is left as it is.

    `targets` names the ports to look at. `pairs` names the endpoints' ports whose pair is to be
    made if it is missing, and where its other end belongs if that is known. `adapter` is the one
    that a call is about: it is set up although somebody took it down.
    """

    targets: Collection[str]
    pairs: Mapping[str, Target | None] = {}
    adapter: str = ""


class Plan(NamedTuple):
    """Steps in the order in which they are to be applied, and the ports that were left out."""

    steps: tuple[Step, ...]
    absent: tuple[Port, ...]


class _Member(NamedTuple):
    """A port that is there, or will be when the plan has been applied."""

    port: Port
    link: Link | None
    adapter: bool = False
    settings: CanSettings = CanSettings()  # what the adapter is about to get

    @property
    def fd(self) -> bool:
        if self.settings.mask & CAN_CTRLMODE_FD:
            return bool(self.settings.modes & CAN_CTRLMODE_FD)
        return self.link is None or self.link.fd


def plan(
    driver: str,
    buses: Iterable[Bus],
    view: Observed,
    scope: Scope,
) -> Plan:
    """What to do so that these buses are as they should be.

    A target that is on none of `buses` should not be there. Raises ConflictError.
    """
    buses = list(buses)
    wanted = {port.name for bus in buses for port in bus.ports}
    steps: list[Step] = []
    for name in scope.targets:
        link = view.link(name)
        if name in wanted:
            continue
        if link and is_ours(link, driver):
            steps.append(DeleteLink(link))
        elif link and is_set_up(link, driver):
            steps.append(TakeDown(link))
        else:
            steps += _orphans(driver, name, view)
    absent: list[Port] = []
    rules: list[Step] = []
    for bus in buses:
        made, members, missing = _members(driver, bus, view, scope)
        steps += made
        absent += missing
        whole = any(isinstance(step, MakeBus) for step in made)
        if bus.interface.name in scope.targets:
            rules += _left_behind(bus, members, view)
        rules += _mesh(bus, members, view, None if whole else scope.targets)
    return Plan((*steps, *rules), tuple(absent))


def _members(
    driver: str, bus: Bus, view: Observed, scope: Scope
) -> tuple[list[Step], list[_Member], list[Port]]:
    """The steps that make ports, the ports to be meshed, and those that are left out."""
    steps: list[Step] = []
    members: list[_Member] = []
    absent: list[Port] = []
    if bus.physical:
        steps, member = _adapter(bus, view, scope)
        members += [member] if member else []
        absent += [] if member else [bus.interface]
    for port in bus.endpoints if bus.physical else bus.ports:
        link = view.link(port.name)
        ours = link is not None and is_ours(link, driver)
        if port is bus.interface:
            usable, makeable = link is not None and link.can, link is None
        else:
            usable, makeable = ours and _same(link, port), port.name in scope.pairs
            if link and makeable and not usable:
                raise _taken(link)
            if link and usable and scope.pairs.get(port.name):
                steps.append(DeleteLink(link))
                usable = False
        if not usable and not makeable:
            absent.append(port)
        elif not usable:
            steps.append(
                MakeBus(port)
                if port is bus.interface
                else MakePair(port, scope.pairs.get(port.name))
            )
            members.append(_Member(port, None))
        else:
            members.append(_Member(port, link))
            if link and ours and port.name in scope.targets and not _as_wanted(link, port):
                steps.append(BringUp(port, link))
    return steps, members, absent


def _taken(link: Link) -> ConflictError:
    return ConflictError(
        f"cannot make the interface pair {link.name}: the host has an interface of this name that "
        "is somebody else's; delete or rename that one"
    )


def _adapter(bus: Bus, view: Observed, scope: Scope) -> tuple[list[Step], _Member | None]:
    """The steps that set up the adapter of a physical bus, and its place in the mesh, if any."""
    port = bus.interface
    link = adapter.link_of(bus, view)
    if link is None:
        return _back(bus, view), None
    requested = port.name == scope.adapter
    settings = _settings(bus, link, view, requested) if port.name in scope.targets else None
    if settings is None:
        return [], _Member(port, link, adapter=True)
    ours = bus.adapter.moved or not link.alias  # an alias of others is left on
    step = Configure(link, settings, port.owner if ours else None)
    return [step], _Member(port, link, adapter=True, settings=settings)


def _settings(bus: Bus, link: Link, view: Observed, requested: bool) -> CanSettings | None:
    """What an adapter is to get now: settings, nothing but its alias, or None: leave it alone.

    `requested` says that this is a call about the adapter itself.
    """
    settings, moved = bus.adapter.settings, bus.adapter.moved
    if link.up:
        controller, wanted = link.controller, False
        if controller and bus.adapter.force:
            wanted = bool(can.differences(settings.sure, controller, link.txqueuelen))
    else:
        wanted = requested or not (moved or link.ifindex in view.seen_up)
    if wanted and not settings.empty:
        return settings
    if moved and requested and owner_of(link) != bus.interface.owner:
        return CanSettings()
    return None


def _back(bus: Bus, view: Observed) -> list[Step]:
    """A moved adapter that came back under the name that it had in its container."""
    name, owner = bus.interface.name, bus.interface.owner
    if not bus.adapter.moved or view.link(name) is not None:
        return []
    return [Rename(each, name) for each in view.links() if owner_of(each) == owner]


def _left_behind(bus: Bus, members: list[_Member], view: Observed) -> Iterator[DeleteRule]:
    """The rules that an interface took along which was the bus's and has another name now."""
    name = bus.interface.name
    for index in view.former.get(name, ()):
        old = view.at(index)
        if old is None or old.name == name:
            continue
        for port, link in ((each.port, each.link) for each in members):
            if link is None or port is bus.interface:
                continue
            for ends, names in (
                ((index, link.ifindex), (old.name, port.name)),
                ((link.ifindex, index), (port.name, old.name)),
            ):
                for rule in sorted(view.rules(*ends), key=lambda rule: FRAMES.index(rule.frames)):
                    yield DeleteRule(rule, *names, LEFT)


def _orphans(driver: str, name: str, view: Observed) -> Iterator[Step]:
    """A moved adapter that came back when its network was gone: it is nobody's, under its name."""
    for link in view.links():
        if owner_of(link) == AdapterOwner(driver, name):
            yield TakeDown(link)
            if view.link(name) is None:
                yield Rename(link, name)


def _same(link: Link | None, port: Port) -> bool:
    """Whether this is the port's link, not that of another endpoint whose name is equal."""
    found, wanted = link and owner_of(link), port.owner
    if found is None or not isinstance(wanted, EndpointOwner):
        return True
    return isinstance(found, EndpointOwner) and found.is_endpoint(
        wanted.driver, wanted.network, wanted.endpoint
    )


def _as_wanted(link: Link, port: Port) -> bool:
    return link.up and owner_of(link) == port.owner


def _mesh(
    bus: Bus, members: list[_Member], view: Observed, targets: Collection[str] | None
) -> Iterator[RuleStep]:
    """The rules that are missing or surplus, of these targets (None: all)."""
    done: set[str] = set()  # every pair of members is looked at once, in both directions
    for member in members:
        if targets is not None and member.port.name not in targets:
            continue
        done.add(member.port.name)
        for other in members:
            if other.port.name not in done:
                yield from _exactly_one(bus, member, other, view)
                yield from _exactly_one(bus, other, member, view)


def _exactly_one(
    bus: Bus, source: _Member, destination: _Member, view: Observed
) -> Iterator[RuleStep]:
    """The steps after which each kind of frame has one rule of the right form in this direction."""
    names = (source.port.name, destination.port.name)
    there: tuple[Rule, ...] = ()
    if source.link is not None and destination.link is not None:
        there = view.rules(source.link.ifindex, destination.link.ifindex)
    echo = destination.port is bus.interface
    for frames, wanted in _frames(bus, source, destination):
        rules = [rule for rule in there if rule.frames == frames]
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


def _frames(bus: Bus, source: _Member, destination: _Member) -> Iterator[tuple[Frames, bool]]:
    """The frames to be looked at, and whether they should be forwarded."""
    yield CLASSIC, True
    if source.fd and destination.fd:
        yield FD, True
    yield ERRORS, (bus.adapter.errors if source.adapter else not bus.physical)
