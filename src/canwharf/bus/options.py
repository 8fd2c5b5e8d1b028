"""Driver options: strings as the user gave them -> a validated value, or an error. Pure.

Rules:

- Every option under `vxcan.` or `can.` that we do not know is refused; it would otherwise be
  ignored in silence. Options outside these prefixes are none of our business.
- `can.interface` is `vxcan.dev` + `vxcan.id` in one word, `can.name` is `vxcan.peer`. Both ways
  may be given if they agree.
- `can.ifname` is the whole name of the interface in the container, `can.name` the beginning of
  one: who says both contradicts himself.
- An adapter's settings have the words of `ip link set type can`, and its units.
- An error names the option, its value, and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from canwharf.bus import naming
from canwharf.bus.model import Adapter, Endpoint, Settings
from canwharf.errors import OptionError
from canwharf.kernel import can
from canwharf.kernel.can import Setup

_PREFIXES = ("vxcan.", "can.")
_PREFIX_OPTIONS = ("vxcan.peer", "can.name")
_EXACT_OPTION = "can.ifname"
_ENDPOINT_OPTIONS = (*_PREFIX_OPTIONS, _EXACT_OPTION)

# Numbers: the field of `Setup`, the lowest value
_NUMBERS = {
    "can.bitrate": ("bitrate", 1),
    "can.dbitrate": ("dbitrate", 1),
    "can.restart-ms": ("restart_ms", 0),
    "can.txqueuelen": ("txqueuelen", 0),
}
_MOST = 0xFFFFFFFE
_POINTS = {"can.sample-point": "sample_point", "can.dsample-point": "dsample_point"}
_MODES = {f"can.{name}": flag for name, flag in can.MODES.items()}
# Of a switch, what it is without being given
_SWITCHES = {"can.errors": True, "can.force": False}
_CHOICES = {"can.mode": ("share", "move")}
_ADAPTER_OPTIONS = (*_NUMBERS, *_POINTS, *_MODES, *_SWITCHES, *_CHOICES)
TYPES = ("auto", "virtual", "physical")

_NETWORK_OPTIONS = (
    *("vxcan.dev", "vxcan.id", "can.interface", "can.type"),
    *_ENDPOINT_OPTIONS,
    *_ADAPTER_OPTIONS,
)
# What only makes sense beside another
_NEEDS = {
    "can.sample-point": "can.bitrate",
    "can.dsample-point": "can.dbitrate",
    "can.dbitrate": "can.bitrate",
}

_RIGHT_INTERFACE = (
    f"right would be a CAN interface, or a free name of up to {naming.MAX_NAME} characters "
    "like can0 or vcan0"
)

DEFAULT_DEV = "vcan"
DEFAULT_ID = "0"
DEFAULT_PREFIX = "vcanp"


def parse_network(options: Mapping[str, object]) -> Settings:
    """The settings that a network's options ask for. Raises OptionError."""
    ours = _known(options, _NETWORK_OPTIONS, "a network")
    given = {option: ours[option] for option in sorted(ours) if option in _ADAPTER_OPTIONS}
    called, adapter = _called(ours), parse_adapter(given)
    if adapter.moved and called.name:
        raise refuse_name(called.name)
    prefix = called.prefix or DEFAULT_PREFIX
    return Settings(_interface(ours), prefix, adapter=adapter, name=called.name)


def parse_type(options: Mapping[str, object]) -> str:
    """What a network's options say that its interface is: one of TYPES. Raises OptionError."""
    return _choice("can.type", str(options.get("can.type", TYPES[0])), TYPES)


def parse_adapter(given: Mapping[str, str]) -> Adapter:
    """What these options ask of an adapter. Raises OptionError."""
    for option, other in _NEEDS.items():
        if option in given and other not in given:
            raise OptionError(option, given[option], f"it needs {other} too")
    numbers = {
        field: _number(option, given[option], least)
        for option, (field, least) in _NUMBERS.items()
        if option in given
    }
    points = {
        field: _point(option, given[option]) for option, field in _POINTS.items() if option in given
    }
    modes = {
        flag: _switch(option, given[option]) for option, flag in _MODES.items() if option in given
    }
    setup = Setup(
        **numbers, **points, mask=sum(modes), modes=sum(flag for flag, on in modes.items() if on)
    )
    fd = bool(setup.modes & can.MODES["fd"])
    if setup.dbitrate and not fd:
        raise OptionError("can.dbitrate", setup.dbitrate, "it needs can.fd=on too")
    if fd and not setup.dbitrate:  # can_validate
        raise OptionError("can.fd", given["can.fd"], "it needs can.bitrate and can.dbitrate too")
    errors, force = (
        _switch(option, given[option]) if option in given else usual
        for option, usual in _SWITCHES.items()
    )
    mode = _choice("can.mode", given.get("can.mode", "share"), _CHOICES["can.mode"])
    return Adapter(setup, errors, mode == "move", force, dict(given))


def parse_endpoint(options: Mapping[str, object]) -> Endpoint:
    """What an endpoint asks that its interface be called. Raises OptionError."""
    return _called(_known(options, _ENDPOINT_OPTIONS, "an endpoint"))


def refuse_name(name: str) -> OptionError:
    """The error for an exact name where the adapter itself is moved into the container."""
    return OptionError(
        _EXACT_OPTION,
        name,
        "with can.mode=move the engine moves the adapter into the container and names it: "
        "right would be can.name",
    )


def _known(options: Mapping[str, object], known: tuple[str, ...], whose: str) -> dict[str, str]:
    ours = {}
    for option, value in options.items():
        if not option.startswith(_PREFIXES):
            continue
        if option not in known:
            raise OptionError(
                option, value, f"{whose} has no such option; there are {', '.join(sorted(known))}"
            )
        if not isinstance(value, str):
            raise OptionError(option, value, "the value must be a string")
        ours[option] = value
    return ours


def _number(option: str, value: str, least: int) -> int:
    right = value.isascii() and value.isdigit() and len(value) <= len(str(_MOST))
    if not right or not least <= int(value) <= _MOST:
        raise OptionError(option, value, f"right would be a whole number from {least} on")
    return int(value)


def _point(option: str, value: str) -> int:
    """A part of a bit, as `0.875`, in per mille."""
    whole, dot, part = value.partition(".")
    right = whole in ("", "0") and dot and part.isascii() and part.isdigit() and len(part) <= 3
    if not right or not int(part):
        raise OptionError(
            option, value, "right would be a part of a bit with up to three digits, like 0.875"
        )
    return int(part.ljust(3, "0"))


def _switch(option: str, value: str) -> bool:
    return _choice(option, value, ("on", "off", "true", "false")) in ("on", "true")


def _choice(option: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise OptionError(option, value, f"right would be {' or '.join(choices)}")
    return value


def refuse_interface(options: Mapping[str, object], name: str, reason: str) -> OptionError:
    """The error for a host interface that these options name and that cannot be used."""
    return OptionError(_interface_option(options), name, f"{reason}; {_RIGHT_INTERFACE}")


def _interface(ours: Mapping[str, str]) -> str:
    """The host interface's name."""
    split = ours.get("vxcan.dev", DEFAULT_DEV) + ours.get("vxcan.id", DEFAULT_ID)
    name = ours.get("can.interface", split)
    fault = naming.name_fault(name)
    if fault:
        raise refuse_interface(ours, name, f"not a name for a host interface: {fault}")
    if name != split and ("vxcan.dev" in ours or "vxcan.id" in ours):
        raise OptionError(
            "can.interface", name, f"vxcan.dev and vxcan.id say {split!r}; give one of the two"
        )
    return name


def _interface_option(options: Mapping[str, object]) -> str:
    """What to call the option that a host interface's name came from."""
    return "can.interface" if "can.interface" in options else "vxcan.dev+vxcan.id"


def _called(ours: Mapping[str, str]) -> Endpoint:
    """What the interface is to be called in the container; empty where nothing is said."""
    prefix, name = _prefix(ours), ours.get(_EXACT_OPTION, "")
    if _EXACT_OPTION in ours and (fault := naming.name_fault(name)):
        reason = f"not a name for the container's interface: {fault}"
        raise OptionError(_EXACT_OPTION, name, f"{reason}; right would be one like can1")
    if prefix and name:
        reason = f"this is the whole name, and {prefix!r} (can.name) the beginning of one"
        raise OptionError(_EXACT_OPTION, name, f"{reason}; give one of the two")
    return Endpoint(prefix, name)


def _prefix(ours: Mapping[str, str]) -> str:
    """The prefix of the interface's name in the container; empty where none is given."""
    given = [option for option in _PREFIX_OPTIONS if option in ours]
    for option in given:
        fault = naming.name_fault(ours[option], naming.MAX_PREFIX)
        if fault:
            raise OptionError(
                option,
                ours[option],
                f"not a prefix for the container's interface: {fault}; right would be up to "
                f"{naming.MAX_PREFIX} characters like can, to which the index is appended (can0)",
            )
    if len({ours[option] for option in given}) > 1:
        raise OptionError(
            "can.name", ours["can.name"], f"vxcan.peer says {ours['vxcan.peer']!r}; give one"
        )
    return ours[given[0]] if given else ""
