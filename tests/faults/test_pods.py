"""A machine on which pods come and go: nothing is left of a hundred."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.world.engines import Engines

POD = "can0=vcan0,can1=drive"
BUSES = {"vcan0": {}, "drive": {"can.interface": "vcan1"}}
BOTH = "drive:interface_name=can0 --network body:interface_name=can1"
PLAYED = """\
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: ecu, image: docker.io/library/ecu, command: [sleep, '100000']}]
"""


@pytest.fixture
def machine() -> Iterator[Engines]:
    with Guest("sid") as guest:
        board = Engines(guest)
        board.start()
        yield board


def test_a_hundred_pods_up_and_down(machine: Engines) -> None:
    """Five at a time, each on two buses, and one that stays and misses no frame."""
    machine.start_containerd(buses=BUSES)
    stays, namespace = machine.pod("stays", f"canwharf/buses={POD}")
    five_lives(
        machine,
        f"id=$(python3 -m tests.world.cri run $name canwharf/buses={POD}) && "
        "python3 -m tests.world.cri stop $id && python3 -m tests.world.cri remove $id",
    )
    assert_alone(machine, namespace)
    machine.cri(f"stop {stays}")
    machine.cri(f"remove {stays}")
    machine.clean()


def test_a_hundred_pods_of_podman_up_and_down(machine: Engines) -> None:
    """The same by `podman kube play`."""
    create = "podman network create --driver canwharf --opt can.interface"
    machine.sh(f"{create}=vcan0 drive && {create}=vcan1 body")
    machine.write("/tmp/pod.yaml", PLAYED)
    stays = machine.podman("stays", BOTH)
    five_lives(
        machine,
        "sed s/NAME/$name/ /tmp/pod.yaml >/tmp/$name.yaml && "
        f"podman kube play --network {BOTH} /tmp/$name.yaml && "
        "podman kube down /tmp/$name.yaml && rm /tmp/$name.yaml",
    )
    assert machine.sh("podman ps -a --format '{{.Names}}'") == "stays"
    assert_alone(machine, stays.partition(":")[0])
    machine.clean()


def five_lives(machine: Engines, life: str) -> None:
    """A hundred times the life of a pod `$name`, five at a time."""
    lane = f"for round in $(seq 20); do name=p$0-$round; {{ {life}; }} || exit 255; done"
    words = f"cd /repo && seq 5 | xargs -P 5 -n 1 sh -c {shlex.quote(lane)}"
    machine.sh(words, timeout=2400)


def assert_alone(machine: Engines, namespace: str) -> None:
    """What is in this namespace is on both buses, and nothing else is there."""
    machine.assert_exactly_once(
        *("host:vcan0", f"{namespace}:can0"), *("--members", "host:vcan1", f"{namespace}:can1")
    )
    assert len(machine.endpoints()) == 2
    assert len([each for each in machine.interfaces() if each.startswith("cwh")]) == 2
