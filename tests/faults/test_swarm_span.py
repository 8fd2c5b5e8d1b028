"""One bus for services on two nodes of a Swarm: packaging/span's image and stack file, as they are.

The image is built by its Dockerfile, on what stands for Debian's image; names of nodes and of the
image of can-utils are the lab's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import zenoh

from canwharf.cli import main
from lab.machine import REPOSITORY
from lab.pair import two_machines
from tests.faults.plugged import NAME
from tests.faults.test_swarm import INTERFACES, Node

PACKAGING = REPOSITORY / "packaging/span"
IMAGE = "registry.example/canwharf-span:1"
# The guest's own Python has no zenoh; this machine's runs on each.
LIBRARY = f"/repo/{Path(zenoh.__file__).parents[1].relative_to(REPOSITORY)}"
BUILD = f"""
sh /repo/tests/world/python-image.sh /tmp/archive {LIBRARY}/zenoh &&
docker import /tmp/archive debian:trixie-slim && docker tag ecu can-utils &&
mkdir -p /opt/context/src && cp -r /repo/src/canwharf /opt/context/src &&
docker build --network none -t {IMAGE} -f /repo/packaging/span/Dockerfile /opt/context
"""
LOGS = 'docker logs $(docker ps -q --filter name=bench_{service}) 2>&1 | grep -q "{words}"'


@pytest.fixture(scope="module")
def nodes(suite: str) -> Iterator[tuple[Node, Node]]:
    """A manager and a worker, each with the plugin, the image, and its part of the bus."""
    with two_machines(suite, systemd=True) as (a, b):
        manager, worker = Node(a), Node(b)
        for node in (manager, worker):
            node.prepare("-o can.span=bench")
            node.sh(BUILD, timeout=300)
        manager.sh(f"docker swarm init --advertise-addr {a.address}")
        token = manager.sh("docker swarm join-token -q worker")
        worker.sh(f"docker swarm join --token {token} {a.name}:2377")
        manager.sh(f"docker network create --scope swarm --config-from bus0-here -d {NAME} bus0")
        prepare(a.share / "bench", a.address)
        yield manager, worker


def prepare(folder: Path, address: str) -> None:
    """The stack file and, beside it, a directory for each node, as docs/span.md says."""
    text = (PACKAGING / "stack.yaml").read_text()
    folder.mkdir()
    (folder / "stack.yaml").write_text(text.replace("bench-1", "a").replace("bench-2", "b"))
    one, two = str(folder / "a"), str(folder / "b")
    listen = ("--listen", f"tls/{address}:7447")
    assert main(["span", "init", "--name", "a", *listen, "--directory", one]) == 0
    with chdir(folder):
        assert main(["span", "invite", "b", "--directory", one]) == 0
        assert main(["span", "join", "b.join", "--directory", two]) == 0


def test_services_on_two_nodes_have_one_bus(nodes: tuple[Node, Node]) -> None:
    """What the one sends, the other logs; a node has no other node's key, and no right."""
    manager, worker = nodes
    manager.sh("docker stack deploy --resolve-image never -c /share/bench/stack.yaml bench")
    worker.wait_until(LOGS.format(service="logger", words=" 0C9#"))
    for node in nodes:
        facts = node.sh(f"cat /proc/{pid(node)}/status")
        assert "CapBnd:\t0000000000000000" in facts
        assert "Uid:\t65534\t" in facts
        assert node.interfaces().count(INTERFACES[node.guest.name]) == 1
    keys = [node.sh(f"cat /proc/{pid(node)}/root/etc/canwharf/span/host.pem") for node in nodes]
    assert keys[0] != keys[1]


def pid(node: Node) -> str:
    """The id of the process that connects the buses of a node."""
    return node.sh("pgrep -f '[c]anwharf span'")


def test_a_worker_that_lost_its_power_is_on_the_bus_again(nodes: tuple[Node, Node]) -> None:
    """With new tasks; nothing is started by hand."""
    manager, worker = nodes
    worker.guest.run("sync")
    worker.guest.power_cut()
    manager.wait_until('docker node ls --format "{{.Hostname}} {{.Status}}" | grep -q "b Down"')
    worker.boot_again()
    worker.wait_until(LOGS.format(service="logger", words=" 0C9#"))


def test_nothing_is_left_of_a_stack_that_is_removed(nodes: tuple[Node, Node]) -> None:
    """Its tasks end by SIGTERM, within Swarm's ten seconds."""
    manager, _worker = nodes
    manager.sh("docker stack rm bench")
    for node in nodes:
        node.wait_until('[ -z "$(docker ps -q)" ]')
    manager.sh("docker network rm bus0")
    for node in nodes:
        node.wait_until(f"! ip link show {node.interface}")
        assert (node.interfaces(), node.rules()) == ([], [])
