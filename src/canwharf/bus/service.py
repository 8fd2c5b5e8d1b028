"""The use cases: what a container engine can ask of us.

Theory of operation. There is one state: what should be. A call computes the next state, brings
the kernel there as far as the call reaches, writes it down, and only then takes it as its own;
if any of that fails, the kernel is brought back to where it was, by the same code.

Rules:

- What is asked for is validated in full before anything is done.
- A call returns when its effect is in the kernel and on disk. The disk comes last: what was made
  and has no record is nobody's, and is collected. What the engine believes to exist is never
  unknown to us.
- What was made by a call that fails is undone. A deletion that fails is not: the engine forgets
  the network or endpoint whatever we answer, so we do too, and finish the work later.
- Every use case can be called again with the same arguments. Deleting what is gone succeeds.
- A pair is made at Join, be the endpoint new or back after a reboot. An endpoint that nobody
  mentioned before is made anew, and that is said.
- An interface that is to have an exact name has it from its start, or its Join fails: it is made
  straight in the container's namespace, which whoever asks for the Join hands over.
- Not for use by two threads at once: the front end's loop is the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from canwharf.bus import adapter, adopt, describe, events, interfaces, options
from canwharf.bus.adopt import Adopted, Known
from canwharf.bus.events import Event, EventType, Report
from canwharf.bus.model import Endpoint, Network, State, Target
from canwharf.bus.observed import Observed
from canwharf.bus.plan import AddRule, Plan, Scope
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.store import Store
from canwharf.errors import CanwharfError, ConflictError, UnknownNetworkError


class Joined(NamedTuple):
    """What the engine needs to know: the interface to move, and how to call it there.

    Where the interface is `placed`, it is in its container already, and named.
    """

    interface: str
    prefix: str
    placed: bool = False


class Pending:
    """What is not finished yet: in memory only, beside the state."""

    def __init__(self) -> None:
        self.created: set[str] = set()  # endpoints that have not joined since their creation
        self.removals: set[str] = set()  # names of interfaces that the kernel would not remove
        self.provisional = frozenset[str]()  # networks of which only a pair's alias is known
        self.dirty = False  # the disk does not have the state


Ask = Callable[[], Known | None]  # the engine for its networks; None: it does not answer


class Service:
    """A container engine's networks, kept on disk and in the kernel.

    `ask` asks the engine for its networks, in a call about one that we do not know: it must not
    take long.
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
        self._report = report
        self._ask = ask

    def create_network(self, network: str, given: Mapping[str, object], unfit: str = "") -> None:
        """Make a network, and its bus interface if there is none. Raises CanwharfError.

        `unfit` says what the engine would put on its interfaces that they cannot take.
        """
        known = self.state.networks.get(network)
        if known is not None:
            self._tell(describe.ignored(network, given))
            given = options.without_unknown(given)
        settings = options.parse_network(given)
        kind = options.parse_type(given)
        if unfit and known is None and not settings.name:
            raise ConflictError(unfit)
        observed = self._reconciler.observe()
        other = interfaces.other_driver(settings.interface, observed)
        theirs = f"the driver {other} has its bus on it" if other else ""
        if fault := interfaces.bus_fault(settings.interface, observed) or theirs:
            raise options.refuse_interface(given, settings.interface, fault)
        found = observed.link(settings.interface)
        if known is None:
            bus = self.state.bus(settings.interface)
            options.check_prefix(given)
            if given and bus is None and found is None:
                from canwharf.bus import spelling  # noqa: PLC0415 (not at a boot)

                spelling.check_network(given, settings, kind, observed.links())
            settings = adapter.typed(settings, kind, found, bus)
            adapter.check(settings, kind, found, bus)
            new = self.state.with_network(Network(network, settings, {}))
        elif known.settings == settings._replace(physical=known.settings.physical):
            new = self.state
        else:
            raise ConflictError(f"network {network} exists with other options")
        # An adapter that somebody took down is set up all the same: that is what was asked for.
        requested = settings.interface if found and not found.up else ""
        scope = Scope({settings.interface}, adapter=requested)
        self.change(new, observed, settings.interface, scope)
        if known is None:
            self._tell(describe.created(new.networks[network], kind, found, given))

    def delete_network(self, network: str) -> None:
        """Remove a network with all that is left of it. Raises CanwharfError."""
        known = self.state.networks.get(network)
        if known is None:
            return
        interface = known.settings.interface
        ports = {self.state.port(known, endpoint).name for endpoint in known.endpoints}
        self.pending.created -= known.endpoints.keys()
        self._remove(self.state.without_network(network), interface, {interface, *ports})
        self.say(events.NETWORK_REMOVED, network=network, interface=interface)

    def create_endpoint(
        self, network: str, endpoint: str, given: Mapping[str, object], unfit: str = ""
    ) -> None:
        """Write an endpoint down; its pair is made when it joins. Raises CanwharfError.

        A runtime that hands over a namespace and a name says the name here (`can.ifname`).
        `unfit` says what the engine would put on the interface that it cannot take.
        """
        known = self._network(network)
        settings = options.parse_endpoint(given)
        options.check_prefix(given)
        ifname = settings.ifname
        if ifname and ifname.name and known.settings.adapter.moved:
            raise options.refuse_name(ifname.name)
        if unfit and not (ifname or known.default_ifname).name:
            raise ConflictError(unfit)
        state = self.state
        if known.settings.adapter.moved:
            state = self._alone(known, endpoint, self._reconciler.observe())
        if known.endpoints.get(endpoint) != settings:
            self._write(state.with_endpoint(network, endpoint, settings))
        self.pending.created.add(endpoint)

    def join(self, network: str, endpoint: str, namespace: str = "") -> Joined:
        """Put an endpoint on its bus, making whatever is missing. Raises CanwharfError.

        `namespace` is the path of the container's, which an exact name needs.
        """
        known = self._network(network)
        interface = known.settings.interface
        observed = self._reconciler.observe()
        if fault := interfaces.bus_fault(interface, observed):
            raise ConflictError(f"cannot join the bus on {interface}: {fault}")
        if known.settings.adapter.moved:
            return self._move_adapter(known, endpoint, observed)
        ifname = known.ifname_of(endpoint)
        if not (ifname.name or self.state.has_exact(ifname.prefix)):
            return self._join(known, endpoint, observed)
        from canwharf.bus import target  # noqa: PLC0415 (not where no exact name is given)

        return target.target(
            ifname, namespace, lambda at: self._join(known, endpoint, observed, at)
        )

    def _join(
        self, known: Network, endpoint: str, observed: Observed, target: Target | None = None
    ) -> Joined:
        network, interface = known.id, known.settings.interface
        port = self.state.port(known, endpoint)
        fields = {"network": network, "endpoint": endpoint, "interface": port.name}
        new = self.state
        if endpoint not in known.endpoints:
            self.say(events.ENDPOINT_RECREATED, **fields)
            new = new.with_endpoint(network, endpoint, Endpoint())
        self.pending.removals.discard(port.name)
        made = target is not None or observed.link(port.name) is None
        before = self.state.without_endpoint(network, endpoint) if made else self.state
        scope = Scope({port.name}, {port.name: target})
        done = self.change(new, observed, interface, scope, before)
        if made and endpoint not in self.pending.created:
            self.say(events.PAIR_RECREATED, **fields)
        self.pending.created.discard(endpoint)
        self._tell(describe.absent(done, self.pending.created))
        bus = new.bus(interface) if known.settings.physical else None
        if bus and (complaint := adapter.complaint(bus, observed)):
            self._report(complaint)
        rules = sum(isinstance(step, AddRule) for step in done.steps)
        self.say(events.ENDPOINT_JOINED, **fields, bus=interface, rules=str(rules))
        return Joined(
            port.container, new.networks[network].ifname_of(endpoint).prefix, bool(target)
        )

    def _move_adapter(self, known: Network, endpoint: str, observed: Observed) -> Joined:
        """Give the adapter itself to an endpoint. Raises CanwharfError."""
        interface = known.settings.interface
        new = self._alone(known, endpoint, observed)
        if endpoint not in known.endpoints:
            new = new.with_endpoint(known.id, endpoint, Endpoint())
        bus = new.bus(interface)
        if bus and (fault := adapter.move_fault(bus, observed)):
            raise ConflictError(f"cannot move the adapter {interface}: {fault}")
        self.change(new, observed, interface, Scope({interface}, adapter=interface))
        observed.mark_moved(interface)
        self.pending.created.discard(endpoint)
        fields = {"network": known.id, "endpoint": endpoint, "interface": interface}
        self.say(events.ADAPTER_MOVED, **fields)
        return Joined(interface, new.networks[known.id].ifname_of(endpoint).prefix)

    def _alone(self, known: Network, endpoint: str, observed: Observed) -> State:
        """The state in which no other endpoint has the adapter. Raises ConflictError.

        An endpoint that has joined has it until it is back on the host: what an engine forgot is
        no claim.
        """
        state = self.state
        interface = known.settings.interface
        for other in known.endpoints.keys() - {endpoint}:
            if other in self.pending.created or adapter.is_moved(interface, observed):
                raise ConflictError(
                    f"the adapter {interface} is for endpoint {other} alone (can.mode=move): stop "
                    "that container, or make the network with can.mode=share"
                )
            state = state.without_endpoint(known.id, other)
        return state

    def adopt_networks(self, known: Known, complete: bool = True) -> None:
        """Take over networks that we do not know; `complete` says that these are all there are."""
        provisional = self.pending.provisional
        self._take(adopt.networks(self.state, provisional, known, self._reconciler.observe))
        if complete and not self.state.complete:
            self.state = self.state._replace(complete=True)
            self.pending.dirty = True

    def adopt_pairs(self, lost: bool = False) -> None:
        """Take over endpoints that the kernel holds and we do not know, and their networks.

        Only pairs that are in a container, unless all was `lost`. Raises KernelError.
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
        """Write down what could not be written when it happened. Raises StateError."""
        if self.pending.dirty:
            self._store.save(self.state)
            self.pending.dirty = False

    def leave(self, network: str, endpoint: str) -> None:
        """Nothing yet: the engine has still to move the container's end back to the host."""

    def delete_endpoint(self, network: str, endpoint: str) -> None:
        """Remove an endpoint, its pair and so all its rules. Raises CanwharfError."""
        known = self.state.networks.get(network)
        if known is None or endpoint not in known.endpoints:
            return
        port = self.state.port(known, endpoint)
        new = self.state.without_endpoint(network, endpoint)
        self.pending.created.discard(endpoint)
        self._remove(new, known.settings.interface, {port.name})
        moved = known.settings.adapter.moved
        interface = known.settings.interface if moved else port.name
        fields = {"network": network, "endpoint": endpoint, "interface": interface}
        self.say(events.ENDPOINT_REMOVED, **fields)

    def describe(self, network: str, endpoint: str) -> dict[str, str]:
        """What an operator may want to know of an endpoint; empty if it is unknown."""
        known = self.state.networks.get(network)
        if known is None or endpoint not in known.endpoints:
            return {}
        interface = known.settings.interface
        moved = known.settings.adapter.moved
        name = interface if moved else self.state.port(known, endpoint).name
        told = {"canwharf.bus": interface, "canwharf.interface": name}
        bus = self.state.bus(interface)
        if bus is None or not bus.physical:
            return told
        return told | adapter.described(bus, self._reconciler.read(interface))

    def change(
        self,
        new: State,
        observed: Observed,
        interface: str,
        scope: Scope,
        before: State | None = None,
    ) -> Plan:
        """Go to a new state, in the kernel and on disk, or stay with the old one in both.

        `interface` is the bus that this is about, empty if it is none; `before` what the kernel
        held, if that is not what the old state says. Raises CanwharfError.
        """
        old = self.state
        try:
            done = self._apply(new, observed, interface, scope)
            self._write(new)
        except Exception:
            if before is not None or new is not old:
                self._undo(before or old, observed, interface, scope)
            raise
        self._tell(describe.applied(done, recovering=interface in old.interfaces()))
        return done

    def _remove(self, new: State, interface: str, targets: Collection[str]) -> None:
        """Go to a state in which something is gone, whatever fails: the engine forgets it anyway.

        What the kernel refused is nobody's from then on, and is removed by the next recovery; what
        could not be written is written later. Raises CanwharfError all the same, to be told.
        """
        self.state = new
        self.pending.dirty = True
        try:
            observed = self._reconciler.observe()
            done = self._apply(new, observed, interface, Scope(targets))
            self._tell(describe.applied(done, recovering=True))
        except Exception:
            self.pending.removals |= set(targets)
            self.save()
            raise
        self.save()

    def _write(self, new: State) -> None:
        """Take a new state as ours, once it is on disk. Raises StateError."""
        if new is self.state:
            return
        try:
            self._store.save(new)
        except CanwharfError:
            self.pending.dirty = True  # the very last step may have failed: write the old one back
            raise
        self.pending.dirty = False
        self.state = new

    def say(self, type: EventType, **fields: str) -> None:
        """Report what happened."""
        self._report(Event(type, fields))

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self._report(event)

    def _network(self, network: str) -> Network:
        """A network that we know; or that somebody put back on disk, or the engine knows."""
        if network not in self.state.networks:
            state, _left = self._store.load(self.state.driver)
            if network in state.networks:
                self.state = self.state.with_network(state.networks[network])
                self.say(events.NETWORK_FROM_DISK, network=network)
            elif (known := self._ask()) is None:
                raise UnknownNetworkError(network, self._store.path, answered=False)
            else:
                self.adopt_networks(known)
                self._reconciler.invalidate()  # the others' bus interfaces are missing, too
        if network not in self.state.networks:
            raise UnknownNetworkError(network, self._store.path, answered=True)
        return self.state.networks[network]

    def _apply(self, state: State, observed: Observed, interface: str, scope: Scope) -> Plan:
        if not scope.targets:
            return Plan((), ())
        bus = state.bus(interface)
        return self._reconciler.apply([bus] if bus else [], observed, scope)

    def _undo(self, state: State, observed: Observed, interface: str, scope: Scope) -> None:
        """Bring the kernel back; what cannot be undone is said, the first error goes on."""
        try:
            self._apply(state, observed, interface, Scope(scope.targets))
        except CanwharfError as error:
            self.say(events.CALL_NOT_UNDONE, interface=interface, error=str(error))
