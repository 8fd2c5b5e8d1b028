"""The daemon's life: start, adopt what exists, serve, end.

Rules:

- The socket answers first. The kernel is read when the first call needs it, after that call's
  answer, or when no call comes at once.
- A state that cannot be read, or is missing, is rebuilt from the kernel's aliases and from Docker
  before the first call: otherwise interfaces without a record would be removed.
- A name other than the default was another driver's: the first start adopts its networks, and waits
  longer for Docker, which may have more of them.
- SIGTERM and SIGINT end the daemon and leave every interface and rule in place.
"""

from __future__ import annotations

import gc

from canwharf import __version__, durable
from canwharf.bus import adopt, describe, events
from canwharf.bus.adopt import Known
from canwharf.bus.events import Event, Report
from canwharf.bus.maintain import Maintenance
from canwharf.bus.model import State
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Service
from canwharf.bus.store import Store
from canwharf.daemon import calls, instance, loop, sockets
from canwharf.daemon.instance import Instance
from canwharf.daemon.server import Answer, Server
from canwharf.docker import engine
from canwharf.errors import CanwharfError, StateError
from canwharf.jsontext import dumps
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.lean import READ, Selector, exists

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    from typing import IO

    from canwharf.daemon.metrics import Metrics

# Seconds for the engine where no state was ever kept: at a boot its socket may accept before it
# runs. Maintenance asks again.
_FIRST_START = 0.2
_AGAIN = 60.0  # seconds until a file that could not be written is tried again


def run(path: str, directory: str, report: Report, metrics_at: str = "", group: str = "") -> None:
    """Serve the socket at `path`, with the state in `directory`, until a signal comes.

    `metrics_at` is an address or a file for metrics, `group` the group whose members may have
    rootless containers; empty: none. Raises CanwharfError.
    """
    driver = instance.name_of(path)
    metrics = _metrics(metrics_at, report)
    if metrics:
        report = metrics.counting
    signals = loop.signals()
    store = Store(directory)
    with sockets.reserve(driver) as lock:
        own = Instance(driver, path, directory)
        _announce(lock, own, report)
        store.acquire()
        netlink, announcements = Netlink(), LinkEvents()
        reconciler = Reconciler(netlink, announcements, driver)
        ask = engine.Patient(driver)
        service = _restored(store, reconciler, driver, report, ask)
        maintenance = Maintenance(service, reconciler, ask)
        held = sockets.passed(path, own.for_users)
        listening = {path: held.get(path) or sockets.listen(path), **held}
        if group and own.for_users not in held:
            listening[own.for_users] = sockets.listen_for_group(own.for_users, group)
        _tell_start(service.state, report)
        selector = Selector()
        selector.register(announcements, READ)  # taken by maintenance
        front_ends = calls.front_ends(service, maintenance.sync, lambda: store.fault)
        answer: Answer = front_ends.answer
        quick = _together(front_ends.run_faults, _publishing(service, own.spans, report))
        rounds: list[loop.Round] = [calls.collecting(service), quick]
        if metrics:
            answer = metrics.timing(answer)
            rounds.append(metrics.begin(selector, service, reconciler, netlink))
        server = Server(selector, listening[path], answer, calls.KIND)
        servers = [server]
        if for_users := listening.get(own.for_users):
            answer = calls.of_users(service).answer
            servers.append(Server(selector, for_users, answer, calls.OF_USERS))
            rounds.append(servers[-1].expire)
        gc.freeze()  # all of this stays until the end
        gc.enable()
        loop.run(selector, signals, server, maintenance, rounds)
        for each in servers:
            each.close()
        for where in listening.keys() - held.keys():
            sockets.forget(where, listening[where])
    report(Event(events.ENDED, {}))


def _together(*rounds: loop.Round) -> loop.Round:
    """Several that take no time of their own: each round of the loop costs a system call."""
    return lambda now: min((at for each in rounds if (at := each(now)) is not None), default=None)


def _publishing(service: Service, path: str, report: Report) -> loop.Round:
    """What keeps the file of spans as the state is; see `loop.Round`.

    Without a span there is no file, and its module is not loaded.
    """
    seen: State | None = None
    there = exists(path)

    def run(now: float) -> float | None:
        nonlocal seen, there
        state = service.state
        if state is seen:
            return None
        if not there and not any(each.settings.span.name for each in state.networks.values()):
            seen = state
            return None
        from canwharf.bus import span  # noqa: PLC0415 (not everybody spans hosts)

        try:
            durable.replace(path, dumps(span.published(state)).encode(), 0o644, sync=False)
        except OSError as error:
            fields = {"file": path, "error": error.strerror or str(error)}
            report(Event(events.SPANS_NOT_WRITTEN, fields))
            return now + _AGAIN
        seen, there = state, True
        return None

    return run


def _announce(lock: IO[str], own: Instance, report: Report) -> None:
    """Say where our paths are; with a full /run, only commands of ours miss it."""
    try:
        sockets.announce(lock, own)
    except OSError as error:
        fields = {"file": own.lock, "error": error.strerror or str(error)}
        report(Event(events.PATHS_NOT_WRITTEN, fields))


def _restored(
    store: Store, reconciler: Reconciler, driver: str, report: Report, ask: engine.Patient
) -> Service:
    """The service with its state, which is rebuilt if it is lost."""
    known = store.exists() or driver != instance.DEFAULT_NAME
    inherited = _inherited(store, driver, report)
    service = Service(_load(store, driver, report), store, reconciler, report, ask)
    if not service.state.complete:
        _rebuild(service, engine.TIME_LIMIT if known else _FIRST_START, inherited)
        for event in describe.forgotten(service.state.networks.values()):
            report(event)
    return service


def _tell_start(state: State, report: Report) -> None:
    """Say that calls are answered from now on, in the log and to systemd."""
    endpoints = sum(len(network.endpoints) for network in state.networks.values())
    fields = {
        "driver": state.driver,
        "networks": str(len(state.networks)),
        "endpoints": str(endpoints),
        "version": __version__,
    }
    report(Event(events.SERVING, fields))
    sockets.notify("READY=1")


def _load(store: Store, driver: str, report: Report) -> State:
    """The state; an empty, incomplete one if it is lost."""
    try:
        state, left = store.load(driver)
    except StateError as error:
        report(Event(events.STATE_LOST, {"error": str(error)}))
        try:
            report(Event(events.STATE_SET_ASIDE, {"file": store.set_aside()}))
        except StateError as second:
            report(Event(events.STATE_NOT_SET_ASIDE, {"error": str(second)}))
        return State(driver, {}, complete=False)
    if left:
        report(Event(events.ENDPOINTS_FORGOTTEN, {"endpoints": str(left)}))
    return state


def _inherited(store: Store, driver: str, report: Report) -> Known:
    """The networks in the file of the driver before us, at the first start under its name."""
    if driver == instance.DEFAULT_NAME or store.exists():
        return {}
    from canwharf.docker import migration  # noqa: PLC0415 (needed once in a machine's life)

    return migration.networks(driver, report)


def _rebuild(service: Service, patience: float, inherited: Known) -> None:
    """Adopt the networks of the engine and the pairs of the kernel; maintenance writes the state.

    `patience` is the time limit for the engine, in seconds. Of the `inherited` networks, those that
    the engine does not list are left out.
    """
    try:
        service.state = adopt.forgotten(service.state, service.observe())
        service.pending.dirty = True
    except CanwharfError as error:
        service.say(events.KERNEL_NOT_ADOPTED, error=str(error))
    known = engine.networks(service.state.driver, patience)
    if known is None:
        service.adopt_networks(inherited, complete=False)
    else:
        service.adopt_networks({id: inherited.get(id, options) for id, options in known.items()})
    try:
        service.adopt_pairs(lost=True)
    except CanwharfError as error:
        service.say(events.KERNEL_NOT_ADOPTED, error=str(error))


def _metrics(where: str, report: Report) -> Metrics | None:
    """The daemon's metrics; None if they are off. Raises StartError."""
    if not where:
        return None
    from canwharf.daemon.metrics import Metrics  # noqa: PLC0415 (only if they are on)

    return Metrics(where, report)
