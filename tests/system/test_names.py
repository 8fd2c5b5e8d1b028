"""What a user has of exact names, with the Docker of this suite.

From Docker 28 on a container's namespace is there before its interfaces are asked for; with an
older one only that of a container that runs already. Each test says what is to be had with both.
"""

from __future__ import annotations

import json

import pytest

from tests.world.board import Board

# The words that the refusal must have, for a first-time user
WORDS = ("cannot make interface can7", "No such file", "from version 28 on", "can.name instead")


def names(board: Board, container: str) -> set[str]:
    """The interfaces in a container."""
    return {each["ifname"] for each in json.loads(board.sh(f"docker exec {container} ip -j link"))}


def in_time(board: Board) -> bool:
    """Whether this Docker makes the namespace in time."""
    return int(board.sh("docker version -f '{{.Server.Version}}'").split(".")[0]) >= 28


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
    if not in_time(board):
        said = board.refused(run)
        assert all(word in said for word in WORDS), said
        assert (board.interfaces(), board.rules()) == (["vcan0"], [])
        return
    board.sh(run)
    for again in ("docker restart -t 0 ecu1", "docker kill ecu1 && docker start ecu1", "true"):
        assert names(board, "ecu1") == {"lo", "can7"}
        board.sh(again)
    board.assert_exactly_once("host:vcan0", board.member("ecu1", "can7"))
    assert len(board.rules()) == 6


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
        assert len(board.rules()) == 6


def test_a_name_that_is_taken(board: Board) -> None:
    """The container goes on as it was; nothing is left of the other bus."""
    board.network("bus0", "-o can.name=can")
    board.network("bus1", "-o can.interface=vcan1 -o can.ifname=can0")
    board.container("ecu1")
    said = board.refused("docker network connect bus1 ecu1")
    assert "can0 is taken in this container" in said
    assert names(board, "ecu1") == {"lo", "can0"}
    board.assert_exactly_once("host:vcan0", board.member("ecu1"))
    assert len(board.rules()) == 6
    board.sh("docker network connect --driver-opt can.ifname=can1 bus1 ecu1")
    board.assert_exactly_once("host:vcan1", board.member("ecu1", "can1"))


def test_a_prefix_beside_a_whole_name(board: Board) -> None:
    """Where Docker would say `error renaming interface "cwc…" to "can0": file exists`."""
    board.network("bus0", "-o can.ifname=can0")
    board.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    if not in_time(board):
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
