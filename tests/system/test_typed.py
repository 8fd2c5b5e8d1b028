"""What people type that Docker takes and a CAN bus does not: said, and never in our own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.test_examples import IMAGE, STAND_IN
from tests.world.board import Board

MAC = "02:42:ac:11:00:09"
COMPOSE = f"""
services:
  gateway:
    image: ecu
    command: sleep 100000
    networks:
      bus: {{}}
      ip:
        mac_address: {MAC}
networks:
  bus:
    driver: canwharf
    driver_opts: {{can.name: can}}
    ipam: {{driver: "null"}}
  ip:
    ipam: {{config: [{{subnet: 10.124.0.0/24}}]}}
"""


def no_internal_name(said: str) -> bool:
    return "cwc" not in said and "cwh" not in said


@pytest.mark.parametrize("name", ["can.name=can", "can.ifname=can0"])
def test_addresses(board: Board, name: str) -> None:
    """Docker 28 sets none, whatever was asked for; an older one would, so that is refused."""
    start = f"docker run -d --network bus0 --mac-address {MAC} --name ecu1 ecu sleep 100000"
    create = f"docker network create -d canwharf --ipv6 --subnet fd00:7::/64 -o {name} bus0"
    if board.puts_in_place:
        board.sh(f"{create} && {start}")
        board.sh("docker restart -t 0 ecu1")
        board.assert_exactly_once("host:vcan0", board.member("ecu1"))
        shown = json.loads(board.sh("docker exec ecu1 ip -j address show can0"))
        assert [each["addr_info"] for each in shown] == [[]]
        return
    if name == "can.name=can":
        said = board.refused(create)
        assert "takes no IPv6 address" in said
        assert "--ipam-driver" in said
    board.network()
    said = board.refused(start)
    assert "a CAN interface takes no MAC address" in said
    assert no_internal_name(said)
    assert (board.interfaces(), board.rules()) == (["vcan0"], [])


@pytest.fixture
def compose(board: Board) -> Iterator[str]:
    """The command of Compose for a file with a CAN and an IP network."""
    if board.guest.suite.name == "bookworm":
        pytest.skip("Debian 12 has no Compose v2")
    board.sh("mkdir -p /tmp/typed")
    board.guest.run(["sh", "-c", "cat >/tmp/typed/compose.yaml"], input=COMPOSE.encode())
    yield "docker compose -f /tmp/typed/compose.yaml"
    board.sh("docker compose -f /tmp/typed/compose.yaml down -t 1", timeout=180)


def test_composes_mac_address_under_the_ip_network(board: Board, compose: str) -> None:
    """As an older Docker's refusal says; under the service it is for the first network by name."""
    board.sh(f"{compose} up -d", timeout=180)
    links = json.loads(board.sh(f"{compose} exec -T gateway /bin/ip -j link"))
    found = {each["ifname"]: each.get("address") for each in links}
    assert found.keys() == {"lo", "can0", "eth0"}
    assert found["eth0"] == MAC
    wrong = f"sed 's/^        mac_address.*//; s/^    image: ecu/&\\n    mac_address: {MAC}/'"
    board.sh(f"{compose} down -t 1; {wrong} /tmp/typed/compose.yaml >/tmp/typed/wrong.yaml")
    again = "docker compose -f /tmp/typed/wrong.yaml up -d"
    if board.puts_in_place:
        board.sh(again)
        return
    said = board.refused(again)
    assert "Compose: mac_address under that network of the service" in said
    assert no_internal_name(said)


def test_an_options_old_network_goes_on(board: Board) -> None:
    """It was made when unknown options were dropped; a lost state is rebuilt from Docker's list."""
    board.network()
    board.end_daemon("TERM")
    state = "/var/lib/canwharf/state.json"
    board.sh(f"rm {state}")
    # Docker's store cannot be given an old network from outside: its answer is played instead.
    board.daemon = board.guest.start(["python3", "-m", "tests.system.older"])
    board.daemon.wait_for("serving", 30)
    assert "ignored unknown options of a network" in board.daemon.stderr
    board.container("ecu1")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"))
    board.sh("pkill -TERM -f '[t]ests.system.older'")  # the next test has the real one
    board.daemon.wait(10, check=False)
    board.start_daemon()


def test_the_examples_board_on_a_laptop(board: Board) -> None:
    """The same compose file, without the adapter."""
    if board.guest.suite.name == "bookworm":
        pytest.skip("Debian 12 has no Compose v2")
    if not board.sh(f"docker images -q {IMAGE}"):
        board.sh(STAND_IN)
    file = Path("/repo/examples/adapter/compose.yaml")
    compose = f"CAN_TYPE=virtual docker compose -f {file}"
    board.sh(f"{compose} up -d", timeout=180)
    try:
        logs = f"{compose} logs --no-log-prefix logger"
        heard = f"until {logs} | grep -q 'can0 123#'; do :; done"
        board.sh(f'timeout 60 sh -c "{heard}"', timeout=80)
        assert "settings without effect on a virtual bus" in board.daemon.stderr
        assert board.interfaces().count("can0") == 1
    finally:
        board.sh(f"{compose} down -t 1", timeout=180)
