"""Figures for Prometheus: what a monitor is told, and how it gets it."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import canwharf
from canwharf.bus import events
from canwharf.bus.events import ERROR, WARNING, Event
from canwharf.cli import main
from canwharf.daemon.metrics import INTERVAL, Metrics
from canwharf.daemon.server import ROOT
from canwharf.errors import StartError
from canwharf.kernel import gateway
from canwharf.lean import Selector
from tests import REPOSITORY
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.daemon.scraped import Scraped, parsed

RECOVERIES = [row for row in events.TABLE if row.recovery]
ERRORS = [row for row in events.TABLE if row.level == ERROR]
COUNTERS = ("canwharf_recoveries_total", "canwharf_errors_total")


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
    counted = re.search(
        r"what the daemon repaired by itself: (.*?) and every\s+warning except", page
    )
    others = page.partition("warning except")[2].partition(", which are about")[0]
    assert counted
    warnings = {row.id for row in events.TABLE if row.level == WARNING}
    more = set(re.findall("`(.*?)`", counted[1]))
    assert {row.id for row in RECOVERIES} == (warnings | more) - set(re.findall("`(.*?)`", others))


def test_every_figure_is_documented(daemon: Daemon, scraped: Scraped, kernel: FakeKernel) -> None:
    """With its labels: docs/metrics.md has each, for alarms."""
    kernel.plug("can0")
    daemon.service.create_network("n1", {"can.interface": "can0", "can.bitrate": "500000"})
    daemon.run_container("n1", "e1")
    page = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")
    _status, _head, body = scraped.ask()
    families = [  # a program that imports the library first gets these as well
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


def test_how_long_calls_took(scraped: Scraped) -> None:
    """By name; what is no call is one kind, whatever its path."""
    statuses = {"/NetworkDriver.Join": 200, "/x": 404, "/y": 404}
    timed = scraped.metrics.timing(lambda path, body, _sender: (statuses[path], body))
    assert timed("/NetworkDriver.Join", b"{}", ROOT) == (200, b"{}")
    timed("/x", b"", ROOT)
    timed("/y", b"", ROOT)
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


def begin(metrics: Metrics, daemon: Daemon) -> Callable[[float], float | None]:
    """As the daemon's start does."""
    selector = Selector()
    return metrics.begin(selector, daemon.service, daemon.reconciler, daemon.kernel)


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
    with pytest.raises(StartError, match=r"must be .* 127\.0\.0\.1:9273, or a file's path"):
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
