"""Adapters: which network is on one, and what it may ask of it. Pure.

Rules:

- Hardware is never mistaken for a virtual bus, nor the other way round: what a network says it is
  must be so, and what it was when it was made stays.
- Networks on one adapter ask for the same, or for nothing. Who moves it into a container has it
  alone.
- Nobody's settings are overridden unasked: an adapter that is up with others is an error that says
  what differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.bus.events import ERROR, WARNING, Event
from canwharf.bus.model import Bus, Settings
from canwharf.errors import OptionError
from canwharf.kernel import can
from canwharf.kernel.can import Setup
from canwharf.kernel.link import VIRTUAL, Link


def typed(settings: Settings, kind: str, found: Link | None, bus: Bus | None) -> Settings:
    """These settings for what the interface is now, or was when a network first named it.

    `kind` is what the network says (can.type), `found` the interface, `bus` what other networks
    have on it. Who asks for an adapter's settings means an adapter, even if it is not there.
    """
    physical = (
        kind == "physical"
        or bool(settings.adapter.given)
        or (found is not None and found.can and found.kind not in VIRTUAL)
        or (bus is not None and bus.physical)
    )
    return settings._replace(physical=physical)


def check(settings: Settings, kind: str, found: Link | None, bus: Bus | None) -> None:
    """Refuse what contradicts the interface or another network; as `typed`. Raises OptionError."""
    interface, adapter = settings.interface, settings.adapter
    option, value = next(iter(adapter.given.items()), ("can.type", kind))
    real = found is not None and found.kind not in VIRTUAL
    if kind == "virtual" and settings.physical:
        raise OptionError("can.type", kind, f"{interface} is a real adapter")
    if settings.physical and ((found and not real) or (bus and not bus.physical)):
        raise OptionError(
            option, value, f"{interface} is virtual, and only an adapter can have this"
        )
    if adapter.given and kind == "auto" and not real and not bus:
        reason = f"only an adapter can have this, and there is no {interface}"
        raise OptionError(option, value, f"{reason}; plug it in, or say can.type=physical too")
    if bus and (adapter.moved or bus.adapter.moved):
        reason = f"another network is on {interface}, and a moved adapter is for one alone"
        raise OptionError("can.mode", adapter.given.get("can.mode", "share"), reason)
    if bus and adapter.given and bus.adapter.given not in ({}, adapter.given):
        reason = f"another network on {interface} asks for {_words(bus.adapter.given)}"
        raise OptionError(option, value, f"{reason}; say the same, or nothing")
    if found and found.controller:
        _check_found(settings, found, found.controller)


def _check_found(settings: Settings, found: Link, controller: can.Controller) -> None:
    """Refuse what the adapter that is there cannot do, or has otherwise already."""
    adapter = settings.adapter
    for mode in can.unsupported(adapter.setup, controller):
        raise OptionError(f"can.{mode}", "on", f"the adapter {found.name} cannot do this")
    differs = can.differences(adapter.setup, controller, found.txqueuelen)
    if found.up and differs and not adapter.force:
        option, value = next(iter(adapter.given.items()))
        reason = f"the adapter {found.name} is up with {', '.join(differs)}"
        hint = f"'ip link set {found.name} down' lets canwharf set it up, can.force=true insists"
        raise OptionError(option, value, f"{reason}; {hint}")


def complaint(bus: Bus, found: Link | None) -> Event | None:
    """What an operator should know of the adapter of a bus; None if all is well."""
    fields = {"interface": bus.interface.name}
    if not bus.physical:
        return None
    if found is None:
        # One that is lent to a container is not on the host.
        missing = Event(WARNING, "the adapter is missing, waiting for it", fields)
        return None if bus.adapter.moved else missing
    if found.kind in VIRTUAL:
        return Event(
            WARNING, "a virtual interface has the adapter's name, waiting for the adapter", fields
        )
    if not found.up or found.controller is None or bus.adapter.force:
        return None
    differs = can.differences(bus.adapter.setup, found.controller, found.txqueuelen)
    if not differs:
        return None
    fields["difference"] = ", ".join(differs)
    return Event(ERROR, "somebody set the adapter up otherwise", fields)


def asked(setup: Setup) -> str:
    """What a setup asks for, for a log line."""
    told = zip(setup._fields, setup, Setup(), strict=True)
    return " ".join(f"{field}={value}" for field, value, usual in told if value != usual)


def _words(given: Mapping[str, str]) -> str:
    return " ".join(f"{option}={value}" for option, value in given.items())
