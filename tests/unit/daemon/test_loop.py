"""The daemon's loop, with a caller whose every move falls between two rounds of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from canwharf.bus.maintain import Maintenance
from canwharf.daemon import loop
from canwharf.daemon.calls import KIND
from canwharf.daemon.server import Server
from canwharf.lean import Key, Selector, Socket

CALL = b"POST /Plugin.Activate HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"


class Turns(Selector):
    """Lets another program act before each round."""

    turns: list[Callable[[], object]]

    def select(self, timeout: float | None = None) -> list[tuple[Key, int]]:
        self.turns.pop(0)()
        return super().select(timeout)


class Recorded:
    """Answers calls and restores buses, and remembers in what order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def answer(self, path: str, _body: bytes, _sender: object) -> tuple[int, bytes]:
        self.done.append(path)
        return 200, b"{}"

    def run(self, _now: float, _active: bool) -> None:
        self.done.append("restore")


class Clock:
    """Stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "monotonic", clock)
    return clock


def rounds(path: str, *turns: Callable[[socket.socket], object]) -> list[str]:
    """What a daemon does whose caller acts so, one turn a round."""
    done = Recorded()
    asked, asking = socket.socketpair()
    selector = Turns()
    with (
        asked,
        asking,
        Socket(socket.AF_UNIX) as listening,
        socket.socket(socket.AF_UNIX) as caller,
    ):
        listening.bind(path)
        listening.listen()
        server = Server(selector, listening, done.answer, KIND)
        selector.turns = [
            *(lambda turn=turn: turn(caller) for turn in turns),
            lambda: asking.send(b"\x0f"),
        ]
        loop.run(selector, asked, server, cast(Maintenance, done), [])
        server.close()
    return done.done


def test_a_restore_waits_for_the_first_call_of_a_caller_that_has_connected(
    tmp_path: Path, clock: Clock
) -> None:
    """The engine connects first and asks then: it would wait for every stored network."""
    path = str(tmp_path / "socket")
    done = rounds(path, lambda caller: caller.connect(path), lambda caller: caller.send(CALL))
    assert done == ["/Plugin.Activate", "restore"]
    assert clock.now == 0


def test_a_caller_that_never_asks_does_not_keep_the_buses_from_being_restored(
    tmp_path: Path, clock: Clock
) -> None:
    """Containers that are there already cannot wait for it."""
    path = str(tmp_path / "socket")
    done = rounds(
        path, lambda caller: caller.connect(path), lambda _caller: setattr(clock, "now", 1)
    )
    assert done == ["restore"]


def test_only_work_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs would hold Docker for ever; one at rest is woken by nothing."""
    limits: list[int] = []
    monkeypatch.setattr("canwharf.daemon.loop.signal.alarm", limits.append)
    waiting: list[int] = []
    working: list[int] = []
    path = str(tmp_path / "socket")

    def acts(caller: socket.socket) -> None:
        waiting.append(limits[-1])
        caller.connect(path)
        caller.send(CALL)

    monkeypatch.setattr(Recorded, "run", lambda _self, _now, _active: working.append(limits[-1]))
    rounds(path, acts, lambda _caller: None)
    assert waiting == [0]
    assert set(working) == {loop.WORK}
    assert limits[-1] == 0


def test_each_caller_has_the_whole_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight at once, each slow for a good reason, would have a healthy daemon killed."""
    done: list[str] = []
    monkeypatch.setattr(
        "canwharf.daemon.loop.signal.alarm", lambda seconds: done.append(f"alarm {seconds}")
    )

    def answer(_self: Recorded, path: str, _body: bytes, _sender: object) -> tuple[int, bytes]:
        done.append(path)
        return 200, b"{}"

    monkeypatch.setattr(Recorded, "answer", answer)
    monkeypatch.setattr(Recorded, "run", lambda _self, _now, _active: done.append("maintenance"))
    path = str(tmp_path / "socket")
    others = [socket.socket(socket.AF_UNIX) for _other in range(7)]

    def call(caller: socket.socket) -> None:
        for each in (caller, *others):
            each.send(CALL)

    connects = [lambda _caller, each=each: each.connect(path) for each in others]
    rounds(path, lambda caller: caller.connect(path), *connects, call)
    for each in others:
        each.close()
    works = [number for number, each in enumerate(done) if not each.startswith("alarm")]
    assert done.count("/Plugin.Activate") == 8
    assert "maintenance" in done
    assert {done[number - 1] for number in works} == {f"alarm {loop.WORK}"}
