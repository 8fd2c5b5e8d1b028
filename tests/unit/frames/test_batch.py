"""Many frames in one call, on this machine itself: a socket of UDP takes the place of one of CAN.

What the kernel refuses in the midst of a call is in tests/kernel/test_span_trouble.py.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canwharf.frames.batch import MOST, Batch
from canwharf.frames.frame import BRS, Frame
from canwharf.frames.transmit import packed

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        other.setblocking(False)
        yield one, other


def classic(number: int) -> Frame:
    return Frame(0, "can0", "ecu1", number, bytes(number % 9))


def fd(number: int) -> Frame:
    return Frame(0, "can0", "ecu1", number, bytes(range(64)), BRS)


def came(receiving: socket.socket, number: int) -> list[bytes]:
    return [receiving.recv(100) for _frame in range(number)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 8)), min_size=1, max_size=9))
def test_each_frame_of_a_call_goes_once_in_its_order(
    pair: Pair, calls: list[tuple[bool, int]]
) -> None:
    """Also after calls with other frames, of which nothing stays in the table."""
    batch = Batch()
    for number, (long, count) in enumerate(calls):
        frames = [(fd if long else classic)(number + each) for each in range(count)]
        assert batch.send(pair[0].fileno(), frames) == count
        assert came(pair[1], count) == [packed(each) for each in frames]


def test_what_the_socket_does_not_take_is_not_counted(pair: Pair) -> None:
    """The rest is tried one by one, in the same order."""
    one, other = pair
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 0)  # as a bridge's: some six frames
    frames = [classic(number) for number in range(MOST)]
    taken = Batch().send(one.fileno(), frames)
    assert 0 < taken < MOST
    assert came(other, taken) == [packed(each) for each in frames[:taken]]
    with pytest.raises(BlockingIOError):
        other.recv(100)


def test_of_more_than_a_table_holds_the_first_ones_go(pair: Pair) -> None:
    """And nothing of what else is in this process's memory."""
    frames = [classic(number) for number in range(2 * MOST)]
    taken = Batch().send(pair[0].fileno(), frames)
    assert 0 < taken <= MOST
    assert came(pair[1], taken) == [packed(each) for each in frames[:taken]]


def test_frames_of_two_kinds_are_not_tried(pair: Pair) -> None:
    """One long frame among many short ones is easily taken for none."""
    for frames in ([classic(1), fd(2)], [*map(classic, range(MOST - 1)), fd(2)]):
        assert Batch().send(pair[0].fileno(), frames) == 0
    with pytest.raises(BlockingIOError):
        pair[1].recv(100)


def test_a_socket_that_is_at_its_end_takes_nothing(pair: Pair) -> None:
    pair[1].close()
    assert Batch().send(pair[0].fileno(), [classic(1)]) == 0
