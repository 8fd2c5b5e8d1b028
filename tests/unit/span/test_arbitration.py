"""In front of an adapter what is urgent goes first, and what is old does not go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from canwharf.frames.frame import Frame
from canwharf.span.arbitration import Waiting, rank

EFF, RTR = 0x80000000, 0x40000000
IDS = st.integers(0, 0x7FF) | st.integers(0, 0x1FFFFFFF).map(lambda each: each | EFF)


def frame(can_id: int, number: int = 0) -> Frame:
    return Frame(number, "bus0", "a/ecu", can_id, b"")


def taken(waiting: Waiting, now: int = 0) -> list[Frame]:
    found = []
    while one := waiting.first(now):
        found.append(one)
        waiting.pop()
    return found


def on_the_wire(can_id: int) -> str:
    """The bits of the arbitration field (ISO 11898-1, 10.4.2); of both kinds as long."""
    if can_id & EFF:
        bits = f"{can_id & 0x1FFFFFFF:029b}"
        return f"{bits[:11]}11{bits[11:]}"
    return f"{can_id:011b}00".ljust(31, "0")


@given(IDS, IDS)
def test_the_lower_bits_on_the_wire_win(one: int, other: int) -> None:
    assert (rank(one) < rank(other)) == (on_the_wire(one) < on_the_wire(other))
    assert (rank(one) == rank(other)) == (one == other)


@given(st.lists(st.sampled_from([1, 2, 2 | RTR, 2 | EFF, 0x700, 0x1C0000 | EFF]), max_size=30))
def test_all_goes_in_the_order_of_arbitration_and_an_id_in_its_own(ids: list[int]) -> None:
    waiting = Waiting()
    frames = [frame(can_id, number) for number, can_id in enumerate(ids)]
    for each in frames:
        waiting.put(each, 1)
    assert len(waiting) == len(ids)
    assert taken(waiting) == sorted(frames, key=lambda each: rank(each.can_id))
    assert len(waiting) == waiting.shed == waiting.stale == 0


@given(st.lists(IDS, max_size=60), st.integers(1, 20))
def test_without_room_the_highest_ids_are_left_out(ids: list[int], room: int) -> None:
    waiting = Waiting(room)
    for number, can_id in enumerate(ids):
        waiting.put(frame(can_id, number), 1)
        assert len(waiting) <= room
    left = [each.can_id for each in taken(waiting)]
    assert left == sorted(ids, key=rank)[:room]
    assert waiting.shed == max(0, len(ids) - room)


def test_of_one_id_the_oldest_is_left_out() -> None:
    waiting = Waiting(2)
    for number in range(3):
        waiting.put(frame(5, number), 1)
    assert taken(waiting) == [frame(5, 1), frame(5, 2)]


def test_what_waited_too_long_is_left_out_and_counted() -> None:
    waiting = Waiting()
    waiting.put(frame(1), 10)
    waiting.put(frame(2), 20)
    waiting.put(frame(3), 30)
    assert taken(waiting, 20) == [frame(2), frame(3)]
    assert waiting.stale == 1


def test_a_frame_that_could_not_be_sent_still_waits() -> None:
    waiting = Waiting()
    waiting.put(frame(2), 1)
    assert waiting.first(0) == frame(2)
    waiting.put(frame(1), 1)
    assert taken(waiting) == [frame(1), frame(2)]
