"""`canwharf status` on a board: containers by their names, with and without the daemon."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.world.board import Board


def told(board: Board) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(board.sh("python3 -m canwharf status --json"))
    return status


def test_who_is_on_a_bus(board: Board) -> None:
    """By Docker's names; and the same while the daemon is stopped, and is not started by it."""
    board.network()
    board.network("powertrain", "-o can.interface=vcan1 -o can.name=drive")
    board.container("ecu1")
    board.container("ecu2")
    board.sh("docker network connect powertrain ecu2")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))
    status = told(board)
    assert (status["daemon"]["running"], status["docker"]["reachable"]) == (True, True)
    first, second = status["buses"]
    assert [(each["name"], each["container_interface"]) for each in first["members"]] == [
        ("host", None),
        ("ecu1", "can0"),
        ("ecu2", "can0"),
    ]
    assert [(each["name"], each["container_interface"]) for each in second["members"]] == [
        ("host", None),
        ("ecu2", "drive0"),
    ]
    assert (first["healthy"], second["healthy"], status["sync"]["changes"]) == (True, True, [])
    (sent,) = {each["frames_sent"] for each in first["members"]}
    assert sent > 0
    assert {each["frames_received"] for each in first["members"]} == {2 * sent}
    shown = board.sh("python3 -m canwharf status")
    assert "networks: bus0" in shown
    assert re.search(r"├── ecu1 +can0 +cwh\w+ +sent ", shown)
    drawn = board.sh("python3 -m canwharf graph")
    assert 'c1["ecu2"]' in drawn
    assert 'c1 <-->|"drive0<br/>' in drawn
    assert "<svg" in board.sh("python3 -m canwharf graph powertrain --format svg")
    board.end_daemon("TERM")
    again = told(board)
    assert again["buses"] == status["buses"]
    assert not again["daemon"]["running"]
    assert "the daemon does not run" in board.sh("python3 -m canwharf status powertrain")
    board.start_daemon()


def test_without_root_ids_are_shown(board: Board) -> None:
    """Docker and the insides of containers are root's; the rest is anybody's."""
    board.network()
    board.container("ecu1")
    shown = board.sh("su nobody -s /bin/sh -c 'cd /repo && python3 -m canwharf status'")
    assert "root sees the names in the containers" in shown
    assert "all members are connected" in shown


def test_watching(board: Board) -> None:
    """A container that starts is seen to come."""
    board.network()
    watch = board.guest.start(["python3", "-m", "canwharf", "status", "--watch", "--json"])
    watch.wait_for('"interface": "vcan0"', 30)
    assert '"name": "late"' not in watch.stdout
    board.container("late")
    watch.wait_for('"name": "late"', 30)
    watch.kill()
