"""A bus that cannot be connected now is tried again each second: what failed leaves nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from canwharf.bus.naming import Span
from canwharf.errors import SpanError
from canwharf.frames.capture import Capture
from canwharf.span import serve, wanted
from canwharf.span.serve import Service
from canwharf.span.session import Session
from canwharf.span.settings import Settings
from tests.unit.span.test_session import free_port

BUS = "test-begins"
STEPS = [
    (Capture, "__enter__"),
    *((Session, name) for name in ("publish", "hear", "answer", "subscribe", "ask")),
]


class _NoSources:
    """Those of a bus without a member, which needs no CAN in the kernel."""

    def __init__(self) -> None:
        self.events, self._far = socket.socketpair()

    def read(self) -> list[Any]:
        return []

    def close(self) -> None:
        self.events.close()
        self._far.close()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(serve, "Sources", lambda *_any, **_more: _NoSources())
    monkeypatch.setattr(wanted, "read", lambda *_where: {BUS: Span("x")})
    where = Settings("a", (f"tcp/127.0.0.1:{free_port()}",))
    with Service(where, "canwharf", "", lambda _words: None) as made:
        yield made


def look(service: Service) -> None:
    service._looked = float("-inf")
    service.step()


def failing(owner: type, name: str) -> Callable[..., object]:
    """It does its work, and fails then."""
    real = getattr(owner, name)

    def fail(*words: object) -> object:
        done = real(*words)
        if isinstance(done, Capture):
            done.close()  # as it does itself
        raise SpanError(f"{name} failed")

    return fail


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _owner, name in STEPS])
def test_a_step_that_fails_leaves_nothing_and_is_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """After an hour, it would have no descriptor left, and say a thousand times that it is here."""
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as broken:
        broken.setattr(owner, name, failing(owner, name))
        for _look in range(3):
            look(service)
        assert service._session
        if not service.bridges:  # a bus that is connected, but cannot ask, stays so
            assert len(os.listdir("/proc/self/fd")) == before
            assert not service._session._declared
    look(service)
    assert len(service.bridges) == 1
    # The token, what sends frames, what answers; two topics, the others' frames and their tokens.
    assert len(service._session._declared["x"]) == 7
    service._end(BUS)
    assert len(os.listdir("/proc/self/fd")) == before


def test_names_are_asked_for_in_each_look(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that starts has its name before it sends, as far as Docker is quick enough."""
    asked: list[Capture] = []

    def ask(capture: Capture) -> None:
        asked.append(capture)

    monkeypatch.setattr(Capture, "ask_names", ask)
    look(service)
    look(service)
    assert asked == [service.bridges[BUS].capture] * 2
