"""The difference between what should be and what is, as ordered steps. Pure.

Theory of operation. A plan is always for a few ports, its targets: the endpoint that joins or
leaves, or all of them. Only they are made, brought up or deleted, and only rules that begin or
end at one of them are checked (`wiring`), so that the cost of a Join is that of one endpoint. There
is no other way to change the kernel: a call, its undoing and a recovery differ only in the state
and the targets that they plan for.

Rules:

- A missing bus interface is made, and every rule of its bus is checked. An existing one without
  our alias is used as it is: it is not brought up and not deleted. A missing adapter is waited
  for: a vcan in its place would take its name.
- A bus has a hub from its first network to its last, unless the kernel lacks what it needs. A hub
  of which an end is missing, foreign or elsewhere is made anew.
- A bus with an impairment has an ifb, and so has a fault that delays frames. One that is not in
  every point as it should be is made anew, as no part of its qdiscs can be changed without frames
  in it being lost. A foreign interface of its name is an error.
- A pair is made only for an endpoint that is joining: without a Join, no engine would take the
  container's end. Endpoints without a pair are left out, and reported.
- If a foreign interface on the host has the name of a pair that is to be made, the plan is an
  error: the kernel's "File exists" would be read as one about the name in the container.
- A pair that is made directly in the container's namespace is deleted first, if it exists: in
  which namespace its other end is cannot be known.
- An interface that had the bus's name and was renamed keeps its rules: those between it and the
  bus's endpoints are deleted. Otherwise the endpoints would receive the frames of two buses.
- An interface of ours that is on no bus is deleted; its rules go with it. It is ours if it has our
  alias, or no alias and our group (the daemon died before it could set the alias).
- Foreign interfaces are never deleted, and never changed, but for adapters (`adapter_plan`).
"""

from __future__ import annotations

from canwharf.bus import adapter_plan, fault, naming
from canwharf.bus.interfaces import is_host_end, is_ours, is_set_up
from canwharf.bus.model import Bus, Hub, Port
from canwharf.bus.naming import DelayOwner, EndpointOwner, owner_of
from canwharf.bus.observed import Observed
from canwharf.bus.steps import (
    LEFT,
    BringUp,
    DeleteLink,
    DeleteRule,
    MakeBus,
    MakeHub,
    MakeIfb,
    MakePair,
    Plan,
    Scope,
    Step,
    TakeDown,
)
from canwharf.bus.wiring import HubEnds, Member, Wiring
from canwharf.errors import ConflictError
from canwharf.kernel import impairment
from canwharf.kernel.gateway import FRAMES
from canwharf.kernel.impairment import Impairment
from canwharf.kernel.link import Link

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence


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
    steps: list[Step] = []
    for name in scope.targets:
        link = observed.link(name)
        if any(bus.has(name) for bus in buses):
            continue
        if link and is_ours(link, driver):
            steps.append(DeleteLink(link))
        elif link and is_set_up(link, driver):
            steps.append(TakeDown(link))
        else:
            steps += adapter_plan.orphans(driver, name, observed)
    absent: list[Port] = []
    rules: list[Step] = []
    for bus in buses:
        each = _Planner(driver, bus, observed, scope)
        rules += each.rules()
        steps += each.steps
        absent += each.absent
    return Plan((*steps, *rules), tuple(absent))


class _Planner:
    """Plans for one bus: `steps` make its links, `absent` are the ports that are left out."""

    def __init__(self, driver: str, bus: Bus, observed: Observed, scope: Scope) -> None:
        self.driver, self.bus, self.observed, self.scope = driver, bus, observed, scope
        self.steps: list[Step] = []
        self.absent: list[Port] = []

    def rules(self) -> Iterator[Step]:
        """The steps about rules, behind those that make what they need. Raises ConflictError."""
        bus, targets = self.bus, self._with_senders()
        interface = self._adapter() if bus.physical else self._port(bus.interface)
        linear = bus.hub is not None and self.observed.linear
        hub = self._hub(bus.hub) if bus.hub else None
        if bus.hub and linear and hub is None:
            hub = self._make_hub(bus.hub)
        ifb = self._ifb(bus.ifb, bus.impairment, bus.interface.name) if bus.ifb else None
        made = any(isinstance(step, MakeBus | MakeHub | MakeIfb) for step in self.steps)
        everything = made or not bus.shared.isdisjoint(targets)
        checked: list[Member] = []
        others: list[Member] = []
        # On a linear bus the others do not matter: a Join costs the same beside a thousand.
        few = linear and not everything
        here = sorted(bus.host_ends.keys() & targets) if few else bus.host_ends
        for port in (bus.host_ends[name] for name in here if name not in self.scope.skipped):
            member = self._port(port)
            of_these = checked if everything or port.name in targets else others
            of_these += [member] if member else []
        if few:
            left = sorted(self.observed.missing(bus.host_ends) - {*targets, *self.scope.skipped})
            self.absent += [bus.host_ends[name] for name in left]
        if bus.interface.name in targets:
            yield from self._left_behind(checked)
        delays = {each.port.name: self._delays(each.port) for each in checked if each.port.injected}
        wiring = Wiring(bus, linear, interface, hub, checked, others, ifb, delays)
        yield from wiring.steps(self.observed)

    def _with_senders(self) -> Collection[str]:
        """The targets and, for each ifb of a fault among them, the host end of its sender."""
        targets = self.scope.targets
        ifbs = list(filter(naming.is_delay, targets))
        senders = {self.bus.delays[name] for name in ifbs if name in self.bus.delays}
        return senders.union(targets) if senders else targets

    def _delays(self, port: Port) -> Mapping[int, Member]:
        """The ifbs in which frames of a container wait, by how long. Raises ConflictError."""
        found = {}
        for name, time in fault.delays(port.name, port.injected).items():
            ifb = Port(name, DelayOwner(self.driver, port.name, str(time)))
            found[time] = self._ifb(ifb, Impairment(delay=time), port.name)
        return found

    def _adapter(self) -> Member | None:
        steps, member = adapter_plan.steps(self.bus, self.observed, self.scope)
        self.steps += steps
        self.absent += [] if member else [self.bus.interface]
        return member

    def _port(self, port: Port) -> Member | None:
        """A port as a member; what makes it, or brings it up, is a step; None: it is left out."""
        scope, link = self.scope, self.observed.link(port.name)
        ours = link is not None and is_ours(link, self.driver)
        if port is self.bus.interface:
            # A host end that was renamed so is its endpoint's all the same.
            taken = link is not None and is_host_end(link)
            usable, makeable = link is not None and link.can and not taken, link is None
        else:
            usable, makeable = (
                ours and link is not None and _same(link, port),
                port.name in scope.pairs,
            )
            if link and makeable and not usable:
                raise _taken(link)
            if link and usable and scope.pairs.get(port.name):
                self.steps.append(DeleteLink(link))
                usable = False
        if not usable and not makeable:
            self.absent.append(port)
            return None
        if not usable:
            made = MakeBus(port) if port is self.bus.interface else None
            self.steps.append(made or MakePair(port, scope.pairs.get(port.name)))
            return Member(port, None)
        if link and ours and port.name in scope.targets:
            self._bring_up(port, link)
        return Member(port, link)

    def _hub(self, hub: Hub) -> HubEnds | None:
        """The hub, if it is whole: both its ends are ours, on the host, and of one pair."""
        links = [self.observed.link(port.name) for port in hub]
        for port, link, other in zip(hub, links, reversed(links), strict=True):
            whole = link and other and link.peer == other.ifindex and not link.peer_away
            if not whole or not link or not _same(link, port) or not is_ours(link, self.driver):
                return None
        for port, link in zip(hub, links, strict=True):
            if link and port.name in self.scope.targets:
                self._bring_up(port, link)
        return HubEnds(*(Member(port, link) for port, link in zip(hub, links, strict=True)))

    def _make_hub(self, hub: Hub) -> HubEnds:
        """Make the hub; what there is of an old one goes first. Raises ConflictError."""
        for link in filter(None, (self.observed.link(port.name) for port in hub)):
            if not is_ours(link, self.driver):
                raise _taken(link)
            self.steps.append(DeleteLink(link))
        self.steps.append(MakeHub(hub))
        return HubEnds(*(Member(port, None) for port in hub))

    def _ifb(self, port: Port, wanted: Impairment, sender: str) -> Member:
        """An ifb that does this to frames; one that is not as it should be is made anew.

        Raises ConflictError.
        """
        link = self.observed.link(port.name)
        if link and not is_ours(link, self.driver):
            raise ConflictError(
                f"cannot make the interface {port.name}, through which the frames of "
                f"{sender} should go: the host has one of this name that is not canwharf's; delete "
                "or rename that one"
            )
        if link and link.up and owner_of(link) == port.owner:
            there = self.observed.qdiscs(link.ifindex)
            if there.form == impairment.wanted(wanted).form:
                return Member(port, link)
        if link:
            self.steps.append(DeleteLink(link))
        self.steps.append(MakeIfb(port, wanted))
        return Member(port, None)

    def _bring_up(self, port: Port, link: Link) -> None:
        if not link.up or owner_of(link) != port.owner:
            self.steps.append(BringUp(port, link))

    def _left_behind(self, members: Sequence[Member]) -> Iterator[DeleteRule]:
        """Delete the rules of a former bus interface, which has another name now."""
        name, observed = self.bus.interface.name, self.observed
        for index in observed.former.get(name, ()):
            old = observed.at(index)
            if old is None or old.name == name or is_host_end(old):
                continue
            for port, link in ((each.port, each.link) for each in members):
                if link is None:
                    continue
                for ends, names in (
                    ((index, link.ifindex), (old.name, port.name)),
                    ((link.ifindex, index), (port.name, old.name)),
                ):
                    for rule in sorted(
                        observed.rules(*ends), key=lambda rule: FRAMES.index(rule.frames)
                    ):
                        yield DeleteRule(rule, *names, LEFT)


def _taken(link: Link) -> ConflictError:
    return ConflictError(
        f"cannot make the interface pair {link.name}: the host has an interface of this name that "
        "is not canwharf's, or another endpoint's; delete or rename that one"
    )


def _same(link: Link | None, port: Port) -> bool:
    """Whether this is the port's link, and not that of another endpoint with an equal name."""
    actual, wanted = link and owner_of(link), port.owner
    if actual is None:
        return True
    if not isinstance(wanted, EndpointOwner):
        return actual == wanted
    return isinstance(actual, EndpointOwner) and actual.is_endpoint(
        wanted.driver, wanted.network, wanted.endpoint
    )
