"""A signal that ends a verb in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from canwharf.cli import signals
from canwharf.cli.listening import ending


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in signals.ENDING}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def test_the_two_signals_of_timeout_are_one() -> None:
    """timeout(1) sends it twice: the second must not cut off the end of a recording."""
    with ending() as ended:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert ended == [signal.SIGTERM]


def test_a_later_one_is_of_a_person_who_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the command at once."""
    acts: list[int] = []
    times = iter([10.0, 10.4, 11.0])
    monkeypatch.setattr(signals, "monotonic", lambda: next(times))
    signals.end_by(acts.append)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(number)
    assert acts == [signal.SIGINT, signal.SIGTERM]


def test_what_nohup_ignores_stays_so() -> None:
    """A command goes on when its terminal is closed."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ending() as ended:
        signal.raise_signal(signal.SIGHUP)
        assert ended == []
