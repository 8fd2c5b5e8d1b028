"""Containers that run and are not connected: in status, doctor and metrics, and fixed."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

import pytest

from tests.system.test_doctor import findings, follow, the_fix
from tests.system.test_metrics import ASK, WHERE, figures, start
from tests.world.board import SOCKET, Board

CONNECTED, ERRORS = "canwharf_member_connected", "canwharf_bus_delivery_errors"
INFO = "canwharf_endpoint_info"


def bus_of(board: Board) -> dict[str, Any]:
    (bus,) = json.loads(board.sh("python3 -m canwharf status --json"))["buses"]
    assert isinstance(bus, dict)
    return bus


def faults(board: Board) -> dict[str, str | None]:
    """By name; and all outputs agree."""
    bus = bus_of(board)
    found = {each["name"]: each["reason"] for each in bus["members"]}
    well = not any(found.values())
    assert (bus["healthy"], not bus["delivery_errors"]) == (well, well)
    assert ("all members are connected" in board.sh("python3 -m canwharf status")) == well
    assert (findings(board, "members") == []) == well
    return found


@pytest.fixture
def busy(board: Board) -> Board:
    """Two containers on a bus, and figures at an address."""
    start(board, WHERE)
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    assert faults(board) == {"host": None, "ecu1": None, "ecu2": None}
    return board


def inside(board: Board, container: str, command: str) -> None:
    """In a container's network, as a program in it with the right to."""
    pid = board.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {container}")
    board.sh(f"nsenter -t {pid} -n {command}")


def test_an_interface_that_is_down_or_gone_in_its_container(busy: Board) -> None:
    """The doctor's own advice brings each back, and frames arrive once everywhere again."""
    inside(busy, "ecu1", "ip link set can0 down")
    assert faults(busy) == {"host": None, "ecu1": "no-carrier", "ecu2": None}
    told = busy.sh(f'python3 -c "{ASK}"')
    assert sorted(figures(told, CONNECTED, bus="vcan0")) == [0, 1, 1]
    assert figures(told, ERRORS, reason="no-carrier") == [2]
    end = monotonic() + 60
    while not all(figures(told, INFO, container=name) for name in ("ecu1", "ecu2")):
        assert monotonic() < end, told  # Docker is asked again after ten seconds
        told = busy.sh(f'python3 -c "{ASK}"')
    assert figures(told, INFO, network="bus0") == [1, 1]
    fix = the_fix(busy, "members")
    assert "ip link set can0 up" in fix
    follow(busy, fix)
    assert not any(faults(busy).values())
    busy.end_daemon("TERM")  # it would make the interface again at once
    inside(busy, "ecu2", "ip link delete can0")
    busy.start_daemon()
    assert faults(busy) == {"host": None, "ecu1": None, "ecu2": "missing"}
    fix = the_fix(busy, "members")
    assert fix == "docker restart ecu2"
    follow(busy, fix)
    assert not any(faults(busy).values())
    busy.assert_exactly_once("host:vcan0", busy.member("ecu1"), busy.member("ecu2"))
    busy.end_daemon("TERM")
    busy.start_daemon()


def test_a_record_that_was_collected_while_its_container_runs(busy: Board) -> None:
    """The daemon has forgotten it, Docker has not: it is missed all the same."""
    inside(busy, "ecu1", "ip link delete can0")
    (member,) = [each for each in bus_of(busy)["members"] if each["name"] == "ecu1"]
    asked = {"NetworkID": member["network_id"], "EndpointID": member["endpoint_id"]}
    code = f"call({SOCKET!r}, 'NetworkDriver.DeleteEndpoint', {asked})"
    busy.sh(f'python3 -c "from canwharf.control.client import call; {code}"')
    assert faults(busy) == {"host": None, "ecu1": "missing", "ecu2": None}
    follow(busy, the_fix(busy, "members"))
    assert not any(faults(busy).values())
    busy.end_daemon("TERM")
    busy.start_daemon()


def test_a_host_end_that_is_renamed(busy: Board) -> None:
    """It stays on its bus, no advice cuts it off, and it goes with its container."""
    end = bus_of(busy)["members"][1]["interface"]
    # Before 6.2 only an interface that is down can be renamed, and the daemon brings it up at once.
    busy.end_daemon("TERM")
    busy.sh(f"ip link set {end} down; ip link set {end} name front && ip link set front up")
    busy.start_daemon()
    busy.container("ecu3")
    assert not any(faults(busy).values())
    assert bus_of(busy)["foreign_rules"] == []
    assert findings(busy, "foreign") == []
    members = [busy.member(name) for name in ("ecu1", "ecu2", "ecu3")]
    busy.assert_exactly_once("host:vcan0", *members)
    busy.sh("docker rm -f ecu1")
    assert "front" not in busy.interfaces()
    busy.end_daemon("TERM")
    busy.start_daemon()


CROWD = """
import socket
crowd = []
for _each in range(400):
    try:
        one = socket.create_connection(('127.0.0.1', 9273), 5)
        crowd.append(one)
        one.setblocking(False)
        one.send(b'GET /metrics HTTP/1.1\\r\\nHost: m\\r\\nContent-Length: 1048576\\r\\n\\r\\n')
        one.send(b'x' * 200000)
    except OSError:
        pass
for _again in range(20):
    for one in crowd:
        try:
            one.send(b'x' * 50000)
        except OSError:
            pass
print(len(crowd))
"""


def test_strangers_at_the_address_of_the_figures(busy: Board) -> None:
    """Another user's 400 connections with a megabyte each; Docker and Prometheus notice nothing."""
    pid = busy.sh("pgrep -f '[c]anwharf serve'")

    def resident() -> int:
        """In KiB, at most until now."""
        return int(busy.sh(f"awk '/VmHWM/ {{print $2}}' /proc/{pid}/status"))

    busy.sh(f'python3 -c "{ASK}"')
    before = resident()
    busy.sh("cat >/tmp/crowd.py <<'END'\n" + CROWD + "\nEND")
    connected = busy.sh("su nobody -s /bin/sh -c 'python3 /tmp/crowd.py'", timeout=300)
    assert int(connected) >= 350
    assert resident() - before < 8 * 1024
    busy.container("ecu3")
    assert figures(busy.sh(f'python3 -c "{ASK}"'), CONNECTED, bus="vcan0") == [1, 1, 1, 1]
    busy.end_daemon("TERM")
    busy.start_daemon()
