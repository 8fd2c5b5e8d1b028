"""What a user keeps while others misbehave: an answer within a second, and every frame."""

from __future__ import annotations

import pytest

from lab.guest import Guest
from tests.faults.bench import PATIENCE, start_all, start_impatient, wait_interfaces, whole
from tests.world.board import Board


@pytest.mark.short
@pytest.mark.parametrize("callers", [300, 600])
def test_half_open_connections_delay_no_other_client(bare: Guest, callers: int) -> None:
    """600 are more than are kept: those that wait longest go, the real caller stays."""
    words = ["python3", "-m", "tests.faults.crowd", "--callers", str(callers)]
    assert float(bare.run(words).stdout) < 1.0


def test_killed_and_started_while_frames_run(board: Board) -> None:
    """A recording that runs over ten kills of the daemon has every frame, once, in order."""
    board.network()
    board.container("sender")
    board.container("receiver")
    number, kills = 20000, 10
    record = f"timeout -s INT 100 candump -n {number} -L can0 > /tmp/record; wc -l < /tmp/record"
    recording = board.guest.start(["docker", "exec", "receiver", "sh", "-c", record])
    board.sh(
        "timeout 20 sh -c 'until grep -q can0 /proc/$(docker inspect -f {{.State.Pid}} receiver)"
        "/net/can/rcvlist_all; do :; done'"
    )
    sending = board.guest.start(f"docker exec sender cangen can0 -g 1 -I 123 -L 8 -D i -n {number}")
    for _kill in range(kills):
        board.end_daemon("KILL")
        board.start_daemon()
    assert sending.running or sending.wait(1).status == 0
    sending.wait(100)
    assert recording.wait(100).stdout.strip() == str(number)
    payloads = board.sh("docker exec receiver sh -c 'cut -d\"#\" -f2 /tmp/record'").split()
    values = [int.from_bytes(bytes.fromhex(each), "little") for each in payloads]
    assert values == list(range(values[0], values[0] + number))


def test_killed_again_and_again_while_docker_starts_and_stops_containers(board: Board) -> None:
    """Docker asks again where it was cut off; what it gave up on is collected."""
    names = [f"ecu{number}" for number in range(4)]
    start_all(board, names)
    turns = "for turn in 1 2 3; do docker restart -t 0 $0 || docker start $0; done >/dev/null 2>&1"
    working = board.guest.start(f"echo {' '.join(names)} | xargs -n 1 -P 4 sh -c '{turns}'")
    kills = 0
    while working.running and kills < 12:
        board.end_daemon("KILL")
        start_impatient(board)
        kills += 1
    working.wait(300, check=False)
    assert kills > 2
    for name in names:
        board.sh(f"docker start {name}")  # nothing, where it runs
    wait_interfaces(board, 1 + len(names), 5 * PATIENCE)
    whole(board, *names)
    board.clean()
    wait_interfaces(board, 0, 5 * PATIENCE)
    assert board.rules() == []
    board.end_daemon("KILL")
    board.start_daemon()
