"""What a container on two buses keeps, whatever happens: each bus under its own name.

In the suite whose Docker makes a container's namespace in time (28 and newer).
"""

from __future__ import annotations

import json

import pytest

from tests.faults.bench import wait_interfaces
from tests.world.board import Board, wait_running

FILE = "/repo/examples/two-buses/compose.yaml"
EXAMPLE = f"docker-compose -f {FILE}"
IMAGE = "docker tag ecu canwharf-can-utils"  # which Compose would build

RESTARTS = 6
SERVICES = ("ecu", "motor", "cells")
ORDERS = (("ecu", "motor"), ("cells", "ecu"))  # before its peer, and after
RIGHT = {
    "ecu": {"can0": "vcan0", "can1": "vcan1"},
    "motor": {"can0": "vcan0"},
    "cells": {"can0": "vcan1"},
}


def container(service: str) -> str:
    """A container of the example."""
    return f"two-buses-{service}-1"


def buses(board: Board) -> dict[str, dict[str, str]]:
    """Which host interface is the bus behind each CAN interface in each container.

    The kernel tells by the index of a pair's other end, whose alias names the bus.
    """
    names = " ".join(map(container, SERVICES))
    pids = f"docker inspect -f '{{{{.State.Pid}}}}' {names}"
    lines = board.sh(f"ip -j link && for pid in $({pids}); do nsenter -t $pid -n ip -j link; done")
    host, *inside = [json.loads(line) for line in lines.splitlines()]
    aliases = {each["ifindex"]: each.get("ifalias", "") for each in host}
    return {
        service: {
            each["ifname"]: aliases[each["link_index"]].split()[5]
            for each in links
            if each["ifname"] != "lo"
        }
        for service, links in zip(SERVICES, inside, strict=True)
    }


def talk(board: Board) -> None:
    """Both buses of the example: each frame once on its own, never on the other."""
    board.assert_exactly_once(
        "host:vcan0", board.member(container("ecu"), "can0"), board.member(container("motor"))
    )
    board.assert_exactly_once(
        "host:vcan1", board.member(container("ecu"), "can1"), board.member(container("cells"))
    )
    assert len(board.rules()) == 2 * 24
    assert len(board.interfaces()) == 2 + 4


@pytest.mark.short
def test_the_example_started_six_times_in_both_orders(board: Board) -> None:
    board.sh(f"{IMAGE} && {EXAMPLE} up -d")
    talk(board)
    for number in range(RESTARTS):
        order = " ".join(map(container, ORDERS[number % 2]))
        board.sh(f"docker restart -t 0 {order}")
        assert buses(board) == RIGHT
        if number >= RESTARTS - 2:
            talk(board)
    board.sh(f"{EXAMPLE} kill && {EXAMPLE} start")
    talk(board)
    board.sh(f"{EXAMPLE} down -t 0")
    assert (board.interfaces(), board.rules()) == ([], [])


@pytest.mark.short
def test_the_daemon_ends_and_comes_back(board: Board) -> None:
    """It enters no namespace to find the owner of an interface."""
    board.sh(f"{IMAGE} && {EXAMPLE} up -d")
    board.end_daemon("KILL")
    talk(board)
    board.start_daemon()
    board.sh(f"docker restart -t 0 {container('ecu')}")
    talk(board)
    board.end_daemon("KILL")
    board.sh("rm /var/lib/canwharf/state.json")
    board.start_daemon()
    board.sh(f"docker restart -t 0 {container('motor')}")
    talk(board)
    board.sh(f"{EXAMPLE} down -t 0")


def test_after_a_power_cut(fresh: Board) -> None:
    fresh.sh(f"{IMAGE} && {EXAMPLE} up -d")
    for _cut in range(2):
        fresh.reboot_after_power_cut()
        wait_running(fresh, *(container(each) for each in SERVICES))
        talk(fresh)
    fresh.clean()
    assert (fresh.interfaces(), fresh.rules()) == ([], [])


def test_mixed_with_a_prefix_that_leads_to_the_same_name(board: Board) -> None:
    """It has the next number, in whatever order they are given: Docker sorts networks by name."""
    board.network("bus0", "-o can.ifname=can0")
    board.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    for order in ("--network bus0 --network bus1", "--network bus1 --network bus0"):
        board.sh(f"docker run -d --name ecu1 {order} ecu sleep 100000")
        board.assert_exactly_once("host:vcan0", board.member("ecu1", "can0"))
        board.assert_exactly_once("host:vcan1", board.member("ecu1", "can1"))
        board.sh("docker rm -f ecu1")
        wait_interfaces(board, 2, 20)
        assert board.rules() == []
    board.sh("docker network rm bus0 bus1")
