"""From a managed plugin, which is gone for good, to the service that inherits its name; and back.

The rest of docs/migration.md is in tests/system/test_migration.py.
"""

from __future__ import annotations

from tests.faults.plugged import PluginBoard, machine
from tests.system.test_migration import (
    OPTIONS,
    RUSTY,
    STATE,
    cleared,
    start_ancestor,
    start_successor,
)
from tests.world.board import Board, wait_running
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


def test_going_back(fresh: Board) -> None:
    """The old driver serves its networks again; and makes new ones once Docker was restarted."""
    with cleared(fresh):
        ancestor = start_ancestor(fresh, RUSTY, STATE)
        fresh.sh(f"docker network create -d {RUSTY} --ipam-driver null {OPTIONS} old")
        ancestor.kill()
        successor = start_successor(fresh, RUSTY, "/var/lib/canwharf-back")
        fresh.docker.restart()  # as at the next boot: it asks the driver then what it is
        fresh.container("ecu1", "old")
        fresh.container("ecu2", "old")
        fresh.sh("docker stop -t 0 ecu1 ecu2")
        successor.kill()
        ancestor = start_ancestor(fresh, RUSTY, STATE)
        fresh.sh("docker start ecu1 ecu2")
        fresh.assert_exactly_once("host:old7", fresh.member("ecu1"), fresh.member("ecu2"))
        if int(fresh.sh("docker version -f '{{.Server.Version}}'").split(".")[0]) >= 28:
            new = fresh.refused(f"docker network create -d {RUSTY} -o vxcan.id=8 new")
            assert "GwAllocCheck" in new  # why the page has Docker restarted
        fresh.docker.restart()
        fresh.sh(f"docker network create -d {RUSTY} -o vxcan.id=9 newer")
        fresh.sh("docker network rm newer; ip link del vcan9")
        hub = fresh.sh("ip -br link | grep -o '^cwi[0-9a-f]*'").split()
        fresh.sh(f"ip link delete {hub[0]}")
    ancestor.kill()
