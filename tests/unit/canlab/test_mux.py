"""Both ends of the line, over a socket: what is read at one is written at the other."""

from __future__ import annotations

import os
import socket

import pytest

from canlab import wire
from canlab.mux import LineLost, Mux
from canlab.wire import Frame


class Ends:
    """A mux at each end of a line."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        self.heard: list[Frame] = []
        self.errors: list[int] = []
        self.front = Mux(
            here.detach(), self.heard.append, lambda stream, _error: self.errors.append(stream)
        )
        self.guest = Mux(there.detach(), self.heard.append, in_guest=True)

    def work(self) -> None:
        """Until there is nothing to do."""
        while self.front.step(0) | self.guest.step(0):
            pass


@pytest.fixture
def ends() -> Ends:
    return Ends()


def test_bytes_and_their_end_pass_both_ways(ends: Ends) -> None:
    for sender, receiver, stream in ((ends.front, ends.guest, 0), (ends.guest, ends.front, 1)):
        (source, writing), (reading, sink) = os.pipe(), os.pipe()
        sender.source(stream, source)
        receiver.sink(stream, sink)
        os.write(writing, b"hello" * 1000)
        os.close(writing)
        ends.work()
        assert os.read(reading, 9999) == b"hello" * 1000
        assert os.read(reading, 1) == b""


def test_a_slow_reader_holds_up_its_own_stream_only(ends: Ends) -> None:
    """And no more than the window waits for it."""
    with open("/dev/zero", "rb") as zero, open(os.devnull, "wb") as null:
        _, blocked = os.pipe()
        os.set_blocking(blocked, False)
        ends.guest.source(1, os.dup(zero.fileno()))
        ends.front.sink(1, blocked)
        for _ in range(200):
            ends.guest.step(0)
            ends.front.step(0)
        (sink,) = ends.front._sinks.values()
        assert len(sink.waiting) <= wire.WINDOW
        reading, writing = os.pipe()
        ends.guest.source(2, reading)
        ends.front.sink(2, os.dup(null.fileno()))
        os.close(writing)
        ends.guest.send(wire.encode_number(wire.STATUS, 3))
        ends.work()
        assert [frame.number for frame in ends.heard if frame.type == wire.STATUS] == [3]
        assert list(ends.front._sinks) == [1]


def test_the_guest_is_never_sent_more_than_its_line_holds(ends: Ends) -> None:
    """Its driver does not wake up again after it had too much."""
    ends.front.send(wire.encode(wire.START, 0, bytes(50_000)))
    for _ in range(20):
        ends.front.step(0)
    assert len(os.read(ends.guest._line, 1 << 20)) == wire.LINE_ROOM


def test_a_large_frame_arrives_whole_in_pieces(ends: Ends) -> None:
    ends.front.send(wire.encode(wire.START, 0, bytes(range(250)) * 200))
    ends.work()
    assert [frame.payload for frame in ends.heard] == [bytes(range(250)) * 200]


def test_a_reader_that_goes_stops_the_writer(ends: Ends) -> None:
    reading, sink = os.pipe()
    source, writing = os.pipe()
    ends.guest.source(1, source)
    ends.front.sink(1, sink)
    os.close(reading)
    os.write(writing, b"x")
    ends.work()
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"x")
    assert ends.errors == [1]
    assert not ends.guest.sending


def test_draining_ends_a_source_whose_writer_stays(ends: Ends) -> None:
    """A background process holds the pipe; what the command wrote is not lost."""
    (source, writing), (reading, sink) = os.pipe(), os.pipe()
    os.set_blocking(source, False)
    ends.guest.source(1, source)
    ends.front.sink(1, sink)
    os.write(writing, b"last words")
    ends.guest.drain()
    while ends.guest.sending:
        ends.guest.step(0)
        ends.front.step(0)
    ends.work()
    assert os.read(reading, 99) == b"last words"
    assert os.read(reading, 99) == b""


def test_the_end_of_the_line_is_an_error_of_its_own(ends: Ends) -> None:
    os.close(ends.guest._line)
    with pytest.raises(LineLost):
        ends.front.step(0)
