"""Swarm on two nodes, by the recipe of docs/swarm.md: a bus on each, and what a node's loss costs.

One story on one pair of hosts, as each test goes on where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import plugin
from lab.pair import Host, two_machines
from tests.faults.plugged import NAME, PluginBoard

TASKS = "docker ps -q --filter label=com.docker.swarm.service.name=ecu"
NODE = 'docker node ls --format "{{.Hostname}} {{.Status}}"'
RUNNING = 'docker service ps ecu --filter desired-state=running --format "{{.CurrentState}}"'
INTERFACES = {"a": "vcan1", "b": "vcan2"}  # a node's own affair


class Node(PluginBoard):
    """A node, with its own options of the bus."""

    guest: Host

    def prepare(self, options: str = "") -> None:
        """Install canwharf, and say what the bus is on this node, with more options."""
        plugin.cached(plugin.native(), self.guest.share / "plugin")
        self.sh("systemctl start docker")
        self.load_modules()
        self.install()
        self.sh(
            "docker network create --config-only --ipam-driver null "
            f"-o can.interface={self.interface} -o can.name=can {options} bus0-here"
        )

    @property
    def interface(self) -> str:
        """Where the bus is on this node."""
        return INTERFACES[self.guest.name]

    def assert_whole(self, other_than: str = "none") -> str:
        """One task of the service runs here, connected to this node's bus; its id."""
        self.wait_until(f'[ "$({TASKS} | grep -cv {other_than})" = 1 -a "$({TASKS} | wc -l)" = 1 ]')
        task = self.sh(TASKS)
        self.assert_exactly_once(f"host:{self.interface}", self.member(task))
        return task

    def boot_again(self) -> None:
        """Boot after a power cut; nothing is started by hand."""
        self.guest.boot()
        self.sh("systemctl start docker")  # returns when it has started: it is wanted anyway


@pytest.fixture(scope="module")
def nodes(suite: str) -> Iterator[tuple[Node, Node]]:
    """A manager and a worker, with a global service on a CAN network."""
    with two_machines(suite, systemd=True) as (a, b):
        manager, worker = Node(a), Node(b)
        for node in (manager, worker):
            node.prepare()
        manager.sh(f"docker swarm init --advertise-addr {a.address}")
        token = manager.sh("docker swarm join-token -q worker")
        worker.sh(f"docker swarm join --token {token} {a.name}:2377")
        manager.sh(
            f"docker network create --scope swarm --config-from bus0-here -d {NAME} "
            "--attachable bus0"
        )
        manager.sh(
            "docker service create -d --name ecu --network bus0 --mode global "
            "--stop-grace-period 1s ecu sleep 100000"
        )
        yield manager, worker


def test_each_node_has_a_task_on_its_own_bus(nodes: tuple[Node, Node]) -> None:
    for node in nodes:
        node.assert_whole()
        assert node.interfaces().count(node.interface) == 1


def test_a_node_that_lost_its_power_has_its_task_again(nodes: tuple[Node, Node]) -> None:
    manager, worker = nodes
    task, lost = manager.sh(TASKS), worker.sh(TASKS)
    worker.guest.run("sync")
    worker.guest.power_cut()
    manager.wait_until(f'{NODE} | grep -q "b Down"')
    manager.assert_whole()
    worker.boot_again()
    manager.wait_until(f'{NODE} | grep -q "b Ready"')
    assert worker.assert_whole() != lost
    assert manager.assert_whole() == task


def test_a_bus_goes_on_while_its_node_is_cut_off(nodes: tuple[Node, Node]) -> None:
    """Then Swarm replaces the task, as it has counted it as lost."""
    manager, worker = nodes
    task = worker.sh(TASKS)
    worker.guest.link.cut()
    manager.wait_until(f'{NODE} | grep -q "b Down"')
    manager.assert_whole()
    assert worker.assert_whole() == task
    worker.guest.link.fix()
    manager.wait_until(f'{NODE} | grep -q "b Ready"')
    worker.assert_whole(other_than=task)


def test_a_worker_goes_on_without_its_manager(nodes: tuple[Node, Node]) -> None:
    manager, worker = nodes
    manager.guest.run("sync")
    manager.guest.power_cut()
    task = worker.assert_whole()
    manager.boot_again()
    manager.wait_until(f'[ "$({RUNNING} | grep -c Running)" = 2 ]')
    manager.assert_whole()
    assert worker.assert_whole() == task


def test_nothing_is_left_of_a_service_that_is_removed(nodes: tuple[Node, Node]) -> None:
    manager, _worker = nodes
    manager.sh("docker service rm ecu")
    for node in nodes:
        node.wait_until(f'[ -z "$({TASKS})" ]')
    manager.sh("docker network rm bus0")
    for node in nodes:
        node.wait_until(f"! ip link show {node.interface}")
        assert (node.interfaces(), node.rules()) == ([], [])
