"""Frames that several processors forward at the same moment: each once, each sender's in order.

A user's machine has four processors or more, and a bus is as many programs as it has members. With
one processor (Debian's User-Mode Linux) the same tests say less: `make test-smp` runs them on two.

Order is promised for the frames of one sender at one listener, and not between senders: two
listeners may see those of two senders in different order.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import cycle, islice, pairwise
from multiprocessing.synchronize import Barrier, Event

import pytest

from tests.kernel.site import Site
from tests.world.frames import BRS, CANFD_MTU, EFF, FDF
from tests.world.host import LIMIT
from tests.world.member import HOST, Member, raw_socket

N = "n" * 64
FRAMES = 1000  # of a sender; the listeners' buffers take them all
BURST = 20
PROCESSORS = sorted(os.sched_getaffinity(0))
_fork = multiprocessing.get_context("fork")  # the senders have the sockets of their parent


def frame(sender: int, number: int) -> bytes:
    """A frame that says whose it is, and which: every other one an FD frame."""
    id = EFF | sender << 20 | number
    if number % 2:
        return struct.pack("=IBBBB64x", id, 64, BRS | FDF, 0, 0)
    return struct.pack("=IBBBB8x", id, 8, 0, 0, 0)


def heard(listener: socket.socket) -> dict[int, list[int]]:
    """What has arrived: the numbers of each sender's frames, in their order."""
    numbers: dict[int, list[int]] = {}
    while True:
        try:
            data = listener.recv(CANFD_MTU)
        except BlockingIOError:
            return numbers
        id = struct.unpack_from("=I", data)[0] & ~EFF
        numbers.setdefault(id >> 20, []).append(id & 0xFFFFF)


def send(speaker: socket.socket, sender: int, processors: Sequence[int], start: Barrier) -> None:
    """Send all frames, each from the next of these processors."""
    speaker.setblocking(True)
    start.wait(LIMIT)
    for number, processor in zip(range(FRAMES), cycle(processors)):
        if number < len(processors) or len(processors) > 1:
            os.sched_setaffinity(0, {processor})
        speaker.send(frame(sender, number))


def send_at_once(
    stack: ExitStack, members: Sequence[Member], senders: Iterable[Sequence[int]]
) -> None:
    """Let the first members send at the same moment, and compare what every member hears.

    `senders` are the processors of each of them.
    """
    listeners = [stack.enter_context(raw_socket(member)) for member in members]
    ways = list(senders)
    start = _fork.Barrier(len(ways))
    processes = []
    for sender, (member, processors) in enumerate(zip(members, ways, strict=False)):
        speaker = stack.enter_context(raw_socket(member))
        arguments = (speaker, sender, processors, start)
        processes.append(_fork.Process(target=send, args=arguments))
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT)
        assert process.exitcode == 0, process
    everything = {sender: list(range(FRAMES)) for sender in range(len(ways))}
    for member, listener in zip(members, listeners, strict=True):
        arrived = heard(listener)
        assert arrived == everything, f"{member}: {faults(arrived)}"


def faults(arrived: dict[int, list[int]]) -> dict[int, dict[str, list[int]]]:
    """What is wrong with each sender's frames, for a person to read."""
    return {
        sender: {
            "missing": sorted({*range(FRAMES)} - {*numbers}),
            "twice": sorted({each for each in numbers if numbers.count(each) > 1}),
            "too late": [later for earlier, later in pairwise(numbers) if later < earlier],
        }
        for sender, numbers in arrived.items()
    }


@pytest.fixture
def bus(site: Site) -> list[Member]:
    """Four containers and the host."""
    site.network(N)
    site.start(N, "e1", "e2", "e3", "e4")
    return sorted(site.members(), key=lambda member: member.namespace == HOST)


def test_senders_on_processors_of_their_own(bus: list[Member], stack: ExitStack) -> None:
    """All containers and the host talk at once."""
    each_its_own = islice(cycle([processor] for processor in PROCESSORS), len(bus))
    send_at_once(stack, bus, each_its_own)


def test_senders_that_the_scheduler_moves_about(bus: list[Member], stack: ExitStack) -> None:
    """Each frame from another processor than the one before: its order is kept."""
    send_at_once(stack, bus, [PROCESSORS, PROCESSORS[::-1]])


def talk(
    speaker: socket.socket, listeners: Sequence[socket.socket], stop: Event, ready: Event
) -> None:
    """Send frames until told to stop, and look at each burst of them: the last processor's work."""
    os.sched_setaffinity(0, {PROCESSORS[-1]})
    first = 0
    while not stop.is_set():
        for number in range(first, first + BURST):
            speaker.send(frame(0, number))
        for listener in listeners:
            listener.settimeout(LIMIT)
            numbers = [
                struct.unpack_from("=I", listener.recv(CANFD_MTU))[0] & 0xFFFFF
                for _each in range(BURST)
            ]
            assert numbers == list(range(first, first + BURST))
        first += BURST
        ready.set()
    for listener in listeners:
        listener.setblocking(False)
        assert heard(listener) == {}


def test_a_bus_talks_on_while_others_come_and_go(
    bus: list[Member], site: Site, stack: ExitStack
) -> None:
    """The kernel's lists of rules change under the frames."""
    speaker = stack.enter_context(raw_socket(bus[0]))
    speaker.setblocking(True)
    listeners = [stack.enter_context(raw_socket(member)) for member in bus]
    stop, ready = _fork.Event(), _fork.Event()
    talker = _fork.Process(target=talk, args=(speaker, listeners, stop, ready))
    talker.start()
    stack.callback(talker.kill)
    os.sched_setaffinity(0, {PROCESSORS[0]})
    stack.callback(os.sched_setaffinity, 0, PROCESSORS)
    for number in range(20):
        ready.clear()
        assert ready.wait(LIMIT), talker
        site.start(N, f"guest{number}")
        site.stop(N, f"guest{number}")
    stop.set()
    talker.join(LIMIT)
    assert talker.exitcode == 0
