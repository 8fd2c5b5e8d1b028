"""What a user does with it: networks, containers, frames."""

from __future__ import annotations

import json

from tests.world.board import Board

ANCESTORS_OPTIONS = "-o vxcan.dev=vcan -o vxcan.id=0 -o vxcan.peer=can"


def test_two_containers_and_the_host_are_connected_exactly_once(board: Board) -> None:
    board.network(options=ANCESTORS_OPTIONS)
    board.container("ecu1")
    board.container("ecu2")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))
    assert len(board.rules()) == 24


def test_a_container_sees_its_bus_and_nothing_else(board: Board) -> None:
    """No way out to IP networks, no address, no one else's interface."""
    board.network()
    board.container("ecu1")
    links = json.loads(board.sh("docker exec ecu1 ip -j addr"))
    assert [link["ifname"] for link in links] == ["lo", "can0"]
    assert links[1]["addr_info"] == []
    assert links[1]["mtu"] == 72
    assert board.sh("docker exec ecu1 ip route") == ""
    assert "docker_gwbridge" not in board.sh("docker network ls")


def test_the_interface_is_there_before_the_program_starts(board: Board) -> None:
    board.network()
    said = board.sh("docker run --rm --network bus0 ecu cat /sys/class/net/can0/operstate")
    assert said == "up"


def test_the_default_address_management_works_too(board: Board) -> None:
    board.sh("docker network create -d canwharf -o can.name=can --subnet 10.123.0.0/24 bus0")
    board.container("ecu1")
    board.container("ecu2")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))


def test_beside_a_bridge_network(board: Board) -> None:
    """A gateway has an IP network and a CAN bus."""
    board.network()
    board.sh("docker network create --subnet 10.124.0.0/24 ip0")
    try:
        board.container("gateway", "ip0")
        board.sh("docker network connect bus0 gateway")
        names = [each["ifname"] for each in json.loads(board.sh("docker exec gateway ip -j link"))]
        assert sorted(names) == ["can0", "eth0", "lo"]
        board.assert_exactly_once("host:vcan0", board.member("gateway"))
    finally:
        board.sh("docker rm -f gateway; docker network rm ip0")


def test_connect_and_disconnect_a_running_container(board: Board) -> None:
    board.network()
    board.container("ecu1")
    board.container("ecu2", "none")
    board.sh("docker network disconnect none ecu2")
    board.sh("docker network connect --driver-opt can.name=battery bus0 ecu2")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2", "battery0"))
    board.sh("docker network disconnect bus0 ecu2")
    assert len(board.rules()) == 12
    board.assert_exactly_once("host:vcan0", board.member("ecu1"))


def test_a_container_restarts_or_dies(board: Board) -> None:
    board.network()
    board.container("ecu1", more="--restart always")
    board.container("ecu2")
    board.sh("docker restart -t 0 ecu1")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))
    board.sh("docker kill ecu2 && docker start ecu2")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))
    board.sh("docker rm -f ecu2")
    assert len(board.rules()) == 12


def test_eight_containers_started_at_once(board: Board) -> None:
    """Each frame exactly once: the ancestor doubles all of them here."""
    board.network()
    names = [f"ecu{number}" for number in range(8)]
    for name in names:
        board.sh(f"docker create --network bus0 --name {name} ecu sleep 100000")
    board.sh(f"echo {' '.join(names)} | xargs -n 1 -P 8 docker start", timeout=300)
    board.assert_exactly_once("host:vcan0", *(board.member(name) for name in names))
    assert len(board.rules()) == 8 * 12


def test_an_interface_that_is_there_is_used_and_left_alone(board: Board) -> None:
    board.sh(
        "ip link add mycan type vcan && ip link set mycan alias 'my own' && ip link set mycan up"
    )
    before = board.sh("ip -d link show mycan")
    board.network(options="-o can.interface=mycan -o can.name=can")
    board.container("ecu1")
    board.assert_exactly_once("host:mycan", board.member("ecu1"))
    board.clean()
    assert board.sh("ip -d link show mycan") == before
    board.sh("ip link del mycan")


def test_two_networks_on_one_interface_are_one_bus(board: Board) -> None:
    board.network("bus0")
    board.network("bus1", "-o can.interface=vcan0 -o can.name=other")
    board.container("ecu1", "bus0")
    board.container("ecu2", "bus1")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2", "other0"))
    board.sh("docker rm -f ecu1 && docker network rm bus0")
    board.assert_exactly_once("host:vcan0", board.member("ecu2", "other0"))


def test_two_buses_are_separate(board: Board) -> None:
    board.network("bus0", "-o can.interface=vcan0 -o can.name=can")
    board.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    board.container("ecu1", "bus0")
    board.container("ecu2", "bus1")
    board.sh("docker exec ecu1 cansend can0 123#DEADBEEF")
    handled = [rule for rule in board.rules() if " 1 handled" in rule]
    assert len(handled) == 3  # to vcan0, into the hub, out of it
    assert sum("-d vcan0 " in rule for rule in handled) == 1
    assert not any("vcan1" in rule for rule in handled)
    assert len(board.rules()) == 24


WRONG = {
    "-o can.interface=lo": ["can.interface=lo", "not a CAN interface", "vcan0"],
    "-o vxcan.dev=l -o vxcan.id=o": ["vxcan.dev+vxcan.id=lo", "not a CAN interface"],
    "-o can.speed=5": ["can.speed=5", "no such option", "did you mean can.bitrate=5?"],
    "-o interface=can5": ["interface=can5", "did you mean can.interface=can5?"],
    "-o parent=can5": ["parent=can5", "did you mean can.interface=can5?"],
    "-o CAN.interface=vcan5": ["did you mean can.interface=vcan5?"],
    "-o vxcan.dev=can0": ["makes can00", "did you mean can.interface=can0?"],
    "-o can.name=can0": ["makes can00", "can.ifname=can0, the whole name"],
    "-o vxcan.dev=a/b": ["vxcan.dev+vxcan.id=a/b0", "'/'", "like can0"],
    "-o can.interface=0123456789abcdef": ["can.interface", "16 characters", "at most 15"],
    "-o can.name=0123456789abcde": ["can.name", "15 characters", "at most 14", "index"],
    "-o can.name=": ["can.name=", "empty"],
}


def test_a_wrong_option_is_refused_with_a_sentence(board: Board) -> None:
    for options, words in WRONG.items():
        said = board.refused(f"docker network create -d canwharf {options} bad")
        assert [word for word in words if word not in said] == [], said
        assert board.interfaces() == [], options
    assert "bad" not in board.sh("docker network ls")
