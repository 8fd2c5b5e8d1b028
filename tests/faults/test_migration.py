"""From a managed plugin, which is gone for good, to the service that inherits its name.

What needs no systemd is in tests/system/test_migration.py.
"""

from __future__ import annotations

from tests.faults.plugged import PluginBoard, machine
from tests.world.board import wait_running
from tests.world.installed import PROGRAM

NAME = "wsovalle/vxcan:latest"  # docker-vxcan's; ours stands in for it
ECUS = ("ecu1", "ecu2")


class Inherited(PluginBoard):
    """A machine with a plugin of another name."""

    driver = NAME

    def become_service(self) -> None:
        """The steps of docs/migration.md."""
        self.sh(f"docker plugin disable -f {NAME} && docker plugin rm -f {NAME}")
        self.sh("ip link del old7")
        self.sh(f"/repo/packaging/zipapp.sh python3 {PROGRAM}")
        self.sh(f"env -u PYTHONPATH {PROGRAM} install --driver-name {NAME}")
        self.sh("systemctl restart docker")


def test_a_managed_plugins_networks_go_on_without_it(suite: str) -> None:
    """Docker finds a driver by its whole name, at the start of containers and after a power cut."""
    with machine(suite) as guest:
        board = Inherited(guest)
        board.load_modules()
        board.sh(f"docker plugin create {NAME} /share/plugin && docker plugin enable {NAME}")
        board.network("old", "-o vxcan.dev=old -o vxcan.id=7 -o vxcan.peer=can")
        for name in ECUS:
            board.container(name, "old", "--restart always")
        board.sh(f"docker stop -t 0 {' '.join(ECUS)}")
        board.become_service()
        board.sh(f"docker start {' '.join(ECUS)}")
        board.assert_exactly_once("host:old7", *(board.member(name) for name in ECUS))
        board.reboot_after_power_cut()
        wait_running(board, *ECUS)
        board.assert_exactly_once("host:old7", *(board.member(name) for name in ECUS))
        board.clean()
        assert (board.interfaces(), board.rules()) == ([], [])
