"""What was done, as events for a log: an applied plan in an operator's words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from canwharf.bus import adapter, events, naming, options
from canwharf.bus.events import Event
from canwharf.bus.model import Network
from canwharf.bus.naming import EndpointAlias, parse_alias
from canwharf.bus.plan import (
    LEFT,
    UNWANTED,
    BringUp,
    Configure,
    DeleteLink,
    DeleteRule,
    MakeBus,
    Plan,
    Rename,
    ReplaceRule,
    Step,
    TakeDown,
)
from canwharf.kernel.link import Link


def steps(done: Plan, recovering: bool) -> Iterator[Event]:
    """The steps of a plan that are worth a line.

    `recovering` says that what was made had been there once.
    """
    replaced = sum(isinstance(step, ReplaceRule) for step in done.steps)
    if replaced:
        fields = {"rules": str(replaced)}
        yield Event(events.RULES_REPLACED, fields)
    for step in done.steps:
        yield from _step(step, recovering)


def _step(step: Step, recovering: bool) -> Iterator[Event]:
    match step:
        case MakeBus(port):
            if recovering:
                yield Event(events.BUS_RECREATED, {"interface": port.name})
            else:
                yield Event(events.BUS_CREATED, {"interface": port.name})
        case Configure(link, setup) if asked := adapter.asked(setup):
            fields = {"interface": link.name, "setup": asked}
            yield Event(events.ADAPTER_CONFIGURED, fields)
        case TakeDown(link):
            yield Event(events.ADAPTER_TAKEN_DOWN, {"interface": link.name})
        case Rename(_, name):
            yield Event(events.ADAPTER_RENAMED, {"interface": name})
        case BringUp(_, link):
            yield Event(events.INTERFACE_BROUGHT_UP, {"interface": link.name})
        case DeleteLink(link):
            yield Event(events.INTERFACE_REMOVED, {"interface": link.name})
        case DeleteRule():
            yield _removed(step)


def _removed(step: DeleteRule) -> Event:
    fields = {"source": step.source, "destination": step.destination}
    if step.why == LEFT:
        return Event(events.RULE_LEFT_BEHIND, fields)
    if step.why == UNWANTED:
        return Event(events.RULE_UNWANTED, fields)
    return Event(events.RULE_DOUBLED, fields)


def created(
    network: Network, kind: str, found: Link | None, given: Mapping[str, object]
) -> Iterator[Event]:
    """A network that was made, and what of it is perhaps not as it was meant.

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


def ignored(network: str, given: Mapping[str, object], strange: Collection[str]) -> Iterator[Event]:
    """What a network has among its options that nobody knows."""
    if strange:
        fields = {
            "network": network,
            "options": ", ".join(f"{each}={given[each]}" for each in strange),
        }
        yield Event(events.OPTIONS_IGNORED, fields)


def absent(done: Plan, created: Collection[str]) -> Iterator[Event]:
    """The endpoints that a plan left out and that were once there: others have not joined yet."""
    for port in done.absent:
        owner = parse_alias(port.alias)
        if isinstance(owner, EndpointAlias) and owner.endpoint not in created:
            fields = {
                "network": owner.network,
                "endpoint": owner.endpoint,
                "interface": port.name,
            }
            yield Event(events.ENDPOINT_SKIPPED, fields)
