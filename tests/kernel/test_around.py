"""A container tries to get around what it may send and receive, as root with NET_ADMIN.

All that it does is in its own network namespace. What it sends still ends at its host end, or
reaches nobody; what it must not receive does not come.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from tests.kernel.site import Site
from tests.kernel.test_policies import arrived, packed
from tests.world.container import Container, _move, _set_up
from tests.world.host import index_of, requests, run, wait_for_carrier
from tests.world.member import HOST, Member, entered, raw_socket

N = "n" * 64
MAY_SEND, MUST_NOT_SEND, MAY_RECEIVE, MUST_NOT_RECEIVE = 0x100, 0x101, 0x180, 0x181
END = 0x7FF  # the id of the end mark; all may send and receive it
CAN, CAN_FD, CAN_XL, IP, ALL = 0x0C, 0x0D, 0x0E, 0x0800, 0x03  # linux/if_ether.h
_SO_MARK = 36
_XL = struct.Struct("=IBBHI64s")  # priority, flags, type, length, acceptance field


@pytest.fixture(name="guarded")
def _guarded(site: Site) -> Site:
    """The container e1 has a policy, e2 has none."""
    site.network(N)
    policy = {"can.send": "100+7FF", "can.receive": "180+7FF"}
    site.service.create_endpoint(N, "e1", policy)
    site.join(N, "e1")
    site.start(N, "e2")
    return site


def assert_guarded(site: Site, inside: Member | None = None) -> None:
    """Classic and FD: e1, or what e1 has made of itself, has what it may, and no more."""
    host, e1, e2 = site.members()
    inside = inside or e1
    ids = (MAY_SEND, MUST_NOT_SEND, MAY_RECEIVE, MUST_NOT_RECEIVE)
    sent = [(id, fd) for id in ids for fd in (False, True)]
    with ExitStack() as stack:
        a, b, c = (stack.enter_context(raw_socket(each)) for each in (host, inside, e2))
        _mark_all(b)
        for each in arrived(b, (a, c), sent):
            assert each == Counter([(MAY_SEND, False), (MAY_SEND, True)])
        [heard] = arrived(c, (b,), sent)
        assert heard == Counter([(MAY_RECEIVE, False), (MAY_RECEIVE, True)])


def _mark_all(opened: socket.socket) -> None:
    """Its frames bear a mark, as another host end gives them."""
    opened.setsockopt(socket.SOL_SOCKET, _SO_MARK, 7)


def inside(site: Site, *commands: str) -> None:
    for command in commands:
        run("nsenter", f"--net={site.containers[N, 'e1'].path}", *command.split())


LONGER = ("ip link set can0 down", "ip link set can0 mtu 2060", "ip link set can0 up")  # CAN XL
ATTEMPTS = {
    "nothing": (),
    "filters of its own": (
        "tc qdisc add dev can0 clsact",
        "tc filter add dev can0 egress matchall action skbedit mark 0 pass",
        "tc filter add dev can0 ingress matchall action pass",
    ),
    "a queue of its own": ("tc qdisc add dev can0 root pfifo",),
    "longer frames": LONGER,
    "another name, group and alias": (
        "ip link set can0 alias canwharf group 7 txqueuelen 1",
        "ip link set can0 down",
        "ip link set can0 up",
    ),
    "a pair of its own and rules to it": (
        "ip link add x0 type vxcan peer name x1",
        "ip link set x0 up",
        "ip link set x1 up",
        "cangw -A -s x0 -d can0 -e",
        "cangw -A -s can0 -d x0 -e",
    ),
    "another id by the way": (
        "ip link add v0 type vcan",
        "ip link set v0 up",
        "cangw -A -s v0 -d can0 -e -m SET:I:101.0.0000000000000000",
    ),
}


@pytest.mark.parametrize("commands", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_a_container_does_not_get_around_its_policy(
    guarded: Site, commands: tuple[str, ...]
) -> None:
    inside(guarded, *commands)
    assert_guarded(guarded)


def test_what_it_modifies_on_its_way_is_judged_as_it_comes_out(guarded: Site) -> None:
    """A rule in the container makes 101 of what a program there sends on another interface."""
    inside(guarded, *ATTEMPTS["another id by the way"])
    host, e1, e2 = guarded.members()
    with ExitStack() as stack:
        other = stack.enter_context(raw_socket(Member(e1.namespace, "v0")))
        direct = stack.enter_context(raw_socket(e1))
        hearing = [stack.enter_context(raw_socket(each)) for each in (host, e2)]
        own = stack.enter_context(raw_socket(e1))
        other.send(packed((MAY_SEND, False)))
        assert struct.unpack_from("=I", _received(own))[0] == MUST_NOT_SEND
        for each in arrived(direct, hearing, [(MAY_SEND, False)]):
            assert each == Counter([(MAY_SEND, False)])


def test_from_another_namespace_it_is_the_same(guarded: Site) -> None:
    """It moves its interface to a namespace of its own."""
    with Container() as other, ExitStack() as stack:
        with entered(guarded.containers[N, "e1"].path):
            netlink = stack.enter_context(requests())
            netlink.batch([_move(index_of("can0"), other._fd, "can5")])
        with entered(other.path), requests() as there:
            there.batch([_set_up(index_of("can5"), "can5")])
        wait_for_carrier(HOST, other.path)
        assert_guarded(guarded, other.member("can5"))


def test_an_interface_of_the_same_name_leads_nowhere(guarded: Site) -> None:
    """Its own is gone then, and with it the host end."""
    inside(
        guarded,
        "ip link del can0",
        "ip link add can0 type vxcan peer name can9",
        "ip link set can0 up",
        "ip link set can9 up",
    )
    path = guarded.containers.pop((N, "e1")).path
    host, e2 = guarded.members()
    with ExitStack() as stack:
        own, a, b = (
            stack.enter_context(raw_socket(each)) for each in (Member(path, "can0"), host, e2)
        )
        own.send(packed((MAY_SEND, False)))
        assert arrived(a, (b,), []) == [Counter()]
        assert arrived(b, (a,), []) == [Counter()]
        assert not select.select([own], [], [], 0)[0]


@pytest.mark.parametrize("kind", [socket.SOCK_RAW, socket.SOCK_DGRAM])
def test_raw_packets_are_frames_like_others(guarded: Site, kind: int) -> None:
    """By a packet socket, with any protocol: a frame is judged, the rest reaches nobody."""
    inside(guarded, *LONGER)
    host, e1, e2 = guarded.members()
    with ExitStack() as stack:
        direct, a, b = (stack.enter_context(raw_socket(each)) for each in (e1, host, e2))
        with entered(e1.namespace):
            packets = stack.enter_context(socket.socket(socket.AF_PACKET, kind, 0))
        for id in (MUST_NOT_SEND, MAY_SEND):
            for protocol in (CAN, CAN_FD, CAN_XL, IP, ALL):
                for fd in (False, True):
                    _try(packets, protocol, packed((id, fd)))
                _try(packets, protocol, _XL.pack(id, 0x80, 3, 64, 0, bytes(64)))
        for each in arrived(direct, (a, b), [(MAY_SEND, False)]):
            assert each == Counter({(MAY_SEND, False): 2, (MAY_SEND, True): 1})


def test_a_packet_socket_sees_nothing_that_the_container_must_not_receive(guarded: Site) -> None:
    _host, e1, e2 = guarded.members()
    with ExitStack() as stack:
        speaking = stack.enter_context(raw_socket(e2))
        with entered(e1.namespace):
            packets = stack.enter_context(
                socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
            )
            packets.bind(("can0", ALL))
        for id in (MUST_NOT_RECEIVE, MAY_RECEIVE, MUST_NOT_RECEIVE, END):
            speaking.send(packed((id, False)))
        ids: list[int] = []
        while ids[-1:] != [END]:
            ids.append(struct.unpack_from("=I", _received(packets))[0])
        assert ids == [MAY_RECEIVE, END]


def _try(packets: socket.socket, protocol: int, data: bytes) -> None:
    """Send a packet; the kernel may refuse its length."""
    try:
        packets.sendto(data, ("can0", protocol))
    except OSError as error:
        if error.errno not in (errno.EMSGSIZE, errno.EINVAL):
            raise


def _received(opened: socket.socket) -> bytes:
    assert select.select([opened], [], [], 10.0)[0], "nothing came"
    with suppress(BlockingIOError):
        return opened.recv(4096)
    raise AssertionError("nothing came")
