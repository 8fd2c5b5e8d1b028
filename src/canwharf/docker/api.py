"""Docker's driver protocol: a request's content -> a validated value. Pure.

Rules:

- Every field that is used is checked here; what is not used is not looked at, as Docker adds
  fields in every release.
- An error names the field and says what it should be.

Source: moby, daemon/libnetwork/drivers/remote/api/api.go, and the messages that Docker sends.
"""

from __future__ import annotations

from canwharf import jsontext
from canwharf.bus import naming
from canwharf.errors import OptionError, RequestError
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

_GENERIC = "com.docker.network.generic"
# Compose's interface_name, by which a container's own options come, too; Docker itself does not
# apply it to the interfaces of a driver like ours.
_IFNAME = "com.docker.network.endpoint.ifname"
# Docker sets addresses on an interface that it moves; on one that we put in place it sets none.
_NO_ADDRESSES = (
    "so no container would start. Make the network without --ipv6 (Compose: enable_ipv6), best "
    'with --ipam-driver null (Compose: ipam: {driver: "null"})'
)
_PLACED = "or give the interface its whole name by can.ifname (Docker 28 and newer)"
_NO_POOLS = (None, "", "0.0.0.0/0", "::/0")  # those of the null driver, which gives no address


class NetworkRequest(NamedTuple):
    """About one network; `options` are its driver options.

    `unfit` says what Docker would put on each of its interfaces that a CAN interface cannot take,
    and what to do about it; empty where there is nothing of the kind. `pool` is that of the IPv4
    addresses that Docker gives, if it gives any.
    """

    network: str
    options: Mapping[str, object]
    unfit: str = ""
    pool: str = ""


class EndpointRequest(NamedTuple):
    """About one endpoint; `options` are its own, as in `docker network connect --driver-opt`.

    `unfit` as of a network, about this one interface.
    """

    network: str
    endpoint: str
    options: Mapping[str, object]
    unfit: str = ""


class JoinRequest(NamedTuple):
    """An endpoint that joins; `namespace` is the path of its container's network namespace."""

    network: str
    endpoint: str
    namespace: str


def network_request(content: Mapping[str, object]) -> NetworkRequest:
    """A request about a network. Raises RequestError."""
    options = _object(_object(content, "Options"), _GENERIC, "Options.")
    unfit = ""
    if _pool(content, "IPv6Data"):
        unfit = f"a CAN interface takes no IPv6 address, {_NO_ADDRESSES}, {_PLACED}"
    return NetworkRequest(_id(content, "NetworkID"), options, unfit, _pool(content, "IPv4Data"))


def endpoint_request(content: Mapping[str, object]) -> EndpointRequest:
    """A request about an endpoint. Raises RequestError."""
    options = _object(content, "Options")
    name = options.get(_IFNAME)
    if name is not None:
        ours = options.setdefault("can.ifname", name)
        if ours != name:
            reason = f"interface_name says {_short(name)}; give one of the two"
            raise OptionError("can.ifname", ours, reason)
    unfit = _unfit_endpoint(_object(content, "Interface"))
    return EndpointRequest(_id(content, "NetworkID"), _id(content, "EndpointID"), options, unfit)


def join_request(content: Mapping[str, object]) -> JoinRequest:
    """A request to join. Raises RequestError."""
    path = content.get("SandboxKey")
    if path is None:
        path = ""
    if not isinstance(path, str) or not path.isprintable() or path[:1] not in ("", "/"):
        raise RequestError(f"the field SandboxKey must be a path, and is {_short(path)}")
    return JoinRequest(_id(content, "NetworkID"), _id(content, "EndpointID"), path)


def _pool(content: Mapping[str, object], field: str) -> str:
    """The pool of which Docker gives addresses; empty if it gives none."""
    pools = content.get(field)
    for pool in pools if isinstance(pools, list) else ():
        if isinstance(pool, dict) and pool.get("Pool") not in _NO_POOLS:
            return str(pool["Pool"])
    return ""


def _unfit_endpoint(interface: Mapping[str, object]) -> str:
    if mac := interface.get("MacAddress"):
        return (
            f"a CAN interface takes no MAC address ({_short(mac)}). Give it to an IP network of "
            "the container (Compose: mac_address under that network of the service, not under the "
            f"service itself, which means its first network), {_PLACED}"
        )
    if address := interface.get("AddressIPv6"):
        return (
            f"a CAN interface takes no IPv6 address ({_short(address)}), {_NO_ADDRESSES}, {_PLACED}"
        )
    return ""


def _id(content: Mapping[str, object], field: str) -> str:
    if field not in content:
        raise RequestError(f"the field {field} is missing")
    value = content[field]
    if not isinstance(value, str) or not naming.is_id(value):
        raise RequestError(
            f"the field {field} must be an id, a string of 1 to {naming.MAX_ID} letters and "
            f"digits, and is {_short(value)}"
        )
    return value


def _object(content: Mapping[str, object], field: str, where: str = "") -> dict[str, object]:
    value = content.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(f"the field {where}{field} must be an object, and is {_short(value)}")
    return value


def _short(value: object) -> str:
    text = jsontext.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
