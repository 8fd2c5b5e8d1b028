"""Coming from rustycan4docker or docker-vxcan, and going back: docs/migration.md step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.channel import Process
from tests.faults.plugged import PluginBoard, machine
from tests.world.board import UP, Board, wait_running
from tests.world.installed import PROGRAM

PLUGINS = "/run/docker/plugins"
RUSTY = "rustyvxcan"
MANAGED = "wsovalle/vxcan:latest"  # docker-vxcan; as a managed plugin, ours stands in for it
STATE = "/var/lib/docker/network/files/rustycan4docker-networks.json"  # where rustycan4docker does
ECUS = ("ecu1", "ecu2")
OPTIONS = "-o vxcan.dev=old -o vxcan.id=7 -o vxcan.peer=can"


def start_ancestor(board: Board, driver: str, state: str = "") -> Process:
    """The driver that was here before."""
    words = ["python3", "-m", "tests.system.ancestor", f"{PLUGINS}/{driver}.sock", state]
    started = board.guest.start([word for word in words if word])
    started.wait_for("ready", UP)
    return started


def start_successor(board: Board, driver: str, state_dir: str) -> Process:
    """Canwharf under its name."""
    words = ("--socket", f"{PLUGINS}/{driver}.sock", "--state-dir", state_dir)
    started = board.guest.start(["python3", "-m", "canwharf", "serve", *words])
    started.wait_for("serving", UP)
    return started


@contextmanager
def cleared(board: Board) -> Iterator[None]:
    """Nothing is left at the end, of what the page says how to remove."""
    yield
    board.sh("docker ps -aq | xargs -r docker rm -f; docker network rm old")
    # What the ancestor's interfaces are known by: no alias, and its names.
    left = [name for name in board.interfaces() if name.startswith("vxcan") or name == "old7"]
    for name in left:
        board.sh(f"ip link del {name}", check=False)  # of a pair one end is gone by then
    board.sh(f"rm -f {STATE}")


def test_containers_stopped_first(board: Board) -> None:
    """docker-vxcan keeps no file: Docker's own list tells, also under a managed plugin's name."""
    with cleared(board):
        ancestor = start_ancestor(board, MANAGED)
        board.sh(f"docker network create -d {MANAGED} --ipam-driver null {OPTIONS} old")
        board.container("ecu1", "old")
        board.container("ecu2", "old")
        board.sh("docker stop -t 0 ecu1 ecu2")
        ancestor.kill()
        board.sh("ip link del old7")
        successor = start_successor(board, MANAGED, "/var/lib/canwharf-managed")
        assert "adopted network" in successor.stderr
        board.sh("docker start ecu1 ecu2")
        board.assert_exactly_once("host:old7", board.member("ecu1"), board.member("ecu2"))
        assert len(board.rules()) == 24
        board.sh("docker rm -f ecu1 ecu2 && docker network rm old")
        assert board.interfaces() == []
        board.sh(f"docker network create -d {MANAGED} old")  # made anew by canwharf alone
    successor.kill()


@pytest.mark.short
def test_containers_running_meanwhile(board: Board) -> None:
    """They go on as they were, and are canwharf's when they are started again."""
    with cleared(board):
        ancestor = start_ancestor(board, RUSTY, STATE)
        board.sh(f"docker network create -d {RUSTY} --ipam-driver null {OPTIONS} old")
        board.container("ecu1", "old")
        board.container("ecu2", "old")
        before = board.interfaces(), board.rules()
        kept = board.sh(f"cat {STATE}")
        ancestor.kill()
        successor = start_successor(board, RUSTY, "/var/lib/canwharf-rusty")
        assert (board.interfaces(), board.rules()) == before
        board.sh("docker restart -t 0 ecu1")
        board.assert_exactly_once("host:old7", board.member("ecu1"))
        board.sh("docker restart -t 0 ecu2")
        board.container("ecu3", "old")
        members = [board.member(name) for name in ("ecu1", "ecu2", "ecu3")]
        board.assert_exactly_once("host:old7", *members)
        assert board.sh(f"cat {STATE}") == kept
    successor.kill()


def test_switched_while_the_machine_was_off(fresh: Board) -> None:
    """A new image of the board: Docker starts after us, and the file tells of the networks."""
    ancestor = start_ancestor(fresh, RUSTY, STATE)
    fresh.sh(f"docker network create -d {RUSTY} --ipam-driver null {OPTIONS} old")
    for name in ("ecu1", "ecu2"):
        fresh.container(name, "old", "--restart always")
    assert ancestor.running
    fresh.guest.run("sync")
    fresh.guest.power_cut()
    fresh.guest.boot()
    successor = start_successor(fresh, RUSTY, "/persist/rusty")
    assert "read the networks of the driver that was here before" in successor.stderr
    fresh.docker.start()
    wait_running(fresh, "ecu1", "ecu2")
    fresh.assert_exactly_once("host:old7", fresh.member("ecu1"), fresh.member("ecu2"))
    assert len(fresh.rules()) == 24


class Inherited(PluginBoard):
    """A machine with a plugin of another name."""

    driver = MANAGED

    def become_service(self) -> None:
        """The steps of docs/migration.md."""
        self.sh(f"docker plugin disable -f {MANAGED} && docker plugin rm -f {MANAGED}")
        self.sh("ip link del old7")
        self.sh(f"/repo/packaging/zipapp.sh python3 {PROGRAM}")
        self.sh(f"env -u PYTHONPATH {PROGRAM} install --driver-name {MANAGED}")
        self.sh("systemctl restart docker")


def test_a_managed_plugins_networks_go_on_without_it(suite: str) -> None:
    """Docker finds a driver by its whole name, at the start of containers and after a power cut."""
    with machine(suite) as guest:
        board = Inherited(guest)
        board.load_modules()
        board.sh(f"docker plugin create {MANAGED} /share/plugin && docker plugin enable {MANAGED}")
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
