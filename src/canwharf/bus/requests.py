"""The steps of a plan as requests to the kernel. Pure."""

from __future__ import annotations

import errno

from canwharf.bus import adapter, fault, policy
from canwharf.bus.fault import Fault
from canwharf.bus.model import Policy, Port, Target
from canwharf.bus.naming import format_alias
from canwharf.bus.observed import Observed
from canwharf.bus.steps import (
    UNMARKED,
    AddMarks,
    AddRule,
    Configure,
    DeleteLink,
    DeleteRule,
    Inject,
    MakeBus,
    MakeHub,
    MakeIfb,
    MakePair,
    Redirect,
    Rename,
    ReplaceRule,
    SetPolicy,
    Step,
    TakeDown,
)
from canwharf.errors import KernelError
from canwharf.kernel import firewall, gateway, impairment, injection, link, traffic_control
from canwharf.kernel.gateway import Entry, Rule
from canwharf.kernel.impairment import Found
from canwharf.kernel.link import Link
from canwharf.kernel.request import Request
from canwharf.kernel.traffic_control import WHOLE, Marks
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Composed(NamedTuple):
    """What follows on the links: the requests, and what is different when they were sent.

    `then` may be sent only if nothing in `first` was refused. `marked` are the links with new
    filters, `guarded` those with another policy, `injected` those with other faults (beside these
    the indexes of the ifbs in which frames wait, by how long), `redirected` those that lead to
    another interface, `impaired` those with new qdiscs; `witnesses` are those of the added rules
    that only count frames.
    """

    first: list[Request]
    then: list[Request]
    marked: list[int]
    guarded: dict[int, Policy]
    injected: dict[int, tuple[tuple[Fault, ...], Mapping[int, int]]]
    added: list[Rule]
    removed: list[Rule]
    witnesses: list[Rule]
    redirected: dict[int, int | None]
    impaired: dict[int, Found]


def compose(
    steps: Sequence[Step], ready: Iterable[tuple[Port, Link]], observed: Observed
) -> Composed:
    """Bring up the links that are ready, then set filters and rules. Raises KernelError."""
    indexes = _indexes(steps, observed)
    done = Composed([], [], [], {}, {}, [], [], [], {}, {})
    _impair(steps, indexes, done)  # while it is down, as the kernel is quicker then
    for port, made in ready:
        done.first.append(link.bring_up(made.ifindex, made.name, format_alias(port.owner)))
    for step in sorted(steps, key=_newest_first):
        match step:
            case AddMarks(port, found):
                done.marked.append(indexes[port.name])
                end = traffic_control.Port(indexes[port.name], port.name)
                classifier = observed.ability.classifier if observed.ability else ""
                done.first.extend(traffic_control.add(end, classifier, found))
            case SetPolicy(port, there) if port.policy is not None:
                end = traffic_control.Port(indexes[port.name], port.name)
                done.guarded[end.ifindex] = port.policy
                match = observed.filtering.match if observed.filtering else ""
                wanted = policy.wanted(port.policy)
                done.first.extend(firewall.set_up(end, wanted, there, match))
            case Inject(port, found):
                end = traffic_control.Port(indexes[port.name], port.name)
                delays = fault.delays(port.name, port.injected).items()
                ifbs = {time: indexes[name] for name, time in delays}
                done.injected[end.ifindex] = port.injected, ifbs
                done.first.extend(injection.set_up(end, _filters(port, observed, ifbs), found))
            case Redirect():
                _redirect(step, indexes, done)
            case AddRule(source, destination, frames, echo, witness):
                rule = Rule(indexes[source], indexes[destination], frames, echo)
                done.added.append(rule)
                done.witnesses.extend([rule] * witness)
                done.then.append(gateway.add(rule, f"{source} -> {destination}"))
            case ReplaceRule(rule, new, source, destination):
                done.removed.append(rule)
                done.added.append(new)
                done.then.extend(gateway.replace(rule, new, f"{source} -> {destination}"))
            case DeleteRule(rule, why=why):
                done.removed.append(rule)
                done.then.extend([_deletion(step)] * (why != UNMARKED))
    return done


def settle(composed: Composed, observed: Observed) -> None:
    """Remember what is different on the links, as all of it was sent."""
    for index in composed.marked:
        observed.put_marks(index, Marks(WHOLE, WHOLE))
    for index, wanted in composed.guarded.items():
        observed.put_firewall(index, policy.firewall_of(wanted))
    for index, (faults, ifbs) in composed.injected.items():
        digests = fault.digests(faults, ifbs).items()
        observed.put_injected(index, {key: injection.Found(each) for key, each in digests})
    for index, target in composed.redirected.items():
        observed.put_redirect(index, target)
    for index, qdiscs in composed.impaired.items():
        observed.put_qdiscs(index, qdiscs)
    for rule in composed.removed:
        observed.remove(rule)
    for rule in composed.added:
        observed.add(rule)


def _filters(
    port: Port, observed: Observed, ifbs: Mapping[int, int]
) -> Mapping[injection.Key, injection.Wanted]:
    """The filters of a port's faults. Raises OptionError."""
    if not port.injected:
        return {}
    from canwharf.bus import fault_options  # noqa: PLC0415 (not everybody has faults)

    match = observed.filtering.match if observed.filtering else ""
    return fault_options.filters(port.injected, match, ifbs)


def _impair(steps: Iterable[Step], indexes: Mapping[str, int], done: Composed) -> None:
    for step in steps:
        if isinstance(step, MakeIfb):
            ifb = traffic_control.Port(indexes[step.port.name], step.port.name)
            done.first.extend(impairment.set_up(ifb, step.impairment))
            done.impaired[ifb.ifindex] = impairment.wanted(step.impairment)


def _redirect(step: Redirect, indexes: Mapping[str, int], done: Composed) -> None:
    end = traffic_control.Port(indexes[step.port.name], step.port.name)
    if step.ifb is None:
        done.first.append(impairment.straight(end))
        done.redirected[end.ifindex] = None
        return
    ifb = traffic_control.Port(indexes[step.ifb.name], step.ifb.name)
    done.first.extend(impairment.redirect(end, ifb))
    done.redirected[end.ifindex] = ifb.ifindex


def unmarked(steps: Iterable[Step]) -> list[Request]:
    """Deletions before all else: a container would hear its own frames until they are done."""
    rules = [step for step in steps if isinstance(step, DeleteRule) and step.why == UNMARKED]
    return list(map(_deletion, rules))


def _deletion(step: DeleteRule) -> Request:
    return gateway.delete(step.rule, f"{step.source} -> {step.destination}")


def lost(composed: Composed, entries: Mapping[Rule, Entry]) -> int:
    """The frames that were lost while containers went from one shape to the other.

    Those that a witness saw and that the last of the new rules beside it did not forward; `entries`
    are all rules with their counts.
    """
    passed: dict[tuple[int, str], list[int]] = {}
    for rule in composed.added:
        if not rule.echo and rule not in composed.witnesses:
            count = entries[rule].handled if rule in entries else 0
            passed.setdefault((rule.source, rule.frames), []).append(count)
    seen = [entries[each] for each in composed.witnesses if each in entries]
    return sum(
        max(0, each.handled + each.dropped - min(passed[each.rule.source, each.rule.frames]))
        for each in seen
    )


def of_link(step: Step, group: int) -> tuple[list[Request], list[str]]:
    """The requests of a step that is not about rules, and the names of the links to read."""
    match step:
        case DeleteLink(device):
            return [link.delete(device.ifindex, device.name)], []
        case MakeBus(port):
            return [link.make_vcan(port.name, group)], [port.name]
        case MakeHub((entry, out)):
            return [link.make_hub(entry.name, out.name, group)], [entry.name, out.name]
        case MakeIfb(port):
            return [link.make_ifb(port.name, group)], [port.name]
        case MakePair(port, target):
            return _pair(port, target, group)
    return _adapter_requests(step)


def _adapter_requests(step: Step) -> tuple[list[Request], list[str]]:
    """The requests of a step about an adapter, and the names of the links to read."""
    match step:
        case Configure(device, settings, owner):
            alias = format_alias(owner) if owner else device.alias
            requested = adapter.describe_settings(settings)
            return link.configure(device, settings, alias, requested), [device.name]
        case TakeDown(device):
            return [link.take_down(device)], [device.name]
        case Rename(device, name):
            return [link.rename(device.ifindex, device.name, name)], [name]
    return [], []


def _pair(port: Port, target: Target | None, group: int) -> tuple[list[Request], list[str]]:
    if target:
        return [link.place_pair(port.name, target.name, target.namespace, group)], [port.name]
    return [link.make_pair(port.name, port.container, group)], [port.name, port.container]


def _newest_first(step: Step) -> int:
    """A sort key: rules to be replaced, those of the newest interfaces first; other steps stay.

    The kernel searches for a rule to delete from the newest on. In this order the newer rules have
    been replaced already, and differ in the first field that it compares. Otherwise an upgrade
    under a bus of 100 containers takes five times as long, and longer than the watchdog allows.
    """
    return -max(step.rule[:2]) if isinstance(step, ReplaceRule) else 0


def _indexes(steps: Iterable[Step], observed: Observed) -> dict[str, int]:
    """The indexes of the interfaces of filters and rules to add, by name. Raises KernelError."""
    indexes = {}
    of_ports = (AddMarks, SetPolicy, Inject, MakeIfb, Redirect)
    names = [step.port.name for step in steps if isinstance(step, of_ports)]
    names += [step.ifb.name for step in steps if isinstance(step, Redirect) and step.ifb]
    for step in steps:
        names += step.port.names if isinstance(step, Inject) else ()
        names += (step.source, step.destination) if isinstance(step, AddRule) else ()
    for name in dict.fromkeys(names):
        found = observed.link(name)
        if found is None:
            reason = "it went away while its gateway rules were being made"
            raise KernelError("find", f"interface {name}", errno.ENODEV, reason)
        indexes[name] = found.ifindex
    return indexes
