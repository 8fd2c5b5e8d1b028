"""What comes faster than it is taken: bounded in bytes, and each host has room of its own."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing

import pytest

from canwharf.span.inbox import COST, SHARE, Inbox, Received

SIZE = 100 - COST % 100  # so that messages count round numbers


def message(host: str, size: int = SIZE) -> Received:
    return Received("x", host, bytes(size), 0)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """With room for ten messages, of which a host gets four."""
    one = COST + SIZE
    with closing(Inbox(10 * one, 4 * one)) as made:
        yield made


def test_a_host_that_floods_takes_no_room_of_the_others(inbox: Inbox) -> None:
    """With small messages as with large ones."""
    for _each in range(1000):
        inbox.put(message("bad"))
        inbox.put(message("bad", 1 << 16))
    inbox.put(message("good"))
    assert [each.host for each in inbox.take()] == ["bad", "good"] + ["bad"] * 3
    assert inbox.left_out() == {("x", "bad"): 1996}
    assert inbox.left_out() == {}


def test_hosts_without_end_take_no_memory_without_end(inbox: Inbox) -> None:
    """Over plain TCP, a name costs nothing."""
    for number in range(10_000):
        inbox.put(message(f"bad-{number}"))
    assert len(inbox.take() + inbox.take()) == 10
    assert len(inbox.left_out()) == 256
    assert not inbox.waiting


def test_what_a_host_floods_with_delays_no_other_one() -> None:
    """Each has its turn, and keeps its order; at a time, no more is taken than is soon done."""
    with closing(Inbox()) as inbox:
        for number in range(1000):
            inbox.put(message("bad")._replace(at=number))
        for number in range(3):
            inbox.put(message("good")._replace(at=number))
        first = inbox.take()
        assert [each.host for each in first[:6]] == ["bad", "good"] * 3
        assert [each.at for each in first if each.host == "good"] == [0, 1, 2]
        assert len(first) == SHARE
        inbox.put(message("late"))
        second = inbox.take()
        assert "late" in [each.host for each in second[:2]]
        taken = first + second
        while inbox.waiting:
            assert ready(inbox)
            taken += inbox.take()
        assert [each.at for each in taken if each.host == "bad"] == list(range(1000))


def test_what_was_taken_makes_room_and_wakes_once(inbox: Inbox) -> None:
    for _turn in range(3):
        for _each in range(4):
            inbox.put(message("a"))
        assert ready(inbox)
        assert len(inbox.take()) == 4
        assert not ready(inbox)
        assert inbox.take() == []
    assert not inbox.left_out()


def ready(inbox: Inbox) -> bool:
    return bool(select.select([inbox.descriptor], [], [], 0)[0])


def test_what_comes_after_the_end_is_left_out() -> None:
    """A thread of zenoh's may be late."""
    inbox = Inbox()
    inbox.close()
    inbox.put(message("a"))
    assert inbox.left_out() == {("x", "a"): 1}
