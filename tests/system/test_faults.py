"""`canwharf fault` with real Docker: as long as its command, and no longer."""

from __future__ import annotations

import json

from tests.system.test_firewall import heard
from tests.world.board import Board

FAULT = "python3 -m canwharf fault"


def listed(board: Board) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(board.sh(f"{FAULT} list --json"))
    return rows


def test_a_fault_lasts_as_long_as_its_command(board: Board) -> None:
    """Held, kept, for a time, killed; shown by all that show it; refused with what there is."""
    board.network(options="-o can.name=can")
    board.container("ecu1")
    board.container("ecu2")
    one, two = map(board.member, ("ecu1", "ecu2"))
    everything = heard(board, one, "host:vcan0", two)
    less = [[each for each in ids if each != "7DF"] for ids in everything]

    said = board.sh(f"{FAULT} add bus0 --from ecu1 --id 7DF --drop --keep")
    assert "in force: ecu1: 7DF: drop" in said
    assert heard(board, one, "host:vcan0", two) == less
    assert listed(board)[0] | {"number": 1} == {
        "bus": "vcan0",
        "container": "ecu1",
        "number": 1,
        "fault": "7DF: drop",
        "kept": True,
        "frames": {"lost": 1},
    }
    assert "a fault on purpose: ecu1: 7DF: drop" in board.sh("python3 -m canwharf status")
    board.sh("pkill -9 -f '[c]anwharf serve'")
    board.start_daemon()
    assert heard(board, one, "host:vcan0", two) == less
    assert "ended: ecu1: 7DF: drop (2 frames lost)" in board.sh(f"{FAULT} clear bus0")
    assert heard(board, one, "host:vcan0", two) == everything

    board.sh(f"{FAULT} add bus0 --from ecu1 --id 7DF --delay 20ms --keep")
    assert heard(board, one, "host:vcan0", two) == everything
    said = board.sh(
        f'{FAULT} clear bus0; until [ -z "$(ls /sys/class/net | grep cwd)" ]; do :; done'
    )
    assert "ended: ecu1: 7DF: delay 20ms (1 frames delayed)" in said

    said = board.sh(f"{FAULT} add bus0 --from ecu1 --id all --loss 50% --for 100ms")
    assert "ended: ecu1 (0 frames lost)" in said
    assert listed(board) == []

    for end in ("-INT", "-TERM", "-9"):
        said = board.sh(
            f"rm -f /tmp/said; {FAULT} bus-off bus0 ecu1 > /tmp/said & p=$!; "
            "until grep -qs 'in force' /tmp/said; do sleep 0.1; done; "
            f"{FAULT} list; kill {end} $p; wait $p; cat /tmp/said"
        )
        assert "ecu1  bus-off" in said
        if end != "-9":
            assert "ended: ecu1 (0 frames not sent, 0 frames not received)" in said
            assert listed(board) == []
    board.sh(f"until [ \"$({FAULT} list)\" = 'no fault is in force' ]; do sleep 0.1; done")
    assert heard(board, one, "host:vcan0", two) == everything

    for words, reason in (
        ("add bus0 --from ecu9 --id 123 --drop", "there is no container ecu9 on the bus vcan0"),
        ("add bus9 --from ecu1 --id 123 --drop", "there is no bus bus9"),
        ("add bus0 --from ecu1 --id 123", "say what becomes of the frames"),
        ("add bus0 --from ecu1 --id 123 --drop --for never", "must be a time"),
        ("bus-off", "say the bus"),
        ("break bus0", "say what to do: add, list"),
    ):
        assert reason in board.sh(f"{FAULT} {words} 2>&1; true")
