"""Programs that are told the frames of a bus hold up neither the bridge nor each other."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from canwharf.frames.frame import HOST, WIRE, Frame
from canwharf.span import feed, followers
from canwharf.span.feed import Reader, Told
from canwharf.span.followers import MOST, OF_USER, ROOM, Followers

HOUR = 3600 * 10**9
OWN = Frame(7, "vcan0", HOST, 0x123, b"\x01")


@pytest.fixture(name="told")
def _told() -> Iterator[Followers]:
    opened = Followers()
    yield opened
    opened.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def follow(told: Followers, stack: ExitStack) -> socket.socket:
    """A program that follows."""
    near, far = socket.socketpair()
    assert told.add(far)
    near.setblocking(False)
    return stack.enter_context(near)


def read(near: socket.socket) -> tuple[list[Told], bool]:
    """What has come, and whether that is all."""
    received = b""
    with suppress(BlockingIOError):
        while share := near.recv(1 << 20):
            received += share
        return list(Reader("vcan0").read(received)), True
    return list(Reader("vcan0").read(received)), False


def of(sender: str, at: int) -> Frame:
    return Frame(at, "vcan0", sender, 0x200, b"")


def test_it_is_told_what_enters_at_the_interface_and_not_what_containers_send(
    told: Followers, stack: ExitStack
) -> None:
    near = follow(told, stack)
    report = OWN._replace(can_id=0x20000004)
    told.own([OWN, of("ecu1", 8), of(WIRE, 9), report])
    (begin, own), ended = read(near)
    assert (begin.kind, ended) == (feed.BEGIN, False)
    assert 0 <= time.time_ns() - begin.number < HOUR
    assert own.frames == [OWN, of(WIRE, 9)]


def test_it_is_told_which_hosts_are_there(told: Followers, stack: ExitStack) -> None:
    told.appear("b", there=True)
    told.appear("c", there=True)
    told.appear("c", there=False)
    near = follow(told, stack)
    told.appear("b", there=False)
    (begin, *records), _ended = read(near)
    assert begin.kind == feed.BEGIN
    assert [(each.kind, each.host, each.number) for each in records] == [
        (feed.PRESENT, "b", 1),
        (feed.PRESENT, "b", 0),
    ]


def test_times_of_another_host_are_by_this_clock_and_do_not_go_back(
    told: Followers, stack: ExitStack
) -> None:
    """Its clock is an hour behind. The measure of the difference changes by a little."""
    near = follow(told, stack)
    at = time.time_ns() - HOUR
    told.other("b", HOUR, [of("b/ecu1", at), of("b/ecu1", at + 10**6)], 1)
    told.other("b", HOUR - 10**8, [of("b/ecu2", at + 2 * 10**6)], 0)
    (_begin, late, first, second), _ended = read(near)
    assert (late.kind, first.kind, second.kind) == (feed.LATE, feed.OTHER, feed.OTHER)
    frames = [each for part in (late, first, second) for each in part.frames]
    assert [each.sender for each in frames] == ["b/ecu1", "b/ecu1", "b/ecu2"]
    times = [each.time for each in frames]
    expected = at + HOUR + time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert abs(times[0] - expected) < 10**9
    assert times == sorted(times)


@pytest.mark.parametrize("at", [0, 2**64 - 1])
@pytest.mark.parametrize("apart", [-(2**64), 0, 2**64])
def test_times_that_cannot_be_are_told_all_the_same(
    told: Followers, stack: ExitStack, at: int, apart: int
) -> None:
    """Another host may say any: it must not end the bridge."""
    near = follow(told, stack)
    told.other("b", apart, [of("b/ecu1", at)], 0)
    told.recovered("b", apart, [of("b/ecu1", at)])
    (_begin, other), _ended = read(near)
    assert len(other.frames) == 1


def test_one_that_does_not_read_is_told_how_much_it_missed(
    told: Followers, stack: ExitStack
) -> None:
    """And the one beside it misses nothing."""
    slow, quick = follow(told, stack), follow(told, stack)
    number = 3 * ROOM // len(feed.encode(feed.OWN, 0, "", [OWN] * 64))
    taken = 0
    for _turn in range(number):
        told.own([OWN] * 64)
        taken += sum(len(each.frames) for each in read(quick)[0])
    assert taken == number * 64
    reader = Reader("vcan0")
    records = drained(told, slow, reader)
    told.own([OWN])
    *_more, dropped, last = [*records, *drained(told, slow, reader)]
    assert dropped.kind == feed.DROPPED
    assert last.frames == [OWN]
    received = sum(len(each.frames) for each in records)
    assert 0 < received < number * 64 == received + dropped.number


def drained(told: Followers, near: socket.socket, reader: Reader) -> list[Told]:
    """All that waits for it."""
    found: list[Told] = []
    with suppress(BlockingIOError):
        while True:
            told.work()
            found += reader.read(near.recv(1 << 16))
    return found


def test_one_that_has_enough_gets_what_came_before_and_the_end(
    told: Followers, stack: ExitStack
) -> None:
    near = follow(told, stack)
    told.own([OWN])
    near.shutdown(socket.SHUT_WR)
    told.work()
    (_begin, own), ended = read(near)
    assert (own.frames, ended, bool(told)) == ([OWN], True, False)


def test_one_that_went_or_reads_nothing_is_forgotten(
    told: Followers, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(told, stack).close()
    told.own([OWN])
    assert not told
    stuck = follow(told, stack)
    while not any(each.unsent for each in told._each.values()):
        told.own([OWN] * 64)
    monkeypatch.setattr(followers, "PATIENCE", -1.0)
    told.beat()
    assert not told
    assert stuck.recv(1)


def test_what_was_lost_is_told_to_those_that_asked_for_it(
    told: Followers, stack: ExitStack
) -> None:
    """With its own time, though newer frames were told before."""
    plain = follow(told, stack)
    assert not told.recovering
    near, far = socket.socketpair()
    stack.enter_context(near)
    near.setblocking(False)
    assert told.add(far, recovers=True)
    assert told.recovering
    told.other("b", 0, [of("b/ecu1", 9 * 10**9)], 0)
    told.recovered("b", 0, [of("b/ecu1", 5 * 10**9)])
    assert [each.kind for each in read(plain)[0]] == [feed.BEGIN, feed.OTHER]
    (_begin, live, recovered), _ended = read(near)
    assert recovered.kind == feed.RECOVERED
    apart = live.frames[0].time - recovered.frames[0].time
    assert abs(apart - 4 * 10**9) < 10**9


def test_there_are_so_many_and_no_more_and_one_user_does_not_take_all(
    told: Followers, stack: ExitStack
) -> None:
    pairs = [socket.socketpair() for _each in range(MOST + 2)]
    for each in itertools.chain(*pairs):
        stack.enter_context(each)
    users = [7] * (OF_USER + 1) + [0] * (MOST - OF_USER + 1)
    added = [told.add(far, user) for (_near, far), user in zip(pairs, users, strict=True)]
    assert added == [each not in (OF_USER, MOST + 1) for each in range(MOST + 2)]
