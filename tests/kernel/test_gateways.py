"""The daemon's buses with containers that forward between them, and with very many containers.

`tests/kernel/test_linear.py` has the same gateways on buses that are made by hand.
"""

from __future__ import annotations

import select
import socket
import struct
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest

from canwharf.kernel.traffic_control import Ability
from tests.kernel.by_hand import forwarding
from tests.kernel.site import Site
from tests.world.container import Container
from tests.world.frames import exchange
from tests.world.host import run
from tests.world.member import HOST, Member, entered, raw_socket

LACKING = Ability("", ("cls_fw",))
LARGE = 300  # containers
ROUNDS = 50  # of a frame in a ring
FRAME = struct.Struct("=IB3xII")  # id, length, sender, number
BACKLOG = Path("/proc/sys/net/core/netdev_max_backlog")
# struct bcm_msg_head: operation, flags, count, two intervals (s, us), id, number of frames
BCM = struct.Struct("@IIIllllII0q")
TX_SETUP, SETTIMER_STARTTIMER = 1, 3  # linux/can/bcm.h


@pytest.fixture(params=["linear", "mesh"])
def buses(site: Site, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A daemon whose buses have this shape."""
    if request.param == "mesh":
        monkeypatch.setattr("canwharf.kernel.traffic_control.probe", lambda *_: LACKING)
    return site


def members(site: Site, *names: str) -> list[Member]:
    """The members of several buses as those of one."""
    return [member for name in names for member in site.members(name)]


def test_a_container_that_forwards_between_two_buses(buses: Site) -> None:
    """Both ways and with echo: the two buses are one, and each frame is everywhere once."""
    site, gate = buses, Container()
    for network, name, ifname in (("a" * 64, "vcan0", "can0"), ("b" * 64, "vcan1", "can1")):
        site.network(network, name)
        site.start(network, "e1", "e2")
        site.place(network, "gate", ifname, gate)
    forwarding(gate)
    everyone = members(site, "vcan0", "vcan1")
    assert exchange(everyone, errors=True).faults == []
    site.restart()
    site.daemon.maintenance.recover()
    assert exchange(everyone, errors=True).faults == []


def test_in_a_ring_of_such_containers_a_frame_circulates(buses: Site, stack: ExitStack) -> None:
    """As on real buses with such gateways; an open ring is whole again."""
    site, gates = buses, [Container() for _ in range(3)]
    names = ["vcan0", "vcan1", "vcan2"]
    for place, name in enumerate(names):
        network = str(place) * 64
        site.network(network, name)
        site.start(network, "e1")
        site.place(network, "gate", "can0", gates[place])
        site.place(network, "last", "can1", gates[place - 1])
    everyone = members(site, *names)
    for gate in gates:
        forwarding(gate)
    speaker = stack.enter_context(raw_socket(Member(HOST, names[0])))
    listener = stack.enter_context(raw_socket(Member(HOST, names[1])))
    speaker.send(FRAME.pack(0x123, 8, 0, 0))
    for _ in range(ROUNDS):
        assert select.select([listener], [], [], 10)[0], "it came to an end"
        listener.recv(16)
    run("nsenter", f"--net={gates[0].path}", "cangw", "-F")
    while select.select([listener], [], [], 1)[0]:
        listener.recv(16)
    assert exchange(everyone, errors=True).faults == []


def test_a_bus_of_three_hundred_containers(site: Site, stack: ExitStack) -> None:
    """Each frame of the host, and of three of them, is at every other one once."""
    network = "c" * 64
    site.network(network)
    for number in range(LARGE):
        site.place(network, f"e{number}", "can0")
    everyone = site.members()
    listeners = {each: stack.enter_context(raw_socket(each)) for each in everyone}
    senders = [everyone[place] for place in (0, 1, LARGE // 2, LARGE)]
    for who, sender in enumerate(senders):
        with raw_socket(sender) as speaker:
            for number in range(3):
                speaker.send(FRAME.pack(0x100 + who, 8, who, number))
    assert_once(listeners, ((who, number) for who in range(len(senders)) for number in range(3)))


def test_cyclic_messages_that_are_due_at_the_same_moment(site: Site, stack: ExitStack) -> None:
    """A rest bus simulation: the kernel sends them all at once, with a copy for each container.

    They wait in one queue, so it has to be as long as docs/troubleshooting.md says.
    """
    stack.callback(BACKLOG.write_text, BACKLOG.read_text())
    BACKLOG.write_text("10000")
    network = "d" * 64
    site.network(network)
    for number in range(40):
        site.place(network, f"e{number}", "can0")
    host, sender, *others = site.members()
    listeners = {each: stack.enter_context(raw_socket(each)) for each in (host, *others)}
    with entered(sender.namespace):
        cyclic = socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_BCM)
        cyclic.connect((sender.interface,))
    with cyclic:
        for number in range(60):
            head = BCM.pack(TX_SETUP, SETTIMER_STARTTIMER, 1, 0, 100_000, 0, 0, number, 1)
            cyclic.send(head + FRAME.pack(number, 8, 0, number))
        assert_once(listeners, ((0, number) for number in range(60)))


def assert_once(listeners: dict[Member, socket.socket], frames: Iterable[tuple[int, int]]) -> None:
    """Each of these programs receives each of these frames (sender, number) once."""
    sent = Counter(frames)
    for member, listener in listeners.items():
        found: Counter[tuple[int, int]] = Counter()
        while found.total() < sent.total() and select.select([listener], [], [], 10)[0]:
            _id, _length, who, number = FRAME.unpack(listener.recv(FRAME.size))
            found[who, number] += 1
        assert found == sent, member
    for listener in listeners.values():
        assert not select.select([listener], [], [], 0)[0], "a frame came once more"
