"""Nothing is taken twice, and what is lost is counted: lost, doubled, reordered, restarted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from canwharf.span.sequence import GAP, Sequence

Sent = tuple[int, int, int]  # epoch, first, count


def received(sequence: Sequence, messages: list[Sent]) -> list[tuple[int, int]]:
    """The frames that are taken, by epoch and number, in the order in which they are taken."""
    taken = []
    for epoch, first, count in messages:
        old, _lost = sequence.take(epoch, first, count)
        taken += [(epoch, number) for number in range(first + old, first + count)]
    return taken


@st.composite
def sent(draw: st.DrawFn) -> list[Sent]:
    """What a host sends in several runs, without a hole."""
    messages: list[Sent] = []
    for epoch in draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4, unique=True)):
        first = 0
        for count in draw(st.lists(st.integers(0, 5), min_size=1, max_size=8)):
            messages.append((epoch, first, count))
            first += count
    return messages


@given(sent())
def test_what_arrives_whole_is_taken_whole(messages: list[Sent]) -> None:
    sequence = Sequence()
    taken = received(sequence, messages)
    assert taken == [(epoch, first + each) for epoch, first, n in messages for each in range(n)]
    assert (sequence.lost, sequence.repeated, sequence.foreign) == (0, 0, 0)


@given(sent(), st.data())
def test_nothing_is_taken_twice_and_the_order_is_the_senders(
    messages: list[Sent], data: st.DataObject
) -> None:
    """However the way loses, doubles and reorders."""
    arriving = data.draw(st.lists(st.sampled_from(messages), max_size=30))
    sequence = Sequence()
    taken = received(sequence, arriving)
    assert len(set(taken)) == len(taken) == sequence.taken
    for epoch, _first, _count in messages:
        numbers = [number for each, number in taken if each == epoch]
        assert numbers == sorted(numbers)


@given(sent(), st.data())
def test_each_frame_of_a_run_is_taken_or_counted_as_lost(
    messages: list[Sent], data: st.DataObject
) -> None:
    """From the first message of it that arrives to the last one."""
    run = [each for each in messages if each[0] == messages[0][0]]
    kept = data.draw(st.lists(st.booleans(), min_size=len(run), max_size=len(run)))
    arriving = [each for each, keep in zip(run, kept, strict=True) if keep] or run[:1]
    sequence = Sequence()
    received(sequence, arriving)
    last = arriving[-1]
    assert sequence.taken + sequence.lost == last[1] + last[2] - arriving[0][1]
    assert sequence.repeated == 0


def test_what_comes_late_was_counted_as_lost_and_is_left_out() -> None:
    sequence = Sequence()
    assert sequence.take(1, 0, 10) == (0, 0)
    assert sequence.take(1, 20, 10) == (0, 10)
    assert sequence.take(1, 10, 10) == (10, 0)
    assert (sequence.taken, sequence.lost, sequence.repeated) == (20, 10, 10)


def test_of_two_messages_that_overlap_only_the_new_frames_are_taken() -> None:
    sequence = Sequence()
    sequence.take(1, 0, 10)
    assert sequence.take(1, 5, 10) == (5, 0)
    assert sequence.take(1, 15, 1) == (0, 0)


def test_an_empty_message_tells_that_the_last_frames_were_lost() -> None:
    sequence = Sequence()
    sequence.take(1, 0, 10)
    assert sequence.take(1, 13, 0) == (0, 3)
    assert sequence.take(1, 13, 0) == (0, 0)


def test_a_restart_is_no_loss_whatever_its_clock_says() -> None:
    """Epochs have no order: a host without a battery boots in 1970."""
    sequence = Sequence()
    sequence.take(9, 500, 10)
    assert sequence.take(3, 0, 10) == (0, 0)
    assert sequence.take(9, 510, 10) == (10, 0)  # late, from before the restart
    assert sequence.take(3, 10, 10) == (0, 0)
    assert (sequence.lost, sequence.restarts, sequence.foreign) == (0, 1, 1)


def test_two_hosts_of_one_name_are_noticed_and_one_of_them_is_heard() -> None:
    sequence = Sequence()
    taken = received(sequence, [(epoch, n, 1) for n in range(5) for epoch in (1, 2)])
    assert taken == [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert sequence.foreign == 4


def test_of_a_gap_that_cannot_be_no_more_is_counted_than_fits() -> None:
    """Another host made the number up. The count is told as 64 bits with a sign."""
    sequence = Sequence()
    sequence.take(1, 0, 1)
    assert sequence.take(1, (1 << 64) - 1, 1) == (0, GAP)
    assert sequence.take(1, 1, 1) == (1, 0)
