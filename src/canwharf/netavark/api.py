"""Netavark's plugin protocol: a call's content -> a validated value, and the answers. Pure.

Rules:

- Every field that is used is checked here, and an error says what its user can do: Podman shows it
  whole.
- `can.interface` is required. Docker's API on Podman's socket drops the options of a network, and a
  default bus would be silently the wrong one.
- What a CAN interface cannot have is refused (addresses), or answered with none of it (DNS, IPAM).
- Podman names an interface eth0, eth1, … where its user did not. Such a name is no wish.

Source: netavark, plugins(5) and src/plugin.rs; container-libs, libnetwork/netavark/config.go.
"""

from __future__ import annotations

from canwharf import __version__
from canwharf.bus import naming, options
from canwharf.bus.model import Attachment
from canwharf.errors import OptionError, RequestError

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSION = "1.0.0"
ENGINE = "podman"
_DEFAULT_PREFIX = "eth"
_NO_ADDRESSES = "a CAN interface takes no addresses"
# Podman wants one in an answer, shows it, and at `podman network reload` asks for it.
_NO_MAC = "00:00:00:00:00:00"
# Of a network: what it must not have, and what to say to that
_UNFIT = {
    "subnets": f"{_NO_ADDRESSES}: leave --subnet away",
    "ipv6_enabled": f"{_NO_ADDRESSES}: leave --ipv6 away",
    "network_interface": "the bus's interface is named by --opt can.interface=NAME, and not by "
    "--interface-name",
}
# Of a container on a network
_UNFIT_THERE = {
    "static_ips": f"{_NO_ADDRESSES}: leave --ip and --ip6 away",
    "static_mac": "a CAN interface takes no MAC address: leave --mac-address away",
}


def created(content: Mapping[str, object]) -> dict[str, object]:
    """The network as Podman is to keep it. Raises CanwharfError."""
    for field, words in _UNFIT.items():
        if content.get(field):
            raise RequestError(words)
    given = network_options(content)
    options.parse_network(given)
    options.parse_type(given)
    options.check_prefix(given)
    _text(content, "name")
    return {**content, "dns_enabled": False, "ipam_options": {"driver": "none"}}


def attachment(content: Mapping[str, object], engine: str = ENGINE) -> Attachment:
    """A container on a network. Raises CanwharfError."""
    network, there = _object(content, "network"), _object(content, "network_options")
    for field, words in _UNFIT_THERE.items():
        if there.get(field) and there[field] != _NO_MAC:
            raise RequestError(words)
    requested = dict(_object(there, "options"))
    name = _text(there, "interface_name")
    number = name.removeprefix(_DEFAULT_PREFIX)
    if name == number or not (number.isascii() and number.isdigit()):
        ours = requested.setdefault("can.ifname", name)
        if ours != name:
            reason = f"interface_name says {name}; give one of the two"
            raise OptionError("can.ifname", ours, reason)
    options.parse_endpoint(requested)
    ids = network_id(network, engine), endpoint_id(content)
    return Attachment(*ids, network_options(network), requested)


def network_id(network: Mapping[str, object], engine: str = ENGINE) -> str:
    """The id of a network of Podman's, by its name: unique in Podman. Raises RequestError."""
    return naming.implied_network(engine, _text(network, "name"))


def endpoint_id(content: Mapping[str, object]) -> str:
    """The id of a container's endpoint on any network of Podman's. Raises RequestError."""
    container = _text(content, "container_id")
    return naming.implied_endpoint(str(content.get("container_name") or container), container)


def joined(interface: str) -> dict[str, object]:
    """The answer to a setup."""
    shown = {"mac_address": _NO_MAC, "subnets": []}
    return {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {interface: shown}}


def info() -> dict[str, object]:
    """What this plugin is."""
    return {"version": __version__, "api_version": API_VERSION}


def network_options(network: Mapping[str, object]) -> Mapping[str, object]:
    """A network's options. Raises RequestError without `can.interface`."""
    given = _object(network, "options")
    if not {"can.interface", "vxcan.dev", "vxcan.id"} & given.keys():
        raise RequestError(
            "the option can.interface is missing: podman network create --driver canwharf --opt "
            "can.interface=vcan0 NAME (Docker's API on Podman's socket drops options: create the "
            "network by podman, and use it as an external one)"
        )
    return given


def _object(content: Mapping[str, object], field: str) -> Mapping[str, object]:
    value = content.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(f"the field {field} must be an object")
    return value


def _text(content: Mapping[str, object], field: str) -> str:
    value = content.get(field)
    if not isinstance(value, str) or not value:
        raise RequestError(f"the field {field} must be a string, and is missing or empty")
    return value
