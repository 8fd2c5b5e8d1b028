"""Adapters: which networks may use one, and with which settings. Pure.

Rules:

- Hardware is never taken for a virtual bus, nor a virtual bus for hardware: `can.type` must fit the
  interface, and a network keeps the type that it was created with.
- Networks on one adapter have the same settings, or none. An adapter that is moved into a container
  has one network.
- The settings of an adapter that is up are changed only with `can.force`: otherwise different ones
  are an error that names the differences.
"""

from __future__ import annotations

from canwharf.bus import events, options
from canwharf.bus.events import Event
from canwharf.bus.model import Bus, Network, Settings, State
from canwharf.bus.naming import AdapterOwner, owner_of
from canwharf.bus.observed import Observed
from canwharf.errors import ConflictError, OptionError
from canwharf.kernel import can
from canwharf.kernel.can import CanSettings
from canwharf.kernel.impairment import PERFECT, Impairment
from canwharf.kernel.link import VIRTUAL, Link

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# The names of can.Statistics in `ip -s -d link`, in the same order
_VIRTUAL = "can.type=virtual makes a bus without an adapter, on which this has no effect"
_STATISTICS = (
    *("bus-errors", "error-warning", "error-passive", "bus-off"),
    *("arbitration-lost", "restarts"),
)


def typed(settings: Settings, kind: str, link: Link | None, bus: Bus | None) -> Settings:
    """These settings with the type of the interface: now, or when a network first named it.

    `kind` is the network's can.type, `link` the interface, `bus` the bus of other networks on it. A
    network with an adapter's settings means an adapter, even if that is missing.
    """
    physical = (
        kind == "physical"
        or bool(settings.adapter.options)
        or (link is not None and link.can and link.kind not in VIRTUAL)
        or (bus is not None and bus.physical)
    )
    return settings._replace(physical=physical)


def check(settings: Settings, kind: str, link: Link | None, bus: Bus | None) -> None:
    """Refuse settings that the interface or another network rules out. Raises OptionError."""
    interface, adapter = settings.interface, settings.adapter
    option, value = next(iter(adapter.options.items()), ("can.type", kind))
    exists = link is not None or bus is not None
    virtual = (link is not None and link.kind in VIRTUAL) or (bus and not bus.physical)
    reason = ""
    if kind == "virtual" and exists and not virtual:
        option, value, reason = "can.type", kind, f"{interface} is a real adapter"
    elif virtual and kind == "physical":
        reason = f"{interface} is there and is virtual; delete it, or name the adapter's interface"
        option, value = "can.type", kind
    elif virtual and adapter.options:
        reason = f"only an adapter can have this, and {interface} is virtual; {_VIRTUAL}"
    elif adapter.options and kind == "auto" and not exists:
        reason = f"only an adapter can have this, and there is no {interface}; "
        reason += f"plug it in, or say can.type=physical to wait for it; {_VIRTUAL}"
    if reason:
        raise OptionError(option, value, reason)
    _check_impairment(settings, bus.impairment if bus else PERFECT)
    if settings.impairment.any and bus and bus.delays:
        raise ConflictError(
            f"a container on {settings.interface} has a fault that delays frames, which would not "
            "go through this trouble on purpose: end it first ('canwharf fault clear')"
        )
    if settings.span.name:
        from canwharf.bus import span  # noqa: PLC0415 (not everybody spans hosts)

        span.check(settings, bus)
    if bus:
        _check_shared(settings, bus)
    if (
        link
        and not adapter.settings.empty
        and (bus is None or bus.adapter.options != adapter.options)
    ):
        _check_link(settings, link)


def _check_impairment(settings: Settings, other: Impairment) -> None:
    """Refuse trouble on purpose that the interface or another network rules out."""
    if settings.impairment == PERFECT:
        return
    reason = ""
    if settings.physical:
        reason = (
            f"only a virtual bus does this, and {settings.interface} is an adapter, whose wire has "
            "its own bit rate and errors: leave it away, or give can.type=virtual for a virtual bus"
        )
    elif other not in (PERFECT, settings.impairment):
        texts = options.impairment_texts(other).items()
        told = " ".join(f"{each}={text}" for each, text in texts)
        reason = (
            f"another network on {settings.interface} asks for {told}; say the same, or nothing"
        )
    if reason:
        own = options.impairment_texts(settings.impairment)
        raise OptionError(*next(iter(own.items())), reason)


def _check_shared(settings: Settings, bus: Bus) -> None:
    """Refuse settings that the other networks of an interface rule out."""
    interface = settings.interface
    options, others = settings.adapter.options, bus.adapter.options
    if settings.adapter.moved or bus.adapter.moved:
        reason = f"another network is on {interface}, and a moved adapter is for one alone"
        raise OptionError("can.mode", options.get("can.mode", "share"), reason)
    if options and others not in ({}, options):
        reason = f"another network on {interface} asks for {_text(others)}; say the same"
        raise OptionError(*next(iter(options.items())), f"{reason}, or nothing")


def _check_link(settings: Settings, link: Link) -> None:
    """Refuse settings that the adapter cannot have, or that differ while it is up."""
    adapter, controller = settings.adapter, link.controller
    option, value = next(iter(adapter.options.items()))
    if controller is None:
        reason = f"the driver of {link.name} has no such settings: its own tools set it up"
        raise OptionError(option, value, reason)
    for name in can.unsupported(adapter.settings, controller):
        reason = f"the adapter {link.name} cannot do this"
        if name == "termination":
            reason += f", but {', '.join(map(str, controller.terminations))}"
        raise OptionError(f"can.{name}", adapter.options[f"can.{name}"], reason)
    differs = can.differences(adapter.settings, controller, link.txqueuelen)
    if link.up and differs and not adapter.force:
        reason = f"the adapter {link.name} is up with {', '.join(differs)}"
        hint = f"'ip link set {link.name} down' lets canwharf set it up, can.force=true insists"
        raise OptionError(option, value, f"{reason}; {hint}")


def link_of(bus: Bus, observed: Observed) -> Link | None:
    """The adapter of a physical bus; None if it is missing, or only its name is there."""
    link = observed.link(bus.interface.name)
    if link is None or not link.can or link.kind in VIRTUAL:
        return None
    owner = owner_of(link)
    of_another = isinstance(owner, AdapterOwner) and owner.name not in ("", link.name)
    return None if of_another else link


def complaint(bus: Bus, observed: Observed) -> Event | None:
    """The warning about the adapter of a bus; None if all is well."""
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
    """Why an adapter cannot be moved into a container as it is; empty if it can."""
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
    """The settings of an adapter that is up and differs from its network; empty if none differs."""
    if not link.up or link.controller is None or bus.adapter.force:
        return ""
    settings = bus.adapter.settings
    by_us = owner_of(link) == bus.interface.owner
    wanted = settings.sure if by_us else settings
    return ", ".join(can.differences(wanted, link.controller, link.txqueuelen))


def is_moved(name: str, observed: Observed) -> bool:
    """Whether the adapter is in a container, about to be moved there, or unplugged."""
    link = observed.link(name)
    return link is None or link.ifindex in observed.moved


def described(bus: Bus, link: Link | None) -> dict[str, str]:
    """State, bit rates and counters of an adapter, as an engine shows them."""
    if link is None:
        # A moved adapter is in its container, which is not entered.
        return {"canwharf.adapter": "moved or missing" if bus.adapter.moved else "missing"}
    info = {"canwharf.adapter": "up" if link.up else "down"}
    controller = link.controller
    if controller is None:
        return info
    info["canwharf.state"] = controller.state_name
    info["canwharf.bitrate"] = str(controller.bitrate)
    if controller.dbitrate:
        info["canwharf.dbitrate"] = str(controller.dbitrate)
    for name, value in zip(("tx-errors", "rx-errors"), controller.errors, strict=False):
        info[f"canwharf.{name}"] = str(value)
    for name, value in zip(_STATISTICS, controller.statistics, strict=True):
        info[f"canwharf.{name}"] = str(value)
    return info


def describe_settings(settings: CanSettings) -> str:
    """The settings in the form of a network's options."""
    options = [
        f"can.{field.replace('_', '-')}={value / 1000:g}"
        if field.endswith("sample_point")
        else f"can.{field.replace('_', '-')}={value}"
        for field, value in settings._asdict().items()
        if value != CanSettings._field_defaults[field] and field not in ("mask", "modes")
    ]
    for name, flag in can.MODES.items():
        if settings.mask & flag:
            options.append(f"can.{name}={'on' if settings.modes & flag else 'off'}")
    if settings.mask & can.TDC_MASK:
        options.append(f"can.tdc-mode={can.tdc_mode(settings.modes)}")
    return " ".join(options)


def _text(options: Mapping[str, str]) -> str:
    return " ".join(f"{option}={value}" for option, value in options.items())


def alone(
    state: State, network: Network, endpoint: str, created: Collection[str], observed: Observed
) -> State:
    """The state in which no other endpoint has the network's moved adapter. Raises ConflictError.

    An endpoint that has joined has it until it is back on the host. One that an engine forgot
    does not have it. `created` are those that have not joined since their creation.
    """
    interface = network.settings.interface
    for other in network.endpoints.keys() - {endpoint}:
        if other in created or is_moved(interface, observed):
            raise ConflictError(
                f"the adapter {interface} is for endpoint {other} alone (can.mode=move): stop "
                "that container, or make the network with can.mode=share"
            )
        state = state.without_endpoint(network.id, other)
    return state
