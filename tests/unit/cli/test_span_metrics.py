"""The metrics of spans: what the bridges tell, for Prometheus, over HTTP."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from canwharf.cli import span_metrics
from canwharf.cli.span_metrics import Page, serve
from canwharf.errors import SpanError, StartError
from canwharf.span import local
from canwharf.span.report import Heard, Report
from canwharf.span.state import Host, State, Told
from tests.unit.span.test_session import free_port

S = 1_000_000_000
REPORT = Report("0.5", 1, hears={"bench-1": Heard(1, 0, 0, 0)})
TOLD = Told(2_000_000, -S, 0, REPORT)
HOST = Host(there=True, received=7, lost=3, repeated=1, stale=2, told=TOLD)
STATE = State(
    "bench-1",
    "bench7",
    "vcan0",
    REPORT,
    {"sent": 5, "shed": 4, "messages": 3, "full": 2},
    {"bench-2": HOST, "c": Host()},
)


def figures(page: Page) -> Iterator[str]:
    status, body = page("/metrics", b"")
    assert status == 200
    yield from body.decode().splitlines()


def test_each_host_of_a_span_has_its_figures() -> None:
    told = set(figures(Page(lambda: {"bench7": STATE, "other": None})))
    assert told >= {
        'canwharf_span_up{span="bench7"} 1.0',
        'canwharf_span_up{span="other"} 0.0',
        'canwharf_span_frames_total{dir="out",host="bench-1",span="bench7"} 5.0',
        'canwharf_span_frames_total{dir="in",host="bench-2",span="bench7"} 7.0',
        'canwharf_span_lost_total{from="bench-2",span="bench7"} 3.0',
        'canwharf_span_repeated_total{from="bench-2",span="bench7"} 1.0',
        'canwharf_span_stale_total{from="bench-2",span="bench7"} 2.0',
        'canwharf_span_shed_total{reason="shed",span="bench7"} 4.0',
        'canwharf_span_messages_total{span="bench7"} 3.0',
        'canwharf_span_adapter_full_total{span="bench7"} 2.0',
        'canwharf_span_shed_total{reason="overrun",span="bench7"} 0.0',
        'canwharf_span_peers{span="bench7"} 1.0',
        'canwharf_span_session_up{host="bench-2",span="bench7"} 1.0',
        'canwharf_span_session_up{host="c",span="bench7"} 0.0',
        'canwharf_span_heard{host="bench-2",span="bench7"} 1.0',
        'canwharf_span_heard{host="c",span="bench7"} 0.0',
        'canwharf_span_round_trip_seconds{host="bench-2",span="bench7"} 0.002',
        'canwharf_span_clock_difference_seconds{host="bench-2",span="bench7"} -1.0',
    }


def test_they_are_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the daemon's are. A bridge that does not answer is said to be down."""
    path, where = tmp_path / "spans", f"127.0.0.1:{free_port()}"
    buses = {each: {"name": each, "max_age": 5} for each in ("vcan0", "vcan1")}
    path.write_text(json.dumps({"version": 1, "driver": "canwharf", "buses": buses}))

    def ask(interface: str) -> State:
        if interface == "vcan1":
            raise SpanError("none answers")
        return STATE

    monkeypatch.setattr(local, "ask", ask)
    serve(where, str(path), "canwharf")
    with urllib.request.urlopen(f"http://{where}/metrics", timeout=20) as answer:
        told = answer.read().decode().splitlines()
    assert 'canwharf_span_up{span="vcan0"} 1.0' in told
    assert 'canwharf_span_up{span="vcan1"} 0.0' in told
    with pytest.raises(HTTPError, match="404"):
        urllib.request.urlopen(f"http://{where}/", timeout=20)
    with pytest.raises(StartError, match="Address already in use"):
        serve(where, str(path), "canwharf")


def test_a_file_of_spans_that_is_none_is_said_and_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    path.write_text("{")
    status, body = Page(lambda: span_metrics._states(str(path), "canwharf"))("/metrics", b"")
    assert (status, b"it is no file of spans" in body) == (500, True)


def test_an_address_is_needed() -> None:
    with pytest.raises(StartError, match=r"must be like 127.0.0.1:9274"):
        serve("/run/x.prom", "", "canwharf")
