"""A frame that waited on the way is known to be old, whatever the two hosts' clocks say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.span.freshness import DRIFT, Freshness, Skew

MS, SECOND = 10**6, 10**9
WAY = 200_000  # nanoseconds that the fastest message takes
APART = st.integers(-(10**17), 10**17)  # between two uptimes: three years


@given(APART, st.lists(st.integers(0, 10 * SECOND), max_size=20))
def test_what_waited_is_as_old_as_it_waited(apart: int, waits: list[int]) -> None:
    fresh = Freshness()
    fresh.delay(1, 0, apart + WAY)
    for number, wait in enumerate(waits, 1):
        sent = number * MS
        delay = fresh.delay(1, sent, sent + apart + WAY + wait)
        assert wait - 20 * SECOND * DRIFT <= delay <= wait


@pytest.mark.parametrize("drift", [0.0005, -0.0005])
@pytest.mark.parametrize("apart", [0, 3600 * SECOND, -3600 * SECOND])
def test_uptimes_that_drift_make_nothing_old(drift: float, apart: int) -> None:
    """For a day, with a message each ten seconds."""
    fresh = Freshness()
    for second in range(0, 86_400, 10):
        sent = second * SECOND
        received = apart + WAY + int(sent * (1 + drift))
        assert fresh.delay(1, sent, received) < MS


def test_a_cable_that_was_out_makes_what_waited_old_and_nothing_else() -> None:
    fresh = Freshness()
    for number in range(100):
        fresh.delay(1, number * MS, number * MS + WAY)
    back = 3100 * MS + WAY
    ages = [fresh.delay(1, number * MS, back) for number in range(100, 3100)]
    assert 2.9 * SECOND < ages[0] <= 3 * SECOND
    assert ages == sorted(ages, reverse=True)
    assert fresh.delay(1, 3200 * MS, 3200 * MS + WAY) == 0


def test_a_frozen_receiver_finds_all_that_waited_for_it_old() -> None:
    fresh = Freshness()
    fresh.delay(1, 0, WAY)
    assert fresh.delay(1, SECOND, 11 * SECOND) > 9 * SECOND


def test_a_host_that_started_again_is_measured_anew() -> None:
    """Its uptime begins at 0: what it sends would look as old as it had run before."""
    fresh = Freshness()
    fresh.delay(1, 5000 * SECOND, 7000 * SECOND)
    assert fresh.delay(2, 10 * SECOND, 7020 * SECOND) == 0
    assert fresh.delay(2, 11 * SECOND, 7022 * SECOND) > 0.9 * SECOND


@pytest.mark.parametrize("paused", [SECOND, 3600 * SECOND])
def test_what_a_machine_sends_after_a_pause_is_not_old_once_it_has_answered(paused: int) -> None:
    """Its uptime stood still with it. The answer was asked for, and came, a round trip apart."""
    fresh = Freshness()
    fresh.delay(1, 0, WAY)
    sent, received = SECOND, SECOND + paused + WAY
    assert fresh.delay(1, sent, received) > 0.99 * paused - MS
    asked = received + SECOND
    answered = sent + SECOND + WAY
    fresh.measured(asked - answered, asked + 2 * WAY)
    assert fresh.delay(1, 3 * SECOND, 3 * SECOND + paused + WAY) < WAY + MS
    assert fresh.delay(1, 4 * SECOND, 5 * SECOND + paused + WAY) > 0.99 * SECOND


@given(APART, st.integers(0, 10 * SECOND), st.integers(0, 10 * SECOND))
def test_an_answer_makes_nothing_fresh_that_waited(apart: int, there: int, back: int) -> None:
    """However long it was on its way, either way."""
    fresh = Freshness()
    fresh.delay(1, 0, apart + WAY)
    asked = apart + SECOND
    fresh.measured(asked - (SECOND + there), asked + there + back)
    sent = 30 * SECOND
    assert fresh.delay(1, sent, sent + apart + WAY + SECOND) > 0.96 * SECOND


@pytest.mark.parametrize("apart", [0, 3600 * SECOND, -3600 * SECOND])
def test_a_clock_that_was_read_late_moves_no_frame(apart: int) -> None:
    """Each third message was written after its sender had waited for a processor."""
    skew = Skew()
    found = [
        skew.take(number * MS, number * MS - apart + (30 * MS if number % 3 == 1 else 0))
        for number in range(100)
    ]
    assert max(abs(each - apart) for each in found) <= 2 * MS * DRIFT
    assert abs(skew.of(0, -apart + 30 * MS) - apart) <= 2 * MS * DRIFT


def test_a_clock_that_drifts_or_is_set_is_followed() -> None:
    skew = Skew()
    for second in range(3600):
        clock = int(second * SECOND * 1.0005)
        assert abs(skew.take(second * SECOND, clock) - (second * SECOND - clock)) < MS
    assert skew.take(3600 * SECOND, 0) == 3600 * SECOND
    assert skew.take(3601 * SECOND, 9000 * SECOND) == -5399 * SECOND
