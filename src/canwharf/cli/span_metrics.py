"""Metrics of spans for Prometheus, with `canwharf span --metrics`.

Theory of operation. A thread of the service's process answers. It asks the bridges by their local
sockets, as any program of the host would: so it shares nothing with the thread of the frames, which
waits for nobody.

Rules:

- Only with --metrics this is imported, and needs prometheus-client.
- Names and the way of serving are those of the daemon's metrics (`daemon/metrics`).
- Label values are names of spans and hosts, of which a bridge knows HOSTS at most.
- A bridge that does not answer is left out, and its `up` is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from threading import Thread
from time import monotonic

from canwharf.daemon import metrics
from canwharf.daemon.server import Server
from canwharf.errors import CanwharfError, SpanError, StartError
from canwharf.lean import Selector
from canwharf.operator.spans import HEARS, hearing
from canwharf.span import local, wanted
from canwharf.span.state import State

# If it is missing, the daemon's metrics have said so, with the command.
import prometheus_client as prometheus  # isort: skip
from prometheus_client.core import (  # isort: skip
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector  # isort: skip

_FRESH = 1.0  # seconds for which an answer is used again
_REASONS = ("apart", "crowded", "expired", "overrun", "refused", "shed", "unreadable", "unsent")
_S = 1_000_000_000  # nanoseconds

States = Mapping[str, State | None]  # by span


def serve(where: str, path: str, driver: str) -> None:
    """Serve them at HOST:PORT, for the spans in this file, until the process ends.

    Raises StartError.
    """
    if where.endswith(".prom"):
        raise StartError(f"cannot serve metrics at {where}: must be like 127.0.0.1:9274")
    page = Page(lambda: _states(path, driver))
    selector = Selector()
    server = Server(selector, metrics.listen(where), page, metrics.KIND)

    def run() -> None:
        while True:
            due = server.expire(monotonic())
            wait = None if due is None else max(0.0, due - monotonic())
            for key, _events in selector.select(wait):
                key.data()

    Thread(target=run, name="metrics", daemon=True).start()


def _states(path: str, driver: str) -> States:
    """What the bridges tell. Raises StateError."""
    return {span.name: _told(interface) for interface, span in wanted.read(path, driver).items()}


def _told(interface: str) -> State | None:
    try:
        return local.ask(interface)
    except SpanError:
        return None


class Page(Collector):
    """Answers requests for the metrics of these states."""

    def __init__(self, states: Callable[[], States]) -> None:
        self._states = states
        self._page: tuple[int, bytes] = 500, b""
        self._fresh_until = 0.0
        self._registry = prometheus.CollectorRegistry()
        self._registry.register(self)

    def __call__(self, target: str, _body: bytes, _sender: object = None) -> tuple[int, bytes]:
        """The HTTP status and the body (`server.Answer`)."""
        if target.partition("?")[0] != metrics.PAGE:
            return 404, f"the figures are at {metrics.PAGE}\n".encode()
        if monotonic() >= self._fresh_until:
            try:
                self._page = 200, prometheus.generate_latest(self._registry)
            except CanwharfError as error:
                self._page = 500, f"{error}\n".encode()
            self._fresh_until = monotonic() + _FRESH
        return self._page

    def describe(self) -> list[Metric]:
        """No families, so that registering asks nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families. Raises StateError."""
        states = self._states()
        up = _gauge("up", "Whether the bridge of a span tells what it sees.", "span")
        for span, state in states.items():
            up.add_metric([span], state is not None)
        yield up
        there = [each for each in states.values() if each]
        yield from _of_spans(there)
        yield from _of_hosts(there)


def _of_spans(states: list[State]) -> Iterator[Metric]:
    frames = _counter("frames", "Frames by the host that sent them.", "span", "host", "dir")
    shed = _counter("shed", "Frames or messages that went no further, by reason.", "span", "reason")
    messages = _counter("messages", "Messages with frames, of this host to all others.", "span")
    full = _counter("adapter_full", "How often the bus had no room for a frame.", "span")
    peers = _gauge("peers", "Other hosts that are there.", "span")
    for state in states:
        frames.add_metric([state.span, state.host, "out"], state.counts.get("sent", 0))
        for name, host in state.hosts.items():
            frames.add_metric([state.span, name, "in"], host.received)
        for reason in _REASONS:
            shed.add_metric([state.span, reason], state.counts.get(reason, 0))
        messages.add_metric([state.span], state.counts.get("messages", 0))
        full.add_metric([state.span], state.counts.get("full", 0))
        peers.add_metric([state.span], sum(each.there for each in state.hosts.values()))
    yield from (frames, messages, shed, full, peers)


def _of_hosts(states: list[State]) -> Iterator[Metric]:
    labels = ("span", "from")
    lost = _counter("lost", "Frames of a host that were lost on the way.", *labels)
    repeated = _counter("repeated", "Frames of a host that came again.", *labels)
    stale = _counter("stale", "Frames of a host that came too late.", *labels)
    session = _gauge("session_up", "Whether a host is there.", "span", "host")
    heard = _gauge("heard", "Whether a host hears this one, by its answer.", "span", "host")
    trip = _gauge("round_trip_seconds", "To a host and back.", "span", "host")
    clock = _gauge("clock_difference_seconds", "A host's clock, before this one's.", "span", "host")
    for state in states:
        for name, host in state.hosts.items():
            which = [state.span, name]
            lost.add_metric(which, host.lost)
            repeated.add_metric(which, host.repeated)
            stale.add_metric(which, host.stale)
            session.add_metric(which, host.there)
            heard.add_metric(which, hearing(state, host) == HEARS)
            if told := host.told:
                trip.add_metric(which, told.round_trip / _S)
                clock.add_metric(which, told.difference / _S)
    yield from (lost, repeated, stale, session, heard, trip, clock)


def _counter(name: str, help: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"canwharf_span_{name}", help, labels=labels)


def _gauge(name: str, help: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"canwharf_span_{name}", help, labels=labels)
