"""The use cases: the calls of a container engine.

Theory of operation. There is one state: what should exist. A call computes the next state, applies
its own part of it to the kernel, writes it to disk, and only then replaces the old state. If any
of that fails, the same code brings the kernel back to the old state.

Rules:

- A request is validated in full before anything is done.
- A call returns when its effect is in the kernel and on disk. The disk comes last: an interface
  without a record is unowned, and is garbage-collected. So a network or endpoint that the engine
  believes to exist is always in the state.
- What a failed call made is undone. A failed deletion is not: the engine forgets the network or
  endpoint whatever the answer, so we do too, and finish the work later.
- Every call can be repeated with the same arguments. Deleting something absent succeeds.
- A pair is made at Join, for a new endpoint and for one from before a reboot. An endpoint that the
  state lacks is created again, and reported.
- A container's end is made directly in its namespace, whose path comes with the Join: named and up
  before the container's first process. Where the namespace does not exist yet (Docker before
  version 28), the engine moves the end from the host, and appends a number of its own to the
  prefix. An exact name is not possible there: the Join fails.
- The path of the namespace is kept until the daemon ends: maintenance makes a lost pair again.
- Not for use by two threads at once: the front end's loop is the lock.
"""

from __future__ import annotations

from canwharf.bus import adapter, adopt, describe, events, interfaces, naming, options
from canwharf.bus.adopt import Adopted, Ask, Known
from canwharf.bus.events import Event, EventType, Report
from canwharf.bus.model import Endpoint, Network, State, Target
from canwharf.bus.observed import Observed
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.steps import AddRule, Plan, Scope
from canwharf.bus.store import Store
from canwharf.errors import CanwharfError, ConflictError, NamespaceError, UnknownNetworkError
from canwharf.kernel import namespace
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Joined(NamedTuple):
    """The answer to a Join: the interface to move, and the prefix of its name in the container.

    An interface that is `placed` is in its container already, with its name.
    """

    interface: str
    prefix: str
    placed: bool = False


class Pending:
    """Unfinished work, and what it takes: in memory only, beside the state."""

    def __init__(self) -> None:
        # Endpoints that have not joined since their creation -> why an engine could not move their
        # interface; empty: it can.
        self.created: dict[str, str] = {}
        self.removals: set[str] = set()  # names of interfaces that the kernel refused to remove
        self.provisional = frozenset[str]()  # networks of which only a pair's alias is known
        self.dirty = False  # the state is not on disk yet
        self.namespaces: dict[str, str] = {}  # host ends that have joined -> paths of namespaces


class Service:
    """A container engine's networks, kept on disk and in the kernel.

    `ask` requests the engine's networks during a call: it must return soon.
    """

    def __init__(
        self,
        state: State,
        store: Store,
        reconciler: Reconciler,
        report: Report,
        ask: Ask = lambda: None,
    ) -> None:
        self.state = state
        self.pending = Pending()
        self._store = store
        self._reconciler = reconciler
        self.observe, self.requests = reconciler.observe, reconciler.requests
        self._report = report
        self._ask = ask

    def create_network(self, network: str, given: Mapping[str, object], unfit: str = "") -> None:
        """Create a network, and its bus interface if it is missing. Raises CanwharfError.

        `unfit` is the refusal of what the engine would set on its interfaces; empty: nothing.
        """
        old = self.state.networks.get(network)
        if old is not None:
            self._tell(describe.ignored(network, given))
            given = options.without_unknown(given)
        settings = options.parse_network(given)
        kind = options.parse_type(given)
        if unfit and old is None and not settings.name:
            raise ConflictError(unfit)
        observed = self._reconciler.observe()
        other = interfaces.other_driver(settings.interface, observed)
        conflict = f"the driver {other} has its bus on it" if other else ""
        if fault := interfaces.bus_fault(settings.interface, observed) or conflict:
            raise options.refuse_interface(given, settings.interface, fault)
        link = observed.link(settings.interface)
        if old is None:
            bus = self.state.bus(settings.interface)
            options.check_prefix(given)
            if given and bus is None and link is None:
                from canwharf.bus import spelling  # noqa: PLC0415 (not at a boot)

                spelling.check_network(given, settings, kind, observed.links())
            settings = adapter.typed(settings, kind, link, bus)
            adapter.check(settings, kind, link, bus)
            new = self.state.with_network(Network(network, settings, {}))
        else:
            new, told = self.state, adopt.agreed(old, settings)
            if told is not old:
                new = new.with_network(told)
                self._reconciler.invalidate()  # its containers were closed
        # This call is about the adapter itself: it is brought up even if an operator took it down.
        requested = settings.interface if link and not link.up else ""
        scope = Scope(new.shared(settings.interface), adapter=requested)
        self.change(new, observed, settings.interface, scope)
        if old is None:
            self._tell(describe.created(new.networks[network], kind, link, given))

    def delete_network(self, network: str) -> None:
        """Remove a network and the interfaces that are left of it. Raises CanwharfError."""
        net = self.state.networks.get(network)
        if net is None:
            return
        interface = net.settings.interface
        ports = {name for each in net.endpoints for name in self.state.port(net, each).names}
        for endpoint in net.endpoints:
            self._forget(network, endpoint)
        shared = self.state.shared(interface)
        self._remove(self.state.without_network(network), interface, shared | ports)
        self.say(events.NETWORK_REMOVED, network=network, interface=interface)

    def create_endpoint(
        self, network: str, endpoint: str, given: Mapping[str, object], unfit: str = ""
    ) -> None:
        """Record an endpoint; its pair is made when it joins. Raises CanwharfError.

        A runtime that chooses the interface's name passes it here (`can.ifname`).
        `unfit` is the refusal of what the engine would set on an interface that it moves; empty:
        nothing.
        """
        net = self._network(network)
        settings = options.parse_endpoint(given)
        options.check_prefix(given)
        state = self.state
        if net.settings.adapter.moved:
            options.check_moved(settings)
            if unfit:
                raise ConflictError(unfit)
            observed = self._reconciler.observe()
            state = adapter.alone(state, net, endpoint, self.pending.created, observed)
        if net.endpoints.get(endpoint) != settings:
            self._write(state.with_endpoint(network, endpoint, settings))
        self.pending.created[endpoint] = unfit

    def join(self, network: str, endpoint: str, path: str = "") -> Joined:
        """Connect an endpoint to its bus; whatever is missing is made. Raises CanwharfError.

        `path` is that of the container's network namespace; empty, or of none yet: the engine
        moves the interface.
        """
        net = self._network(network)
        interface = net.settings.interface
        observed = self._reconciler.observe()
        if fault := interfaces.bus_fault(interface, observed):
            raise ConflictError(f"cannot join the bus on {interface}: {fault}")
        if net.settings.adapter.moved:
            return self._move_adapter(net, endpoint, observed)
        ifname = net.ifname_of(endpoint)
        moved = not ifname.name and self.state.numbered_by_engine(ifname.prefix)
        known, what = "" if moved else path, f"interface {ifname.pattern}"
        try:
            with namespace.opened(known, what) as descriptor:
                target = Target(descriptor, ifname.pattern)
                joined = self._join(net, endpoint, observed, target)
        except NamespaceError:
            if ifname.name:
                raise
            if unfit := self.pending.created.get(endpoint):
                raise ConflictError(unfit) from None
            joined = self._join(net, endpoint, observed)
        # The number in /proc may be that of another process later.
        if path and not path.startswith("/proc/"):
            self.pending.namespaces[naming.host_end(network, endpoint)] = path
        return joined

    def _join(
        self, net: Network, endpoint: str, observed: Observed, target: Target | None = None
    ) -> Joined:
        network, interface = net.id, net.settings.interface
        port = self.state.port(net, endpoint)
        fields = {"network": network, "endpoint": endpoint, "interface": port.name}
        new = self.state
        if endpoint not in net.endpoints:
            self.say(events.ENDPOINT_RECREATED, **fields)
            known = adopt.recreated(new, observed)
            self._tell(describe.closed(known, fields))
            new = new.with_endpoint(network, endpoint, known)
        self.pending.removals.discard(port.name)
        made = target is not None or observed.link(port.name) is None
        before = self.state.without_endpoint(network, endpoint) if made else self.state
        scope = Scope({port.name}, {port.name: target})
        done = self.change(new, observed, interface, scope, before)
        if made and endpoint not in self.pending.created:
            self.say(events.PAIR_RECREATED, **fields)
        self.pending.created.pop(endpoint, None)
        self._tell(describe.absent(done, self.pending.created))
        bus = new.bus(interface) if net.settings.physical else None
        if bus and (complaint := adapter.complaint(bus, observed)):
            self._report(complaint)
        rules = sum(isinstance(step, AddRule) for step in done.steps)
        self.say(events.ENDPOINT_JOINED, **fields, bus=interface, rules=str(rules))
        return Joined(
            port.container, new.networks[network].ifname_of(endpoint).prefix, bool(target)
        )

    def _move_adapter(self, net: Network, endpoint: str, observed: Observed) -> Joined:
        """Move the adapter itself to an endpoint. Raises CanwharfError."""
        interface = net.settings.interface
        new = adapter.alone(self.state, net, endpoint, self.pending.created, observed)
        if endpoint not in net.endpoints:
            new = new.with_endpoint(net.id, endpoint, Endpoint())
        bus = new.bus(interface)
        if bus and (fault := adapter.move_fault(bus, observed)):
            raise ConflictError(f"cannot move the adapter {interface}: {fault}")
        self.change(new, observed, interface, Scope({interface}, adapter=interface))
        observed.mark_moved(interface)
        self.pending.created.pop(endpoint, None)
        self.say(events.ADAPTER_MOVED, network=net.id, endpoint=endpoint, interface=interface)
        return Joined(interface, new.networks[net.id].ifname_of(endpoint).prefix)

    def adopt_networks(self, known: Known, complete: bool = True) -> None:
        """Adopt networks that the state lacks; `complete` says that the engine has no others."""
        provisional = self.pending.provisional
        self._take(adopt.networks(self.state, provisional, known, self._reconciler.observe))
        if complete and not self.state.complete:
            self.state = self.state._replace(complete=True)
            self.pending.dirty = True

    def adopt_pairs(self, lost: bool = False) -> None:
        """Adopt endpoints whose pair exists and that the state lacks, and their networks.

        Only pairs that are in a container, unless the whole state was `lost`. Raises KernelError.
        """
        observed, pending = self._reconciler.observe(), self.pending
        self._take(
            adopt.pairs(self.state, pending.provisional, observed, pending.removals, lost=lost)
        )

    def _take(self, adopted: Adopted) -> None:
        if adopted.state != self.state:
            self.state = adopted.state
            self.pending.dirty = True
        self.pending.provisional = adopted.provisional
        self._tell(adopted.events)

    def save(self) -> None:
        """Write the state, if an earlier attempt failed. Raises StateError."""
        if self.pending.dirty:
            self._store.save(self.state)
            self.pending.dirty = False

    def leave(self, network: str, endpoint: str) -> None:
        """Do nothing: the engine moves the container's end back to the host after this."""

    def delete_endpoint(self, network: str, endpoint: str) -> None:
        """Remove an endpoint and its pair; the rules go with it. Raises CanwharfError."""
        net = self.state.networks.get(network)
        if net is None or endpoint not in net.endpoints:
            return
        port = self.state.port(net, endpoint)
        new = self.state.without_endpoint(network, endpoint)
        self._forget(network, endpoint)
        self._remove(new, net.settings.interface, port.names)
        interface = net.settings.interface if net.settings.adapter.moved else port.name
        fields = {"network": network, "endpoint": endpoint, "interface": interface}
        self.say(events.ENDPOINT_REMOVED, **fields)

    def describe(self, network: str, endpoint: str) -> dict[str, str]:
        """The condition of an endpoint, as the engine shows it to an operator; empty if unknown."""
        net = self.state.networks.get(network)
        if net is None or endpoint not in net.endpoints:
            return {}
        interface = net.settings.interface
        name = interface if net.settings.adapter.moved else self.state.port(net, endpoint).name
        info = {"canwharf.bus": interface, "canwharf.interface": name}
        bus = self.state.bus(interface)
        if bus is None or not bus.physical:
            return info
        return info | adapter.described(bus, self._reconciler.read(interface))

    def change(
        self,
        new: State,
        observed: Observed,
        interface: str,
        scope: Scope,
        before: State | None = None,
    ) -> Plan:
        """Go to a new state, in the kernel and on disk, or stay with the old one in both.

        `interface` is that of the bus concerned, or empty; `before` is the state that the kernel
        was in, if that is not the old one. Raises CanwharfError.
        """
        old = self.state
        try:
            done = self._apply(new, observed, interface, scope)
            self._write(new)
        except Exception:
            if before is not None or new is not old:
                self._undo(before or old, observed, interface, scope)
            raise
        self._tell(describe.applied(done, interface, interface in old.interfaces()))
        return done

    def _remove(self, new: State, interface: str, targets: Collection[str]) -> None:
        """Go to a state without something, whatever fails: the engine forgets it in any case.

        Interfaces that the kernel refused to remove are removed by the next recovery; a state that
        could not be written is written later. Raises CanwharfError all the same, for the engine.
        """
        self.state = new
        self.pending.dirty = True
        try:
            observed = self._reconciler.observe()
            done = self._apply(new, observed, interface, Scope(targets))
            self._tell(describe.applied(done, interface, recovering=True))
        except Exception:
            self.pending.removals |= set(targets)
            self.save()
            raise
        self.save()

    def _write(self, new: State) -> None:
        """Write a new state to disk, then use it. Raises StateError."""
        if new is self.state:
            return
        try:
            self._store.save(new)
        except CanwharfError:
            self.pending.dirty = True  # perhaps only the last step failed: write the old state back
            raise
        self.pending.dirty = False
        self.state = new

    def say(self, type: EventType, **fields: str) -> None:
        """Report an event."""
        self._report(Event(type, fields))

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self._report(event)

    def _network(self, network: str) -> Network:
        """The network: from the state, else from a restored file, else from the engine."""
        if network not in self.state.networks:
            state, _left = self._store.load(self.state.driver)
            if network in state.networks:
                self.state = self.state.with_network(state.networks[network])
                self.say(events.NETWORK_FROM_DISK, network=network)
        found = self.state.networks.get(network)
        if found is None or found.settings.policy is None:
            if (known := self._ask()) is not None:
                self.adopt_networks(known)
                self._reconciler.invalidate()  # other adopted buses may be missing, too
            found = self.state.networks.get(network)
            if found is None:
                raise UnknownNetworkError(network, self._store.path, answered=known is not None)
            self._tell(describe.forgotten([found]))
        return found

    def _apply(self, state: State, observed: Observed, interface: str, scope: Scope) -> Plan:
        if not scope.targets:
            return Plan((), ())
        bus = state.bus(interface)
        return self._reconciler.apply([bus] if bus else [], observed, scope)

    def _forget(self, network: str, endpoint: str) -> None:
        self.pending.created.pop(endpoint, None)
        self.pending.namespaces.pop(naming.host_end(network, endpoint), None)

    def _undo(self, state: State, observed: Observed, interface: str, scope: Scope) -> None:
        """Bring the kernel back to a state; a failure is only reported: the first error counts."""
        try:
            self._apply(state, observed, interface, Scope(scope.targets))
        except CanwharfError as error:
            self.say(events.CALL_NOT_UNDONE, interface=interface, error=str(error))
