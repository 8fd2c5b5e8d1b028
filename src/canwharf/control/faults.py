"""The calls of `canwharf fault`, and the end of each fault: with its command, after its time.

Rules:

- A fault that is not kept is held by the connection on which it was begun. When that ends, for
  whatever reason, the fault ends. Before, the daemon tells the command how many frames it met.
- A fault that ends otherwise (cleared, its time is over, the container stopped) ends the
  connection.
- The faults of a daemon that was killed have nobody who holds them: they end at the next start.
- A container that goes to bus-off, or comes back, is told by an error frame.
- The ifb in which frames waited goes as soon as the last of them has gone on.
"""

from __future__ import annotations

from time import monotonic

from canwharf import jsontext
from canwharf.bus import events, fault_options, injection, naming
from canwharf.bus.fault import Fault, delays
from canwharf.bus.injection import Place
from canwharf.bus.service import Service
from canwharf.errors import CanwharfError, RequestError
from canwharf.kernel import error_frame
from canwharf.kernel.impairment import MILLION

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol, TypeAlias

    class Connection(Protocol):
        """What a fault is held by."""

        at_end: Callable[[], None] | None

        def end(self, content: bytes) -> None:
            """Send this, if that is possible at once, and end."""


_Key: TypeAlias = "tuple[Place, int]"  # a container and its fault's number
_LONGEST = 7 * 24 * 3600.0  # seconds; as the command line has it
_RETRY = 5.0  # seconds, until a fault is ended again that the kernel would not end


class Faults:
    """All faults of a service; `run` is a round of the daemon's loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._held: dict[Connection, dict[_Key, Mapping[str, int]]] = {}  # with what is counted
        self._ends: dict[_Key, float] = {}  # monotonic seconds
        self._emptied: dict[str, float] = {}  # ifbs by name, and when no frame waits there any more
        for net in service.state.networks.values():
            for endpoint, each in net.endpoints.items():
                for fault in each.injected:
                    if fault.until or not fault.keep:
                        key = Place(net.id, endpoint), fault.number
                        self._ends[key] = fault.until if fault.keep else 0.0

    def begin(self, content: Mapping[str, object], connection: Connection) -> dict[str, object]:
        """Begin a fault in what some containers send. Raises CanwharfError."""
        words, seconds = content.get("Fault"), content.get("Seconds", 0)
        if not isinstance(words, dict) or not isinstance(seconds, int | float):
            raise RequestError("the fields Fault and Seconds must be an object and a number")
        if not 0 <= seconds <= _LONGEST:  # JSON's 1e400 is infinite, and no state can have that
            raise RequestError(f"the field Seconds must be a number from 0 to {_LONGEST:.0f}")
        given = {str(name): str(value) for name, value in words.items()}
        fault = fault_options.parse(given) if given else Fault(0, bus_off=True)
        until = monotonic() + seconds if seconds > 0 else 0.0
        fault = fault._replace(keep=content.get("Keep") is True, until=until)
        begun: list[tuple[Place, Fault]] = []
        try:
            for place in _places(content):
                begun.append((place, injection.begin(self._service, place, fault)))
                self._tell(begun[-1:], error_frame.BUS_OFF)
        except CanwharfError:
            for place, each in begun:
                self._end(place, each.number)
            raise
        keys = [(place, each.number) for place, each in begun]
        self._ends.update(dict.fromkeys(keys, until) if until else {})
        if not fault.keep:
            self._held.setdefault(connection, {}).update({key: {} for key in keys})
            connection.at_end = lambda: self._release(connection)
        return {"Faults": [_shown(*each) for each in begun]}

    def end(self, content: Mapping[str, object]) -> dict[str, object]:
        """End the faults of some containers, or only what keeps them off the bus."""
        only = content.get("BusOff") is True
        done = []
        for place in _places(content):
            counted = injection.end(self._service, place, lambda each: each.bus_off or not only)
            self._note(place, counted)
            done += [_shown(place, each) | {"frames": counted[each]} for each in counted]
        return {"Faults": done}

    def run(self, now: float) -> float | None:
        """End what is due; the time of the next one (monotonic seconds)."""
        for (place, number), at in list(self._ends.items()):
            if at <= now:
                self._end(place, number)
        there = {
            (Place(net.id, endpoint), fault.number)
            for net in self._service.state.networks.values()
            for endpoint, each in net.endpoints.items()
            for fault in each.injected
        }
        self._ends = {key: at for key, at in self._ends.items() if key in there}
        for connection, keys in list(self._held.items()):
            if there.isdisjoint(keys):
                self._release(connection)
        self._forget(now)
        return min((*self._ends.values(), *self._emptied.values()), default=None)

    def _forget(self, now: float) -> None:
        """Remove the ifbs in which frames waited; one that is refused goes with a resync."""
        names = {name for name, at in self._emptied.items() if at <= now}
        self._emptied = {name: at for name, at in self._emptied.items() if name not in names}
        if names:
            try:
                injection.forget(self._service, names)
            except CanwharfError as error:
                self._service.say(events.CALL_REFUSED, call="the end of a delay", error=str(error))

    def _release(self, connection: Connection) -> None:
        """End what a connection holds, tell it, and end it."""
        connection.at_end = None
        keys = self._held.get(connection, {})
        for place, number in keys:
            self._end(place, number)
        self._held.pop(connection, None)
        ended = [
            {**place._asdict(), "number": number, "frames": frames}
            for (place, number), frames in keys.items()
        ]
        connection.end(jsontext.dumps({"Ended": ended}).encode())

    def _end(self, place: Place, number: int) -> None:
        """End one fault; what the kernel refuses is tried again."""
        self._ends.pop((place, number), None)
        net = self._service.state.networks.get(place.network)
        endpoint = net.endpoints.get(place.endpoint) if net else None
        if endpoint is None or number not in {each.number for each in endpoint.injected}:
            return
        try:
            counted = injection.end(self._service, place, lambda each: each.number == number)
        except CanwharfError as error:
            self._service.say(events.CALL_REFUSED, call="the end of a fault", error=str(error))
            self._ends[place, number] = monotonic() + _RETRY
            return
        self._note(place, counted)

    def _note(self, place: Place, counted: Mapping[Fault, Mapping[str, int]]) -> None:
        """Keep the counts for the command, and tell a container that is back on the bus.

        A container with a second bus-off is not.
        """
        host_end = naming.host_end(*place)
        for name, delay in delays(host_end, counted).items():
            self._emptied[name] = monotonic() + delay / MILLION
        for fault, frames in counted.items():
            for keys in self._held.values():
                if (place, fault.number) in keys:
                    keys[place, fault.number] = frames
        endpoint = self._service.state.networks[place.network].endpoints[place.endpoint]
        if any(each.bus_off for each in endpoint.injected):
            return
        try:
            self._tell([(place, each) for each in counted], error_frame.RESTARTED)
        except CanwharfError as error:
            self._service.say(events.CALL_REFUSED, call="the end of a bus-off", error=str(error))

    def _tell(self, faults: Iterable[tuple[Place, Fault]], what: int) -> None:
        """Send the error frame of a bus-off to its container. Raises KernelError."""
        service = self._service
        for place, fault in faults:
            port = service.state.port(service.state.networks[place.network], place.endpoint)
            link = service.observe().link(port.name)
            if fault.bus_off and link:
                error_frame.send(link.name, what)


def _shown(place: Place, fault: Fault) -> dict[str, object]:
    return {**place._asdict(), "number": fault.number, "fault": str(fault)}


def _places(content: Mapping[str, object]) -> list[Place]:
    """The containers that a call names. Raises RequestError."""
    members = content.get("Members")
    if not isinstance(members, list) or not all(
        isinstance(each, list) and len(each) == len(Place._fields) for each in members
    ):
        raise RequestError("the field Members must be a list of pairs of ids")
    return [Place(*map(str, each)) for each in members]
