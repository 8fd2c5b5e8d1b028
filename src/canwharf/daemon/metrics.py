"""Metrics for Prometheus, with `canwharf serve --metrics`.

Theory of operation. With an address, Prometheus requests them over HTTP, in the daemon's own loop.
With a file, they are written every INTERVAL seconds, for the node exporter's text collector. The
kernel counts the frames, and is read at each request: without requests an idle daemon is not woken.

Rules:

- This module is imported only if metrics are on; only it needs prometheus-client.
- The file is replaced in one step, so a reader never gets half of it. All users can read it.
- Each kind of failure starts at zero: otherwise its first event would be no increase.
- An error while collecting is the answer to the request; it never ends the daemon.

Sources: https://prometheus.io/docs/practices/naming/,
https://github.com/prometheus/node_exporter (textfile collector).
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time

from canwharf import durable
from canwharf.bus import events
from canwharf.bus.events import ERROR, Event, EventType, Report
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Service
from canwharf.daemon.server import Answer, Kind, Sender, Server
from canwharf.docker.containers import Containers
from canwharf.errors import CanwharfError, StartError
from canwharf.kernel.request import Requests
from canwharf.lean import Selector, Socket

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable

# No creation time beside each counter. The variable is read at import, in all versions.
os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "true"
try:
    try:
        import prometheus_client as prometheus
    except ImportError:
        if not sys.flags.no_site:
            raise
        import site  # which knows where extras are; a service starts without it

        site.main()
        import prometheus_client as prometheus

    from canwharf.daemon.bus_metrics import Buses
except ImportError as error:
    raise StartError(
        f"--metrics needs the Python package prometheus-client ({error}): "
        "pip install 'canwharf[metrics]', or 'apt install python3-prometheus-client'"
    ) from error

INTERVAL = 15.0  # seconds between two writings of a file; as often as Prometheus usually asks
PAGE = "/metrics"
_ENDING = ".prom"  # of the files that the text collector reads; no other file is ever replaced
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds
_UNKNOWN = 404  # the status of an unknown call
_PLAIN = "text/plain; charset=utf-8"
# Each client that reaches the address may send requests, so their load is limited: a few megabytes.
KIND = Kind(
    "GET",
    prometheus.CONTENT_TYPE_LATEST,
    lambda text: f"{text}\n".encode(),
    _PLAIN,
    body=0,
    connections=16,  # one or two Prometheus servers, and a person
    deadline=10.0,  # as long as Prometheus itself waits
    once=True,
)
# An answer is used again for _FRESH seconds, and for _SHARE times as long as it took to make: so a
# client that sends requests all the time costs a tenth of the daemon's time at most.
_FRESH, _SHARE = 1.0, 10


class Metrics:
    """The daemon's metrics; `where` is HOST:PORT, or a file's path."""

    def __init__(self, where: str, report: Report) -> None:
        """Raise StartError if it cannot listen there."""
        self._report = report
        self._path = where if where.endswith(_ENDING) else ""
        self._listening = None if self._path else listen(where)
        self._write_at = 0.0  # at once
        self._failed = False
        self._page: tuple[int, bytes] = 500, b""
        self._fresh_until = 0.0
        self._registry = prometheus.CollectorRegistry()
        self._recoveries = self._counter("recoveries", "What was put right, by kind.", "kind")
        self._errors = self._counter("errors", "What could not be done, by kind.", "kind")
        for row in events.TABLE:
            if counter := self._counter_of(row):
                counter.labels(row.id)
        self._calls = prometheus.Histogram(
            "canwharf_call_duration_seconds",
            "How long the calls of container engines took, by name.",
            ["call"],
            registry=self._registry,
            buckets=_BUCKETS,
        )
        age = _age()
        self._gauge("start_time", "When the daemon was started, since 1970.", time.time() - age)

    def _counter(self, name: str, help: str, label: str) -> prometheus.Counter:
        return prometheus.Counter(f"canwharf_{name}", help, [label], registry=self._registry)

    def _gauge(self, name: str, help: str, value: float) -> None:
        gauge = prometheus.Gauge(f"canwharf_{name}_seconds", help, registry=self._registry)
        gauge.set(value)

    def _counter_of(self, type: EventType) -> prometheus.Counter | None:
        return self._recoveries if type.recovery else self._errors if type.level == ERROR else None

    def counting(self, event: Event) -> None:
        """Count an event by its id, and report it."""
        if counter := self._counter_of(event.type):
            counter.labels(event.type.id).inc()
        self._report(event)

    def timing(self, answer: Answer) -> Answer:
        """A function with the same answers that records their duration."""

        def timed(path: str, body: bytes, sender: Sender) -> tuple[int, bytes]:
            began = time.perf_counter()
            status, answered = answer(path, body, sender)
            name = "other" if status == _UNKNOWN else path.rpartition(".")[2]
            self._calls.labels(name).observe(time.perf_counter() - began)
            return status, answered

        return timed

    def begin(
        self,
        selector: Selector,
        service: Service,
        reconciler: Reconciler,
        requests: Requests,
    ) -> Callable[[float], float | None]:
        """Start to serve; the function to call in each round of the loop (`loop.Round`)."""
        self._gauge("start_duration", "From the daemon's start until it served.", _age())
        self._containers = Containers(selector)
        self._containers.ask(time.monotonic())
        buses = Buses(service, reconciler, requests, lambda: self._containers.container_names)
        self._registry.register(buses)
        if self._listening is None:
            return self._write_when_due
        return Server(selector, self._listening, self._answer, KIND).expire

    def _answer(self, target: str, _body: bytes, _sender: object = None) -> tuple[int, bytes]:
        if target.partition("?")[0] != PAGE:
            return 404, f"the figures are at {PAGE}\n".encode()
        began = time.monotonic()
        if began >= self._fresh_until:
            self._page = self._figures()
            ended = time.monotonic()
            self._fresh_until = ended + max(_FRESH, _SHARE * (ended - began))
        return self._page

    def _figures(self) -> tuple[int, bytes]:
        """The HTTP status and the body of an answer. Raises nothing."""
        try:
            return 200, self._text()
        except CanwharfError as error:
            return 500, f"{error}\n".encode()
        except Exception as error:  # noqa: BLE001
            # A defect in a metric must not take the driver away from Docker.
            self._report(Event(events.INTERNAL, {"error": repr(error)}))
            return 500, f"internal error: {error!r}\n".encode()

    def _text(self) -> bytes:
        """All metrics as text. Raises KernelError."""
        self._containers.ask(time.monotonic())  # its answer is used by the next request
        return prometheus.generate_latest(self._registry)

    def _write_when_due(self, now: float) -> float:
        if self._write_at <= now:
            self._write_at = now + INTERVAL
            self._write()
        return self._write_at

    def _write(self) -> None:
        try:
            durable.replace(self._path, self._text(), 0o644, sync=False)
            self._failed = False
        except Exception as error:  # noqa: BLE001 (as above)
            words = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if not self._failed:  # once, not four times a minute
                fields = {"file": self._path, "error": words}
                self._report(Event(events.FIGURES_NOT_WRITTEN, fields))
            self._failed = True


def listen(where: str) -> Socket:
    """A listening socket at HOST:PORT. Raises StartError."""
    host, _, port = where.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise StartError(
            f"cannot serve metrics at {where}: must be an address and a port like "
            "127.0.0.1:9273, or a file's path that ends in .prom, like "
            "/run/canwharf/canwharf.prom"
        )
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return Socket(fileno=socket.create_server((host, int(port)), family=family).detach())
    except OSError as error:
        denied = error.errno == errno.EAFNOSUPPORT  # as the service of `canwharf install` does
        hint = f"; its systemd unit needs RestrictAddressFamilies={family.name}" if denied else ""
        words = f"{error.strerror or error}{hint}"
        raise StartError(f"cannot serve metrics at {where}: {words}") from error


def _age() -> float:
    """The seconds since this process was started (proc(5), /proc/PID/stat, starttime)."""
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
