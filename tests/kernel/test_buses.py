"""Buses on the real kernel, with real frames: every order of calls, every kind of interface."""

from __future__ import annotations

import itertools
import random
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.kernel.site import Site
from tests.world.frames import exchange
from tests.world.host import can_interfaces, cangw_lines, gateway_rules, run
from tests.world.member import HOST, Member, raw_socket
from tests.world.rules import linear

N = "n" * 64


def ids(number: int) -> list[str]:
    """Ids as Docker makes them; they share their first characters."""
    return [f"{'e' * 60}{place:04x}" for place in range(number)]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 8])
def test_one_after_the_other(site: Site, number: int) -> None:
    site.network(N)
    site.start(N, *ids(number))
    report = site.assert_whole()
    assert len(report.matrix) == number + 1
    assert sum(gateway_rules().values()) == 12 * number
    assert site.daemon.complaints() == []


@pytest.mark.parametrize("number", [2, 3, 8])
def test_created_all_before_any_joins(site: Site, number: int) -> None:
    """As Docker does after a reboot, when it starts containers at once."""
    site.network(N)
    for endpoint in ids(number):
        site.create(N, endpoint)
    for endpoint in reversed(ids(number)):
        site.join(N, endpoint)
    site.assert_whole()
    assert site.daemon.complaints() == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_every_order_of_joins_and_moves(site: Site, order: tuple[int, ...]) -> None:
    """All are joined before any is moved into its container, which happens in another order."""
    site.network(N)
    endpoints = ids(3)
    for endpoint in endpoints:
        site.create(N, endpoint)
    joined = {endpoint: site.service.join(N, endpoint) for endpoint in endpoints}
    for place in order:
        site.settle(N, endpoints[place], joined[endpoints[place]])
    site.assert_whole()


@pytest.mark.parametrize("seed", range(4))
def test_comings_and_goings_in_any_order(site: Site, seed: int) -> None:
    chance = random.Random(seed)
    site.network(N)
    idle, created, running = ids(6), list[str](), list[str]()
    moves: list[tuple[list[str], list[str], Callable[[str, str], object]]] = [
        (idle, created, site.create),
        (created, running, site.join),
        (running, idle, site.stop),
        (running, running, site.service.join),
    ]
    for _ in range(30):
        source, target, act = chance.choice(moves)
        if source:
            endpoint = source.pop(chance.randrange(len(source)))
            act(N, endpoint)
            target.append(endpoint)
    site.assert_whole()
    assert len(can_interfaces()) == 1 + len(running)


def test_calls_said_twice_change_nothing(site: Site) -> None:
    [one, two] = ids(2)
    site.network(N)
    site.network(N)
    site.start(N, one, two)
    before = (sorted(cangw_lines()), can_interfaces())
    for endpoint in (one, two):
        site.create(N, endpoint)
        site.service.join(N, endpoint)
        site.service.leave(N, endpoint)
    site.network(N)
    assert (sorted(cangw_lines()), can_interfaces()) == before
    site.assert_whole()


def test_a_container_sees_only_its_own_interface(site: Site) -> None:
    site.network(N)
    site.start(N, *ids(2))
    for container in site.containers.values():
        assert set(container.links()) == {"lo", "can0"}
        assert container.links()["can0"].mtu == 72


def test_stopping_leaves_the_others_talking(site: Site) -> None:
    site.network(N)
    site.start(N, *ids(3))
    site.stop(N, ids(3)[1])
    site.assert_whole()
    site.start(N, ids(3)[1])
    site.assert_whole()


def test_two_networks_on_two_interfaces_are_apart(site: Site) -> None:
    site.network(N, "vcan0")
    site.network("m" * 64, "vcan1")
    [one, two, three, four] = ids(4)
    site.start(N, one)
    site.start("m" * 64, two)
    site.start(N, three)
    site.start("m" * 64, four)
    assert exchange(site.members("vcan0"), site.members("vcan1")).faults == []
    assert gateway_rules() == linear(site.ports("vcan0")) + linear(site.ports("vcan1"))


def test_two_networks_on_one_interface_are_one_bus(site: Site) -> None:
    other = "m" * 64
    [one, two, three] = ids(3)
    site.network(N)
    site.start(N, one)
    site.network(other)
    site.start(other, two)
    site.start(N, three)
    site.assert_whole()
    site.stop(N, one)
    site.stop(N, three)
    site.service.delete_network(N)
    assert "vcan0" in can_interfaces(), "the other network still needs it"
    site.assert_whole()
    site.stop(other, two)
    site.service.delete_network(other)
    assert can_interfaces() == set()


def test_the_same_endpoint_id_in_two_networks(site: Site) -> None:
    [one] = ids(1)
    site.network(N)
    site.network("m" * 64)
    site.start(N, one)
    site.start("m" * 64, one)
    site.assert_whole()


def test_a_program_in_a_container_and_the_hosts_own_tools(site: Site, stack: ExitStack) -> None:
    """What users run: cansend in a container, heard by a socket opened before on the host."""
    site.network(N)
    site.start(N, *ids(1))
    [inside] = site.containers.values()
    opened = stack.enter_context(raw_socket(Member(HOST, "vcan0")))
    opened.settimeout(5)
    run("nsenter", f"--net={inside.path}", "cansend", "can0", "123#DEADBEEF")
    assert opened.recv(72)[:12] == struct.pack("=IB3x4s", 0x123, 4, b"\xde\xad\xbe\xef")
    run("nsenter", f"--net={inside.path}", "cansend", "can0", "123##1" + "AB" * 64)
    assert opened.recv(72)[8:] == b"\xab" * 64
    opened.setblocking(False)
    with pytest.raises(BlockingIOError):
        opened.recv(72)


def test_sockets_survive_comings_and_goings(site: Site, stack: ExitStack) -> None:
    """A program that was there first hears those that come later, and is not disturbed."""
    [one, two] = ids(2)
    site.network(N)
    site.start(N, one)
    members = site.members()
    opened: list[socket.socket] = [stack.enter_context(raw_socket(each)) for each in members]
    site.start(N, two)
    newcomer = stack.enter_context(raw_socket(site.containers[N, two].member("can0")))
    frame = struct.pack("=IB3x8s", 0x55, 1, b"\x01")
    newcomer.send(frame)
    for each in opened:
        each.settimeout(5)
        assert each.recv(72) == frame
    site.stop(N, two)
    opened[0].send(frame)
    assert opened[1].recv(72) == frame
