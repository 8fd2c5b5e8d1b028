"""A real adapter with real Docker: late, pulled out, moved (by tests/world/adapter.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.channel import Process
from tests.world.board import Board, wait_running

NAME = "motor"  # what udev would call it
OPTIONS = f"-o can.interface={NAME} -o can.name=can -o can.bitrate=500000"
WAIT = "timeout 30 sh -c 'until {}; do :; done'"
HERE = f"test -e /sys/class/net/{NAME}"


@contextmanager
def plugged(board: Board) -> Iterator[Process]:
    """An adapter that is there; its input is the wire."""
    process = board.guest.start(
        ["python3", "-m", "tests.world.adapter", "--name", NAME], input=True
    )
    process.wait_for(f"plugged {NAME}")
    yield process
    pull(process)


def pull(process: Process) -> str:
    """Pull it out; what was sent to the wire."""
    if process.running:
        process.write(b"")
    return process.wait(30).stdout


def replug(board: Board, times: int, *names: str) -> dict[str, object]:
    """Pull it out and plug it in; what came of it (tests/plugging.py)."""
    members = [board.member(name) for name in names]
    done = board.guest.run(
        [
            *("python3", "-m", "tests.world.plugging", "--interface", NAME, "--times", str(times)),
            *("--members", *members),
        ],
        check=False,
        timeout=60 + 10 * times,
    )
    assert done.status == 0, f"{done.stdout}\n{done.stderr}\n{board.state()}"
    report: dict[str, object] = json.loads(done.stdout)
    assert report["faults"] == []
    return report


def started(board: Board, *names: str) -> list[str]:
    """When these containers were started."""
    return [board.sh(f"docker inspect -f '{{{{.State.StartedAt}}}}' {name}") for name in names]


def test_containers_before_the_adapter_which_comes_and_goes(board: Board) -> None:
    """They are never touched, and no vcan takes its name."""
    board.network(options=f"{OPTIONS} -o can.type=physical")
    board.container("ecu1")
    board.container("ecu2")
    assert NAME not in board.interfaces()
    assert "the adapter is missing, waiting for it" in board.daemon.stderr
    board.assert_exactly_once(board.member("ecu1"), board.member("ecu2"))
    before = started(board, "ecu1", "ecu2")
    report = replug(board, 8, "ecu1", "ecu2")
    assert report["indexes"] == 8
    assert started(board, "ecu1", "ecu2") == before
    with plugged(board) as wire:
        board.sh(WAIT.format(f"cangw -L | grep -q {NAME}"))
        board.sh("docker exec -d ecu1 sh -c 'candump -n 1 can0 > /tmp/heard'")
        board.sh(WAIT.format("docker exec ecu1 grep -q raw /proc/net/can/rcvlist_all"))
        wire.write(b"t1232BEEF\n")
        board.sh(WAIT.format("docker exec ecu1 grep -q BE.EF /tmp/heard"))
        board.sh("docker exec ecu2 cansend can0 456#CAFE")
        assert "t4562CAFE" in pull(wire)


def test_a_container_has_the_adapter_itself(board: Board) -> None:
    """And gives it back, however it ends."""
    with plugged(board) as wire:
        board.network(options=f"{OPTIONS} -o can.mode=move")
        for number, end in enumerate(("kill", "rm -f", "restart -t 0")):
            board.container("ecu1")
            assert board.interfaces() == []
            link = json.loads(board.sh("docker exec ecu1 /bin/ip -d -j link show can0"))[0]
            assert link["linkinfo"]["info_data"]["state"] == "ERROR-ACTIVE"
            board.sh(f"docker exec ecu1 cansend can0 45{number}#CAFE")
            said = board.refused("docker run --network bus0 --name ecu2 ecu true")
            assert "alone (can.mode=move)" in said
            board.sh("docker rm -f ecu2")
            board.sh(f"docker {end} ecu1")
            if "restart" not in end:
                board.sh(WAIT.format(HERE))
                board.sh("docker rm -f ecu1", check=False)
        assert board.interfaces() == []
        board.sh("docker exec ecu1 cansend can0 457#CAFE")
        board.sh("docker rm -f ecu1; docker network rm bus0")
        assert board.interfaces() == [NAME]
        _plugged, _name, *written = pull(wire).split()
    assert written == ["t4502CAFE", "t4512CAFE", "t4522CAFE", "t4572CAFE"]


def test_a_rate_that_the_adapter_cannot_do(board: Board) -> None:
    with plugged(board):
        said = board.refused(
            f"docker network create -d canwharf -o can.bitrate=123456 -o can.interface={NAME} bus0"
        )
        assert "Invalid argument" in said
        assert "250000, 500000" in said
        assert board.sh("docker network ls -q --filter driver=canwharf") == ""


@pytest.mark.long
def test_after_a_power_cut_the_adapter_is_late(fresh: Board) -> None:
    with plugged(fresh):
        fresh.network(options=OPTIONS)
        for name in ("ecu1", "ecu2"):
            fresh.container(name, more="--restart always")
    fresh.reboot_after_power_cut()
    wait_running(fresh, "ecu1", "ecu2")
    assert NAME not in fresh.interfaces()
    fresh.assert_exactly_once(fresh.member("ecu1"), fresh.member("ecu2"))
    replug(fresh, 2, "ecu1", "ecu2")
    assert NAME not in fresh.interfaces()
    assert "bus interface" not in fresh.daemon.stderr
