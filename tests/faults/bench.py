"""More words for a board: daemons of other kinds, waiting for the kernel, damage."""

from __future__ import annotations

from collections.abc import Iterable

from tests.world.board import UP, Board

STATE = "/var/lib/canwharf/state.json"
PATIENCE = 3.0  # seconds of an impatient daemon
REAL_PATIENCE = 60.0  # of a real one


def start_daemon_as(board: Board, *words: str) -> None:
    """Start the daemon by another command; returns when it serves."""
    board.daemon = board.guest.start(list(words))
    board.daemon.wait_for("serving", UP)


def start_impatient(board: Board) -> None:
    """Start a daemon that looks for what is abandoned after PATIENCE seconds, then again."""
    impatient = ("-m", "tests.faults.impatient", str(PATIENCE), "canwharf", "serve")
    start_daemon_as(board, "python3", *impatient)


def restart_daemon(board: Board) -> None:
    """Kill it and start a real one, whose log is empty."""
    board.end_daemon("KILL")
    board.start_daemon()


def wait_interfaces(board: Board, number: int, limit: float) -> None:
    """Wait until there are so many CAN interfaces on the host."""
    board.sh(
        "python3 -c 'from tests.world.host import *; "
        f"wait_until(lambda: len(can_interfaces()) == {number}, {limit})'",
        timeout=limit + 30,
    )


def pid(board: Board, container: str) -> str:
    """The process id of a container's first process."""
    return board.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {container}")


def wait_dead(board: Board, process: str) -> None:
    """Wait until a process of the guest has ended."""
    board.sh(
        "python3 -c 'import os, select\n"
        f"try: select.select([os.pidfd_open({process})], [], [], 30)\n"
        "except ProcessLookupError: pass'"
    )


def whole(board: Board, *containers: str) -> None:
    """vcan0 and these containers are connected once: no surplus rule, and none missing."""
    board.assert_exactly_once("host:vcan0", *(board.member(name) for name in containers))
    assert len(board.rules()) == 12 * len(containers), board.state()
    assert len(board.interfaces()) == len(containers) + 1, board.state()


def start_all(board: Board, names: Iterable[str], more: str = "") -> None:
    """A network and containers on it."""
    board.network()
    for name in names:
        board.container(name, more=more)
