"""A bus that delays, loses and doubles frames on purpose, or has a bit rate: the qdiscs of it."""

from __future__ import annotations

import select
import socket
import struct
from collections import Counter
from contextlib import ExitStack
from time import monotonic

import pytest

from canwharf.kernel import impairment, link
from canwharf.kernel.impairment import MILLION, Impairment
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.traffic_control import Port
from tests.kernel.by_hand import Linear
from tests.kernel.site import GROUP
from tests.world.frames import exchange
from tests.world.host import index_of, ip, run, wait_until
from tests.world.member import Member, raw_socket

_FRAME = struct.Struct("=IB3xQ")
LIMIT = 10.0  # seconds
QUIET = 1.0  # seconds
EFF = 0x80000000
SEVERAL = [
    Impairment(delay=3000),
    Impairment(loss=MILLION // 2, duplicate=MILLION // 3),
    Impairment(500_000),
    Impairment(20_000_000, 1, 2, 3),
    Impairment(1001, 10_000_000, MILLION, MILLION),
]


@pytest.fixture
def bus(stack: ExitStack, netlink: Netlink) -> Linear:
    """A linear bus with three containers."""
    made = Linear(stack, netlink)
    for _ in range(3):
        made.join()
    return made


def impair(netlink: Netlink, bus: Linear, wanted: Impairment) -> Port:
    """Redirect all of a bus's containers."""
    netlink.batch([link.make_ifb("cwbtest", GROUP)])
    port = Port(index_of("cwbtest"), "cwbtest")
    netlink.batch(impairment.set_up(port, wanted))
    netlink.batch([link.bring_up(port.ifindex, port.name, "x")])
    for each in bus.ports:
        netlink.batch(impairment.redirect(each, port))
    return port


def send(member: Member, *ids: int) -> None:
    """Numbered frames."""
    with raw_socket(member) as opened:
        opened.setblocking(True)
        for number, id in enumerate(ids):
            opened.send(_FRAME.pack(id, 8, number))


def receive(opened: socket.socket, most: int, quiet: float = LIMIT) -> list[tuple[int, int]]:
    """So many frames, or as many as come: their ids and numbers."""
    found: list[tuple[int, int]] = []
    while len(found) < most and select.select([opened], [], [], quiet)[0]:
        id, _length, number = _FRAME.unpack(opened.recv(72)[: _FRAME.size])
        found.append((id, number))
    return found


@pytest.mark.parametrize("wanted", SEVERAL)
def test_a_dump_tells_what_there_is(netlink: Netlink, bus: Linear, wanted: Impairment) -> None:
    """So that one which a person changed is found out."""
    port = impair(netlink, bus, wanted)
    assert impairment.qdiscs(netlink)[port.ifindex] == impairment.wanted(wanted)
    assert impairment.redirects(netlink) == {each.ifindex: port.ifindex for each in bus.ports}
    run("tc", "qdisc", "change", "dev", port.name, "root", "netem", "delay", "7ms")
    assert impairment.qdiscs(netlink)[port.ifindex].form != impairment.wanted(wanted).form
    run("tc", "qdisc", "del", "dev", port.name, "root")
    assert port.ifindex not in impairment.qdiscs(netlink)
    netlink.batch([impairment.straight(each) for each in bus.ports for _again in range(2)])
    wait_until(lambda: impairment.redirects(netlink) == {})


def test_every_frame_arrives_exactly_once_and_later(netlink: Netlink, bus: Linear) -> None:
    """Through the hub, as the mark goes with it; no container receives its own frames."""
    delay = 30_000
    impair(netlink, bus, Impairment(delay=delay))
    assert exchange(bus.members(), errors=True).faults == []
    _host, sender, receiver, _third = bus.members()
    with raw_socket(receiver) as listening:
        began = monotonic()
        send(sender, 0x123)
        assert receive(listening, 1) == [(0x123, 0)]
        assert monotonic() - began >= delay / MILLION


def test_all_lose_the_same_frames(netlink: Netlink, bus: Linear) -> None:
    """As on a wire; the sender alone has no doubt. What is lost is counted."""
    port = impair(netlink, bus, Impairment(loss=MILLION // 2))
    host, sender, *receivers = bus.members()
    with ExitStack() as stack:
        listening = [stack.enter_context(raw_socket(each)) for each in (host, *receivers)]
        send(sender, *range(200))
        lost = impairment.qdiscs(netlink)[port.ifindex].lost
        assert 0 < lost < 200
        heard = [receive(each, 200 - lost) for each in listening]
        assert heard[0] == heard[1] == heard[2]
        assert len(heard[0]) == 200 - lost
        assert receive(listening[0], 1, QUIET) == []


def test_every_frame_arrives_twice(netlink: Netlink, bus: Linear) -> None:
    """Its own sender receives neither, only what its own kernel echoes."""
    impair(netlink, bus, Impairment(duplicate=MILLION))
    _host, sender, receiver, _third = bus.members()
    with raw_socket(receiver) as listening, raw_socket(sender) as own:
        send(sender, *range(50))
        assert Counter(receive(listening, 100)) == {(id, id): 2 for id in range(50)}
        assert Counter(receive(own, 51, 0.0)) == {(id, id): 1 for id in range(50)}


@pytest.mark.parametrize("rate", [50_000])
def test_the_lower_id_goes_first(netlink: Netlink, bus: Linear, rate: int) -> None:
    """An id of 29 bits by its highest 11; frames of one id stay in their order."""
    impair(netlink, bus, Impairment(rate))
    _host, sender, receiver, _third = bus.members()
    ids = (0x7E8, 0x1FFC0000 | EFF, 0x100, 0x0C000000 | EFF, 0x080, 0x008, 0x000)
    with raw_socket(receiver) as listening:
        send(sender, *[0x400] * 20, *ids * 3)
        heard = receive(listening, 20 + len(ids) * 3)
        assert sorted(number for _id, number in heard) == list(range(20 + len(ids) * 3))
        late = [each for each in heard[-len(ids) * 3 :] if each[0] != 0x400]
        order = [0x000, 0x008, 0x080, 0x100, 0x0C000000 | EFF, 0x7E8, 0x1FFC0000 | EFF]
        assert [order.index(id) for id, _number in late] == sorted(
            order.index(id) for id, _number in late
        )
        for id in {*ids, 0x400}:
            numbers = [number for each, number in heard if each == id]
            assert numbers == sorted(numbers)


def test_more_than_the_bit_rate_is_counted_apart(netlink: Netlink, bus: Linear) -> None:
    """It is no loss on purpose. FD frames get through, too."""
    port = impair(netlink, bus, Impairment(10_000))
    _host, sender, receiver, _third = bus.members()
    with raw_socket(receiver) as listening:
        send(sender, *[0x100] * 300)
        wait_until(lambda: impairment.qdiscs(netlink)[port.ifindex].overflowed > 0)
        assert impairment.qdiscs(netlink)[port.ifindex].lost == 0
        with raw_socket(sender) as opened:
            opened.send(struct.pack("=IBB2x64s", 0x001, 64, 0, bytes(64)))
        assert (0x001, 0) in receive(listening, 60)


def test_a_redirect_to_what_is_gone_is_told(netlink: Netlink, bus: Linear) -> None:
    """The kernel drops what is redirected there."""
    port = impair(netlink, bus, Impairment(delay=1000))
    ip(f"link del {port.name}")
    assert impairment.redirects(netlink) == dict.fromkeys((each.ifindex for each in bus.ports), 0)
    again = impair(netlink, bus, Impairment(delay=1000))
    wait_until(
        lambda: impairment.redirects(netlink) == {each.ifindex: again.ifindex for each in bus.ports}
    )
    assert exchange(bus.members(), errors=True).faults == []
