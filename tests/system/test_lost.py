"""What a user has after a boot that found no state: buses that come back without a restart."""

from __future__ import annotations

from tests.system.board import Board

STATE = "/var/lib/canwharf/state.json"


def test_a_state_that_was_lost_before_docker_starts(fresh: Board) -> None:
    """Docker starts, and what did not come up at the boot starts when it is told to.

    At the boot nobody can tell of the networks: Docker waits for us, and does not answer.
    """
    fresh.network()
    fresh.network("idle", "-o can.interface=vcan5 -o can.name=can")
    for name in ("ecu1", "ecu2", "ecu3"):
        fresh.container(name, more="--restart always")
    fresh.sh(f"rm {STATE}")
    fresh.reboot_after_power_cut()
    said = fresh.sh("docker inspect -f '{{.State.Status}} {{.State.Error}}' ecu1")
    assert said.startswith("exited") or "is not known" in said
    fresh.sh("docker start ecu1 ecu2 ecu3")
    members = [fresh.member(name) for name in ("ecu1", "ecu2", "ecu3")]
    fresh.assert_exactly_once("host:vcan0", *members)
    assert "adopted network" in fresh.daemon.stderr
    assert "vcan5" in fresh.interfaces()
    fresh.clean()
    assert (fresh.interfaces(), fresh.rules()) == ([], [])
