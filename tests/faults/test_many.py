"""A hundred containers on one bus: a whole vehicle."""

from __future__ import annotations

from tests.world.board import Board

CONTAINERS = 100


def test_a_hundred_containers_on_one_bus(board: Board) -> None:
    """As many rules for each as for one, and each frame once at everybody."""
    board.network()
    run = "docker run -d --network bus0 --name ecu{} ecu sleep 100000 >/dev/null"
    board.sh(f"seq {CONTAINERS} | xargs -P 4 -I {{}} sh -c '{run}'", timeout=1800)
    assert len(board.rules()) == 12 * CONTAINERS
    names = " ".join(f"ecu{number}" for number in range(1, CONTAINERS + 1))
    pids = board.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {names}").split()
    members = ["host:vcan0", *(f"{pid}:can0" for pid in pids)]
    board.assert_exactly_once(*members)
    board.end_daemon("KILL")
    board.start_daemon()
    board.assert_exactly_once(*members)
    board.sh(f"docker rm -f {names}", timeout=1800)
    assert board.rules() == []
