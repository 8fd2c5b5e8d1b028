"""A board with Podman that boots by itself: systemd, quadlets, power cuts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.world.installed import Installed

NETWORK = """\
[Network]
Driver=canwharf
Options=can.interface=vcan0
"""
CONTAINER = """\
[Container]
Image=docker.io/library/ecu
ContainerName=quadlet
Exec=sleep 100000
Network=drive.network:interface_name=can0
[Install]
WantedBy=multi-user.target
"""
# The guest's root is an overlay itself, on which Podman can lay none.
STORAGE = """\
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/persist/podman"
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Installed]:
    with Guest("sid", systemd=True) as guest:
        machine = Installed(guest)
        machine.put_program()
        machine.sh(f"cat >/etc/containers/storage.conf <<'END'\n{STORAGE}END")
        machine.sh("docker save ecu >/root/ecu.tar && podman load </root/ecu.tar", timeout=120)
        said = machine.canwharf("install")
        assert "wrote /usr/local/libexec/netavark/canwharf, for Podman" in said
        assert "wrote /usr/lib/cni/canwharf, for CNI" in said
        yield machine


def members(machine: Installed, *names: str) -> list[str]:
    """Their interfaces, once they run."""
    machine.sh(f"timeout 60 podman wait --condition running {' '.join(names)}")
    form = "{{.State.Pid}}:can0"
    return machine.sh(f"podman inspect -f '{form}' {' '.join(names)}").split()


def test_all_is_back_after_a_power_cut(machine: Installed) -> None:
    """A quadlet, a container that is to restart, and one of Docker's, on one bus."""
    machine.guest.run(["mkdir", "-p", "/etc/containers/systemd"])
    for name, text in (("drive.network", NETWORK), ("quadlet.container", CONTAINER)):
        machine.sh(f"cat >/etc/containers/systemd/{name} <<'END'\n{text}END")
    machine.sh("systemctl daemon-reload && systemctl start quadlet.service")
    machine.sh("systemctl enable --quiet podman-restart.service")
    run = "podman run -d --restart always --network systemd-drive"
    machine.sh(f"{run}:interface_name=can0 --name always ecu sleep 100000")
    machine.network()
    machine.container("docker", more="--restart always")
    everything = ["host:vcan0", *members(machine, "quadlet", "always"), machine.member("docker")]
    machine.assert_exactly_once(*everything)
    machine.boot_after_power_cut()
    everything = ["host:vcan0", *members(machine, "quadlet", "always"), machine.member("docker")]
    machine.assert_exactly_once(*everything)


def test_a_call_starts_the_daemon(machine: Installed) -> None:
    """A board that runs the socket alone pays nothing while no container starts."""
    machine.sh("systemctl stop canwharf.service")
    assert machine.property("canwharf.socket", "ActiveState") == "active"
    machine.sh("podman run -d --network systemd-drive --name late ecu sleep 100000")
    machine.assert_exactly_once("host:vcan0", *members(machine, "quadlet", "late"))
    assert machine.property("canwharf.service", "ActiveState") == "active"
    machine.sh("podman rm -ft 0 late")


def test_nothing_is_left_of_the_executables(machine: Installed) -> None:
    """After uninstall, Podman says that the driver is not there."""
    machine.canwharf("uninstall")
    assert "canwharf" in machine.refused("podman network create --driver canwharf other")
    assert (
        machine.sh("ls /usr/local/libexec/netavark /usr/lib/cni | grep canwharf", check=False) == ""
    )
