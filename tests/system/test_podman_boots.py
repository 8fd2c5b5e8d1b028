"""A board with Podman that boots by itself: systemd, quadlets, power cuts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.system.test_pages import ROOT, blocks
from tests.world.engines import MY_IMAGE, POD
from tests.world.installed import Installed

PODMANS = ("systemd-ecu", "always", "twin-ecu1", "twin-ecu2", "member")
FOLDER = "/etc/containers/systemd"
KUBE = f"""\
[Kube]
Yaml={FOLDER}/pod.yaml
Network=drive.network:interface_name=can0
[Install]
WantedBy=multi-user.target
"""
BOARD = """\
[Pod]
PodName=board
Network=drive.network:interface_name=can0
[Install]
WantedBy=multi-user.target
"""
MEMBER = """\
[Container]
Image=my-image
ContainerName=member
Pod=board.pod
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
        machine.sh(MY_IMAGE)
        said = machine.canwharf("install")
        assert "wrote /usr/local/libexec/netavark/canwharf, for Podman" in said
        assert "wrote /usr/lib/cni/canwharf, for CNI" in said
        yield machine


def members(machine: Installed, *names: str) -> list[str]:
    """Their interfaces, once they run."""
    machine.sh(f"timeout 60 podman wait --condition running {' '.join(names)}")
    form = "{{.State.Pid}}:can0"
    return machine.sh(f"podman inspect -f '{form}' {' '.join(names)}").split()


def units() -> dict[str, str]:
    """The page's own units, and those of pods."""
    page = ["\n".join([*each.lines, ""]) for each in blocks(ROOT / "docs/podman.md")]
    return {
        "drive.network": next(each for each in page if each.startswith("[Network]")),
        "ecu.container": next(each for each in page if each.startswith("[Container]")),
        "twin.kube": KUBE,
        # The page says why: podman-restart.service would start this pod, too.
        "pod.yaml": POD.replace("spec:", "spec:\n  restartPolicy: OnFailure"),
        "board.pod": BOARD,
        "member.container": MEMBER,
    }


def test_all_is_back_after_a_power_cut(machine: Installed) -> None:
    """Quadlets of a container and of pods, a container to restart, and Docker's, on one bus."""
    machine.guest.run(["mkdir", "-p", FOLDER])
    for name, text in units().items():
        machine.sh(f"cat >{FOLDER}/{name} <<'END'\n{text}END")
    services = "ecu.service twin.service board-pod.service"
    machine.sh(f"systemctl daemon-reload && systemctl start {services}", timeout=240)
    machine.sh("systemctl enable --quiet podman-restart.service")
    run = "podman run -d --restart always --network systemd-drive"
    machine.sh(f"{run}:interface_name=can0 --name always ecu sleep 100000")
    machine.network()
    machine.container("docker", more="--restart always")
    everything = ["host:vcan0", *members(machine, *PODMANS), machine.member("docker")]
    machine.assert_exactly_once(*everything)
    machine.boot_after_power_cut()
    everything = ["host:vcan0", *members(machine, *PODMANS), machine.member("docker")]
    machine.assert_exactly_once(*everything)


def test_a_call_starts_the_daemon(machine: Installed) -> None:
    """A board that runs the socket alone pays nothing while no container starts."""
    machine.sh("systemctl stop canwharf.service")
    assert machine.property("canwharf.socket", "ActiveState") == "active"
    machine.sh("podman run -d --network systemd-drive --name late ecu sleep 100000")
    machine.assert_exactly_once("host:vcan0", *members(machine, "systemd-ecu", "late"))
    assert machine.property("canwharf.service", "ActiveState") == "active"
    machine.sh("podman rm -ft 0 late")


def test_a_group_may_have_a_rootless_podman(machine: Installed) -> None:
    """Once root allows it; over restarts of the daemon, and until root takes that back."""
    machine.sh("useradd --create-home ann")
    machine.sh("groupadd --system can && usermod --append --groups can ann")
    # As a rootless Podman starts it: in a user namespace of the user's.
    plugin = "unshare --user --map-root-user /usr/local/libexec/netavark/canwharf"
    network = '{"name": "drive", "options": {"can.interface": "vcan0"}}'
    create = f"su ann -c {shlex.quote(f'printf %s {shlex.quote(network)} | {plugin} create')}"
    assert "'canwharf install --allow-group GROUP'" in machine.sh(create, check=False)
    said = machine.canwharf("install --allow-group can")
    assert "a rootless Podman finds it, if its user is a member of the group can" in said
    assert json.loads(machine.sh(create))["name"] == "drive"
    [line] = [each for each in machine.canwharf("doctor") if "rootless" in each]
    assert "a member of the group can" in line
    for step in (
        "systemctl restart canwharf.service",
        "systemctl stop canwharf.service",
        "systemctl restart canwharf.socket canwharf.service",
    ):
        machine.sh(step)
        assert json.loads(machine.sh(create))["name"] == "drive"
    machine.sh("systemctl stop canwharf.service && systemctl start canwharf-refuse.socket")
    assert machine.property("canwharf-rootless.socket", "ActiveState") == "inactive"
    machine.sh("systemctl start canwharf.service")
    assert json.loads(machine.sh(create))["name"] == "drive"
    machine.sh("systemctl disable --now canwharf-rootless.socket")
    assert "does not answer" in machine.sh(create, check=False)
    machine.sh("systemctl restart canwharf.service")
    assert "does not answer" in machine.sh(create, check=False)
    machine.canwharf("install --allow-group can")
    assert json.loads(machine.sh(create))["name"] == "drive"


def test_nothing_is_left_of_the_executables(machine: Installed) -> None:
    """After uninstall, Podman says that the driver is not there."""
    machine.canwharf("uninstall")
    assert machine.sh("ls -d /var/lib/canwharf.rootless", check=False) == ""
    assert "canwharf" in machine.refused("podman network create --driver canwharf other")
    assert (
        machine.sh("ls /usr/local/libexec/netavark /usr/lib/cni | grep canwharf", check=False) == ""
    )
