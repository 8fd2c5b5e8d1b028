"""What the daemon may do: administrate the network, and nothing else that takes a privilege."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.bench import start_daemon_as, whole
from tests.world.board import Board

CAP_NET_ADMIN = 1 << 12  # linux/capability.h
FEW = ("setpriv", "--bounding-set=-all,+net_admin", "--no-new-privs")
SERVE = ("python3", "-m", "canwharf", "serve")
TRACE = "/tmp/trace"  # in the guest
TRACED = ("strace", "-f", "-A", "-o", TRACE, "-e", "trace=process")


def story(board: Board, restart: Callable[[], None]) -> None:
    """All that a daemon has to do in its life."""
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    whole(board, "ecu1", "ecu2")
    board.sh("docker restart -t 0 ecu1")
    board.sh("docker rm -f ecu2")
    board.sh("ip link delete vcan0")
    board.daemon.wait_for("restored rules")
    whole(board, "ecu1")
    board.end_daemon("KILL")
    restart()
    board.container("ecu3")
    whole(board, "ecu1", "ecu3")
    board.sh("docker network disconnect bus0 ecu3")
    board.sh("docker network connect --driver-opt can.ifname=battery bus0 ecu3")
    board.assert_exactly_once(board.member("ecu1"), board.member("ecu3", "battery"))
    board.clean()
    assert (board.interfaces(), board.rules()) == ([], [])


@pytest.mark.short
def test_with_cap_net_admin_alone(board: Board) -> None:
    board.end_daemon("KILL")

    def start() -> None:
        start_daemon_as(board, *FEW, *SERVE)

    start()
    status = board.sh("cat /proc/$(pgrep -f '[c]anwharf serve')/status")
    for line in status.splitlines():
        name, _colon, value = line.partition(":")
        if name in ("CapEff", "CapPrm", "CapBnd"):
            assert int(value, 16) == CAP_NET_ADMIN, line
    story(board, start)
    board.end_daemon("KILL")
    board.start_daemon()


def test_it_runs_no_other_program_and_no_thread(board: Board) -> None:
    board.end_daemon("KILL")
    board.sh(f"rm -f {TRACE}")

    def start() -> None:
        start_daemon_as(board, *TRACED, *SERVE)

    start()
    try:
        story(board, start)
        board.end_daemon("TERM")
        calls = board.sh(f"cat {TRACE}")
    finally:
        if board.daemon.running:
            board.end_daemon("KILL")
        board.start_daemon()
    made = [line for line in calls.splitlines() if "exec" in line or "clone" in line]
    assert len(made) == 2, made  # strace's own start of it, twice in this story
    assert "fork" not in calls
    assert all("python3" in line for line in made)
