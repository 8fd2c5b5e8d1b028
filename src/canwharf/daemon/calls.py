"""Calls on the daemon's socket: a path and a JSON body -> the answer, or `{"Err": …}`.

Rules:

- Each front end has a table of its calls; only this module knows the list of front ends. A
  runtime's executable has one call for all its verbs, which has a list of its own.
- On the socket for users without root, there is that one call only.
- A refusal is a 200 with an Err, as in Docker's protocol. A malformed request gets a 400, an
  unknown call a 404.
- Errors for the user do not contain the internal names of interfaces; the log does.
- An error in one call never ends the daemon.
"""

from __future__ import annotations

from canwharf import jsontext
from canwharf.bus import events, naming
from canwharf.bus.maintain import GRACE, Outcome
from canwharf.bus.service import Service
from canwharf.control import routes as control
from canwharf.daemon.server import ROOT, Kind, Sender
from canwharf.docker.routes import Routes
from canwharf.errors import CanwharfError, RequestError
from canwharf.lean import suppress

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import TypeAlias

    from canwharf.bus.attach import Collector
    from canwharf.control.faults import Faults
    from canwharf.control.runtimes import Runtimes

RUNTIME = "/Canwharf.Runtime"  # the call of canwharf.plugin
FAULT, FAULT_END = "/Canwharf.Fault", "/Canwharf.FaultEnd"  # those of `canwharf fault`
_Call: TypeAlias = "Callable[[Mapping[str, object]], dict[str, object]]"


def front_ends(
    service: Service, sync: Callable[[], Outcome], fault: Callable[[], str] = str
) -> Calls:
    """All calls that the daemon answers; see `control.routes.table` for `sync` and `fault`."""
    tables = (Routes(service).table, control.table(service, sync, fault))
    table = {path: call for each in tables for path, call in each.items()}
    return Calls(service, table, (FAULT, FAULT_END))


def of_users(service: Service) -> Calls:
    """The calls that users without root may make: those of their runtimes."""
    return Calls(service, {})


class Calls:
    """Answers each call with the function that the table has for its path."""

    def __init__(
        self, service: Service, table: Mapping[str, _Call], of_faults: Collection[str] = ()
    ) -> None:
        """`of_faults` are the paths of calls about faults on purpose."""
        self._service = service
        self._table = table
        self._of_faults = of_faults
        self._faults: Faults | None = None  # loaded for the first one
        self._looked = False  # whether the daemon before left any
        self._runtimes: Runtimes | None = None  # loaded at the first call of one

    def run_faults(self, now: float) -> float | None:
        """End the faults on purpose that are due; see `loop.Round`."""
        if not self._looked:
            self._looked = True
            if self._service.state.has_faults:
                self._faults = _faults(self._service)
        return self._faults.run(now) if self._faults else None

    def _call_of_faults(self, path: str, sender: Sender) -> _Call:
        """The call of `canwharf fault` at a path."""
        faults = self._faults = self._faults or _faults(self._service)
        connection = sender.connection
        if path == FAULT_END or connection is None:
            return faults.end
        return lambda content: faults.begin(content, connection)

    def answer(self, path: str, body: bytes, sender: Sender = ROOT) -> tuple[int, bytes]:
        """The HTTP status and body for one call. Raises nothing."""
        call = self._table.get(path)
        if call is None and path != RUNTIME and path not in self._of_faults:
            return 404, refusal(f"canwharf has no call {path}")
        try:
            if path in self._of_faults:
                call = self._call_of_faults(path, sender)
            if call is None:
                self._runtimes = self._runtimes or _runtimes(self._service)
                return self._runtimes.answer(body, sender.descriptor, sender.uid)
            return 200, jsontext.dumps(call(_parse(body))).encode()
        except RequestError as error:
            return 400, refusal(f"{path[1:]}: {error}")
        except CanwharfError as error:
            self._service.say(events.CALL_REFUSED, call=path[1:], error=str(error))
            return 200, refusal(naming.without_internal(str(error)))
        except Exception as error:  # noqa: BLE001
            # A defect in one call must not take the bus away from the other containers.
            self._service.say(events.INTERNAL, call=path[1:], error=repr(error))
            return 500, refusal(f"internal error in {path[1:]}: {error!r}")


def _faults(service: Service) -> Faults:
    """The faults on purpose: few ever have one."""
    from canwharf.control.faults import Faults  # noqa: PLC0415

    return Faults(service)


def _runtimes(service: Service) -> Runtimes:
    """The front ends of the runtimes that start an executable: not at a boot with Docker alone."""
    from canwharf.cni import routes as cni  # noqa: PLC0415
    from canwharf.control.runtimes import FrontEnd, Runtimes  # noqa: PLC0415
    from canwharf.netavark import routes as netavark  # noqa: PLC0415

    return Runtimes(
        service,
        netavark=FrontEnd(netavark.answer, netavark.refusal),
        cni=FrontEnd(cni.answer, cni.refusal),
    )


def collecting(service: Service) -> Callable[[float], float | None]:
    """What collects for those runtimes; see `loop.Round`.

    Their modules are loaded for their first network, or in a round after GRACE: later, an
    upgrade may have replaced the program's files.
    """
    collector: Collector | None = None
    load_at: float | None = None

    def run(now: float) -> float | None:
        nonlocal collector, load_at
        load_at = now + GRACE if load_at is None else load_at
        if collector is None and (
            load_at <= now or any(map(naming.is_implied, service.state.networks))
        ):
            load_at = now + GRACE
            with suppress(ImportError):  # replaced already: a call that needs one is refused
                collector = _collector(service)
        return collector.run(now) if collector else None

    return run


def _collector(service: Service) -> Collector:
    from canwharf.bus.attach import Collector  # noqa: PLC0415
    from canwharf.cni import routes  # noqa: F401, PLC0415
    from canwharf.control import faults, runtimes  # noqa: F401, PLC0415
    from canwharf.netavark.routes import recorded  # noqa: PLC0415

    return Collector(service, recorded)


def _parse(body: bytes) -> dict[str, object]:
    """A request's body as an object; an empty one has no fields. Raises RequestError."""
    try:
        return jsontext.loads_object(body, "the request's body") if body else {}
    except ValueError as error:
        raise RequestError(str(error)) from error


def refusal(text: str) -> bytes:
    """The body of an answer with this error, which Docker shows to the user."""
    return jsontext.dumps({"Err": text}).encode()


_JSON = "application/vnd.docker.plugins.v1.1+json"
KIND = Kind(
    "POST",
    _JSON,
    refusal,
    _JSON,
    body=1024 * 1024,  # Docker's calls have some hundred
    connections=400,  # well below the usual 1,024 descriptors; Docker has a handful
    deadline=30.0,
    once=False,
)
# Of users without root. There are fewer connections, so that root's calls find descriptors.
OF_USERS = KIND._replace(connections=100, of_users=True)
