"""Docker's calls: the path of each -> the use case; an error -> the `{"Err": …}` that Docker shows.

Rules:

- Every call that Docker knows for a network driver is in the table; another gets a 404 with an
  Err, by which Docker knows that a driver does not offer it.
- Two calls are not Docker's: /Canwharf.Sync, which `canwharf sync` makes, and /Canwharf.State, by
  which `canwharf doctor` asks why the state could not be written.
- A refusal is a 200 with an Err: Docker shows its text to the user as it is. What is not of the
  protocol's form gets a 400.
- What a user is shown has no internal name of an interface; the log has it.
- Nothing that goes wrong in one call ends the daemon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from canwharf.bus import naming
from canwharf.bus.events import ERROR, WARNING
from canwharf.bus.service import Service
from canwharf.bus.upkeep import Outcome
from canwharf.docker import api
from canwharf.errors import CanwharfError, ConflictError, NamespaceError, RequestError

_TOO_EARLY = (
    "Docker makes it before it asks for an interface from version 28 on; with an older one use "
    "can.name instead of can.ifname, to which Docker appends a number"
)

_Content = Mapping[str, object]
_Answer = dict[str, object]


class Routes:
    """Answers Docker's calls with a service.

    `sync` is for who asks for a recovery, `fault` tells why the state could not be written.
    """

    def __init__(
        self,
        service: Service,
        sync: Callable[[], Outcome],
        fault: Callable[[], str] = str,
    ) -> None:
        self._service = service
        self._recover = sync
        nothing = self._nothing
        self._table: dict[str, Callable[[_Content], _Answer]] = {
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
            # A CAN bus has no gateway: Docker need not set an address aside for one.
            "/NetworkDriver.GwAllocCheck": lambda _content: {"SkipIPv4": True, "SkipIPv6": True},
            "/Canwharf.Sync": self._sync,
            "/Canwharf.State": lambda _content: {"Fault": fault()},
        }

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The HTTP status and body for one call. Raises nothing."""
        call = self._table.get(path)
        if call is None:
            return 404, refusal(f"canwharf has no call {path}")
        try:
            return 200, json.dumps(call(api.parse(body))).encode()
        except RequestError as error:
            return 400, refusal(f"{path[1:]}: {error}")
        except CanwharfError as error:
            self._service.say(ERROR, "refused a call", call=path[1:], error=str(error))
            return 200, refusal(naming.without_internal(str(error)))
        except Exception as error:  # noqa: BLE001
            # A mistake of ours must not take the bus away from all the other containers.
            self._service.say(ERROR, "internal error", call=path[1:], error=repr(error))
            return 500, refusal(f"internal error in {path[1:]}: {error!r}")

    def _nothing(self, _content: _Content) -> _Answer:
        return {}

    def _capabilities(self, _content: _Content) -> _Answer:
        return {"Scope": "local", "ConnectivityScope": "local", "GwAllocChecker": True}

    def _create_network(self, content: _Content) -> _Answer:
        request = api.network_request(content)
        self._service.create_network(request.network, request.options, request.unfit)
        if request.pool:
            fields = {"network": request.network, "pool": request.pool}
            self._service.say(WARNING, "the network has IP addresses that nobody uses", **fields)
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

    def _sync(self, _content: _Content) -> _Answer:
        from canwharf.bus import words  # noqa: PLC0415 (Docker never asks for this)

        done = self._recover()
        self._service.save()
        return {"Changes": words.changes(done), "Faults": list(done.faults)}


def refusal(text: str) -> bytes:
    """A body that tells Docker, and so the user, what is wrong."""
    return json.dumps({"Err": text}).encode()
