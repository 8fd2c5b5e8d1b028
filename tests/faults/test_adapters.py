"""A real adapter that is pulled out in the middle of traffic, a hundred times, with real Docker."""

from __future__ import annotations

from tests.faults.conftest import Keep
from tests.system.test_adapters import NAME, OPTIONS, replug, started
from tests.world.board import Board

TIMES = 100


def test_pulled_out_a_hundred_times(board: Board, keep: Keep) -> None:
    """Two containers, one for each of which everything arrives once after each time."""
    board.network(options=f"{OPTIONS} -o can.type=physical")
    for name in ("ecu1", "ecu2"):
        board.container(name)
    before = started(board, "ecu1", "ecu2")
    report = replug(board, TIMES, "ecu1", "ecu2")
    keep("adapters", report)
    assert report["indexes"] == TIMES
    assert started(board, "ecu1", "ecu2") == before
    assert NAME not in board.interfaces()
    assert "could not" not in board.daemon.stderr
