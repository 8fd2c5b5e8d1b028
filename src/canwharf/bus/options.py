"""Driver options: strings as the user gave them -> a validated value, or an error. Pure.

Rules:

- Every option under `vxcan.` or `can.` that we do not know is refused; it would otherwise be
  ignored in silence. Options outside these prefixes are none of our business.
- `can.interface` is `vxcan.dev` + `vxcan.id` in one word, `can.name` is `vxcan.peer`. Both ways
  may be given if they agree.
- An error names the option, its value, and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.bus import naming
from canwharf.bus.model import Settings
from canwharf.errors import OptionError

_PREFIXES = ("vxcan.", "can.")
_ENDPOINT_OPTIONS = ("vxcan.peer", "can.name")
_NETWORK_OPTIONS = ("vxcan.dev", "vxcan.id", "can.interface", *_ENDPOINT_OPTIONS)

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
    return Settings(_interface(ours), _prefix(ours) or DEFAULT_PREFIX)


def parse_endpoint(options: Mapping[str, object]) -> str:
    """The interface prefix that an endpoint asks for; empty if it takes its network's.

    Raises OptionError.
    """
    return _prefix(_known(options, _ENDPOINT_OPTIONS, "an endpoint"))


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


def _prefix(ours: Mapping[str, str]) -> str:
    """The prefix of the interface's name in the container; empty where none is given."""
    given = [option for option in _ENDPOINT_OPTIONS if option in ours]
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
