"""What a cut lost is asked for until it came, once, or is given up; live frames wait for none."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import SpanError
from canwharf.frames.frame import Frame
from canwharf.span import gaps, message
from canwharf.span.gaps import Gaps
from canwharf.span.kept import COST, Kept
from canwharf.span.message import Message
from canwharf.span.recovery import ANNOUNCE, ASK, KEEP, PAST, Recovery

SECOND = 10**9
EPOCH = 7
Said = list[tuple[str, bytes]]


def of(first: int, count: int, at: int = 0) -> Message:
    frames = [Frame(first + place, "x", "ecu1", 1, b"") for place in range(count)]
    return Message(EPOCH, first, 0, at, frames)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=50), st.integers(0, 60), st.data())
def test_each_message_that_has_one_of_the_numbers_is_found(
    counts: list[int], room: int, data: st.DataObject
) -> None:
    kept = Kept(room * (COST + 1))
    place = 0
    messages = []
    for count in counts:
        kept.put(place, count, b"m")
        messages.append((place, place + count))
        place += count
    first = data.draw(st.integers(0, place - 1))
    end = data.draw(st.integers(first + 1, place))
    there = messages[-room:] if room else []
    wanted = [each for each in there if each[0] < end and each[1] > first]
    found = 0
    while first < end:
        payloads, first = kept.find(first, end, 3)
        found += len(payloads)
    assert found == len(wanted)


def test_for_a_long_time_there_is_no_more_than_there_is_room_for() -> None:
    kept = Kept(10 * (COST + 1))
    for number in range(5000):
        kept.put(number, 1, b"m")
    assert len(kept.find(0, 5000, 100)[0]) == 10
    assert len(kept._messages) < 2000


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), max_size=30),
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), max_size=30),
)
def test_each_missing_frame_is_taken_once(
    missing: list[tuple[int, int]], came: list[tuple[int, int]]
) -> None:
    left: set[int] = set()
    found = Gaps()
    for first, count in missing:
        numbers = set(range(first, first + count))
        if not numbers & left:  # as a sequence tells gaps: each number once
            found.add(EPOCH, first, first + count)
            left |= numbers
    for first, count in came:
        taken = [first + place for place in found.take(EPOCH, first, count)]
        assert sorted(taken) == sorted(left & set(range(first, first + count)))
        left -= set(taken)
    assert bool(found) == bool(left)


def test_another_host_cannot_make_more_gaps_than_are_kept() -> None:
    """One frame in the midst of a gap makes two of it."""
    found = Gaps()
    found.add(EPOCH, 0, 1 << 32)
    for number in range(1, 10 * gaps.MOST, 2):
        assert found.take(EPOCH, number, 1) == ([0] if number < 2 * gaps.MOST else [])


def test_a_gap_is_asked_for_once_a_second_and_given_up() -> None:
    found = Gaps()
    found.add(EPOCH, 10, 20)
    found.add(EPOCH, 30 + gaps.NEAR, 40 + gaps.NEAR)
    asked = [found.due(now * SECOND // 2, now * SECOND, EPOCH) for now in range(4 * gaps.TRIES)]
    first, second = (EPOCH, 10, 20), (EPOCH, 30 + gaps.NEAR, 40 + gaps.NEAR)
    assert [each for each in asked if each] == [first] * gaps.TRIES + [second] * gaps.TRIES
    assert found.due(1000 * SECOND, 1000 * SECOND, EPOCH) is None
    assert not found
    assert found.given_up == 20


def test_a_host_that_is_away_is_asked_until_it_is_back() -> None:
    """As in a second cut, of a minute: what it still has comes then."""
    found = Gaps()
    found.add(EPOCH, 10, 20)
    for now in range(60):
        assert found.due(now * SECOND, 0, EPOCH) == (EPOCH, 10, 20)
    assert found.take(EPOCH, 10, 5) == [0, 1, 2, 3, 4]
    for now in range(60, 60 + gaps.TRIES - 1):
        assert found.due(now * SECOND, now * SECOND, EPOCH) == (EPOCH, 15, 20)
    assert found.due(100 * SECOND, 100 * SECOND, EPOCH) is None
    assert found.given_up == 5


def test_a_host_that_started_again_is_not_asked_for_what_it_was() -> None:
    found = Gaps()
    found.add(EPOCH, 10, 20)
    found.add(EPOCH + 1, 3, 4)
    assert found.due(0, 0, EPOCH + 1) == (EPOCH + 1, 3, 4)
    assert found.take(EPOCH, 10, 5) == []
    assert found.given_up == 10
    assert found.due(2 * SECOND, 0, EPOCH + 2) is None
    assert found.given_up == 11


class Host:
    """One that sends, or one that records."""

    def __init__(self, name: str) -> None:
        self.said: Said = []
        self.recovery = Recovery(name, lambda topic, payload: self.said.append((topic, payload)))

    def work(self, now: int, *, wanted: bool) -> None:
        """All hosts are heard all the time."""
        self.recovery.work(now, lambda _host: (now, EPOCH), wanted=wanted)

    def take(self) -> Said:
        said, self.said = self.said, []
        return said


def test_what_was_lost_comes_afterwards_once() -> None:
    """Of the answer, some is lost, too."""
    near, far = Host("a"), Host("b")
    near.work(0, wanted=True)
    (announced,) = near.take()
    far.recovery.asked("a", announced[1], EPOCH, 0)
    for number in range(100):
        told = of(4 * number, 4)
        far.recovery.sent(told, message.encode(told))
    near.recovery.missed("b", EPOCH, 41, 123)
    places: list[int] = []
    for turn in range(1, 4):
        near.work(turn * SECOND, wanted=True)
        for topic, question in near.take():
            assert topic == ASK
            far.recovery.asked("a", question, EPOCH, turn * SECOND)
        while far.recovery.busy:
            far.work(turn * SECOND, wanted=False)
        for number, (topic, payload) in enumerate(far.take()):
            assert topic == f"{PAST}-a"
            if turn > 1 or number % 3:
                told = message.decode(payload, "x", "b")
                places += [told.sequence + each for each in near.recovery.came("b", told)]
    assert sorted(places) == list(range(41, 123))
    assert not near.recovery.given_up()
    near.work(10 * SECOND, wanted=True)
    assert [payload for _topic, payload in near.take()] == [announced[1]]


def test_nothing_is_kept_where_none_records() -> None:
    far = Host("b")
    question = pack("<BQQQ", 1, EPOCH, 0, 4) + b"b"
    told = of(0, 4)
    far.recovery.sent(told, message.encode(told))
    far.recovery.asked("a", question, EPOCH, 0)
    far.work(0, wanted=False)
    assert far.take() == []
    far.recovery.sent(told, message.encode(told))
    far.work(KEEP + 1, wanted=False)  # it was the last that was heard of a program
    far.recovery.asked("a", question, EPOCH, KEEP + 1)
    far.work(KEEP + 1, wanted=False)
    assert far.take() == []


def test_that_one_records_is_said_again_and_nothing_else() -> None:
    near = Host("a")
    for now in range(0, 2 * ANNOUNCE, ANNOUNCE // 4):
        near.work(now, wanted=True)
    assert len(near.take()) == 2
    near.recovery.missed("b", EPOCH, 1, 2)
    near.work(9 * ANNOUNCE, wanted=False)
    assert near.take() == []


@pytest.mark.parametrize("question", [b"", b"\x01", pack("<BQQQ", 2, 0, 0, 0), bytes(25) + b"\xff"])
def test_garbage_is_no_question(question: bytes) -> None:
    with pytest.raises(SpanError):
        Host("a").recovery.asked("b", question, EPOCH, 0)


def test_a_question_to_another_host_or_run_is_not_answered() -> None:
    far = Host("b")
    for epoch, name in ((EPOCH, b"c"), (EPOCH + 1, b"b"), (EPOCH, b"")):
        far.recovery.asked("a", pack("<BQQQ", 1, epoch, 0, 4) + name, EPOCH, 0)
    assert not far.recovery.busy


def test_what_the_other_host_has_no_more_is_told_once() -> None:
    near = Host("a")
    near.recovery.missed("b", EPOCH, 1, 31)
    told = []
    for second in range(2 * gaps.TRIES):
        near.work(second * SECOND, wanted=True)
        told.append(near.recovery.given_up())
    assert [each for each in told if each] == [{"b": 30}]


def test_hosts_that_ask_have_their_turns() -> None:
    """One that asks for all, without end, would take what the others missed from them."""
    far = Host("b")
    question = pack("<BQQQ", 1, EPOCH, 0, 400) + b"b"
    for host in ("a", "c"):
        far.recovery.asked(host, question, EPOCH, 0)
    for number in range(100):
        told = of(4 * number, 4)
        far.recovery.sent(told, message.encode(told))
    while far.recovery.busy:
        far.work(0, wanted=False)
    topics = [topic for topic, _payload in far.take()]
    assert topics[16:64] == [f"{PAST}-c"] * 16 + [f"{PAST}-a"] * 16 + [f"{PAST}-c"] * 16
