"""`canwharf serve`: the daemon.

Theory of operation. One thread and one selector: calls from Docker, the kernel's link
announcements, signals, and one deadline. So no two things ever happen at the same time, and an
idle daemon is not woken at all.

Rules:

- The socket answers first; what the kernel holds is looked at when the first call needs it or has
  its answer, or when no call comes at once. A caller that has connected has not called yet.
- A state that cannot be read, or that is not there, is rebuilt from what the kernel's aliases and
  Docker still tell, before anybody can call: what nobody owns would be removed otherwise.
- Under a name that is not our own there was another driver: the first start takes its networks
  over, and is patient with Docker, which may know more of them.
- SIGTERM and SIGINT end the daemon and leave every interface and rule in place.
- One that does not come to an end of its work would let Docker wait for ever, which has no time
  limit: the kernel ends it (alarm(2)) and systemd starts another. At rest nothing is armed, so that
  nothing wakes it.
"""

from __future__ import annotations

import faulthandler
import os
import selectors
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from canwharf import __version__
from canwharf.bus.events import ERROR, INFO, WARNING, Event, Report
from canwharf.bus.model import State
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Known, Service
from canwharf.bus.store import Store
from canwharf.bus.upkeep import Upkeep
from canwharf.cli.log import FORMS, LEVELS, reporter
from canwharf.cli.options import SOCKET, STATE_DIR, Option
from canwharf.docker import engine, listener
from canwharf.docker.routes import Routes
from canwharf.docker.server import Answer, Server
from canwharf.errors import CanwharfError, StateError
from canwharf.kernel.netlink import LinkEvents, Netlink

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    from canwharf.cli.metrics import Metrics

DESCRIPTION = (
    "Run the daemon. It ends at SIGTERM or SIGINT and leaves all interfaces and gateway "
    "rules in place: containers keep talking while it is away."
)
EXAMPLE = "canwharf serve --log-level warning"
OPTIONS = (
    SOCKET,
    STATE_DIR,
    Option(
        "log-level",
        INFO,
        "the least grave events to print, on standard error",
        choices=tuple(LEVELS),
    ),
    Option(
        "log-format",
        "text",
        "one line an event: words for a person, or a JSON object with time, level, event and "
        "fields for a machine",
        choices=tuple(FORMS),
    ),
    Option(
        "metrics",
        "",
        "figures for Prometheus: an address like 127.0.0.1:9273 to be asked at, or a file's path, "
        "written four times a minute; needs the package canwharf[metrics] (default: none)",
        "WHERE",
    ),
)
# Seconds for the engine where no state was ever kept: at a boot its socket may accept before it
# runs. Upkeep asks again.
_FIRST_START = 0.2
_OWN_NAME = "canwharf"
_Round = Callable[[float], float | None]  # now -> when to come again, if ever (monotonic seconds)
_WORK = 60  # seconds for one call, or for upkeep; an exchange with the kernel ends after five
_FIRST_CALL = 0.05  # seconds to let a caller that is already there go first


def run(options: Mapping[str, str]) -> int:
    """Serve until a signal comes. Raises CanwharfError."""
    path = options["socket"]
    report = reporter(options["log-level"], options["log-format"])
    driver = listener.driver_name(path)
    metrics = _metrics(options["metrics"], report)
    if metrics:
        report = metrics.counting
    signals = _signals()
    store = Store(options["state-dir"])
    with listener.reserve(driver):
        store.acquire()
        announcements = LinkEvents()
        netlink = Netlink()
        reconciler = Reconciler(netlink, announcements, driver)
        known = store.exists() or driver != _OWN_NAME
        inherited = _inherited(store, driver, report)
        patient = engine.Patient(driver)
        service = Service(_load(store, driver, report), store, reconciler, report, patient)
        if not service.state.complete:
            _rebuild(service, engine.TIME_LIMIT if known else _FIRST_START, inherited)
        held = listener.passed(path)
        listening = held or listener.listen(path)
        networks = service.state.networks.values()
        endpoints = sum(len(network.endpoints) for network in networks)
        about = {"driver": driver, "networks": str(len(networks)), "endpoints": str(endpoints)}
        report(Event(INFO, "serving", {**about, "version": __version__}))
        _notify("READY=1")
        upkeep = Upkeep(service, reconciler, patient)
        selector = selectors.DefaultSelector()
        answer: Answer = Routes(service, upkeep.sync, lambda: store.fault).answer
        rounds: list[_Round] = []
        if metrics:
            answer = metrics.timing(answer)
            rounds.append(metrics.begin(selector, service, netlink))
        server = Server(selector, listening, answer)
        selector.register(announcements, selectors.EVENT_READ)  # taken by upkeep
        _loop(selector, signals, server, upkeep, rounds)
        server.close()
        if not held:
            listener.forget(path, listening)
    report(Event(INFO, "ended, all interfaces and rules stay", {}))
    return 0


def _load(store: Store, driver: str, report: Report) -> State:
    """The state; an empty, incomplete one if it is lost."""
    try:
        state, left = store.load(driver)
    except StateError as error:
        report(Event(ERROR, "the state is lost", {"error": str(error)}))
        try:
            report(Event(WARNING, "set the state file aside", {"file": store.set_aside()}))
        except StateError as second:
            report(Event(ERROR, "could not set the state file aside", {"error": str(second)}))
        return State(driver, {}, complete=False)
    if left:
        report(Event(INFO, "forgot endpoints of an earlier boot", {"endpoints": str(left)}))
    return state


def _inherited(store: Store, driver: str, report: Report) -> Known:
    """The networks in the file of the driver that was here before, if we are new here."""
    if driver == _OWN_NAME or store.exists():
        return {}
    from canwharf.docker import ancestor  # noqa: PLC0415 (needed once in a machine's life)

    return ancestor.networks(driver, report)


def _rebuild(service: Service, patience: float, inherited: Known) -> None:
    """Take over what the engine and the kernel still know; upkeep writes it down.

    `patience` is for an engine that does not answer, in seconds. Of what was `inherited`, it is
    the engine that knows which networks are still there.
    """
    known = engine.networks(service.state.driver, patience)
    if known is None:
        service.adopt_networks(inherited, complete=False)
    else:
        service.adopt_networks({id: inherited.get(id, told) for id, told in known.items()})
    try:
        service.adopt_pairs(lost=True)
    except CanwharfError as error:
        service.say(ERROR, "could not adopt what the kernel holds", error=str(error))


def _notify(text: str) -> None:
    """Tell systemd, if it started us and wants to know (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect("\0" + address[1:] if address.startswith("@") else address)
            told.send(text.encode())


def _metrics(where: str, report: Report) -> Metrics | None:
    """The daemon's figures, where they are wanted. Raises StartError."""
    if not where:
        return None
    from canwharf.cli.metrics import Metrics  # noqa: PLC0415 (nothing of it while they are off)

    return Metrics(where, report)


def _loop(
    selector: selectors.BaseSelector,
    signals: socket.socket,
    server: Server,
    upkeep: Upkeep,
    rounds: Sequence[_Round],
) -> None:
    """Until a signal comes; `rounds` are called in each, and tell when to come again at last."""
    selector.register(signals, selectors.EVENT_READ)
    faulthandler.register(signal.SIGALRM, chain=True)  # says where it was, and dies of it
    timeout: float | None = _FIRST_CALL
    patience = monotonic() + _FIRST_CALL
    while True:
        signal.alarm(0)
        ready = selector.select(timeout)
        for key, _events in ready:
            if key.fileobj is signals:
                signal.alarm(0)
                return
            if key.data is not None:
                signal.alarm(_WORK)  # each has it whole: many that are slow are no hang
                key.data()
        now = monotonic()
        signal.alarm(_WORK)
        first = patience if now < patience and not server.called else upkeep.run(now, bool(ready))
        due = [first, server.expire(now)]
        for each in rounds:
            signal.alarm(_WORK)
            due.append(each(now))
        timeout = min((max(0.0, at - now) for at in due if at is not None), default=None)


def _signals() -> socket.socket:
    """A socket that becomes readable when we are asked to end."""
    readable, writable = socket.socketpair()
    readable.setblocking(False)
    writable.setblocking(False)
    signal.set_wakeup_fd(writable.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return readable
