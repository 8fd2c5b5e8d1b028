"""Boards for tests: one that many tests share, and one of its own for who cuts its power.

Rules:

- A shared board is clean before and after each test: what a test leaves behind is its failure.
- Where a command took too long, or the guest is gone, the failure says what hangs, and the
  next test gets a new board: one hang is one failure, not one of every test that follows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack

import pytest

from lab.errors import CommandError, CommandTimeout, LabError
from lab.guest import Guest
from tests.world.board import Board

# What tells why a board hangs; each for itself, as any may hang too.
QUESTIONS = (
    "ps -eLo pid,tid,stat,wchan:30,args",
    "dmesg | tail -n 60",
    "for each in /proc/[0-9]*; do grep -q '^State:.D' $each/status && cat $each/stack; done",
    "tail -n 60 /run/dockerd.log",
    "pkill -USR1 dockerd; for i in 1 2 3 4 5; do ls /run/docker/goroutine* && break; sleep 1; done",
    "grep -A 12 'minutes\\]\\|semacquire\\|IO wait' /run/docker/goroutine* | head -n 400",
)


class Shared:
    """The board that tests share; made when one is needed."""

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._stack = ExitStack()
        self._board: Board | None = None

    def board(self) -> Board:
        """The board, up."""
        if self._board is None:
            guest = self._stack.enter_context(Guest(self._suite))
            self._board = Board(guest)
            self._board.start()
        return self._board

    def close(self) -> None:
        """Give it back; the next one is new."""
        self._board = None
        self._stack.close()


_HANGS = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notice that a test ended for want of an answer, and add to its report what hangs."""
    report = yield
    if call.excinfo and call.excinfo.errisinstance((CommandTimeout, LabError)):
        item.stash[_HANGS] = True
        lent = getattr(item, "funcargs", {}).get("board")
        if isinstance(lent, Board):
            report.sections.append(("what hangs", hang(lent)))
    return report


def hang(board: Board) -> str:
    """What is to be known of a board that hangs."""
    log = f"$ canwharf's log\n{board.daemon.stderr[-4000:]}"
    console = f"$ console\n{board.guest.console[-4000:]}"
    return "\n".join([*(_told(board, each) for each in QUESTIONS), log, console])


def _told(board: Board, question: str) -> str:
    try:
        done = board.guest.run(question, timeout=20, check=False)
    except (CommandError, LabError) as error:
        return f"$ {question}\n{error}"
    return f"$ {question}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def shared(suite: str) -> Iterator[Shared]:
    """The board that tests share, for `board`."""
    made = Shared(suite)
    yield made
    made.close()


@pytest.fixture
def board(shared: Shared, request: pytest.FixtureRequest) -> Iterator[Board]:
    """A board with Docker and canwharf up and no network."""
    lent = shared.board()
    yield lent
    if request.node.stash.get(_HANGS, False):
        shared.close()
        return
    if not lent.daemon.running:
        lent.start_daemon()
    lent.clean()
    left = lent.interfaces(), lent.rules()
    assert left == ([], []), f"left behind: {left}\n{lent.state()}"


@pytest.fixture
def fresh(suite: str) -> Iterator[Board]:
    """A board of its own, for tests that cut its power."""
    with Guest(suite) as guest:
        made = Board(guest)
        made.start()
        yield made
