"""`canwharf dump` with real Docker: containers by name, after a restart, without the daemon."""

from __future__ import annotations

from tests.world.board import Board

SCRIPT = """
listening() {  # to the host ends of both
    for each in $(ip -j link | grep -o 'cwh[0-9a-f]*'); do
        until grep -q "$each.* raw" /proc/net/can/rcvlist_all; do sleep 0.1; done
    done
}
say() {
    nsenter -t $(docker inspect -f "{{.State.Pid}}" $1) -n cansend can0 $2
}
python3 -m canwharf dump -n 4 bus0 >/run/dumped 2>&1 &
listening
say ecu1 101#11
say ecu2 102#
docker restart -t 0 ecu1 >/dev/null
listening
say ecu1 103#
pkill -9 -f "[c]anwharf serve"
say ecu2 104#
wait
cat /run/dumped
"""


def test_one_dump_over_a_restart_and_without_the_daemon(board: Board) -> None:
    """The container that starts again has another endpoint, and the same name."""
    board.network()
    board.container("ecu1")
    board.container("gateway_2")
    told = board.sh(f"timeout 60 bash -ec '{SCRIPT.replace('ecu2', 'gateway_2')}'")
    assert told.splitlines() == [
        "bus0  ecu1            101   [1]  11",
        " bus0  gateway_2       102   [0]  ",
        " bus0  ecu1            103   [0]  ",
        " bus0  gateway_2       104   [0]",
    ]
