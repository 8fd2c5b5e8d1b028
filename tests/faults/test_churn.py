"""Containers that come and go on a bus where others talk, while the daemon is killed: real Docker.

Those that stay hear each frame once, classic and FD, and none of their own comes back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.world.board import UP, Board

STAY = ("ecu1", "ecu2")
CLIENTS = 4  # of Docker, at once
KILLS = 6
BETWEEN = 3.0  # seconds from one kill to the next: in the middle of any call

LOOP = """
until [ -e /tmp/stop ]; do
    docker network connect bus0 $1
    docker network disconnect -f bus0 $1
done 2>/dev/null
"""


@contextmanager
def talking(board: Board) -> Iterator[list[str]]:
    """Two containers and the host on a bus, which talk all the while; the three members."""
    board.network()
    for name in STAY:
        board.container(name)
    members = ["host:vcan0", *map(board.member, STAY)]
    board.sh("rm -f /tmp/stop")
    chatter = board.guest.start(["python3", "-m", "tests.faults.chatter", "/tmp/stop", *members])
    chatter.wait_for("talking", UP)
    yield members
    board.sh("touch /tmp/stop")
    report = json.loads(chatter.wait(UP).stdout)
    assert report.pop("sent") > 100
    assert report == {}


def kill(board: Board) -> None:
    """Kill the daemon and start another one."""
    board.end_daemon("KILL")
    board.start_daemon()


def test_four_clients_connect_and_disconnect_while_the_daemon_is_killed(board: Board) -> None:
    names = [f"guest{number}" for number in range(CLIENTS)]
    board.network("other", "-o can.interface=vcan7 -o can.name=can")
    for name in names:
        board.container(name, "other")
    with talking(board) as members:
        loops = [board.guest.start(["sh", "-c", LOOP, "loop", name]) for name in names]
        for _kill in range(KILLS):
            threading.Event().wait(BETWEEN)  # nothing to wait for: any moment is as good
            kill(board)
    for name, loop in zip(names, loops, strict=True):
        loop.wait(60, check=False)
        board.sh(f"docker network disconnect -f bus0 {name}", check=False)  # a call was cut off
        board.sh(f"docker network connect bus0 {name}")
    board.assert_exactly_once(*members, *(board.member(name, "can1") for name in names))
