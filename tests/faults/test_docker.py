"""What a user keeps when Docker or a container dies: the others' traffic, and a clean host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.docker import Docker
from lab.guest import Guest
from tests.faults.bench import (
    PATIENCE,
    pid,
    start_all,
    start_impatient,
    wait_dead,
    wait_interfaces,
    whole,
)
from tests.faults.conftest import SUITE
from tests.world.board import SOCKET, Board, wait_running

NAMES = ("ecu1", "ecu2", "ecu3")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "live-restore"])
def machine(request: pytest.FixtureRequest) -> Iterator[Board]:
    """A board whose Docker keeps containers running over its own end, or does not."""
    with Guest(SUITE) as guest:
        board = Board(guest)
        board.docker = Docker(guest, live_restore=request.param)
        board.start()
        yield board


@pytest.fixture
def victim(machine: Board) -> Iterator[Board]:
    """It, with an impatient daemon; in the end nothing is left when Docker has removed all."""
    machine.end_daemon("KILL")
    start_impatient(machine)
    yield machine
    machine.clean()
    wait_interfaces(machine, 0, 5 * PATIENCE)
    assert machine.rules() == []


def test_docker_killed_and_started(victim: Board) -> None:
    """The containers talk while it is away; afterwards as many as Docker runs."""
    start_all(victim, NAMES, "--restart always")
    members = [victim.member(name) for name in NAMES]
    victim.docker.kill()
    victim.assert_exactly_once("host:vcan0", *members)
    victim.docker.start()
    wait_running(victim, *NAMES)
    same = members == [victim.member(name) for name in NAMES]
    assert same is victim.docker.live_restore
    wait_interfaces(victim, 4, 5 * PATIENCE)
    whole(victim, *NAMES)


def test_docker_killed_and_started_with_an_exact_name(victim: Board) -> None:
    """The name holds, be it the same container or its next start; one that died leaves nothing."""
    victim.network(options="-o can.ifname=drive")
    for name in NAMES:
        victim.container(name, more="" if name == "ecu1" else "--restart always")
    process = pid(victim, "ecu1")
    victim.docker.kill()
    victim.sh(f"kill -KILL {process}")
    wait_dead(victim, process)
    victim.end_daemon("KILL")
    start_impatient(victim)
    victim.docker.start()
    wait_running(victim, *NAMES[1:])
    wait_interfaces(victim, 3, 5 * PATIENCE)
    members = [victim.member(name, "drive") for name in NAMES[1:]]
    victim.assert_exactly_once("host:vcan0", *members)
    assert len(victim.rules()) == 24


def test_docker_and_the_daemon_killed_at_once(victim: Board) -> None:
    start_all(victim, NAMES, "--restart always")
    victim.docker.kill()
    victim.end_daemon("KILL")
    start_impatient(victim)
    victim.docker.start()
    wait_running(victim, *NAMES)
    wait_interfaces(victim, 4, 5 * PATIENCE)
    whole(victim, *NAMES)


def test_a_container_that_dies_while_docker_is_down(victim: Board) -> None:
    start_all(victim, NAMES)
    process = pid(victim, "ecu1")
    victim.docker.kill()
    victim.sh(f"kill -KILL {process}")
    wait_dead(victim, process)
    victim.docker.start()
    left = NAMES[1:] if victim.docker.live_restore else ()
    wait_interfaces(victim, 1 + len(left), 5 * PATIENCE)
    whole(victim, *left)


def test_a_container_that_dies_while_the_daemon_is_down(victim: Board) -> None:
    start_all(victim, NAMES)
    process = pid(victim, "ecu1")
    victim.end_daemon("KILL")
    victim.sh(f"kill -KILL {process}")
    wait_dead(victim, process)
    victim.assert_exactly_once(victim.member("ecu2"), victim.member("ecu3"))
    start_impatient(victim)
    wait_interfaces(victim, 3, 5 * PATIENCE)
    whole(victim, "ecu2", "ecu3")
    victim.sh("docker start ecu1")
    whole(victim, *NAMES)


def test_an_endpoint_that_docker_forgot_is_collected_in_time(board: Board) -> None:
    """What lives is left alone. A patient daemon takes eleven minutes."""
    board.end_daemon("KILL")
    start_impatient(board)
    network = board.network()
    for name in NAMES:
        board.container(name)
    board.sh(
        "python3 -c 'from tests.faults.site import Client\n"
        f'client = Client("{SOCKET}")\n'
        f'body = {{"NetworkID": "{network}", "EndpointID": "{"e" * 64}"}}\n'
        'client.call("CreateEndpoint", body)\n'
        'client.call("Join", body)\''
    )
    assert len(board.interfaces()) == len(NAMES) + 3
    board.daemon.wait_for("garbage collecting an endpoint without container", 10 * PATIENCE)
    board.daemon.wait_for("endpoint removed")
    whole(board, *NAMES)
