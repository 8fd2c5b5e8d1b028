"""Frames share messages where there are many, and a lone one does not wait."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.span.gather import PACE, Gathering

MOST = 1000  # messages a second: with more, a host that is frozen holds up all others


def messages(comes: list[float]) -> list[float]:
    """When messages are sent with the frames that come at these times; a look takes 10 us."""
    gathering, sent, now, place = Gathering(), [], 0.0, 0
    while place < len(comes):
        now = max(now, comes[place])
        frames = sum(1 for each in comes[place:] if each <= now)
        place += frames
        sent.append(now)
        now += 0.00001 + gathering.after(frames, now)
    return sent


@given(st.lists(st.floats(0.00005, 0.005), min_size=1, max_size=200))
def test_no_traffic_makes_more_messages_than_a_frozen_host_lets_through(gaps: list[float]) -> None:
    sent = messages(list(accumulate(gaps)))
    assert len(sent) <= 2 + (sent[-1] - sent[0]) * MOST


@pytest.mark.parametrize("rate", [5000, 20_000])
def test_a_load_shares_messages(rate: int) -> None:
    comes = [frame / rate for frame in range(rate // 10)]
    assert len(messages(comes)) <= 2 + 0.1 / PACE


def test_questions_and_their_answers_do_not_wait() -> None:
    """As diagnosis has them: the next question comes when the answer is there."""
    comes = [0.0012 * frame for frame in range(100)]
    assert messages(comes) == comes
