"""A linear bus made by hand: each frame exactly once, and nobody hears what he said.

What the daemon is to build stands here step by step: `tests/kernel/by_hand.py` has the steps.
"""

from __future__ import annotations

import re
import select
from contextlib import ExitStack

import pytest

from canwharf.kernel import gateway
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.traffic_control import CLASSIFIERS, WHOLE, Marks
from tests.kernel.by_hand import Bus, Linear, Mesh, dropped, forwarding
from tests.kernel.senders import Sender, heard
from tests.world.container import Container
from tests.world.frames import exchange
from tests.world.host import run, wait_until
from tests.world.member import HOST, Member, raw_socket

BOTH = Marks(WHOLE, WHOLE)
ROUNDS = 50  # of a frame in a ring
SHAPES = pytest.mark.parametrize("shape", [Linear, Mesh])


@pytest.fixture
def bus(stack: ExitStack, netlink: Netlink) -> Linear:
    """A linear bus with three containers."""
    made = Linear(stack, netlink)
    for _ in range(3):
        made.join()
    return made


@pytest.mark.usefixtures("hops")
@pytest.mark.parametrize("containers", [1, 3, 8])
def test_each_frame_arrives_once(stack: ExitStack, netlink: Netlink, containers: int) -> None:
    """Classic, FD and error frames, however often can-gw may forward one; none counts as lost."""
    bus = Linear(stack, netlink)
    for _ in range(containers):
        bus.join()
    assert [bus.marks(port) for port in bus.ports] == [BOTH] * containers
    assert exchange(bus.members(), errors=True).faults == []
    assert dropped(netlink, bus.ports) == 0
    assert len(gateway.entries(netlink)) == 12 * containers


def test_each_frame_arrives_once_with_the_other_kind_of_filter(
    stack: ExitStack, netlink: Netlink
) -> None:
    bus = Linear(stack, netlink)
    bus.classifier = CLASSIFIERS[1]
    for _ in range(3):
        bus.join()
    assert exchange(bus.members(), errors=True).faults == []


@pytest.mark.parametrize("half", ["ingress", "egress"])
def test_without_one_of_the_filters_a_sender_receives_its_own_frames(
    bus: Linear, half: str
) -> None:
    """What the filters are for."""
    run("tc", "filter", "delete", "dev", bus.ports[0].name, half)
    members = bus.members()
    said = f"{members[1]} -> {members[1]}"
    faults = exchange(members).faults
    assert faults
    assert all(fault.startswith(said) for fault in faults), faults


def test_no_step_of_coming_or_going_lets_a_sender_receive_its_own_frames(
    bus: Linear, netlink: Netlink
) -> None:
    """A daemon may die between any two; others still hear each other, each frame once."""
    port = bus.take()
    steps = [*bus.coming(port), *bus.going(port, BOTH)]
    assert len(steps) == 7 + 6
    whole = exchange(bus.members()[:-1]).matrix
    for name, requests in steps:
        netlink.batch(requests)
        report = exchange(bus.members(), limit=0.3)
        newcomer = str(bus.members()[-1])
        doubled = [fault for fault in report.faults if newcomer not in fault]
        assert doubled == [], name
        for sender, row in report.matrix.items():
            for receiver, kinds in row.items():
                most = max(count for counts in kinds.values() for count in counts)
                assert most <= 1, f"{name}: {sender} -> {receiver}"
        assert all(report.matrix[sender][sender] == whole[sender][sender] for sender in whole)
    assert bus.marks(port) in (Marks(), Marks(WHOLE), Marks(WHOLE, WHOLE))


@pytest.mark.parametrize("turn", range(3))
def test_a_container_that_sends_while_it_comes_and_goes_receives_none_of_its_frames(
    bus: Linear, netlink: Netlink, stack: ExitStack, turn: int
) -> None:
    """On two processors frames are under way between any two messages to the kernel."""
    port = bus.take()
    member = bus.members()[-1]
    listener = stack.enter_context(raw_socket(member))
    others = [stack.enter_context(raw_socket(each)) for each in bus.members()[:-1]]
    with Sender(member, 1, 50 + turn) as sender:
        for _ in range(5):
            for steps in (bus.coming(port), bus.going(port, BOTH)):
                netlink.batch([request for _name, requests in steps for request in requests])
        sent = [(1, number) for number in range(sender.stop())]
    assert heard(listener, sent) == dict.fromkeys(sent, 1)
    for opened in others:
        assert set(heard(opened, []).values()) <= {1}


@SHAPES
def test_a_container_that_forwards_between_two_buses(
    stack: ExitStack, netlink: Netlink, shape: type[Bus]
) -> None:
    """Both ways and with echo: the two buses are one, and each frame is everywhere once."""
    first, second = shape(stack, netlink, "a"), shape(stack, netlink, "b")
    for bus in (first, first, second, second):
        bus.join()
    first.join(gate := Container())
    second.join(gate, "can1")
    forwarding(gate)
    members = first.members() + second.members("can0", "can0", "can1")
    assert exchange(members, errors=True).faults == []


@SHAPES
def test_in_a_ring_of_such_containers_a_frame_goes_round_and_round(
    stack: ExitStack, netlink: Netlink, shape: type[Bus]
) -> None:
    """As on real buses with three such gateways: no shape stops it, and an open ring is whole.

    It is one copy each way round, and no storm that grows: the gateways next to the one that ended
    have forwarded as many.
    """
    buses = [shape(stack, netlink, name) for name in "abc"]
    gates = [Container() for _ in buses]
    for bus, gate, last in zip(buses, gates, (gates[-1], *gates), strict=False):
        bus.join(gate, "can0")
        bus.join(last, "can1")
        bus.members("can0", "can1")
    for gate in gates:
        forwarding(gate)
    speaker = stack.enter_context(raw_socket(Member(HOST, "a")))
    listener = stack.enter_context(raw_socket(Member(HOST, "b")))
    speaker.send(bytes.fromhex("23010000 01000000 ff00000000000000"))
    for _ in range(ROUNDS):
        assert select.select([listener], [], [], 10)[0], "it came to an end"
        listener.recv(16)
    run("nsenter", f"--net={gates[0].path}", "cangw", "-F")
    wait_until(lambda: alike(*(rounds(gate) for gate in gates[1:])))
    members = [member for bus in buses for member in bus.members("can0", "can1")]
    assert exchange(members, errors=True).faults == []


def rounds(gate: Container) -> list[int]:
    """How many classic frames a gateway forwarded, one way and the other."""
    listed = run("nsenter", f"--net={gate.path}", "cangw", "-L", check=False)
    counts = re.findall(r"-s (\S+) -d \S+ -e # (\d+) handled", listed)
    return [int(count) for _source, count in sorted(counts)]


def alike(ones: list[int], others: list[int]) -> bool:
    """Whether both gateways forwarded as often, each way; the last copy ended at one of them."""
    assert min(*ones, *others) >= ROUNDS // 2
    return all(abs(one - other) <= 1 for one, other in zip(ones, others, strict=True))
