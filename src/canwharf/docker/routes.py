"""Docker's calls: the path of each -> the use case.

Rules:

- Every call that Docker knows for a network driver is in the table; for another it gets a 404, by
  which it knows that a driver does not offer it.
- Docker shows an error's text to its user as it is.
- Docker from version 28 on makes a container's namespace before its Join, and asks about gateways
  before each network: by that it is known. Only an older one moves interfaces, and sets addresses
  on them.
"""

from __future__ import annotations

from canwharf.bus import events
from canwharf.bus.service import Service
from canwharf.docker import api
from canwharf.errors import ConflictError, NamespaceError

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

_TOO_EARLY = (
    "Docker makes it before it asks for an interface from version 28 on; with an older one use "
    "can.name instead of can.ifname, to which Docker appends a number"
)

_Content: TypeAlias = "Mapping[str, object]"
_Answer = dict[str, object]


class Routes:
    """Docker's calls on a service; `table` has each by its path."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._moves = True  # Docker moves the interfaces
        nothing = self._nothing
        self.table: dict[str, Callable[[_Content], _Answer]] = {
            "/Plugin.Activate": lambda _content: {"Implements": ["NetworkDriver"]},
            "/NetworkDriver.GetCapabilities": self._capabilities,
            "/NetworkDriver.CreateNetwork": self._create_network,
            "/NetworkDriver.DeleteNetwork": self._delete_network,
            "/NetworkDriver.CreateEndpoint": self._create_endpoint,
            "/NetworkDriver.DeleteEndpoint": self._delete_endpoint,
            "/NetworkDriver.EndpointOperInfo": self._describe,
            "/NetworkDriver.Join": self._join,
            "/NetworkDriver.Leave": self._leave,
            "/NetworkDriver.DiscoverNew": nothing,
            "/NetworkDriver.DiscoverDelete": nothing,
            "/NetworkDriver.ProgramExternalConnectivity": nothing,
            "/NetworkDriver.RevokeExternalConnectivity": nothing,
            # Asked only of drivers of global scope, whose networks span several hosts.
            "/NetworkDriver.AllocateNetwork": nothing,
            "/NetworkDriver.FreeNetwork": nothing,
            "/NetworkDriver.GwAllocCheck": self._check_gateways,
        }

    def _nothing(self, _content: _Content) -> _Answer:
        return {}

    def _capabilities(self, _content: _Content) -> _Answer:
        return {"Scope": "local", "ConnectivityScope": "local", "GwAllocChecker": True}

    def _check_gateways(self, _content: _Content) -> _Answer:
        self._moves = False
        # A CAN bus has no gateway: Docker need not set an address aside for one.
        return {"SkipIPv4": True, "SkipIPv6": True}

    def _create_network(self, content: _Content) -> _Answer:
        request = api.network_request(content)
        unfit = request.unfit if self._moves else ""
        self._service.create_network(request.network, request.options, unfit)
        if request.pool:
            fields = {"network": request.network, "pool": request.pool}
            self._service.say(events.ADDRESSES_UNUSED, **fields)
        return {}

    def _delete_network(self, content: _Content) -> _Answer:
        self._service.delete_network(api.network_request(content).network)
        return {}

    def _create_endpoint(self, content: _Content) -> _Answer:
        request = api.endpoint_request(content)
        self._service.create_endpoint(*request)
        return {}

    def _delete_endpoint(self, content: _Content) -> _Answer:
        request = api.endpoint_request(content)
        self._service.delete_endpoint(request.network, request.endpoint)
        return {}

    def _describe(self, content: _Content) -> _Answer:
        request = api.endpoint_request(content)
        return {"Value": self._service.describe(request.network, request.endpoint)}

    def _join(self, content: _Content) -> _Answer:
        request = api.join_request(content)
        try:
            joined = self._service.join(*request)
        except NamespaceError as error:
            if not error.missing:
                raise
            raise ConflictError(f"{error}; {_TOO_EARLY}") from error
        # Without this a container that is only on a CAN bus gets a way out to IP networks.
        answer: _Answer = {"DisableGatewayService": True}
        if not joined.placed:
            names = {"SrcName": joined.interface, "DstPrefix": joined.prefix}
            answer["InterfaceName"] = names
        return answer

    def _leave(self, content: _Content) -> _Answer:
        request = api.endpoint_request(content)
        self._service.leave(request.network, request.endpoint)
        return {}
