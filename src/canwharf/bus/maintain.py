"""Maintenance, without a call: recovery after a start, repair, garbage collection.

Rules:

- Recovery adopts the kernel's pairs, makes missing bus interfaces and rules, and removes interfaces
  of ours without a record. A pair in a container is never removed: if its record was lost, it is
  adopted. No pair is made: that is for Join, when there is a container for it.
- A bus that cannot be repaired is reported, and the others are repaired all the same. It is tried
  again, at growing intervals.
- A pair that is lost while its container runs is made again in there, after the repair of its bus.
- The kernel announces links, not rules. So some time after any event there is one resync, a full
  dump of the kernel, which finds rules that were deleted or duplicated by hand. After that, nothing
  wakes the daemon.
- While the state is incomplete the engine's networks are requested, at growing intervals and at
  each resync: the engine may not have been running when the daemon started.
- An endpoint is an orphan candidate when its pair is missing or has both its ends on the host; one
  to which an adapter was moved, when that is on the host. A candidate that stays
  one, unchanged, for PATIENCE has no container: the engine has forgotten it (after a crash it
  never deletes the old endpoints), and it is garbage-collected. Not earlier: its container may be
  about to start.
"""

from __future__ import annotations

from canwharf.bus import adapter, describe, events, interfaces
from canwharf.bus.adopt import Ask
from canwharf.bus.describe import Change
from canwharf.bus.events import Event
from canwharf.bus.model import Bus, Port, Target
from canwharf.bus.naming import EndpointOwner
from canwharf.bus.observed import Observed
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Service
from canwharf.bus.steps import AddRule, Scope, Step
from canwharf.errors import CanwharfError, NamespaceError
from canwharf.kernel import namespace
from canwharf.lean import suppress
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE = 60.0  # seconds from an event to the resync after it
# Seconds. An engine takes the container's end within one or two of the Join on an idle machine; on
# one that starts eight containers at once under load, 62 were seen (Docker 20.10).
PATIENCE = 600.0
_MOST_SKIPPED = 8  # ports of a bus that fail one by one, before it is what they have in common
_FIRST_RETRY = 1.0  # seconds; doubled with each failure, up to GRACE
_FIRST_ASK = 5.0  # seconds; doubled with each request without an answer, up to _LAST_ASK
_LAST_ASK = 640.0  # seconds; then only each resync asks, and each call about an unknown network


class Outcome(NamedTuple):
    """What a recovery did: the endpoints that it adopted, its steps, and its errors.

    `lost` are the frames that were lost when the containers of a bus were connected anew, `absent`
    the ports that have no pair.
    """

    adopted: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    faults: tuple[str, ...] = ()
    lost: int = 0
    absent: tuple[Port, ...] = ()

    @property
    def changes(self) -> list[Change]:
        """The changes, as lines."""
        return describe.changes(self.adopted, self.steps, self.lost)

    def plus(self, more: Outcome) -> Outcome:
        """The sums of both."""
        return Outcome(
            self.adopted + more.adopted,
            self.steps + more.steps,
            self.faults + more.faults,
            self.lost + more.lost,
            self.absent + more.absent,
        )


class _Orphan(NamedTuple):
    """An endpoint that may have no container; `ifindex` is that of its host end, or 0."""

    network: str
    endpoint: str
    ifindex: int


class Maintenance:
    """Keeps the kernel as the service's state wants it. Raises nothing, reports instead.

    `ask` requests the engine's networks; None if the engine does not answer.
    """

    def __init__(self, service: Service, reconciler: Reconciler, ask: Ask) -> None:
        self._service = service
        self._reconciler = reconciler
        self._ask = ask
        self._complaints: dict[str, Event | None] = {}  # about adapters, as last reported
        self._missing: tuple[str, ...] = ()  # modules for a linear bus, as last reported
        self._candidates: dict[_Orphan, float] = {}  # seen first at (monotonic seconds)
        self._first = True  # the first run schedules a resync even without an event
        self._resync_at: float | None = None
        self._retry_at: float | None = None
        self._retry_after = _FIRST_RETRY
        self._ask_at: float | None = None
        self._ask_after = _FIRST_ASK

    def run(self, now: float, active: bool) -> float | None:
        """Do what is due; the time of the next run, if no event comes first (monotonic seconds).

        `active` says that there was an event: a call, an announcement.
        """
        try:
            well = self._work(now, active)
        except Exception as error:  # noqa: BLE001
            # A mistake of ours must not take the driver away from the engine.
            self._service.say(events.INTERNAL, error=repr(error))
            self._reconciler.invalidate()
            self._resync_at, self._ask_at = now + GRACE, self._ask_at and now + GRACE
            well = False
        if well:
            self._retry_at, self._retry_after = None, _FIRST_RETRY
        elif self._retry_at is None or self._retry_at <= now:
            self._retry_at = now + self._retry_after
            self._retry_after = min(2 * self._retry_after, GRACE)
        due = (self._resync_at, self._retry_at, self._ask_at)
        return min((at for at in due if at is not None), default=None)

    def _work(self, now: float, active: bool) -> bool:
        """Do what is due; whether all is as it should be."""
        if self._resync_at is not None and self._resync_at <= now:
            self._resync_at = self.resync(now)
        elif active or self._first:
            at = now + GRACE
            self._resync_at = at if self._resync_at is None else min(at, self._resync_at)
        if self._first or (self._ask_at is not None and self._ask_at <= now):
            self._learn(now)
        self._first = False
        if self._retry_at is not None and self._retry_at <= now:
            self._reconciler.invalidate()
        return self.repair() and self._saved()

    def _learn(self, now: float) -> None:
        """Adopt the engine's networks while the state is incomplete; schedule the next request."""
        known = None if self._first or self._service.state.complete else self._ask()
        if known is not None:
            self._service.adopt_networks(known)
            self._reconciler.invalidate()
        self._ask_at = None
        if not self._service.state.complete and self._ask_after <= _LAST_ASK:
            self._ask_at = now + self._ask_after
            self._ask_after *= 2

    def _saved(self) -> bool:
        """Whether the state is on disk; writes it if needed."""
        try:
            self._service.save()
        except CanwharfError as error:
            self._service.say(events.STATE_NOT_WRITTEN, error=str(error))
        return not self._service.pending.dirty

    def repair(self) -> bool:
        """Repair what others changed in the kernel; whether all is well."""
        try:
            changed = self._reconciler.changes()
        except CanwharfError as error:
            self._service.say(events.ANNOUNCEMENTS_NOT_READ, error=str(error))
            self._reconciler.invalidate()
            return False
        if changed.anything:
            return self.recover()
        touched = self._touched(changed.names)
        done = [self._repair(interface, changed.names) for interface in touched]
        if any(each.faults for each in done):
            return False
        # A module for linear buses was found missing: the other buses' hubs are of no use, either.
        return self.recover() if self._reconciler.anything else True

    def sync(self) -> Outcome:
        """Recover from a new dump of the kernel, for `canwharf sync`."""
        self._reconciler.invalidate()
        self._reconciler.try_linear()
        return self._recover()

    def recover(self) -> bool:
        """Repair every bus and remove unowned interfaces; whether all is well."""
        return not self._recover().faults

    def _recover(self) -> Outcome:
        before = self._service.state
        try:
            self._service.adopt_pairs()
        except CanwharfError as error:
            self._service.say(events.KERNEL_NOT_ADOPTED, error=str(error))
            return Outcome(faults=(str(error),))
        state = self._service.state
        done = Outcome(tuple(state.endpoints() - before.endpoints()))
        for interface in state.interfaces():
            done = done.plus(self._repair(interface))
        buses = [bus for interface in state.interfaces() if (bus := state.bus(interface))]
        try:
            observed = self._reconciler.observe()
            if not observed.linear:
                buses = [bus._replace(hub=None) for bus in buses]
            wanted = frozenset[str]().union(*(bus.names for bus in buses))
            surplus = (interfaces.unused(observed) | self._service.pending.removals) - wanted
            removed = self._service.change(state, observed, "", Scope(surplus))
            done = done.plus(Outcome(steps=removed.steps))
        except CanwharfError as error:
            self._service.say(events.LEFTOVERS_NOT_REMOVED, error=str(error))
            return done.plus(Outcome(faults=(str(error),)))
        self._service.pending.removals.clear()
        return done

    def resync(self, now: float) -> float | None:
        """Repair from a new dump, collect orphans; the time of the next resync, or None.

        It imports the modules that a start does not: after an upgrade has replaced the program's
        files, a zipapp's modules are not found any more, and others are of another version.
        """
        with suppress(ImportError):  # replaced already: the call that needs one is refused with it
            from canwharf.bus import (  # noqa: F401, PLC0415 (not at a boot)
                fault_options,
                firewall,
                ids,
                injection,
                span,
                spelling,
            )

        if not self._service.state.complete and (known := self._ask()) is not None:
            self._service.adopt_networks(known)
        self._reconciler.invalidate()
        self.repair()
        try:
            candidates = self._orphan_candidates()
        except CanwharfError as error:
            self._service.say(events.ENDPOINTS_NOT_LOOKED_FOR, error=str(error))
            return now + GRACE
        since = {each: self._candidates.get(each, now) for each in candidates}
        self._candidates = {
            each: first
            for each, first in since.items()
            if now < first + PATIENCE or not self._collect(each)
        }
        due = min(self._candidates.values(), default=None)
        return None if due is None else max(due + PATIENCE, now + GRACE)

    def _collect(self, orphan: _Orphan) -> bool:
        """Remove an endpoint without container; whether that succeeded."""
        fields = {"network": orphan.network, "endpoint": orphan.endpoint}
        try:
            self._service.say(events.ENDPOINT_COLLECTED, **fields)
            self._service.delete_endpoint(orphan.network, orphan.endpoint)
        except CanwharfError as error:
            self._service.say(events.ENDPOINT_NOT_COLLECTED, **fields, error=str(error))
            return False
        return True

    def _repair(self, interface: str, names: frozenset[str] = frozenset()) -> Outcome:
        """Repair one bus, or its links of these names."""
        state = self._service.state
        bus = state.bus(interface)
        if bus is None:
            return Outcome()
        touched = frozenset(filter(bus.has, names)) or bus.names
        # The adapter comes last: if it refuses its settings, the containers are connected all the
        # same.
        last = touched & {interface} if bus.physical else frozenset[str]()
        done = Outcome()
        for targets in filter(None, (touched - last, last)):
            done = done.plus(self._repair_ports(bus, targets))
        added = sum(isinstance(step, AddRule) and not step.witness for step in done.steps)
        if added:
            self._service.say(events.RULES_RESTORED, interface=interface, rules=str(added))
        return done.plus(self._restore(interface, done.absent))

    def _repair_ports(self, bus: Bus, targets: frozenset[str]) -> Outcome:
        """Repair these ports of a bus; a container's that an error names does not keep others."""
        interface, done, skipped = bus.interface.name, Outcome(), frozenset[str]()
        while True:
            try:
                observed = self._reconciler.observe()
                plan = self._service.change(
                    self._service.state, observed, interface, Scope(targets, skipped=skipped)
                )
                self._complain(bus, observed)
                return done.plus(Outcome((), plan.steps, (), plan.lost, plan.absent))
            except CanwharfError as error:
                fields = {"interface": interface, "error": str(error)}
                self._service.say(events.BUS_NOT_REPAIRED, **fields)
                done = done.plus(Outcome(faults=(str(error),)))
                # Their names are as long as a name can be, so none is a part of another one.
                ends = {port.name for port in bus.endpoints} - skipped
                at_fault = {name for name in ends if name in str(error)}
                at_fault |= {end for ifb, end in bus.delays.items() if ifb in str(error)} & ends
                if not at_fault or len(skipped) >= _MOST_SKIPPED:
                    return done
                skipped |= at_fault

    def _restore(self, interface: str, absent: Iterable[Port]) -> Outcome:
        """Make the missing pairs of a bus again, each for itself."""
        done = Outcome()
        for port in dict.fromkeys(absent):
            try:
                done = done.plus(Outcome(steps=self._restore_pair(port)))
            except CanwharfError as error:
                fields = {"interface": interface, "error": str(error)}
                self._service.say(events.BUS_NOT_REPAIRED, **fields)
                done = done.plus(Outcome(faults=(str(error),)))
        return done

    def _restore_pair(self, port: Port) -> tuple[Step, ...]:
        """Make a pair again in its container; nothing if that has ended. Raises CanwharfError."""
        service, owner = self._service, port.owner
        path = service.pending.namespaces.get(port.name)
        if path is None or not isinstance(owner, EndpointOwner):
            return ()
        pattern = owner.ifname.pattern
        before = service.state.without_endpoint(owner.network, owner.endpoint)
        try:
            with namespace.opened(path, f"interface {pattern}") as descriptor:
                scope = Scope({port.name}, {port.name: Target(descriptor, pattern)})
                observed = self._reconciler.observe()
                done = service.change(service.state, observed, owner.bus, scope, before)
        except NamespaceError as error:
            if error.missing:
                return ()  # the engine will say so
            raise
        fields = {"network": owner.network, "endpoint": owner.endpoint, "interface": port.name}
        service.say(events.PAIR_RECREATED, **fields)
        return done.steps

    def _complain(self, bus: Bus, observed: Observed) -> None:
        """Report a warning about an adapter, or about modules that are missing, once."""
        missing = observed.ability.missing if observed.ability else ()
        if missing and not self._missing:
            self._service.say(events.BUS_NOT_LINEAR, modules=", ".join(missing))
        self._missing = missing
        interface = bus.interface.name
        complaint = adapter.complaint(bus, observed)
        if complaint and self._complaints.get(interface) != complaint:
            self._service.say(complaint.type, **complaint.fields)
        self._complaints[interface] = complaint

    def _touched(self, names: frozenset[str]) -> list[str]:
        """The bus interfaces whose bus has one of these links."""
        state = self._service.state
        return [
            interface
            for interface in (state.interfaces() if names else ())
            if (bus := state.bus(interface)) and any(map(bus.has, names))
        ]

    def _orphan_candidates(self) -> frozenset[_Orphan]:
        """The endpoints that may have no container. Raises KernelError."""
        observed = self._reconciler.observe()
        pairs = interfaces.pairs(observed)
        held = {(owner.network, owner.endpoint): link for owner, link in pairs}
        candidates = set()
        for network in self._service.state.networks.values():
            for endpoint in network.endpoints:
                link = held.get((network.id, endpoint))
                at_work = link is not None and link.peer_away
                if network.settings.adapter.moved:
                    link = observed.link(network.settings.interface)
                    at_work = link is None
                if not at_work:
                    index = link.ifindex if link else 0
                    candidates.add(_Orphan(network.id, endpoint, index))
        return frozenset(candidates)
