"""The directions of a bus in which frames do not arrive exactly once. Pure.

Rules:

- Which rules there should be is not decided here: one that a plan would add is missing, one that it
  would delete is surplus.
- A member that is not connected (FAULTS) neither sends nor receives, whatever the rules.
- An error is for one direction, or for all directions from a member, or to one: so a bus has no
  more of them than its members, by kinds of frames. Only while containers go from one shape to the
  other (`wiring`), each direction between two of them is looked at.
"""

from __future__ import annotations

from canwharf.bus.fault import Fault
from canwharf.bus.model import OPEN, Bus, Policy
from canwharf.bus.observed import Observed
from canwharf.bus.plan import plan
from canwharf.bus.steps import (
    BY_HUB,
    DIRECT,
    DUPLICATE,
    LEFT,
    UNMARKED,
    AddMarks,
    AddRule,
    BringUp,
    DeleteRule,
    MakeHub,
    ReplaceRule,
    Scope,
    Step,
)
from canwharf.bus.traffic import Count
from canwharf.errors import ConflictError
from canwharf.kernel.firewall import NO_FIREWALL, Firewall
from canwharf.kernel.gateway import CLASSIC, ERRORS, FD
from canwharf.kernel.injection import Found, Key
from canwharf.kernel.link import Link
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Why a member is not connected; if several apply, the first.
MISSING = "missing"  # it has no interface, or the adapter is not there
NOT_IN_CONTAINER = "not-in-container"  # both ends of its pair are on the host
WRONG_NAMESPACE = "wrong-namespace"  # its interface is in another than its container's
DOWN = "down"  # its host-side interface is down
BUS_OFF = "bus-off"  # the adapter has given up
NO_CARRIER = "no-carrier"  # the container's end is down; the adapter has none
FAULTS = (MISSING, NOT_IN_CONTAINER, WRONG_NAMESPACE, DOWN, BUS_OFF, NO_CARRIER)
# Other reasons why frames from one member to another are lost or duplicated.
NO_RULE = "no-rule"  # a gateway rule is missing
DUPLICATE_RULE = "duplicate-rule"  # frames arrive more than once: a surplus rule, ours or foreign
NO_FD = "no-fd"  # the MTU of a host end was changed: it takes no CAN FD frames
NO_HUB = "no-hub"  # the pair that connects the containers is missing, down or elsewhere
NO_IFB = "no-ifb"  # the interface through which the bus's impairment leads is gone or down
OWN_FRAMES = "own-frames"  # the filters are missing that keep a container's own frames from it
REASONS = (*FAULTS, NO_RULE, DUPLICATE_RULE, NO_FD, NO_HUB, NO_IFB, OWN_FRAMES)
DUPLICATING = (DUPLICATE_RULE, OWN_FRAMES)  # all others: frames are lost
ALL = ""  # in the place of a member: all others, or all other containers


class Member(NamedTuple):
    """A member of a bus: the host (with all that is on an adapter's wire), or an endpoint.

    `link` is its host-side interface, `container_link` the container's; None if it is missing or
    cannot be read. `policy` is what it may send and receive, `firewall` what its host end lets
    pass. `faults` are those on purpose in what it sends, `injected` their filters. `reason` is why
    it is not connected: one of FAULTS, or empty. `orphaned` says that the engine does not list it
    any more.
    """

    interface: str
    link: Link | None
    network: str = ""
    endpoint: str = ""
    container_link: Link | None = None
    frames: Count = Count()
    reason: str = ""
    orphaned: bool = False
    policy: Policy = OPEN
    firewall: Firewall = NO_FIREWALL
    faults: tuple[Fault, ...] = ()
    injected: Mapping[Key, Found] = {}


class DeliveryError(NamedTuple):
    """A direction in which frames are lost or duplicated: see REASONS.

    `kind` are the frames; `all` of them if one of the two members is not connected. One of the two
    members may be ALL: all others or, if it is about rules, all other containers.
    """

    source: str
    destination: str
    kind: str
    reason: str


def errors(
    bus: Bus, observed: Observed, members: Sequence[Member], max_hops: int
) -> Iterator[DeliveryError]:
    """The delivery errors of a bus, but for those by foreign rules."""
    present = [each for each in members if not each.orphaned]
    connected = {each.interface: each for each in present if not each.reason}
    for member in present if len(present) > 1 else ():
        if member.reason:
            yield from _both_ways(member, "all", member.reason)
        elif _lost_fd(member):
            yield from _both_ways(member, FD, NO_FD)
    yield from _dead_ends(observed, connected.values())
    bus = bus._replace(ifb=None)  # without it, they are the same
    try:
        steps = plan(observed.driver, [bus], observed, Scope(bus.names)).steps
    except ConflictError:  # a foreign interface has the hub's name
        yield DeliveryError(ALL, ALL, "all", NO_HUB)
        return
    containers = [each for each in connected.values() if each.endpoint]
    changing = any(isinstance(each, DeleteRule) and each.why in (DIRECT, BY_HUB) for each in steps)
    hub = not any(_is_of_hub(bus, each) for each in steps)
    if changing:
        yield from _between(bus, observed, containers)
    elif len(containers) > 1 and not hub:
        yield DeliveryError(ALL, ALL, "all", NO_HUB)
    by_hub = hub and not changing and len(containers) > 1
    for error in _of_steps(bus, observed, steps, max_hops):
        ends = {error.source, error.destination}
        if connected.keys() >= ends - {ALL} and (by_hub or ALL not in ends):
            yield error


def _dead_ends(observed: Observed, members: Iterable[Member]) -> Iterator[DeliveryError]:
    """The members whose frames go into an interface that is gone or down."""
    for member in members:
        target = observed.redirect(member.link.ifindex) if member.link else None
        if target is not None and not ((link := observed.at(target)) and link.up):
            yield DeliveryError(member.interface, ALL, "all", NO_IFB)


def _of_steps(
    bus: Bus, observed: Observed, steps: Sequence[Step], max_hops: int
) -> Iterator[DeliveryError]:
    """The errors that these steps would mend."""
    # A plan names each port as it was made; its link may have another name by now.
    names = {name: (found.name if (found := observed.link(name)) else name) for name in bus.names}
    names |= {port.name: ALL for port in bus.hub or ()}
    deletions = [each for each in steps if isinstance(each, DeleteRule) and each.why == UNMARKED]
    until_marked = {(each.source, each.destination, each.rule.frames) for each in deletions}
    for step in steps:
        match step:
            case AddMarks(port, healing=True):
                yield DeliveryError(names[port.name], names[port.name], "all", OWN_FRAMES)
            case AddRule(source, destination, frames) if (
                source,
                destination,
                frames,
            ) not in until_marked:
                yield DeliveryError(names[source], names[destination], frames, NO_RULE)
            case DeleteRule(rule, source, destination) | ReplaceRule(rule, _, source, destination):
                if multiplies(step, max_hops) and {source, destination} <= names.keys():
                    ends = names[source], names[destination]
                    yield DeliveryError(*ends, rule.frames, DUPLICATE_RULE)


def multiplies(step: Step, max_hops: int) -> bool:
    """Whether the rule that this step deletes or replaces duplicates frames."""
    match step:
        case DeleteRule():
            return step.why in (DUPLICATE, LEFT)
        case ReplaceRule(rule):  # what it forwards is forwarded again, and back
            return max_hops > 1 and not rule.limited
    return False


def _both_ways(member: Member, kind: str, reason: str) -> tuple[DeliveryError, DeliveryError]:
    return (
        DeliveryError(member.interface, ALL, kind, reason),
        DeliveryError(ALL, member.interface, kind, reason),
    )


def _is_of_hub(bus: Bus, step: Step) -> bool:
    """Whether a step makes the hub, or brings it up."""
    return isinstance(step, MakeHub) or (isinstance(step, BringUp) and step.port in (bus.hub or ()))


def _between(bus: Bus, observed: Observed, containers: Sequence[Member]) -> Iterator[DeliveryError]:
    """The errors between containers that are connected directly or by the hub."""
    ends = [observed.link(port.name) for port in bus.hub or ()]
    entry, leaving = ends if all(each and each.up for each in ends) and ends else (None, None)
    for source in containers:
        for destination in containers:
            if source is destination:
                continue
            direct = _rules(observed, source.link, destination.link)
            sent, received = (
                _rules(observed, source.link, entry),
                _rules(observed, leaving, destination.link),
            )
            for kind in (CLASSIC, FD, *(() if bus.physical else (ERRORS,))):
                times = direct.get(kind, 0) + sent.get(kind, 0) * received.get(kind, 0)
                if times != 1:
                    reason = DUPLICATE_RULE if times else NO_RULE
                    yield DeliveryError(source.interface, destination.interface, kind, reason)


def _rules(observed: Observed, source: Link | None, destination: Link | None) -> Mapping[str, int]:
    """The number of rules in a direction by the kind of frames."""
    found: dict[str, int] = {}
    if source and destination:
        for rule in observed.rules(source.ifindex, destination.ifindex):
            found[rule.frames] = found.get(rule.frames, 0) + 1
    return found


def _lost_fd(member: Member) -> bool:
    """Whether CAN FD frames are lost by the MTU of a host end: each pair is made for CAN FD."""
    return bool(member.endpoint and member.link and not member.link.fd)
