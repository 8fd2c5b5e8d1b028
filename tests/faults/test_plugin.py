"""What a user of the managed plugin has, and of Swarm, which takes no other kind of driver.

The tests share a machine. Those that are marked, `make test` runs; one boot is for two stories.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import plugin
from tests.faults.plugged import NAME, PROCESS, PluginBoard, machine
from tests.world.board import wait_running

ECUS = ("ecu1", "ecu2")
TASKS = "docker ps -q --filter label=com.docker.swarm.service.name=ecu"


@pytest.fixture(scope="module")
def life(suite: str) -> Iterator[PluginBoard]:
    """A machine with Docker and the plugin."""
    with machine(suite) as guest:
        board = PluginBoard(guest)
        board.load_modules()
        board.install()
        yield board


@pytest.fixture
def plugged(life: PluginBoard) -> Iterator[PluginBoard]:
    """It, with the plugin on; what a test leaves behind is its failure."""
    yield life
    life.clean()
    assert (life.interfaces(), life.rules()) == ([], []), life.state()


def start(board: PluginBoard, more: str = "") -> None:
    """Two containers on a bus. The plugin opens the second one's namespace, where there is one."""
    board.container("ecu1", more=more)
    exact = "name=bus0,driver-opt=can.ifname=can0"
    board.container("ecu2", exact if board.puts_in_place else "bus0", more)


def together(board: PluginBoard) -> None:
    """Two containers and the host are connected."""
    board.assert_exactly_once("host:vcan0", *(board.member(name) for name in ECUS))


@pytest.mark.short
def test_two_containers_and_the_host_are_connected(plugged: PluginBoard) -> None:
    assert plugged.sh("docker plugin ls --format '{{.Name}} {{.Enabled}}'") == f"{NAME} true"
    plugged.network()
    start(plugged)
    together(plugged)
    links = json.loads(plugged.sh("docker exec ecu1 ip -j link"))
    assert [link["ifname"] for link in links] == ["lo", "can0"]
    # The host's own canwharf, installed beside the plugin for its other verbs, shows and fixes it.
    shown = plugged.sh("python3 -m canwharf status")
    assert "the daemon runs" in shown
    assert all(name in shown for name in ("bus0", *ECUS, "all members are connected"))
    plugged.sh("cangw -F", check=False)
    plugged.sh("python3 -m canwharf sync")
    together(plugged)


@pytest.mark.short
def test_a_dead_daemon_is_started_again_and_no_call_fails(plugged: PluginBoard) -> None:
    plugged.network()
    start(plugged)
    dead = plugged.sh(PROCESS)
    plugged.sh(f"kill -KILL {dead}")
    together(plugged)
    plugged.wait_until(f"pid=$({PROCESS.replace(chr(39), chr(34))}) && [ $pid != {dead} ]")
    plugged.sh("docker restart -t 0 ecu1 ecu2")
    together(plugged)


@pytest.mark.short
def test_an_upgrade_under_traffic(plugged: PluginBoard) -> None:
    """Another plugin by its id, so all that the old one had of its own is gone; no frame is."""
    plugged.network()
    start(plugged)
    listener = plugged.guest.start("docker exec ecu2 candump -L can0,123:7FF")
    plugged.sh("docker exec -d ecu1 cangen can0 -I 123 -L 4 -D i -g 10")
    listener.wait_for("123#")
    plugged.remove()
    plugged.install()
    together(plugged)
    plugged.sh("pkill cangen; pkill candump")
    listener.wait(30, check=False)
    frames = [line.split("#")[1][:8] for line in listener.stdout.splitlines()]
    counted = [int.from_bytes(bytes.fromhex(frame), "little") for frame in frames]
    assert len(counted) > 100
    assert counted == list(range(counted[0], counted[0] + len(counted)))
    plugged.sh("docker restart -t 0 ecu1 ecu2")
    together(plugged)


def test_docker_killed(plugged: PluginBoard) -> None:
    """It starts the plugin anew, and then the containers; nothing of the old ones is left.

    As after a power cut, but that the kernel still has all.
    """
    plugged.network()
    start(plugged, "--restart always")
    plugged.sh(
        "systemctl kill -s KILL docker; systemctl reset-failed docker; systemctl start docker"
    )
    wait_running(plugged, *ECUS)
    together(plugged)
    assert len(plugged.rules()) == 24
    assert len(plugged.interfaces()) == 3


def test_a_lost_state_is_rebuilt_though_docker_calls_the_plugin_otherwise(
    plugged: PluginBoard,
) -> None:
    """An idle network is known to Docker only, as one of the driver canwharf:latest."""
    id = plugged.network()
    plugged.sh(f"docker plugin disable -f {NAME}")
    plugged.sh("echo '{' > /var/lib/canwharf/state.json")
    plugged.sh(f"docker plugin enable {NAME}")
    start(plugged)
    together(plugged)
    assert list(json.loads(plugged.sh("cat /var/lib/canwharf/state.json"))["networks"]) == [id]


@pytest.mark.short
def test_a_module_that_is_missing_is_named(plugged: PluginBoard) -> None:
    """The plugin cannot load it: it says which, and what to do, which then helps."""
    plugged.sh("modprobe -r can-gw")
    plugged.network()
    said = plugged.refused("docker run --rm --network bus0 ecu true")
    assert "the kernel module can-gw is not loaded" in said
    assert "modprobe can-gw" in said
    plugged.sh("modprobe can-gw && docker run --rm --network bus0 ecu true")


@pytest.mark.short
def test_a_daemon_of_its_own_beside_the_plugin_is_refused(plugged: PluginBoard) -> None:
    """They would take each other's interfaces for leftovers."""
    said = plugged.refused("python3 -m canwharf serve --state-dir /tmp/other")
    assert "another daemon serves the driver canwharf" in said


@pytest.mark.short
def test_containers_and_a_swarm_service_are_back_after_a_power_cut(plugged: PluginBoard) -> None:
    """Nobody starts anything: Docker starts the plugin, and then the containers.

    The service is the recipe of docs/swarm.md, on a bus of its own.
    """
    plugged.network()
    start(plugged, "--restart always")
    plugged.sh("docker swarm init --advertise-addr 127.0.0.1")
    plugged.sh(
        "docker network create --config-only --ipam-driver null "
        "-o can.interface=vcan1 -o can.name=can bus1-here"
    )
    plugged.sh(
        f"docker network create --scope swarm --config-from bus1-here -d {NAME} --attachable bus1"
    )
    plugged.sh(
        "docker service create -d --name ecu --network bus1 --replicas 2 "
        "--stop-grace-period 1s ecu sleep 100000"
    )
    whole_service(plugged)
    plugged.reboot_after_power_cut()
    wait_running(plugged, *ECUS)
    together(plugged)
    whole_service(plugged)
    assert len(plugged.rules()) == 48
    assert "can0" in plugged.sh("docker run --rm --network bus1 ecu ip link")
    plugged.sh("docker service rm ecu")
    plugged.wait_until(f'[ -z "$({TASKS})" ]')
    plugged.sh("docker network rm bus1")
    if plugged.puts_in_place:  # Docker 26 counts the repeated CreateNetwork as a second user of it
        plugged.wait_until("docker network rm bus1-here")
    plugged.wait_until("! ip link show vcan1")
    plugged.sh("docker swarm leave --force && docker network rm docker_gwbridge")


def whole_service(board: PluginBoard) -> None:
    """Two tasks of two run, connected with each other and the host."""
    board.wait_until('docker service ls --format "{{.Replicas}}" | grep -q 2/2')
    tasks = board.sh(TASKS).split()
    assert len(tasks) == 2
    board.assert_exactly_once("host:vcan1", *(board.member(task) for task in tasks))


@pytest.mark.short
def test_the_plugin_for_another_architecture(tmp_path: Path) -> None:
    """It cannot be run here: what can be told from its files is right."""
    for arch, machine_number in plugin.ARCHES.items():
        folder = tmp_path / arch
        plugin.cached(arch, folder)
        rootfs = folder / "rootfs"
        programs = [rootfs / "usr/bin/python3", *rootfs.glob("usr/lib/*/*.so*")]
        found = {each: elf_machine(each.read_bytes()) for each in programs}
        assert set(found.values()) == {machine_number}, found
        loaders = [each for each in rootfs.rglob("ld-linux*") if (rootfs / each).is_file()]
        assert loaders
        ours = rootfs / plugin.OURS
        sources = list(ours.rglob("*.py"))
        assert {each.name for each in sources} >= {"__main__.py", "serve.py", "engine.py"}
        for source in sources:
            (code,) = (source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")
            assert code.read_bytes()[4:8] == b"\1\0\0\0"  # PEP 552: taken whatever the dates


def elf_machine(header: bytes) -> int:
    """The machine that a program is for (elf(5): e_machine)."""
    assert header[:4] == b"\x7fELF"
    return int.from_bytes(header[18:20], "little")
