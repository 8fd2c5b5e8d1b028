"""dump and record get other hosts' frames where a bridge answers, and go on where none does."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Lock, Thread

import pytest

from canwharf.frames.elsewhere import HostFacts
from canwharf.frames.frame import HOST, Frame
from canwharf.span import feed, follow
from canwharf.span.follow import OtherHosts
from canwharf.span.local import Local, address
from canwharf.span.report import Report
from canwharf.span.state import State

LIMIT = 10.0  # seconds
HOUR = 3600 * 10**9
TURN = Lock()  # a bridge is for one thread at a time: the test's, or the one that serves


@pytest.fixture
def interface() -> str:
    """A name that no other process of this machine uses."""
    return f"f{os.getpid()}"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


class Reading:
    """A program that reads, which looks as often as the test likes."""

    def __init__(self, path: Path, interface: str, stack: ExitStack) -> None:
        self.said: list[str] = []
        self.frames: list[Frame] = []
        buses = {interface: {"name": "x", "max_age": 500}}
        path.write_text(json.dumps({"version": 1, "driver": "d", "buses": buses}))
        self.others = OtherHosts(str(path), "d", self.said.append)
        self.interface = interface
        stack.callback(self.others.close)

    def begin(self) -> None:
        self.frames += self.others.begin(lambda: {self.interface, "vcan9"})

    def until(self, done: Callable[[], object]) -> None:
        end = time.monotonic() + LIMIT
        while not done():
            assert time.monotonic() < end, self.said
            self.others._looked = 0
            self.others.look(lambda: {self.interface})
            self.frames += self.others.read()
            time.sleep(0.001)


@pytest.fixture
def reading(tmp_path: Path, interface: str, stack: ExitStack) -> Reading:
    return Reading(tmp_path / "spans", interface, stack)


@pytest.fixture
def bridge(interface: str, stack: ExitStack) -> Local:
    """One that serves in a thread, until the end of the test or `close`."""
    return served(interface, stack)


def served(interface: str, stack: ExitStack) -> Local:
    state = State("a", "x", interface, Report("0.5", 1), {}, {})
    opened, ended = Local(interface, lambda: state), Event()

    def serve() -> None:
        while not ended.wait(0.001):
            with TURN:
                opened.work()

    thread = Thread(target=serve)
    thread.start()
    close = opened.close

    def end() -> None:
        if not ended.is_set():
            ended.set()
            thread.join()
            close()

    opened.close = end  # type: ignore[method-assign]
    stack.callback(end)
    return opened


def test_frames_and_what_is_known_of_their_host(reading: Reading, bridge: Local) -> None:
    before = time.time_ns()
    reading.begin()
    assert before <= reading.others.since[reading.interface] <= time.time_ns()
    old, own = (Frame(at, "vcan0", HOST, 1, b"") for at in (before, time.time_ns()))
    theirs = Frame(time.time_ns() - HOUR, "vcan0", "b/ecu1", 2, b"\x01")
    with TURN:
        bridge.followers.own([old, own])
        bridge.followers.lost("b", 3)
        bridge.followers.other("b", HOUR, [theirs], 1)
    reading.until(lambda: len(reading.frames) == 2)
    assert [(each.sender, each.bus) for each in reading.frames] == [
        (HOST, reading.interface),  # what came before the beginning is in the raw socket
        ("b/ecu1", reading.interface),
    ]
    (facts,) = reading.others.hosts.values()
    assert facts._replace(ahead=0) == HostFacts(0, 1, 3)
    uptime = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert abs(facts.ahead + HOUR + uptime) < 10**9
    assert reading.said == []


def test_what_is_too_late_for_the_bus_is_only_counted_where_it_is_not_meant(
    reading: Reading, bridge: Local
) -> None:
    """No container got it."""
    reading.others._late = False
    reading.begin()
    theirs = [Frame(time.time_ns(), "vcan0", "b/ecu1", each, b"") for each in range(3)]
    with TURN:
        bridge.followers.other("b", 0, theirs, 2)
    reading.until(lambda: reading.frames)
    assert [each.can_id for each in reading.frames] == [2]
    (facts,) = reading.others.hosts.values()
    assert facts.late == 2


def test_whether_a_host_is_there(reading: Reading, bridge: Local, stack: ExitStack) -> None:
    """Also of one that went while no service ran."""
    reading.begin()

    def there() -> list[bool]:
        return [each.there for each in reading.others.hosts.values()]

    frame = Frame(time.time_ns(), "vcan0", "b/ecu1", 2, b"")
    with TURN:
        bridge.followers.other("b", 0, [frame], 0)
        bridge.followers.appear("b", there=False)
        bridge.followers.appear("c", there=False)  # nothing is known of it but this
    reading.until(lambda: there() == [False])
    with TURN:
        bridge.followers.appear("b", there=True)
    reading.until(lambda: there() == [True])
    bridge.close()
    reading.until(lambda: reading.others.troubles)
    again = served(reading.interface, stack)
    reading.until(lambda: not reading.others.troubles)
    assert there() == [False]
    with TURN:
        again.followers.appear("b", there=True)
    reading.until(lambda: there() == [True])


def test_a_frame_is_never_later_than_now(reading: Reading, bridge: Local) -> None:
    """It would be waited for, and all that is held back meanwhile fills the memory."""
    reading.begin()
    with TURN:
        bridge.followers.other("b", 0, [Frame(1 << 61, "vcan0", "b/ecu1", 2, b"")], 0)
    reading.until(lambda: reading.frames)
    assert reading.frames[0].time <= time.time_ns()


def test_what_came_before_the_end_is_read(reading: Reading, bridge: Local) -> None:
    reading.begin()
    frames = [Frame(time.time_ns(), "vcan0", HOST, 1, bytes(8))] * 5000
    with TURN:
        bridge.followers.own(frames)
    assert len(reading.others.rest()) == 5000
    assert reading.said == []


def test_a_service_that_ends_is_told_and_found_when_it_is_back(
    reading: Reading, bridge: Local, stack: ExitStack
) -> None:
    reading.begin()
    bridge.close()
    reading.until(lambda: not reading.others.since)
    reading.until(lambda: len(reading.said) == 2)
    assert "has ended" in reading.said[0]
    assert "does not run" in reading.said[1]
    served(reading.interface, stack)
    reading.until(lambda: reading.others.since)
    assert "'canwharf span' runs" in reading.said[2]


def test_without_a_span_nothing_is_asked_and_nothing_said(reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "spans").unlink()
    reading.begin()
    assert (reading.others.since, reading.said) == ({}, [])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"error": "other programs read the frames already"}', "other programs read the frames"),
        (b"\xff" * 64, "a record of 4294967295 bytes"),
        (feed.encode(feed.LOST, 1, "NO"), "host 'NO'"),
    ],
)
def test_a_stranger_with_the_name_is_given_up(
    reading: Reading, interface: str, stack: ExitStack, answer: bytes, words: str
) -> None:
    stranger = stack.enter_context(socket.socket(socket.AF_UNIX))
    stranger.bind(address(interface))
    stranger.listen(8)
    reading.others.look(lambda: {interface})
    accepted = stack.enter_context(stranger.accept()[0])
    accepted.sendall(answer)
    reading.until(lambda: reading.said)
    assert words in reading.said[0]
    assert (reading.others.since, reading.frames) == ({}, [])


def test_one_that_is_frozen_is_given_up(
    reading: Reading, bridge: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What enters at the interface is read from the raw socket again."""
    reading.begin()
    assert reading.others.since
    monkeypatch.setattr(follow, "SILENCE", -1.0)
    reading.until(lambda: reading.said)
    assert "tells nothing for" in reading.said[0]
    assert bridge.fileno()
