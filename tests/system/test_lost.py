"""What a user has after a boot that found no state: all is back without a restart of ours."""

from __future__ import annotations

from tests.world.board import Board, wait_running

STATE = "/var/lib/canwharf/state.json"


def test_a_state_that_was_lost_before_docker_starts(fresh: Board) -> None:
    """Nobody can tell of the networks when canwharf starts, nor while Docker starts containers.

    A `docker start` as soon as Docker serves is enough, and harmless where they run already.
    """
    fresh.network()
    fresh.network("idle", "-o can.interface=vcan5 -o can.name=can")
    names = ("ecu1", "ecu2", "ecu3")
    for name in names:
        fresh.container(name, more="--restart always")
    fresh.sh(f"rm {STATE}")
    fresh.reboot_after_power_cut()
    fresh.sh(f"docker start {' '.join(names)}")
    wait_running(fresh, *names)
    fresh.assert_exactly_once("host:vcan0", *(fresh.member(name) for name in names))
    assert "adopted network" in fresh.daemon.stderr
    assert "vcan5" in fresh.interfaces()
    fresh.clean()
    assert (fresh.interfaces(), fresh.rules()) == ([], [])
