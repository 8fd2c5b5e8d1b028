"""What a user has of exact names, with the Docker of this suite.

From Docker 28 on a container's namespace is there before its interfaces are asked for; with an
older one only that of a container that runs already. Each test says what is to be had with both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.world.board import Board

# The words that the refusal must have, for a first-time user
WORDS = ("cannot make interface can7", "No such file", "from version 28 on", "can.name instead")


def names(board: Board, container: str) -> set[str]:
    """The interfaces in a container."""
    return {each["ifname"] for each in json.loads(board.sh(f"docker exec {container} ip -j link"))}


@pytest.mark.parametrize("whose", ["network", "endpoint", "compose"])
def test_a_start_has_the_name_or_is_refused(board: Board, whose: str) -> None:
    """Never the bus under another name; and of a refused start nothing is left."""
    options = "-o can.ifname=can7" if whose == "network" else "-o can.name=can"
    board.network(options=options)
    asked = {
        "network": "bus0",
        "endpoint": "name=bus0,driver-opt=can.ifname=can7",
        "compose": "name=bus0,driver-opt=com.docker.network.endpoint.ifname=can7",
    }
    run = f"docker run -d --network {asked[whose]} --name ecu1 ecu sleep 100000"
    if not board.puts_in_place:
        said = board.refused(run)
        assert all(word in said for word in WORDS), said
        assert (board.interfaces(), board.rules()) == (["vcan0"], [])
        return
    board.sh(run)
    for again in ("docker restart -t 0 ecu1", "docker kill ecu1 && docker start ecu1", "true"):
        assert names(board, "ecu1") == {"lo", "can7"}
        board.sh(again)
    board.assert_exactly_once("host:vcan0", board.member("ecu1", "can7"))
    assert len(board.rules()) == 12


def test_a_running_container_is_connected_and_disconnected(board: Board) -> None:
    """With every Docker: its namespace is there. A disconnected name is gone at once."""
    board.network("bus0", "-o can.name=can")
    board.network("bus1", "-o can.interface=can7 -o can.name=can")
    board.container("ecu1")
    for _twice in range(2):
        board.sh("docker network connect --driver-opt can.ifname=can7 bus1 ecu1")
        assert names(board, "ecu1") == {"lo", "can0", "can7"}
        board.assert_exactly_once("host:can7", board.member("ecu1", "can7"))
        board.assert_exactly_once("host:vcan0", board.member("ecu1"))
        board.sh("docker network disconnect bus1 ecu1")
        assert names(board, "ecu1") == {"lo", "can0"}
        assert len(board.rules()) == 12


def test_a_name_that_is_taken(board: Board) -> None:
    """The container goes on as it was; nothing is left of the other bus."""
    board.network("bus0", "-o can.name=can")
    board.network("bus1", "-o can.interface=vcan1 -o can.ifname=can0")
    board.container("ecu1")
    said = board.refused("docker network connect bus1 ecu1")
    assert "can0 is taken in this container" in said
    assert names(board, "ecu1") == {"lo", "can0"}
    board.assert_exactly_once("host:vcan0", board.member("ecu1"))
    assert len(board.rules()) == 12
    board.sh("docker network connect --driver-opt can.ifname=can1 bus1 ecu1")
    board.assert_exactly_once("host:vcan1", board.member("ecu1", "can1"))


def behind(board: Board, container: str) -> dict[str, str]:
    """The host interface of the bus behind each CAN interface in a container."""
    pid = board.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {container}")
    found = board.sh(f"ip -j link && nsenter -t {pid} -n ip -j link")
    host, inside = (json.loads(line) for line in found.splitlines())
    aliases = {each["ifindex"]: each.get("ifalias", "") for each in host}
    can = (each for each in inside if each["link_type"] == "can")
    return {each["ifname"]: aliases[each["link_index"]].split()[5] for each in can}


@pytest.fixture
def ip0(board: Board) -> Iterator[str]:
    """An IP network, whose interfaces Docker names eth."""
    board.sh("docker network create --subnet 10.124.0.0/24 ip0")
    yield "ip0"
    board.sh("docker rm -f ecu1; docker network rm ip0")


@pytest.mark.long
def test_prefixes_beside_an_ip_network(board: Board, ip0: str) -> None:
    """With every Docker: numbers without gaps, over connect, disconnect, restart and kill."""
    board.network("bus0", "-o can.name=can")
    board.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    board.container("ecu1", ip0, "--network bus0 --network bus1")
    for again in ("docker restart -t 0 ecu1", "docker kill ecu1 && docker start ecu1", "true"):
        assert names(board, "ecu1") == {"lo", "eth0", "can0", "can1"}
        found = behind(board, "ecu1")
        assert set(found.values()) == {"vcan0", "vcan1"}
        board.assert_exactly_once("host:vcan0", *members(board, found, "vcan0"))
        board.sh(again)
    for bus in ("bus0", ip0, "bus1"):
        board.sh(f"docker network disconnect {bus} ecu1 && docker network connect {bus} ecu1")
        assert set(behind(board, "ecu1")) == {"can0", "can1"}  # an older Docker's eth is 1 then
    for interface in ("vcan0", "vcan1"):
        found = behind(board, "ecu1")
        board.assert_exactly_once(f"host:{interface}", *members(board, found, interface))


def members(board: Board, found: dict[str, str], interface: str) -> list[str]:
    """The container's interfaces on the bus of this host interface."""
    return [board.member("ecu1", name) for name, bus in found.items() if bus == interface]


def test_the_prefix_that_docker_counts(board: Board, ip0: str) -> None:
    """Its own `eth`: no start comes upon a name of ours, and both have their number."""
    board.network("bus0", "-o can.name=eth")
    board.container("ecu1", "bus0", f"--network {ip0}")
    board.sh("docker restart -t 0 ecu1")
    assert names(board, "ecu1") == {"lo", "eth0", "eth1"}
    assert len(board.rules()) == 12


@pytest.mark.parametrize("where", ["host", "container"])
def test_an_interface_that_was_deleted_comes_back(board: Board, where: str) -> None:
    """With every Docker: at once, and the container goes on; its stop leaves nothing."""
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    pid = board.sh("docker inspect -f '{{.State.Pid}}' ecu1")
    [first, _second] = [each for each in board.interfaces() if each != "vcan0"]
    delete = f"ip link del {first}" if where == "host" else f"nsenter -t {pid} -n ip link del can0"
    board.sh(delete)
    board.daemon.wait_for("recreated interface pair", 30)
    assert names(board, "ecu1") == names(board, "ecu2") == {"lo", "can0"}
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))
    for again in ("docker restart -t 0 ecu1 ecu2", "docker network disconnect bus0 ecu2", "true"):
        board.sh(again)
        board.assert_exactly_once("host:vcan0", board.member("ecu1"))
    board.sh("docker rm -f ecu1 ecu2")
    assert (board.interfaces(), board.rules()) == (["vcan0"], [])


def test_a_prefix_beside_a_whole_name(board: Board) -> None:
    """Where Docker would say `error renaming interface "cwc…" to "can0": file exists`."""
    board.network("bus0", "-o can.ifname=can0")
    board.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    if not board.puts_in_place:
        return
    board.container("ecu1")
    for _twice in range(2):
        board.sh("docker network connect bus1 ecu1")
        assert names(board, "ecu1") == {"lo", "can0", "can1"}
        board.assert_exactly_once("host:vcan0", board.member("ecu1", "can0"))
        board.assert_exactly_once("host:vcan1", board.member("ecu1", "can1"))
        board.sh("docker network disconnect bus1 ecu1")
        assert names(board, "ecu1") == {"lo", "can0"}


def test_what_contradicts_itself_is_refused(board: Board) -> None:
    said = board.refused("docker network create -d canwharf -o can.name=can -o can.ifname=can0 bad")
    assert "can.ifname=can0: this is the whole name" in said
    assert board.interfaces() == []
