"""What happens without a call: recovery after a start, repair behind our back, collection.

Rules:

- Recovery adopts what the kernel holds, makes bus interfaces and rules that are missing, removes
  what bears our alias and has no record. It never makes a pair: that is for Join, when there is
  somebody to take it.
- A bus that cannot be repaired is reported and does not keep the others from it.
- An endpoint is in doubt when its pair is missing, or has both its ends on the host. One that is
  found in doubt twice, a grace period apart, has no container: the engine has forgotten it (it
  never mentions those of a crash again), and it is collected.
"""

from __future__ import annotations

from canwharf.bus.events import ERROR, INFO, WARNING
from canwharf.bus.naming import EndpointAlias, parse_alias
from canwharf.bus.plan import AddRule
from canwharf.bus.reconcile import Changed, Reconciler
from canwharf.bus.service import Service
from canwharf.errors import CanwharfError

GRACE = 60.0  # seconds; an engine takes the container's end within one or two of the Join


class Upkeep:
    """Keeps the kernel as the service's state wants it. Raises nothing, reports instead."""

    def __init__(self, service: Service, reconciler: Reconciler) -> None:
        self._service = service
        self._reconciler = reconciler
        self._suspects: frozenset[tuple[str, str]] = frozenset()

    def recover(self) -> None:
        """Bring every bus to where it should be, and remove what nobody owns."""
        state = self._service.state
        for interface in state.interfaces():
            self._repair(interface)
        try:
            ours = self._reconciler.owned()
            wanted = {
                port.name
                for interface in state.interfaces()
                if (bus := state.bus(interface))
                for port in (bus.interface, *bus.endpoints)
            }
            self._service.change(state, focus=ours - wanted)
        except CanwharfError as error:
            self._service.say(ERROR, "could not remove what nobody owns", error=str(error))

    def repair(self) -> None:
        """See to what changed behind our back."""
        try:
            changed = self._reconciler.changes()
        except CanwharfError as error:
            self._service.say(ERROR, "could not read link announcements", error=str(error))
            return
        if changed.anything:
            self.recover()
        for interface in self._touched(changed):
            self._repair(interface, changed.names)

    def collect(self) -> bool:
        """Remove the endpoints that nobody owns; whether it is worth looking again later."""
        try:
            doubtful = self._doubtful()
        except CanwharfError as error:
            self._service.say(ERROR, "could not look for abandoned endpoints", error=str(error))
            return False
        for network, endpoint in doubtful & self._suspects:
            fields = {"network": network, "endpoint": endpoint}
            try:
                self._service.say(WARNING, "collecting an endpoint without container", **fields)
                self._service.delete_endpoint(network, endpoint)
            except CanwharfError as error:
                self._service.say(ERROR, "could not collect", **fields, error=str(error))
        self._suspects = doubtful - self._suspects
        return bool(self._suspects)

    def _repair(self, interface: str, focus: frozenset[str] = frozenset()) -> None:
        """Bring one bus to where it should be: all of it, if no focus is given."""
        state = self._service.state
        bus = state.bus(interface)
        if bus is None:
            return
        whole = {bus.interface.name, *(port.name for port in bus.endpoints)}
        try:
            done = self._service.change(state, interface, focus & whole or whole)
        except CanwharfError as error:
            self._service.say(
                ERROR, "could not repair a bus", interface=interface, error=str(error)
            )
            return
        added = sum(isinstance(step, AddRule) for step in done.steps)
        if added:
            self._service.say(INFO, "restored rules", interface=interface, rules=str(added))

    def _touched(self, changed: Changed) -> list[str]:
        """The bus interfaces whose bus has one of these links."""
        if not changed.names:
            return []
        state = self._service.state
        return [
            interface
            for interface in state.interfaces()
            if (bus := state.bus(interface))
            and not changed.names.isdisjoint(port.name for port in (bus.interface, *bus.endpoints))
        ]

    def _doubtful(self) -> frozenset[tuple[str, str]]:
        state = self._service.state
        doubtful = set()
        for interface in state.interfaces():
            bus = state.bus(interface)
            for port in bus.endpoints if bus else ():
                owner = parse_alias(port.alias)
                if isinstance(owner, EndpointAlias):
                    doubtful.add((port.name, owner.network, owner.endpoint))
        held = self._reconciler.away({name for name, _network, _endpoint in doubtful})
        return frozenset(
            (network, endpoint) for name, network, endpoint in doubtful if name not in held
        )
