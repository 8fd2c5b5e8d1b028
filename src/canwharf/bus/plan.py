"""The difference between what should be and what is, as ordered steps. Pure.

Theory of operation. A plan is always for a few ports, its targets: the endpoint that joins or
leaves, or all of them. Only they are made, brought up or deleted, and only rules that begin or
end at one of them are checked, so that the cost of a Join is that of one endpoint. There is no
other way to change the kernel: a call, its undoing and a recovery differ only in the state and
the targets that they plan for.

Rules:

- A missing bus interface is made, and every rule of its bus is checked. An existing one without
  our alias is used as it is: it is not brought up and not deleted. A missing adapter is waited
  for: a vcan in its place would take its name.
- An adapter gets the settings of its network, and is brought up, if it was not up yet (it was
  plugged in, the machine has booted), and when its network is created. An adapter that is up is
  left alone, whatever its settings, unless its network has can.force. One that an operator took
  down stays down. An adapter that we brought up has our alias, and is taken down when its last
  network is removed.
- A moved adapter is configured when its container joins. If it comes back under another name, it
  is renamed; until then no other bus uses it. The same holds after its network is gone.
- A pair is made only for an endpoint that is joining: without a Join, no engine would take the
  container's end. Endpoints without a pair are left out of the mesh, and reported.
- If a foreign interface on the host has the name of a pair that is to be made, the plan is an
  error: the kernel's "File exists" would be read as one about the name in the container.
- A pair that is made directly in the container's namespace is deleted first, if it exists: in
  which namespace its other end is cannot be known.
- Between every two ports that exist, in both directions, there is exactly one rule for classic
  frames, and exactly one for FD frames if both ports can carry them. Missing rules are added,
  surplus rules deleted.
- Error frames have one more rule: on a virtual bus between all ports, on a physical one from the
  adapter to its containers. Never to an adapter: drivers take an error frame for a data frame, and
  would send it. Such a rule is surplus, and so is one between two containers of an adapter.
- A rule echoes towards the bus interface, where programs on the host listen, and nowhere else. A
  rule of an earlier version that differs is replaced in place.
- An interface that had the bus's name and was renamed keeps its rules: those between it and the
  bus's endpoints are deleted. Otherwise the endpoints would receive the frames of two buses.
- An interface of ours that is on no bus is deleted; its rules go with it. It is ours if it has our
  alias, or no alias and our group (the daemon died before it could set the alias).
- Foreign interfaces are never deleted, and never changed, but for adapters as above.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from canwharf.bus import adapter
from canwharf.bus.interfaces import is_host_end, is_ours, is_set_up
from canwharf.bus.model import Bus, Port, Target
from canwharf.bus.naming import AdapterOwner, EndpointOwner, Owner, owner_of
from canwharf.bus.observed import Observed
from canwharf.errors import ConflictError
from canwharf.kernel import can
from canwharf.kernel.can import CanSettings
from canwharf.kernel.gateway import CLASSIC, ERRORS, FD, FRAMES, Frames, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.uapi import CAN_CTRLMODE_FD
from canwharf.record import NamedTuple

DUPLICATE, LEFT, UNWANTED = "duplicate", "left", "unwanted"  # why a rule is deleted


class DeleteLink(NamedTuple):
    """Delete an interface of ours, and its rules with it."""

    link: Link


class MakeBus(NamedTuple):
    """Make the vcan that a bus needs."""

    port: Port


class MakePair(NamedTuple):
    """Make an endpoint's pair: its other end at `target`, or on the host for an engine to move."""

    port: Port
    target: Target | None = None


class BringUp(NamedTuple):
    """Bring up an interface of ours and set its alias."""

    port: Port
    link: Link


class Configure(NamedTuple):
    """Configure an adapter and bring it up; with empty settings only set its alias.

    `owner` is the owner in the alias; None leaves the alias as it is.
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
    """Replace a rule of the form of an earlier version."""

    rule: Rule
    new: Rule
    source: str
    destination: str


class DeleteRule(NamedTuple):
    """Delete a rule: each DUPLICATE one would deliver every frame once more.

    A LEFT one is of an interface that left the bus; an UNWANTED one carries error frames that this
    direction should not.
    """

    rule: Rule
    source: str
    destination: str
    why: str = DUPLICATE


RuleStep = AddRule | ReplaceRule | DeleteRule
Step = DeleteLink | MakeBus | MakePair | BringUp | Configure | TakeDown | Rename | RuleStep


class Scope(NamedTuple):
    """The ports that a plan is for: all others are left as they are.

    `targets` are the names of the ports. `pairs` are the names of the ports whose pair is to be
    made if it is missing, with the target of its other end, if that is known. `adapter` is the
    adapter that a call is about: it is brought up even if an operator took it down.
    """

    targets: Collection[str]
    pairs: Mapping[str, Target | None] = {}
    adapter: str = ""


class Plan(NamedTuple):
    """Steps in the order in which they are to be applied, and the ports that were left out."""

    steps: tuple[Step, ...]
    absent: tuple[Port, ...]


class _Member(NamedTuple):
    """A port that exists, or will exist when the plan has been applied."""

    port: Port
    link: Link | None
    adapter: bool = False
    settings: CanSettings = CanSettings()  # that the plan applies to the adapter

    @property
    def fd(self) -> bool:
        if self.settings.mask & CAN_CTRLMODE_FD:
            return bool(self.settings.modes & CAN_CTRLMODE_FD)
        return self.link is None or self.link.fd


def plan(
    driver: str,
    buses: Iterable[Bus],
    observed: Observed,
    scope: Scope,
) -> Plan:
    """The steps after which the targets are as these buses want them.

    A target that is on none of `buses` is removed. Raises ConflictError.
    """
    buses = list(buses)
    wanted = {port.name for bus in buses for port in bus.ports}
    steps: list[Step] = []
    for name in scope.targets:
        link = observed.link(name)
        if name in wanted:
            continue
        if link and is_ours(link, driver):
            steps.append(DeleteLink(link))
        elif link and is_set_up(link, driver):
            steps.append(TakeDown(link))
        else:
            steps += _orphans(driver, name, observed)
    absent: list[Port] = []
    rules: list[Step] = []
    for bus in buses:
        made, members, missing = _members(driver, bus, observed, scope)
        steps += made
        absent += missing
        whole = any(isinstance(step, MakeBus) for step in made)
        if bus.interface.name in scope.targets:
            rules += _left_behind(bus, members, observed)
        rules += _mesh(bus, members, observed, None if whole else scope.targets)
    return Plan((*steps, *rules), tuple(absent))


def _members(
    driver: str, bus: Bus, observed: Observed, scope: Scope
) -> tuple[list[Step], list[_Member], list[Port]]:
    """The steps that make ports, the ports to be meshed, and those that are left out."""
    steps: list[Step] = []
    members: list[_Member] = []
    absent: list[Port] = []
    if bus.physical:
        steps, member = _adapter(bus, observed, scope)
        members += [member] if member else []
        absent += [] if member else [bus.interface]
    for port in bus.endpoints if bus.physical else bus.ports:
        link = observed.link(port.name)
        ours = link is not None and is_ours(link, driver)
        if port is bus.interface:
            # A host end that was renamed so is its endpoint's all the same.
            taken = link is not None and is_host_end(link)
            usable, makeable = link is not None and link.can and not taken, link is None
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
        "is not this endpoint's; delete or rename that one"
    )


def _adapter(bus: Bus, observed: Observed, scope: Scope) -> tuple[list[Step], _Member | None]:
    """The steps that set up the adapter of a physical bus, and its place in the mesh, if any."""
    port = bus.interface
    link = adapter.link_of(bus, observed)
    if link is None:
        return _rename_back(bus, observed), None
    requested = port.name == scope.adapter
    settings = _settings(bus, link, observed, requested) if port.name in scope.targets else None
    if settings is None:
        return [], _Member(port, link, adapter=True)
    ours = bus.adapter.moved or not link.alias  # a foreign alias is left as it is
    step = Configure(link, settings, port.owner if ours else None)
    return [step], _Member(port, link, adapter=True, settings=settings)


def _settings(bus: Bus, link: Link, observed: Observed, requested: bool) -> CanSettings | None:
    """The settings to apply to an adapter: empty ones for its alias only; None: leave it alone.

    `requested` says that this is a call about the adapter itself.
    """
    settings, moved = bus.adapter.settings, bus.adapter.moved
    if link.up:
        controller, wanted = link.controller, False
        if controller and bus.adapter.force:
            wanted = bool(can.differences(settings.sure, controller, link.txqueuelen))
    else:
        wanted = requested or not (moved or link.ifindex in observed.seen_up)
    if wanted and not settings.empty:
        return settings
    if moved and requested and owner_of(link) != bus.interface.owner:
        return CanSettings()
    return None


def _rename_back(bus: Bus, observed: Observed) -> list[Step]:
    """The step for a moved adapter that came back under the name that it had in its container."""
    name, owner = bus.interface.name, bus.interface.owner
    if not bus.adapter.moved or observed.link(name) is not None:
        return []
    return [Rename(each, name) for each in observed.links() if owner_of(each) == owner]


def _left_behind(bus: Bus, members: list[_Member], observed: Observed) -> Iterator[DeleteRule]:
    """Delete the rules of a former bus interface, which has another name now."""
    name = bus.interface.name
    for index in observed.former.get(name, ()):
        old = observed.at(index)
        if old is None or old.name == name:
            continue
        for port, link in ((each.port, each.link) for each in members):
            if link is None or port is bus.interface:
                continue
            for ends, names in (
                ((index, link.ifindex), (old.name, port.name)),
                ((link.ifindex, index), (port.name, old.name)),
            ):
                for rule in sorted(
                    observed.rules(*ends), key=lambda rule: FRAMES.index(rule.frames)
                ):
                    yield DeleteRule(rule, *names, LEFT)


def _orphans(driver: str, name: str, observed: Observed) -> Iterator[Step]:
    """The steps for a moved adapter that came back after its network was removed."""
    for link in observed.links():
        if owner_of(link) == AdapterOwner(driver, name):
            yield TakeDown(link)
            if observed.link(name) is None:
                yield Rename(link, name)


def _same(link: Link | None, port: Port) -> bool:
    """Whether this is the port's link, and not that of another endpoint with an equal name."""
    actual, wanted = link and owner_of(link), port.owner
    if actual is None or not isinstance(wanted, EndpointOwner):
        return True
    return isinstance(actual, EndpointOwner) and actual.is_endpoint(
        wanted.driver, wanted.network, wanted.endpoint
    )


def _as_wanted(link: Link, port: Port) -> bool:
    return link.up and owner_of(link) == port.owner


def _mesh(
    bus: Bus, members: list[_Member], observed: Observed, targets: Collection[str] | None
) -> Iterator[RuleStep]:
    """The rules that are missing or surplus, of these targets (None: all)."""
    done: set[str] = set()  # every two members are compared once, for both directions
    for member in members:
        if targets is not None and member.port.name not in targets:
            continue
        done.add(member.port.name)
        for other in members:
            if other.port.name not in done:
                yield from _exactly_one(bus, member, other, observed)
                yield from _exactly_one(bus, other, member, observed)


def _exactly_one(
    bus: Bus, source: _Member, destination: _Member, observed: Observed
) -> Iterator[RuleStep]:
    """The steps after which each kind of frame has one rule of the right form in this direction."""
    names = (source.port.name, destination.port.name)
    existing: tuple[Rule, ...] = ()
    if source.link is not None and destination.link is not None:
        existing = observed.rules(source.link.ifindex, destination.link.ifindex)
    echo = destination.port is bus.interface
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


def _frames(bus: Bus, source: _Member, destination: _Member) -> Iterator[tuple[Frames, bool]]:
    """The frames whose rules are checked, and whether they should be forwarded."""
    yield CLASSIC, True
    if source.fd and destination.fd:
        yield FD, True
    yield ERRORS, (bus.adapter.errors if source.adapter else not bus.physical)
