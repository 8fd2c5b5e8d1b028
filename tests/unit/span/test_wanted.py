"""The service learns from a file which buses have a span: written by the daemon, read by anyone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from canwharf.bus import events, options
from canwharf.bus.events import Event
from canwharf.bus.model import Network, State
from canwharf.bus.naming import Span
from canwharf.daemon.run import _publishing
from canwharf.errors import StateError
from canwharf.span import wanted


def state(**spans: str) -> State:
    """Networks on these interfaces, with these spans; empty: none."""
    networks = {
        f"n-{interface}": Network(
            f"n-{interface}",
            options.parse_network(
                {"can.interface": interface} | ({"can.span": name} if name else {})
            ),
            {},
        )
        for interface, name in spans.items()
    }
    return State("canwharf", networks)


class Daemon:
    """A daemon's rounds, as far as they write the file."""

    def __init__(self, path: Path, at_first: State) -> None:
        self.path = path
        self.said: list[Event] = []
        service: Any = SimpleNamespace(state=at_first)
        self.service = service
        self.round = _publishing(service, str(path), self.said.append)

    def becomes(self, new: State) -> dict[str, Span]:
        """What a reader finds after a round with this state."""
        self.service.state = new
        assert self.round(0.0) is None
        return wanted.read(str(self.path), "canwharf")


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path / "canwharf.spans", state())


def test_what_the_daemon_writes_is_what_is_read(daemon: Daemon) -> None:
    assert daemon.becomes(state(can0="x", can1="")) == {"can0": Span("x")}
    assert daemon.path.stat().st_mode & 0o777 == 0o644
    assert daemon.becomes(state(can0="x", can1="y")) == {"can0": Span("x"), "can1": Span("y")}
    assert daemon.becomes(state(can1="")) == {}


def test_without_a_span_there_is_no_file(daemon: Daemon) -> None:
    """Nor any work for it: nearly nobody spans hosts."""
    assert daemon.becomes(state(can0="")) == {}
    assert list(daemon.path.parent.iterdir()) == []


def test_what_an_earlier_daemon_left_is_put_right(daemon: Daemon) -> None:
    daemon.becomes(state(can0="x"))
    assert Daemon(daemon.path, state()).becomes(state(can0="")) == {}


def test_a_full_disk_is_said_and_tried_again(daemon: Daemon) -> None:
    daemon.path.with_name("canwharf.spans.new").mkdir()
    daemon.service.state = state(can0="x")
    assert daemon.round(10.0) == 70.0
    assert [each.type for each in daemon.said] == [events.SPANS_NOT_WRITTEN]
    daemon.path.with_name("canwharf.spans.new").rmdir()
    assert daemon.round(70.0) is None
    assert wanted.read(str(daemon.path), "canwharf") == {"can0": Span("x")}


GOOD = {"version": 1, "driver": "canwharf", "buses": {"can0": {"name": "x", "max_age": 1}}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps(GOOD | {"version": 2}),
        json.dumps(GOOD | {"driver": "other"}),
        json.dumps(GOOD | {"buses": []}),
        json.dumps(GOOD | {"buses": {"can0": {"name": "x"}}}),
        json.dumps(GOOD | {"buses": {"can0": {"name": "*", "max_age": 1}}}),
        json.dumps(GOOD | {"buses": {"can0": {"name": "x", "max_age": True}}}),
        json.dumps(GOOD | {"buses": {"can0": {"name": "x", "max_age": -1}}}),
        json.dumps(GOOD | {"buses": {"../can0": {"name": "x", "max_age": 1}}}),
        "[" * 100_000,
    ],
)
def test_garbage_is_an_error_and_never_a_bus(tmp_path: Path, content: str) -> None:
    path = tmp_path / "spans"
    path.write_text(content)
    with pytest.raises(StateError, match="no file of spans"):
        wanted.read(str(path), "canwharf")
