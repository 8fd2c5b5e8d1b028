"""What a user has again after the power was cut, without touching anything."""

from __future__ import annotations

from tests.world.board import Board, wait_running


def test_everything_is_back_after_a_power_cut(fresh: Board) -> None:
    fresh.network("bus0", "-o vxcan.dev=vcan -o vxcan.id=0 -o vxcan.peer=can")
    fresh.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    names = [f"ecu{number}" for number in range(4)]
    for name in names:
        fresh.container(name, more="--restart always")
    fresh.container("lonely", "bus1", more="--restart always")
    fresh.reboot_after_power_cut()
    wait_running(fresh, *names, "lonely")
    fresh.assert_exactly_once("host:vcan0", *(fresh.member(name) for name in names))
    fresh.assert_exactly_once("host:vcan1", fresh.member("lonely"))
    assert len(fresh.rules()) == 5 * 12
    assert len(fresh.interfaces()) == 2 + 5
    fresh.clean()
    assert (fresh.interfaces(), fresh.rules()) == ([], [])


def test_the_bus_interface_is_back_before_any_container(fresh: Board) -> None:
    """Programs on the host wait for it too."""
    fresh.network()
    fresh.guest.power_cut()
    fresh.guest.boot()
    fresh.start_daemon()
    fresh.daemon.wait_for("recreated bus interface", 10)
    assert fresh.interfaces() == ["vcan0"]
    fresh.docker.start()
    fresh.container("ecu1")
    fresh.assert_exactly_once("host:vcan0", fresh.member("ecu1"))
