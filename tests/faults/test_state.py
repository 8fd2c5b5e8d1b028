"""What a user has when the state is damaged: all networks again, and to be told of it."""

from __future__ import annotations

import json

import pytest

from tests.faults.bench import STATE, start_all, whole
from tests.world.board import Board

NAMES = ("ecu1", "ecu2")
DAMAGE = {
    "empty": f": > {STATE}",
    "truncated": f"truncate -s -40 {STATE}",
    "garbled": f"head -c 500 /dev/urandom > {STATE}",
    "another version": f'sed -i \'s/"version": 1/"version": 2/\' {STATE}',
    "wrong types": f'sed -i \'s/"interface": "vcan0"/"interface": 7/\' {STATE}',
    "deep": f"python3 -c 'print(\"[\" * 1000000)' > {STATE}",
    "a directory": f"rm {STATE}; mkdir {STATE}",
    "missing": f"rm {STATE}",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_while_containers_run(board: Board, damage: str) -> None:
    """Also the network on which nothing runs is known again: Docker tells."""
    start_all(board, NAMES)
    idle = board.network("idle", "-o can.interface=vcan7 -o can.name=other")
    board.end_daemon("KILL")
    board.sh(f"rm -rf {STATE}.*.bad; {DAMAGE[damage]}")
    board.start_daemon()
    board.assert_exactly_once("host:vcan0", *(board.member(name) for name in NAMES))
    networks = json.loads(board.sh(f"cat {STATE}"))["networks"]
    assert networks[idle]["interface"] == "vcan7"
    assert len(networks) == 2
    assert "adopted network" in board.daemon.stderr
    if damage != "missing":
        assert f"cannot read {STATE}" in board.daemon.stderr
        aside = board.sh(f"ls -d {STATE}.*.bad")
        assert aside in board.daemon.stderr
    board.container("ecu3")
    board.container("lonely", "idle")
    board.assert_exactly_once("host:vcan7", board.member("lonely", "other0"))
    board.sh("docker rm -f lonely; docker network rm idle")
    whole(board, *NAMES, "ecu3")


def test_damaged_while_docker_is_down(board: Board) -> None:
    """What the kernel's aliases tell is enough for what runs."""
    start_all(board, NAMES, "--restart always")
    members = [board.member(name) for name in NAMES]
    board.docker.kill()
    try:
        board.end_daemon("KILL")
        board.sh(f"echo nothing > {STATE}")
        board.start_daemon()
        board.assert_exactly_once("host:vcan0", *members)
        assert len(board.rules()) == 24
    finally:
        board.docker.start()
    board.container("ecu3")
    board.assert_exactly_once("host:vcan0", board.member("ecu3"))


@pytest.mark.parametrize(
    ("break_it", "fix_it", "words"),
    [
        (
            "dd if=/dev/zero of=/small/filler bs=1k 2>/dev/null || :",
            "rm /small/filler",
            "No space left on device",
        ),
        ("mount -o remount,ro /small", "mount -o remount,rw /small", "Read-only file system"),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_nothing(board: Board, break_it: str, fix_it: str, words: str) -> None:
    """The user reads why, nothing is half made, and it works again when the disk does."""
    board.end_daemon("KILL")
    board.sh("mkdir -p /small && mount -t tmpfs -o size=64k small /small")
    try:
        board.start_daemon("--state-dir", "/small/state")
        start_all(board, NAMES)
        board.sh(break_it)
        said = board.refused(
            "docker network create -d canwharf --ipam-driver null -o can.interface=vcan7 other"
        )
        assert words in said
        assert "cannot write /small/state/state.json" in said
        assert "other" not in board.sh("docker network ls --format '{{.Name}}'").split()
        assert words in board.refused("docker run --rm --network bus0 ecu true")
        whole(board, *NAMES)
        board.sh(fix_it)
        board.sh("docker run --rm --network bus0 ecu true")
        whole(board, *NAMES)
        board.clean()
    finally:
        board.end_daemon("KILL")
        board.sh("umount -l /small")
        board.start_daemon()
