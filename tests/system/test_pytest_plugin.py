"""The fixture `bus` with real Docker and real frames: as users' tests, and the example, have it."""

from __future__ import annotations

import pytest

from tests.world.board import Board

# The lab's guests have neither Docker's SDK nor canwharf's entry point.
PYTEST = (
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "
    "PYTHONPATH=/repo/src:/repo:$(echo /repo/.venv/lib/python3*/site-packages) "
    "python3 -m pytest -p no:cacheprovider -p canwharf.pytest_plugin"
)
LIMIT = 300.0  # seconds; it takes 15


def left(board: Board) -> tuple[str, str]:
    """The containers and networks that are there."""
    networks = "docker network ls --filter driver=canwharf --format '{{.Name}}'"
    return board.sh("docker ps -a --format '{{.Names}}'"), board.sh(networks)


@pytest.mark.long
def test_the_example(board: Board) -> None:
    """As a reader runs it; its image is made of the image that canlab has."""
    board.sh("docker tag ecu can-utils")
    done = board.guest.run(f"cd /repo/examples/pytest && {PYTEST}", check=False, timeout=LIMIT)
    assert done.status == 0, f"{done.stdout}\n{done.stderr}\n{board.state()}"
    assert "5 passed" in done.stdout
    assert left(board) == ("", "")


def test_what_users_tests_meet(board: Board) -> None:
    """The last one is interrupted, which is pytest's status 2; nothing is left."""
    command = f"cd /tmp && {PYTEST} -c /dev/null --rootdir /repo /repo/tests/system/bus_users.py"
    done = board.guest.run(command, check=False, timeout=LIMIT)
    assert done.status == 2, f"{done.stdout}\n{done.stderr}\n{board.state()}"
    assert "1 failed, 4 passed" in done.stdout, done.stdout
    assert "KeyboardInterrupt" in done.stdout
    assert "no frame 200 from ecu1 within 0 s" in done.stdout
    assert "  ecu1 sent: 100 (1)" in done.stdout
    assert "  the container ecu1 has ended with status 3" in done.stdout
    assert "ecu1       100   [1]  AA" in done.stdout
    assert "no such board" in done.stdout
    assert left(board) == ("", "")
