"""One guest for all the tests that need no power cut; a board is clean before and after each."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.system.board import Board

SUITE = os.environ.get("CANWHARF_SUITE", "trixie")


@pytest.fixture(scope="session")
def running() -> Iterator[Board]:
    """A board that is up."""
    with Guest(SUITE) as guest:
        board = Board(guest)
        board.start()
        yield board


@pytest.fixture
def board(running: Board) -> Iterator[Board]:
    """A board with canwharf up and no network; what a test leaves behind is its failure."""
    yield running
    if not running.daemon.running:
        running.start_daemon()
    running.clean()
    left = running.interfaces(), running.rules()
    assert left == ([], []), f"left behind: {left}\n{running.state()}"


@pytest.fixture
def fresh() -> Iterator[Board]:
    """A board of its own, for tests that cut its power."""
    with Guest(SUITE) as guest:
        board = Board(guest)
        board.start()
        yield board
