"""A bus whose frames a test gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from canwharf.testing import Bus, engine
from canwharf.testing import bus as module
from tests.unit.testing.fakes import FakeCapture, FakeDocker, FakeTransmitter


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """The Docker that the next bus is made by."""
    made = FakeDocker()
    monkeypatch.setattr(engine, "connect", lambda: made)
    return made


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> FakeCapture:
    """What the next bus listens to."""
    made = FakeCapture()
    monkeypatch.setattr(Bus, "_capture", lambda _self: made)
    monkeypatch.setattr(module, "Transmitter", FakeTransmitter)
    return made


@pytest.fixture
def made_bus(docker: FakeDocker, capture: FakeCapture) -> Iterator[Bus]:
    """A bus."""
    del docker, capture
    with Bus() as made:
        yield made
