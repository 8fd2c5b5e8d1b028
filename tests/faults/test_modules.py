"""What a user reads on a kernel that lacks a module: which one, and the command that loads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.bench import restart_daemon, whole
from tests.world.board import Board

LOADER = "/proc/sys/kernel/modprobe"
CREATE = "docker network create -d canwharf --ipam-driver null -o can.name=can bus0"
RUN = "docker run --rm --network bus0 ecu true"


@contextmanager
def without(board: Board, module: str) -> Iterator[None]:
    """The kernel without a module, and with no way to load it by itself."""
    before = board.sh(f"cat {LOADER}")
    board.sh(f"echo /bin/false > {LOADER} && rmmod {module}")
    try:
        restart_daemon(board)
        yield
    finally:
        board.sh(f"echo {before} > {LOADER}; modprobe {module}")


def test_without_vcan(board: Board) -> None:
    with without(board, "vcan"):
        said = board.refused(CREATE)
        assert "vcan is not loaded" in said
        assert "modprobe vcan" in said
    works_now(board)


def test_without_vxcan(board: Board) -> None:
    with without(board, "vxcan"):
        said = board.refused(CREATE)
        assert "vxcan is not loaded" in said
        assert "modprobe vxcan" in said
        assert board.interfaces() == []
    works_now(board)


@pytest.mark.short
def test_without_can_gw(board: Board) -> None:
    with without(board, "can_gw"):
        created = board.guest.run(CREATE, check=False)
        said = created.stderr if created.status else board.refused(RUN)
        assert "modprobe can-gw" in said
        board.sh("docker network rm bus0", check=False)
        assert board.interfaces() == []
    works_now(board)


def works_now(board: Board) -> None:
    """With the module, the same daemon does what was asked for."""
    board.sh(CREATE)
    board.container("ecu1")
    board.container("ecu2")
    whole(board, "ecu1", "ecu2")
