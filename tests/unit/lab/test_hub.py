"""The Ethernet between guests: what a hub and cables do, with sockets in the guests' place."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.errors import LabError
from lab.hub import Cable, Hub

A, B = b"from a".ljust(60), b"from b".ljust(60)
LAST = b"last".ljust(60)
LIMIT = 60.0  # seconds: some tests send many frames, and machines are busy


class Guests:
    """Guests that are no more than the ends of their cables."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.hub = stack.enter_context(Hub())

    def boot(self, cable: Cable) -> socket.socket:
        """Plug a cable in, as a guest that inherits its end."""
        with cable.plugged() as nic:
            end = socket.socket(fileno=os.dup(nic.cable))
        end.settimeout(LIMIT)
        return self.stack.enter_context(end)


@pytest.fixture
def guests() -> Iterator[Guests]:
    with ExitStack() as stack:
        yield Guests(stack)


def test_a_frame_goes_to_every_other_guest_and_not_back(guests: Guests) -> None:
    a, b, c = (guests.boot(guests.hub.cable(name)) for name in "abc")
    a.send(A)
    assert (b.recv(2000), c.recv(2000)) == (A, A)
    b.send(B)
    assert (a.recv(2000), c.recv(2000)) == (B, B)


def test_each_has_an_address_and_a_name_of_its_own(guests: Guests) -> None:
    nics = []
    for name in ("a", "b"):
        with guests.hub.cable(name).plugged() as nic:
            nics.append(nic)
    assert [(nic.host, nic.address, nic.mac) for nic in nics] == [
        ("a", "10.9.0.1/24", "02:00:00:00:09:01"),
        ("b", "10.9.0.2/24", "02:00:00:00:09:02"),
    ]
    assert guests.hub.hosts.splitlines()[1:] == ["10.9.0.1 a", "10.9.0.2 b"]


def test_a_name_is_a_host_name_and_there_once(guests: Guests) -> None:
    guests.hub.cable("a")
    for name in ("a", "", "a b", "a=b", "1", "b.c"):
        with pytest.raises(LabError, match="no guest can be called"):
            guests.hub.cable(name)


@pytest.mark.parametrize("cut", ["sender", "receiver"])
def test_what_is_sent_over_a_cut_cable_is_lost_in_silence(guests: Guests, cut: str) -> None:
    """For good: it does not come when the cable is fixed."""
    sending, receiving = guests.hub.cable("a"), guests.hub.cable("b")
    a, b, c = guests.boot(sending), guests.boot(receiving), guests.boot(guests.hub.cable("c"))
    cable = sending if cut == "sender" else receiving
    cable.cut()
    for _frame in range(100):
        a.send(A)
    if cut == "receiver":  # the third is not concerned
        assert {c.recv(2000) for _frame in range(100)} == {A}
    cable.fix()
    a.send(LAST)
    assert b.recv(2000) == LAST


def test_a_guest_that_boots_again_receives_nothing_from_before(guests: Guests) -> None:
    cable = guests.hub.cable("b")
    a, b, c = (
        guests.boot(guests.hub.cable("a")),
        guests.boot(cable),
        guests.boot(guests.hub.cable("c")),
    )
    a.send(A)
    assert (b.recv(2000), c.recv(2000)) == (A, A)
    a.send(A)
    assert c.recv(2000) == A
    b.close()  # with a frame that it has not read
    a.send(A)
    assert c.recv(2000) == A
    again = guests.boot(cable)
    a.send(LAST)
    assert again.recv(2000) == LAST
    again.send(B)
    assert a.recv(2000) == B


def test_a_guest_that_reads_nothing_delays_no_other(guests: Guests) -> None:
    a, _b, c = (guests.boot(guests.hub.cable(name)) for name in "abc")
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.extend(iter(lambda: c.recv(2000), LAST)))
    reader.start()
    for _frame in range(20_000):  # 28 MB, more than any queue
        a.send(A.ljust(1400))
    a.send(LAST)
    reader.join(LIMIT)
    assert not reader.is_alive()


def test_nothing_is_left_of_a_hub() -> None:
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with ExitStack() as stack:
        guests = Guests(stack)
        for name in "abc":
            guests.boot(guests.hub.cable(name))
        assert threading.active_count() == before[0] + 3
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
