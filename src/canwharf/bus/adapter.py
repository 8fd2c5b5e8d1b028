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

from canwharf.bus import events
from canwharf.bus.events import Event
from canwharf.bus.model import Bus, Settings
from canwharf.bus.naming import AdapterOwner, owner_of
from canwharf.bus.observed import Observed
from canwharf.errors import OptionError
from canwharf.kernel import can
from canwharf.kernel.can import CanSettings
from canwharf.kernel.link import VIRTUAL, Link

# What `ip -s -d link` calls them, in the order of can.Statistics
_VIRTUAL = "can.type=virtual makes a bus without an adapter, on which this has no effect"
_STATISTICS = (
    *("bus-errors", "error-warning", "error-passive", "bus-off"),
    *("arbitration-lost", "restarts"),
)


def typed(settings: Settings, kind: str, found: Link | None, bus: Bus | None) -> Settings:
    """These settings for what the interface is now, or was when a network first named it.

    `kind` is what the network says (can.type), `found` the interface, `bus` what other networks
    have on it. Who asks for an adapter's settings means an adapter, even if it is not there.
    """
    physical = (
        kind == "physical"
        or bool(settings.adapter.options)
        or (found is not None and found.can and found.kind not in VIRTUAL)
        or (bus is not None and bus.physical)
    )
    return settings._replace(physical=physical)


def check(settings: Settings, kind: str, found: Link | None, bus: Bus | None) -> None:
    """Refuse what contradicts the interface or another network; as `typed`. Raises OptionError."""
    interface, adapter = settings.interface, settings.adapter
    option, value = next(iter(adapter.options.items()), ("can.type", kind))
    there = found is not None or bus is not None
    virtual = (found is not None and found.kind in VIRTUAL) or (bus and not bus.physical)
    reason = ""
    if kind == "virtual" and there and not virtual:
        option, value, reason = "can.type", kind, f"{interface} is a real adapter"
    elif virtual and kind == "physical":
        reason = f"{interface} is there and is virtual; delete it, or name the adapter's interface"
        option, value = "can.type", kind
    elif virtual and adapter.options:
        reason = f"only an adapter can have this, and {interface} is virtual; {_VIRTUAL}"
    elif adapter.options and kind == "auto" and not there:
        reason = f"only an adapter can have this, and there is no {interface}; "
        reason += f"plug it in, or say can.type=physical to wait for it; {_VIRTUAL}"
    if reason:
        raise OptionError(option, value, reason)
    if bus:
        _check_shared(settings, bus)
    if (
        found
        and not adapter.settings.empty
        and (bus is None or bus.adapter.options != adapter.options)
    ):
        _check_found(settings, found)


def _check_shared(settings: Settings, bus: Bus) -> None:
    """Refuse what contradicts the other networks of an interface."""
    interface = settings.interface
    options, others = settings.adapter.options, bus.adapter.options
    if settings.adapter.moved or bus.adapter.moved:
        reason = f"another network is on {interface}, and a moved adapter is for one alone"
        raise OptionError("can.mode", options.get("can.mode", "share"), reason)
    if options and others not in ({}, options):
        reason = f"another network on {interface} asks for {_words(others)}; say the same"
        raise OptionError(*next(iter(options.items())), f"{reason}, or nothing")


def _check_found(settings: Settings, found: Link) -> None:
    """Refuse what the adapter that is there cannot do, or has otherwise already."""
    adapter, controller = settings.adapter, found.controller
    option, value = next(iter(adapter.options.items()))
    if controller is None:
        reason = f"the driver of {found.name} has no such settings: its own tools set it up"
        raise OptionError(option, value, reason)
    for name in can.unsupported(adapter.settings, controller):
        reason = f"the adapter {found.name} cannot do this"
        if name == "termination":
            reason += f", but {', '.join(map(str, controller.terminations))}"
        raise OptionError(f"can.{name}", adapter.options[f"can.{name}"], reason)
    differs = can.differences(adapter.settings, controller, found.txqueuelen)
    if found.up and differs and not adapter.force:
        reason = f"the adapter {found.name} is up with {', '.join(differs)}"
        hint = f"'ip link set {found.name} down' lets canwharf set it up, can.force=true insists"
        raise OptionError(option, value, f"{reason}; {hint}")


def link_of(bus: Bus, observed: Observed) -> Link | None:
    """The adapter of a physical bus, if it is there: not what only bears its name."""
    link = observed.link(bus.interface.name)
    if link is None or not link.can or link.kind in VIRTUAL:
        return None
    owner = owner_of(link)
    of_another = isinstance(owner, AdapterOwner) and owner.name not in ("", link.name)
    return None if of_another else link


def complaint(bus: Bus, observed: Observed) -> Event | None:
    """What an operator should know of the adapter of a bus; None if all is well."""
    name = bus.interface.name
    fields = {"interface": name}
    if not bus.physical:
        return None
    if observed.link(name) is None:
        # One that is moved into a container is not on the host.
        if bus.adapter.moved:
            return None
        if other := observed.other(name):
            fields["altname_of"] = other.name
        return Event(events.ADAPTER_MISSING, fields)
    link = link_of(bus, observed)
    if link is None:
        return Event(events.ADAPTER_NAME_TAKEN, fields)
    differences = _differences(bus, link)
    if not differences:
        return None
    fields["difference"] = differences
    return Event(events.ADAPTER_SET_UP_OTHERWISE, fields)


def move_fault(bus: Bus, observed: Observed) -> str:
    """Why an adapter cannot be given to a container as it is; empty if it can."""
    link = link_of(bus, observed)
    if link is None:
        return (
            "it is not there, and can.mode=move gives it to the container itself: "
            "plug it in and start the container again"
        )
    if link.controller and not (bus.adapter.settings.timed or link.controller.bitrate):
        return "it has no bit rate: give the network one with can.bitrate"
    differences = _differences(bus, link)
    return f"it is up with {differences}" if differences else ""


def _differences(bus: Bus, link: Link) -> str:
    """What an adapter that is up has otherwise than its network asks, and should not have."""
    if not link.up or link.controller is None or bus.adapter.force:
        return ""
    settings = bus.adapter.settings
    by_us = owner_of(link) == bus.interface.owner
    wanted = settings.sure if by_us else settings
    return ", ".join(can.differences(wanted, link.controller, link.txqueuelen))


def is_moved(name: str, observed: Observed) -> bool:
    """Whether the adapter is in a container, or on its way there; or unplugged."""
    link = observed.link(name)
    return link is None or link.ifindex in observed.moved


def described(bus: Bus, found: Link | None) -> dict[str, str]:
    """State, rate and counters of an adapter, for an operator."""
    if found is None:
        # One that is moved is in its container, where nobody looks.
        return {"canwharf.adapter": "moved or missing" if bus.adapter.moved else "missing"}
    told = {"canwharf.adapter": "up" if found.up else "down"}
    controller = found.controller
    if controller is None:
        return told
    told["canwharf.state"] = controller.state_name
    told["canwharf.bitrate"] = str(controller.bitrate)
    if controller.dbitrate:
        told["canwharf.dbitrate"] = str(controller.dbitrate)
    for name, value in zip(("tx-errors", "rx-errors"), controller.errors, strict=False):
        told[f"canwharf.{name}"] = str(value)
    for name, value in zip(_STATISTICS, controller.statistics, strict=True):
        told[f"canwharf.{name}"] = str(value)
    return told


def describe_settings(settings: CanSettings) -> str:
    """The settings as a network's options write them."""
    told = [
        f"can.{field.replace('_', '-')}={value / 1000:g}"
        if field.endswith("sample_point")
        else f"can.{field.replace('_', '-')}={value}"
        for field, value in settings._asdict().items()
        if value != CanSettings._field_defaults[field] and field not in ("mask", "modes")
    ]
    for name, flag in can.MODES.items():
        if settings.mask & flag:
            told.append(f"can.{name}={'on' if settings.modes & flag else 'off'}")
    if settings.mask & can.TDC_MASK:
        told.append(f"can.tdc-mode={can.tdc_mode(settings.modes)}")
    return " ".join(told)


def _words(options: Mapping[str, str]) -> str:
    return " ".join(f"{option}={value}" for option, value in options.items())
