"""Many frames in one call: on this machine itself, whose memory is where User-Mode Linux has none.

A socket of UDP takes the place of one of CAN: what is read is not looked at by the kernel.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from time import time_ns

import pytest

from canwharf.frames.frame import BRS
from canwharf.frames.receive import MOST, Receiver
from canwharf.frames.sockets import _SO_TIMESTAMPNS_NEW

CLASSIC, FD = struct.Struct("=IB3x8s"), struct.Struct("=IBB2x64s")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """What is sent on the first, the second receives with a time stamp."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        other.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS_NEW, 1)
        other.bind(("127.0.0.1", 0))
        one.connect(other.getsockname())
        yield one, other


def test_frames_come_with_their_times(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    before = time_ns()
    one.send(CLASSIC.pack(0x123, 2, b"\x11\x22"))
    one.send(FD.pack(0x80000456, 64, BRS, bytes(range(64))))
    receiver = Receiver()
    received = list(receiver.receive(other.fileno()))
    assert [each[1:4] for each in received] == [
        (0x123, b"\x11\x22", None),
        (0x80000456, bytes(range(64)), BRS),
    ]
    assert before <= received[0][0] <= received[1][0] <= time_ns()
    with pytest.raises(BlockingIOError):
        list(receiver.receive(other.fileno()))


def test_a_call_fills_the_table_and_the_next_goes_on(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """What the kernel wrote into it the last time does not stay."""
    one, other = pair
    for number in range(MOST + 1):
        one.send(CLASSIC.pack(number, 1, b"\x01"))
    receiver = Receiver()
    first = [each[1] for each in receiver.receive(other.fileno())]
    assert first == list(range(MOST))
    assert [each[1] for each in receiver.receive(other.fileno())] == [MOST]
