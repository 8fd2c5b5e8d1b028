"""Faults on purpose in what a container sends, begun and ended: a use case of the service.

Rules:

- All is checked before anything is done; all is done, in the kernel and on disk, or nothing.
- A fault ends when it is cleared, after its time, with its command, and with its container.
- Frames that wait when it ends are delivered: their ifb stays. Who ends a fault removes it later
  (`forget`); else it is removed as any interface that belongs to no network.
- A frame does not go through two ifbs: where the bus has one, no fault delays frames.
"""

from __future__ import annotations

from canwharf.bus import events
from canwharf.bus.fault import Fault
from canwharf.bus.model import Endpoint, Network
from canwharf.bus.service import Service
from canwharf.bus.steps import Scope
from canwharf.errors import ConflictError
from canwharf.kernel import injection, traffic_control
from canwharf.kernel.injection import Found, Key
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Place(NamedTuple):
    """A container on a bus: the ids of its network and of its endpoint."""

    network: str
    endpoint: str


def begin(service: Service, place: Place, fault: Fault) -> Fault:
    """Inject a fault into what a container sends; returns it numbered. Raises CanwharfError."""
    net, old = _endpoint(service, place)
    bus = service.state.bus(net.settings.interface)
    if fault.delay and bus and bus.impairment.any:
        raise ConflictError(
            f"the bus {net.settings.interface} has trouble on purpose of its own (can.delay and "
            "the like), and a frame that is delayed for itself would not go through that: use a "
            "bus without these options"
        )
    numbers = {each.number for each in old.injected}
    free = [each for each in range(1, injection.MOST + 1) if each not in numbers]
    if not free:
        raise ConflictError(f"the container has {injection.MOST} faults already: clear some first")
    new = fault._replace(number=free[0])
    _change(service, net, place, (*old.injected, new))
    return new


def end(
    service: Service, place: Place, chosen: Callable[[Fault], bool]
) -> dict[Fault, dict[str, int]]:
    """End the chosen faults of a container; how many frames each was applied to.

    Filters of ours that belong to no fault end, too. Raises CanwharfError.
    """
    net, old = _endpoint(service, place)
    gone = [each for each in old.injected if chosen(each)]
    link = service.observe().link(service.state.port(net, place.endpoint).name)
    found = injection.find(traffic_control.actions(service.requests, "gact"))
    there: Mapping[Key, Found] = found.get(link.ifindex, {}) if link else {}
    _change(service, net, place, tuple(each for each in old.injected if each not in gone))
    counted = {each: each.frames(there) for each in gone}
    for fault, frames in counted.items():
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in frames.items())
        fields = {"bus": net.settings.interface, **place._asdict(), "fault": str(fault)}
        service.say(events.FAULT_ENDED, **fields, frames=told)
    return counted


def forget(service: Service, names: Iterable[str]) -> None:
    """Remove the ifbs of these names in which no fault lets frames wait. Raises CanwharfError."""
    state = service.state
    buses = [bus for interface in state.interfaces() if (bus := state.bus(interface))]
    unused = {name for name in names if not any(bus.has(name) for bus in buses)}
    service.change(state, service.observe(), "", Scope(unused))


def _endpoint(service: Service, place: Place) -> tuple[Network, Endpoint]:
    net = service.state.networks.get(place.network)
    old = net.endpoints.get(place.endpoint) if net else None
    if net is None or old is None:
        raise ConflictError("the container is not on this bus any more")
    if net.settings.adapter.moved:
        raise ConflictError(
            "the network has can.mode=move: the container has the adapter itself, and its frames "
            "do not pass the host"
        )
    return net, old


def _change(service: Service, net: Network, place: Place, faults: tuple[Fault, ...]) -> None:
    """Go to these faults of a container. Raises CanwharfError."""
    observed = service.observe()
    if faults and observed.link(service.state.port(net, place.endpoint).name) is None:
        raise ConflictError("the container is not running")
    new = net.endpoints[place.endpoint]._replace(injected=faults)
    state = service.state.with_endpoint(*place, new)
    names = state.port(state.networks[net.id], place.endpoint).names
    service.change(state, observed, net.settings.interface, Scope(names))
