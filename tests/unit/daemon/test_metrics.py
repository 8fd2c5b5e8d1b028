"""Figures for Prometheus: what a monitor is told, and how it gets it."""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from time import monotonic

import pytest
from prometheus_client.parser import text_string_to_metric_families

import canwharf
from canwharf.bus import events
from canwharf.bus.events import ERROR, WARNING, Event
from canwharf.bus.report import REASONS, Kernel, bus_reports
from canwharf.cli import main
from canwharf.daemon import bus_metrics
from canwharf.daemon.metrics import INTERVAL, Metrics
from canwharf.docker.containers import PAUSE
from canwharf.errors import KernelError, StartError
from canwharf.kernel import gateway
from canwharf.kernel.can import Controller, Statistics
from canwharf.kernel.link import Link
from tests import REPOSITORY
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

RECOVERIES = [row for row in events.TABLE if row.recovery]
ERRORS = [row for row in events.TABLE if row.level == ERROR]
COUNTERS = ("canwharf_recoveries_total", "canwharf_errors_total")
COUNTED = Statistics(1, 2, 3, 4, 5, 6)
Samples = dict[tuple[str, ...], float]


class Scraped:
    """A daemon's figures on a port of this machine, and the loop that serves them."""

    def __init__(self, daemon: Daemon) -> None:
        self.said: list[Event] = []
        self.metrics = Metrics("127.0.0.1:0", self.said.append)
        assert self.metrics._listening is not None
        self._address = self.metrics._listening.getsockname()
        self._selector = selectors.DefaultSelector()
        self.expire = self.metrics.begin(self._selector, daemon.service, daemon.kernel)

    def step(self) -> None:
        """One round of the daemon's loop."""
        for key, _events in self._selector.select(0):
            key.data()

    def connect(self) -> socket.socket:
        """Somebody who connects, and is let in."""
        caller = socket.create_connection(self._address)
        caller.setblocking(False)
        self.step()
        return caller

    @property
    def kept(self) -> int:
        """How many connections the daemon has."""
        return len(self._selector.get_map()) - 1

    def ask(
        self, target: str = "/metrics", method: str = "GET", more: str = ""
    ) -> tuple[int, str, str]:
        """Status, head and body of one answer."""
        self.metrics._fresh_until = 0.0
        with self.connect() as caller:
            asked = f"{method} {target} HTTP/1.1\r\nHost: m\r\n{more}\r\n"
            caller.sendall(asked.encode())
            told = b""
            while True:
                self.step()
                try:
                    part = caller.recv(65536)
                except BlockingIOError:
                    continue
                if not part:
                    break
                told += part
        head, _, body = told.decode().partition("\r\n\r\n")
        return int(head.split()[1]), head, body

    def samples(self) -> Samples:
        """All figures: name and label values -> number."""
        status, _head, body = self.ask()
        assert status == 200, body
        return parsed(body)

    def end(self) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


def parsed(text: str) -> Samples:
    """As Prometheus reads it."""
    return {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def labels(bus: str, network: str, endpoint: str, interface: str) -> tuple[str, ...]:
    """The labels of a port, in the order of their names."""
    return bus, endpoint, interface, network


@pytest.fixture
def scraped(daemon: Daemon) -> Iterator[Scraped]:
    made = Scraped(daemon)
    yield made
    made.end()


def test_frames_by_bus_and_endpoint(
    daemon: Daemon, scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's interface is one of them; another bus is another one."""
    daemon.service.create_network("n1", {})
    daemon.service.create_network("n2", {"vxcan.id": "7"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n2", "e2")
    view = daemon.reconciler.observe()
    index = {link.name: link.ifindex for link in view.links()}
    port = daemon.port("n1", "e1")
    rules = [
        gateway.Entry(gateway.Rule(index["vcan0"], index[port], gateway.CLASSIC), True, 5, 1),
        gateway.Entry(gateway.Rule(index[port], index["vcan0"], gateway.FD), True, 3, 0),
    ]
    monkeypatch.setattr(gateway, "entries", lambda _requests: rules)
    found = scraped.samples()
    host, own = labels("vcan0", "", "", "vcan0"), labels("vcan0", "n1", "e1", port)
    assert found["canwharf_frames_sent_total", *host] == 5
    assert found["canwharf_frames_received_total", *host] == 3
    assert found["canwharf_frames_sent_total", *own] == 3
    assert found["canwharf_frames_received_total", *own] == 5
    assert found["canwharf_frames_dropped_total", *own] == 1
    other = daemon.port("n2", "e2")
    assert found["canwharf_frames_sent_total", *labels("vcan7", "", "", "vcan7")] == 0
    assert found["canwharf_frames_sent_total", *labels("vcan7", "n2", "e2", other)] == 0


def test_the_real_rules_are_read(daemon: Daemon, scraped: Scraped) -> None:
    """From the kernel, at the moment when somebody asks."""
    daemon.service.create_network("n1", {})
    host = ("canwharf_frames_sent_total", *labels("vcan0", "", "", "vcan0"))
    assert host in scraped.samples()
    daemon.run_container("n1", "e1")
    own = ("canwharf_frames_sent_total", *labels("vcan0", "n1", "e1", daemon.port("n1", "e1")))
    assert own in scraped.samples()
    daemon.service.delete_endpoint("n1", "e1")
    assert own not in scraped.samples()
    assert host in scraped.samples()


def test_recoveries_and_errors_by_kind(scraped: Scraped) -> None:
    """A kind that never happened is a zero: the first time is a rise, too."""
    before = scraped.samples()
    for row in RECOVERIES:
        assert before["canwharf_recoveries_total", row.id] == 0
    for row in ERRORS:
        assert before["canwharf_errors_total", row.id] == 0
    told = (events.BUS_RECREATED, events.RULES_RESTORED, events.ENDPOINT_JOINED)
    for row in (*told, events.CALL_REFUSED):
        scraped.metrics.counting(Event(row, {"interface": "vcan0"}))
    found = scraped.samples()
    assert {name for name in found if found[name] != before.get(name)} >= {
        ("canwharf_recoveries_total", "bus-recreated"),
        ("canwharf_recoveries_total", "rules-restored"),
        ("canwharf_errors_total", "call-refused"),
    }
    assert sum(found[name] for name in found if name[0] in COUNTERS) == 3
    assert [event.type for event in scraped.said] == [*told, events.CALL_REFUSED]


def test_every_warning_but_those_about_options_is_a_recovery() -> None:
    """What is put right by itself is a warning in the log; docs/metrics.md names the others."""
    page = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")
    counted = re.search(r"what the daemon put right by itself: (.*?) and every\s+warning but", page)
    others = page.partition("warning but")[2].partition(", which are about")[0]
    assert counted
    warnings = {row.id for row in events.TABLE if row.level == WARNING}
    more = set(re.findall("`(.*?)`", counted[1]))
    assert {row.id for row in RECOVERIES} == (warnings | more) - set(re.findall("`(.*?)`", others))


def test_every_figure_is_documented(daemon: Daemon, scraped: Scraped, kernel: FakeKernel) -> None:
    """With its labels: whoever writes an alarm finds each in docs/metrics.md."""
    kernel.plug("can0")
    daemon.service.create_network("n1", {"can.interface": "can0", "can.bitrate": "500000"})
    daemon.run_container("n1", "e1")
    page = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")
    _status, _head, body = scraped.ask()
    families = [  # whoever loads the library before the daemon's module gets these as well
        each for each in text_string_to_metric_families(body) if not each.name.endswith("_created")
    ]
    assert len(families) > 15
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert "the same" in row or all(f"`{label}`" in row for label in labels), name


def test_the_version(scraped: Scraped) -> None:
    assert scraped.samples()["canwharf_build_info", canwharf.__version__] == 1


def test_a_container_that_hears_nobody_is_an_alarm(
    daemon: Daemon, scraped: Scraped, kernel: FakeKernel
) -> None:
    """Its frames are counted all the same: received grows, and dropped stays where it is."""
    daemon.service.create_network("n1", {"can.name": "can"})
    for endpoint in ("e1", "e2"):
        daemon.run_container("n1", endpoint)
    port = daemon.port("n1", "e1")
    own = ("canwharf_member_connected", *labels("vcan0", "n1", "e1", port))
    host = ("canwharf_member_connected", *labels("vcan0", "", "", "vcan0"))
    found = scraped.samples()
    gaps = {each: found["canwharf_bus_delivery_errors", "vcan0", each] for each in REASONS}
    assert (found[own], found[host], set(gaps.values())) == (1, 1, {0})
    kernel.link("can0", "e1").up = False
    found = scraped.samples()
    assert (found[own], found[host]) == (0, 1)
    assert found["canwharf_bus_delivery_errors", "vcan0", "no-carrier"] == 4
    kernel.delete_link(port)
    kernel.rules.pop()
    found = scraped.samples()
    assert found[own] == 0
    assert found["canwharf_bus_delivery_errors", "vcan0", "missing"] == 4
    assert found["canwharf_bus_delivery_errors", "vcan0", "no-rule"] == 1


def test_what_docker_calls_a_container(daemon: Daemon, scraped: Scraped, tmp_path: Path) -> None:
    """Its name is beside the ids as soon as Docker has told it, and the loop does not wait."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    own = ("canwharf_endpoint_info", "vcan0", "", "e1", daemon.port("n1", "e1"), "", "n1")
    # Sorted: bus, container, endpoint_id, interface, network, network_id
    assert scraped.samples()[own] == 1
    networks = {"bus0": {"EndpointID": "e1"}, "other": {"EndpointID": ""}, "odd": None}
    listed = [{"Names": ["/ecu1"], "NetworkSettings": {"Networks": networks}}, None, {}]
    containers = scraped.metrics._containers
    with socket.socket(socket.AF_UNIX) as docker:
        containers._path = str(tmp_path / "docker.sock")
        docker.bind(containers._path)
        docker.listen()
        containers._asked_at = -1000.0
        assert scraped.samples()[own] == 1  # Docker has not answered
        answering, _address = docker.accept()
        with answering:
            assert answering.recv(4096).startswith(b"GET /containers/json HTTP/1.0\r\n")
            told = b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(listed).encode()
            answering.send(told[:40])
            assert scraped.samples()[own] == 1
            answering.send(told[40:])
        scraped.step()
        named = ("canwharf_endpoint_info", "vcan0", "ecu1", *own[3:5], "bus0", "n1")
        assert scraped.samples()[named] == 1
        docker.settimeout(0)
        with pytest.raises(BlockingIOError):  # not again so soon, however often somebody asks
            docker.accept()
        for nonsense in (b"HTTP/1.0 500 no\r\n\r\n[]", b"", b"HTTP/1.0 200 OK\r\n\r\n{", b"\0"):
            containers.ask(containers._asked_at + PAUSE)
            answering, _address = docker.accept()
            answering.send(nonsense)
            answering.close()
            scraped.step()
            scraped.step()
            assert scraped.samples()[named] == 1
        containers.ask(containers._asked_at + PAUSE)  # and this one is never answered
        containers.ask(containers._asked_at + PAUSE)
        assert scraped.samples()[named] == 1
        containers.close()


def test_an_adapter(daemon: Daemon, scraped: Scraped, kernel: FakeKernel) -> None:
    """Its state, the controller's counters, and how often what happened."""
    kernel.plug("can0")
    daemon.service.create_network("n1", {"can.interface": "can0", "can.bitrate": "500000"})
    found = scraped.samples()
    assert found["canwharf_adapter_state", "can0", "error-active"] == 1
    assert found["canwharf_adapter_state", "can0", "bus-off"] == 0
    assert found["canwharf_adapter_bus_offs_total", "can0"] == 0
    link = Link(9, "can0", "can", controller=Controller(3, errors=(255, 7), statistics=COUNTED))
    bus = daemon.service.state
    (report,) = bus_reports(bus, Kernel([link]))
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in bus_metrics._adapters([report])
        for sample in family.samples
    }
    assert told["canwharf_adapter_state", "can0", "bus-off"] == 1
    assert told["canwharf_adapter_error_counter", "can0", "transmit"] == 255
    assert told["canwharf_adapter_error_counter", "can0", "receive"] == 7
    assert told["canwharf_adapter_bus_errors_total", "can0"] == 1
    assert told["canwharf_adapter_bus_offs_total", "can0"] == 4
    assert told["canwharf_adapter_restarts_total", "can0"] == 6


def test_how_long_calls_took(scraped: Scraped) -> None:
    """By name; what is no call is one kind, whatever its path."""
    statuses = {"/NetworkDriver.Join": 200, "/x": 404, "/y": 404}
    timed = scraped.metrics.timing(lambda path, body: (statuses[path], body))
    assert timed("/NetworkDriver.Join", b"{}") == (200, b"{}")
    timed("/x", b"")
    timed("/y", b"")
    found = scraped.samples()
    assert found["canwharf_call_duration_seconds_count", "Join"] == 1
    assert found["canwharf_call_duration_seconds_bucket", "Join", "+Inf"] == 1
    assert found["canwharf_call_duration_seconds_count", "other"] == 2
    assert found["canwharf_call_duration_seconds_sum", "Join"] > 0


def test_when_the_daemon_started_and_how_long_that_took(scraped: Scraped) -> None:
    """In seconds, as Prometheus has them."""
    found = scraped.samples()
    began = found[("canwharf_start_time_seconds",)]
    took = found[("canwharf_start_duration_seconds",)]
    born = os.stat(f"/proc/{os.getpid()}").st_ctime
    assert abs(began - born) < 60
    assert 0 < took < 3600


def test_the_answer_is_what_prometheus_reads(scraped: Scraped) -> None:
    """And whoever is lost hears where the figures are."""
    _status, head, _body = scraped.ask()
    assert "content-type: text/plain; version=" in head.lower()
    assert scraped.ask("/metrics?x=1")[0] == 200
    status, _head, body = scraped.ask("/")
    assert (status, body) == (404, "the figures are at /metrics\n")
    assert scraped.ask(method="POST")[0] == 405


def test_a_kernel_that_does_not_answer_is_an_error_to_who_asks(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And to nobody else."""

    def refuse(_requests: object) -> list[gateway.Entry]:
        raise KernelError("list", "the gateway rules", 110)

    with monkeypatch.context() as patched:
        patched.setattr(gateway, "entries", refuse)
        status, _head, body = scraped.ask()
        assert status == 500
        assert "the gateway rules" in body
    assert scraped.ask()[0] == 200


def test_a_mistake_in_a_figure_does_not_end_the_daemon(
    daemon: Daemon, scraped: Scraped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks is told, and the log."""
    metrics = Metrics(str(tmp_path / "canwharf.prom"), daemon.events.append)
    run = begin(metrics, daemon)

    def slip(_requests: object) -> list[gateway.Entry]:
        raise ZeroDivisionError("slip")

    monkeypatch.setattr(gateway, "entries", slip)
    status, _head, body = scraped.ask()
    assert (status, body) == (500, "internal error: ZeroDivisionError('slip')\n")
    assert [event.type for event in scraped.said] == [events.INTERNAL]
    run(0.0)
    assert daemon.said(events.FIGURES_NOT_WRITTEN)


def test_nobody_is_woken_while_nobody_asks(scraped: Scraped) -> None:
    """A board's battery."""
    scraped.samples()
    assert scraped.expire(monotonic()) is None


@pytest.mark.parametrize(
    ("more", "status"), [("Content-Length: 1\r\n", 413), ("Transfer-Encoding: chunked\r\n", 411)]
)
def test_a_request_for_figures_has_no_body(scraped: Scraped, more: str, status: int) -> None:
    """And a refusal is words, not a driver's answer to Docker."""
    told, head, body = scraped.ask(more=more)
    assert told == status
    assert "content-type: text/plain; charset=utf-8" in head.lower()
    assert body.endswith("\n")
    assert "{" not in body


CROWD = 400
SLOW = b"GET /metrics HTTP/1.1\r\nHost: m\r\nX: " + b"x" * 15_000
HEAVY = b"GET /metrics HTTP/1.1\r\nHost: m\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000


@pytest.mark.parametrize("sent", [b"", b"G", SLOW, HEAVY], ids=["silent", "byte", "slow", "heavy"])
def test_a_crowd_of_strangers_takes_no_memory(scraped: Scraped, sent: bytes) -> None:
    """Whoever reaches the address may not be root; and Prometheus is served all the same."""
    scraped.ask()
    tracemalloc.start()
    with ExitStack() as open_now:
        open_now.callback(tracemalloc.stop)
        crowd = [open_now.enter_context(closing(scraped.connect())) for _one in range(40)]
        before, _peak = tracemalloc.get_traced_memory()
        for number in range(CROWD):
            caller = open_now.enter_context(closing(scraped.connect()))
            crowd.append(caller)
            with suppress(BlockingIOError, ConnectionError):
                caller.send(sent)
            scraped.step()
            if number % 100 == 0:
                assert scraped.ask()[0] == 200
        with suppress(BlockingIOError, ConnectionError):
            for caller in crowd:
                caller.send(sent)
                scraped.step()
        now, _peak = tracemalloc.get_traced_memory()
        assert scraped.kept <= 16
        assert now - before < 4_000_000
        assert scraped.ask()[0] == 200


@pytest.mark.parametrize("sent", [b"", SLOW, b"GET /metrics HTTP/1.1\r\nHost: m\r\n\r\n"])
def test_a_stranger_who_does_not_go_on_is_hung_up_on(
    scraped: Scraped, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends nothing, half of it, or does not read the answer."""
    monkeypatch.setattr(scraped.metrics, "_figures", lambda: (200, b"x" * 50_000_000))
    with scraped.connect() as caller:
        caller.sendall(sent)
        scraped.step()
        assert scraped.kept == 1
        first = scraped.expire(monotonic())
        assert first is not None
        again = scraped.expire(first)  # told, where it is not being told something else
        assert scraped.expire(again or first) is None
        assert scraped.kept == 0


def test_one_answer_a_connection(scraped: Scraped) -> None:
    """Whoever sends a thousand requests at once is not answered a thousand times."""
    with scraped.connect() as caller:
        caller.sendall(b"GET /x HTTP/1.1\r\nHost: m\r\n\r\n" * 1000)
        scraped.step()
        assert scraped.kept == 0


def test_whoever_asks_all_the_time_gets_the_same_figures(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a large bus they take a while to gather, and Docker would wait."""
    made: list[bytes] = []

    def text() -> bytes:
        made.append(b"figures")
        return b"figures"

    monkeypatch.setattr(scraped.metrics, "_text", text)
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    answers = {scraped.metrics._answer("/metrics", b"") for _one in range(100)}
    assert answers == {(200, b"figures")}
    assert len(made) == 1
    monkeypatch.setattr("time.monotonic", lambda: 1010.0)
    scraped.metrics._answer("/metrics", b"")
    assert len(made) == 2


def begin(metrics: Metrics, daemon: Daemon) -> Callable[[float], float | None]:
    """As the daemon's start does."""
    selector = selectors.DefaultSelector()
    return metrics.begin(selector, daemon.service, daemon.kernel)


def test_a_file_for_the_node_exporter(daemon: Daemon, tmp_path: Path) -> None:
    """Whole at any moment, readable by its user, and written again and again."""
    path = tmp_path / "canwharf.prom"
    old = os.umask(0o077)
    try:
        metrics = Metrics(str(path), daemon.events.append)
        run = begin(metrics, daemon)
        assert run(100.0) == 100.0 + INTERVAL
    finally:
        os.umask(old)
    assert ("canwharf_recoveries_total", "rules-restored") in parsed(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    first = path.stat().st_ino
    assert run(100.0 + INTERVAL / 2) == 100.0 + INTERVAL
    assert path.stat().st_ino == first
    assert run(100.0 + INTERVAL) == 100.0 + 2 * INTERVAL
    assert path.stat().st_ino != first
    assert [each.name for each in tmp_path.iterdir() if "prom" in each.name] == [path.name]


def test_the_file_is_written_through_no_link(daemon: Daemon, tmp_path: Path) -> None:
    """The text collector's folder may belong to a user who is not root, and plants one."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "canwharf.prom"
    for name in (path.name, f"{path.name}.new", f"{path.name}.{os.getpid()}"):
        (tmp_path / name).symlink_to(victim)
    begin(Metrics(str(path), daemon.events.append), daemon)(0.0)
    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert "canwharf_frames" in path.read_text()


def test_a_file_that_cannot_be_written_is_told_once(daemon: Daemon, tmp_path: Path) -> None:
    """And written when it can: its folder may come later."""
    path = tmp_path / "later" / "canwharf.prom"
    metrics = Metrics(str(path), daemon.events.append)
    run = begin(metrics, daemon)
    run(0.0)
    run(INTERVAL)
    (event,) = daemon.said(events.FIGURES_NOT_WRITTEN)
    assert event.fields == {"file": str(path), "error": "No such file or directory"}
    path.parent.mkdir()
    run(2 * INTERVAL)
    assert path.exists()


@pytest.mark.parametrize(
    "where",
    [
        *("9273", ":9273", "127.0.0.1:", "127.0.0.1:x", "h:99999", "here", "http://127.0.0.1:9273"),
        # Files that the figures would replace, and the text collector does not read.
        *("/run/docker/plugins/canwharf.sock", "/var/lib/canwharf/state.json", "/tmp/"),
    ],
)
def test_neither_an_address_nor_a_file(where: str) -> None:
    """The error says what would be right."""
    with pytest.raises(StartError, match=r"right would be .* 127\.0\.0\.1:9273, or a file's path"):
        Metrics(where, lambda _event: None)


def test_a_port_that_is_taken() -> None:
    """Two daemons cannot have the same."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(StartError, match=f"cannot serve metrics at {where}: Address already"):
            Metrics(where, lambda _event: None)


def test_without_the_package_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "canwharf.daemon.metrics")
    words = ["serve", "--metrics", "127.0.0.1:9273", "--state-dir", str(tmp_path)]
    assert main(words) == 1
    assert "pip install 'canwharf[metrics]'" in capsys.readouterr().err


def test_without_metrics_nothing_of_them_is_loaded() -> None:
    """Nor what only a change from another driver needs: a board waits for each import."""
    code = "import canwharf.cli.serve, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "canwharf.bus.service" in loaded
    dear = {"prometheus_client", "canwharf.daemon.metrics", "canwharf.daemon.bus_metrics"}
    dear |= {"canwharf.bus.traffic", "canwharf.bus.report"}
    assert not loaded & (dear | {"canwharf.docker.containers", "canwharf.docker.migration"})
