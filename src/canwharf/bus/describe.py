"""What is said of steps and of what was done: one table for the log and a dry run. Pure.

A new step is a row of `_TABLE`, beside its place in `bus.plan` and `bus.reconcile`.
"""

from __future__ import annotations

from canwharf.bus import adapter, events, naming, options
from canwharf.bus.events import Event, EventType
from canwharf.bus.model import CLOSED, OPEN, Endpoint, Network
from canwharf.bus.naming import EndpointOwner, ImpairmentOwner
from canwharf.bus.steps import (
    BY_HUB,
    DIRECT,
    DUPLICATE,
    LEFT,
    UNMARKED,
    UNWANTED,
    WITNESS,
    AddMarks,
    AddRule,
    BringUp,
    Configure,
    DeleteLink,
    DeleteRule,
    Inject,
    MakeBus,
    MakeHub,
    MakeIfb,
    MakePair,
    Plan,
    Redirect,
    Rename,
    ReplaceRule,
    SetPolicy,
    Step,
    TakeDown,
)
from canwharf.kernel.link import Link
from canwharf.record import NamedTuple

MADE, REMOVED, REPAIRED = SORTS = ("made", "removed", "repaired")  # in the order of a summary
TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from typing import Any, TypeVar

    _S = TypeVar("_S", bound=Step)


class Change(NamedTuple):
    """A line about what `sync` does, or would do: its sort is one of SORTS."""

    sort: str
    line: str


class _Row:
    """One kind of step; no named tuple, whose making costs a start ten times as much.

    `line` is for a dry run, in the imperative; `interfaces` are the names of those that the step
    touches, `frames` those that its rule carries. `event` makes the event of a step that was done,
    and is told whether what was made had been there before; `counted` is the one event for all
    such steps of a plan, with their number. A step without either is not worth a line of the log.
    """

    sort: str
    line: Callable[[Any], str]
    interfaces: Callable[[Any], tuple[str, ...]]
    event: Callable[[Any, bool], Event | None] | None
    frames: Callable[[Any], str] | None
    counted: EventType | None


def _row(
    step: type[_S],
    sort: str,
    line: Callable[[_S], str],
    interfaces: Callable[[_S], tuple[str, ...]],
    *,
    event: Callable[[_S, bool], Event | None] | None = None,
    frames: Callable[[_S], str] | None = None,
    counted: EventType | None = None,
) -> tuple[type[object], _Row]:
    """A row, whose functions are about this kind of step."""
    row = _Row()
    row.sort, row.line, row.interfaces = sort, line, interfaces
    row.event, row.frames, row.counted = event, frames, counted
    return step, row


def _made_bus(step: MakeBus, recovering: bool) -> Event:
    made = events.BUS_RECREATED if recovering else events.BUS_CREATED
    return Event(made, {"interface": step.port.name})


def _configured(step: Configure, _recovering: bool) -> Event | None:
    if asked := adapter.describe_settings(step.settings):
        return Event(events.ADAPTER_CONFIGURED, {"interface": step.link.name, "setup": asked})
    return None


def _marked(step: AddMarks, _recovering: bool) -> Event | None:
    fields = {"interface": step.port.name}
    return Event(events.MARKS_RESTORED, fields) if step.healing else None


def _policed(step: SetPolicy, _recovering: bool) -> Event | None:
    words = step.port.policy or OPEN
    named = {"send": words.send or "all", "receive": words.receive or "all"}
    return Event(events.POLICY_SET, {"interface": step.port.name, **named})


def _faulty(step: Inject, _recovering: bool) -> Event:
    now = "; ".join(map(str, step.port.injected)) or "none"
    return Event(events.FAULTS_SET, {"interface": step.port.name, "faults": now})


def _impaired(step: MakeIfb, _recovering: bool) -> Event | None:
    owner = step.port.owner
    if not isinstance(owner, ImpairmentOwner):
        return None  # a fault's, which has an event of its own
    told = {option.removeprefix("can."): text for option, text in _impairment(step)}
    return Event(events.IMPAIRMENT_SET, {"interface": owner.bus, **told})


def _impairment(step: MakeIfb) -> Iterable[tuple[str, str]]:
    return options.impairment_texts(step.impairment).items()


def _redirect(step: Redirect) -> str:
    where = f"through {step.ifb.name}" if step.ifb else "straight on"
    return f"let what {step.port.name} sends go {where}"


# Why a rule is deleted -> its line in a dry run, and its event, unless that is the whole plan's.
_WHY: dict[str, tuple[str, EventType | None]] = {
    DUPLICATE: ("delete duplicate {rule}", events.RULE_DUPLICATE),
    LEFT: ("delete a renamed interface's {rule}", events.RULE_LEFT_BEHIND),
    UNWANTED: ("delete unwanted {rule}", events.RULE_UNWANTED),
    DIRECT: ("connect {source} by the hub in place of directly", None),
    BY_HUB: ("delete {rule}, as its bus has no hub", None),
    UNMARKED: ("delete {rule} for the moment", None),
    WITNESS: ("delete {rule}, which only counted frames", None),
}


def _deleted_rule(step: DeleteRule, _recovering: bool) -> Event | None:
    event = _WHY[step.why][1]
    return event and Event(event, {"source": step.source, "destination": step.destination})


def _between(step: AddRule | ReplaceRule | DeleteRule) -> str:
    return f"gateway rule {step.source} -> {step.destination}"


def _ends(step: AddRule | ReplaceRule | DeleteRule) -> tuple[str, str]:
    return step.source, step.destination


def _configure(step: Configure) -> str:
    settings = adapter.describe_settings(step.settings) or "only its alias"
    return f"set adapter {step.link.name} up: {settings}"


_TABLE = dict(
    (
        _row(
            MakeBus,
            MADE,
            lambda step: f"make bus interface {step.port.name}",
            lambda step: (step.port.name,),
            event=_made_bus,
        ),
        _row(
            MakePair,
            MADE,
            lambda step: f"make interface pair {step.port.name}",
            lambda step: (step.port.name,),
        ),
        _row(
            MakeHub,
            MADE,
            lambda step: f"make hub {step.hub.entry.name}",
            lambda step: tuple(port.name for port in step.hub),
        ),
        _row(
            MakeIfb,
            MADE,
            lambda step: (
                f"make {step.port.name} for trouble on purpose: "
                + ", ".join(f"{option}={text}" for option, text in _impairment(step))
            ),
            lambda step: (step.port.name,),
            event=_impaired,
        ),
        _row(
            Redirect,
            REPAIRED,
            _redirect,
            lambda step: (step.port.name,),
        ),
        _row(
            AddRule,
            MADE,
            lambda step: f"add {_between(step)}",
            _ends,
            frames=lambda step: step.frames,
        ),
        _row(
            DeleteLink,
            REMOVED,
            lambda step: f"delete unowned interface {step.link.name}",
            lambda step: (step.link.name,),
            event=lambda step, _: Event(events.INTERFACE_REMOVED, {"interface": step.link.name}),
        ),
        _row(
            DeleteRule,
            REMOVED,
            lambda step: _WHY[step.why][0].format(rule=_between(step), source=step.source),
            _ends,
            event=_deleted_rule,
            frames=lambda step: step.rule.frames,
        ),
        _row(
            AddMarks,
            REPAIRED,
            lambda step: f"add the filters that keep its own frames from {step.port.name}",
            lambda step: (step.port.name,),
            event=_marked,
        ),
        _row(
            SetPolicy,
            REPAIRED,
            lambda step: f"set which frames {step.port.name} lets pass",
            lambda step: (step.port.name,),
            event=_policed,
        ),
        _row(
            Inject,
            REPAIRED,
            lambda step: f"set the faults on purpose of {step.port.name}",
            lambda step: (step.port.name,),
            event=_faulty,
        ),
        _row(
            ReplaceRule,
            REPAIRED,
            lambda step: f"replace an earlier version's {_between(step)}",
            _ends,
            frames=lambda step: step.rule.frames,
            counted=events.RULES_REPLACED,
        ),
        _row(
            BringUp,
            REPAIRED,
            lambda step: f"bring up and name interface {step.link.name}",
            lambda step: (step.link.name, step.port.name),
            event=lambda step, _: Event(events.INTERFACE_BROUGHT_UP, {"interface": step.link.name}),
        ),
        _row(
            Configure,
            REPAIRED,
            _configure,
            lambda step: (step.link.name,),
            event=_configured,
        ),
        _row(
            TakeDown,
            REPAIRED,
            lambda step: f"take adapter {step.link.name} down, which no network wants",
            lambda step: (step.link.name,),
            event=lambda step, _: Event(events.ADAPTER_TAKEN_DOWN, {"interface": step.link.name}),
        ),
        _row(
            Rename,
            REPAIRED,
            lambda step: f"rename adapter {step.link.name} to {step.name}",
            lambda step: (step.link.name, step.name),
            event=lambda step, _: Event(events.ADAPTER_RENAMED, {"interface": step.name}),
        ),
    )
)


def changes(adopted: Iterable[str], steps: Iterable[Step], lost: int = 0) -> list[Change]:
    """The lines about endpoints that are adopted, steps in their order, and frames lost by them.

    Those about rules from one interface to another for several kinds of frames share a line.
    """
    told = [Change(REPAIRED, f"adopt endpoint {endpoint}") for endpoint in sorted(adopted)]
    frames: dict[Change, dict[str, None]] = {}  # those of a line about rules, in their order
    witnesses: set[tuple[str, str]] = set()  # they come and go while containers are connected
    for step in steps:
        if isinstance(step, AddRule) and step.witness:
            witnesses.add(_ends(step))
            continue
        if isinstance(step, DeleteRule) and step.why == WITNESS and _ends(step) in witnesses:
            continue
        row = _TABLE[type(step)]
        found = frames.setdefault(Change(row.sort, row.line(step)), {})
        if row.frames:
            found[row.frames(step)] = None
    for change, kinds in frames.items():
        line = f"{change.line} ({', '.join(kinds)})" if kinds else change.line
        told.append(change._replace(line=line))
    if lost:
        told.append(Change(REPAIRED, f"{lost} frames were lost while containers were connected"))
    return told


def touched(step: Step) -> set[str]:
    """The names of the interfaces that a step is about."""
    return set(_TABLE[type(step)].interfaces(step))


def applied(done: Plan, interface: str, recovering: bool) -> Iterator[Event]:
    """The events of a plan that was applied; `recovering`: what was made had been there once.

    `interface` is that of the bus, if it was about one.
    """
    reasons = {step.why for step in done.steps if isinstance(step, DeleteRule)}
    for why, shape in ((DIRECT, "linear"), (BY_HUB, "mesh")):
        if why in reasons:
            lost = str(done.lost)
            fields = {"interface": interface, "shape": shape, "frames-lost": lost}
            yield Event(events.BUS_RESHAPED, fields)
    kinds: dict[type[Step], int] = {}
    for step in done.steps:
        kinds[type(step)] = kinds.get(type(step), 0) + 1
    # Containers that were on a hub before have their marks.
    if recovering and MakeHub in kinds and AddRule in kinds and AddMarks not in kinds:
        yield Event(events.HUB_RECREATED, {"interface": interface})
    for kind, number in kinds.items():
        if counted := _TABLE[kind].counted:
            yield Event(counted, {"rules": str(number)})
    for step in done.steps:
        event = _TABLE[type(step)].event
        if event and (told := event(step, recovering)):
            yield told


def created(
    network: Network, kind: str, found: Link | None, given: Mapping[str, object]
) -> Iterator[Event]:
    """The events of a new network, and of what may not be as it was meant.

    `kind` is what it says of its interface (can.type), `found` the interface that was there,
    `given` are all its options.
    """
    fields = {"network": network.id, "interface": network.settings.interface}
    yield Event(events.NETWORK_CREATED, fields)
    if kind == "virtual" and (idle := options.without_effect(given)):
        told = {**fields, "options": ", ".join(idle)}
        yield Event(events.SETTINGS_WITHOUT_EFFECT, told)
    if kind == "auto" and found is None and naming.is_hardware_like(fields["interface"]):
        yield Event(events.BUS_NAMED_LIKE_ADAPTER, fields)


def ignored(network: str, given: Mapping[str, object]) -> Iterator[Event]:
    """The event of a network's options that are unknown, if there are any."""
    if unknown := options.unknown(given):
        told = ", ".join(f"{each}={given[each]}" for each in unknown)
        yield Event(events.OPTIONS_IGNORED, {"network": network, "options": told})


def closed(endpoint: Endpoint, fields: Mapping[str, str]) -> Iterator[Event]:
    """The event of an endpoint whose own options are not known, if it is closed for that."""
    if endpoint.policy == CLOSED:
        yield Event(events.ENDPOINT_CLOSED, fields)


def forgotten(networks: Iterable[Network]) -> Iterator[Event]:
    """The event of each network of which it is not known what its containers may."""
    for network in networks:
        if network.settings.policy is None:
            fields = {"network": network.id, "interface": network.settings.interface}
            yield Event(events.POLICY_FORGOTTEN, fields)


def absent(done: Plan, created: Collection[str]) -> Iterator[Event]:
    """The endpoints that a plan left out and that were once there: others have not joined yet."""
    for port in done.absent:
        owner = port.owner
        if isinstance(owner, EndpointOwner) and owner.endpoint not in created:
            fields = {
                "network": owner.network,
                "endpoint": owner.endpoint,
                "interface": port.name,
            }
            yield Event(events.ENDPOINT_SKIPPED, fields)
