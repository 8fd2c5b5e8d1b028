"""What a user has from `canwharf install`: a service that is there whenever Docker is.

One board for all, in the order of a machine's life; each test leaves it installed and empty.
What a board with the socket alone does is in tests/faults/test_systemd.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from canwharf import __version__
from canwharf.daemon.instance import usual
from canwharf.operator.service.modules import USUAL
from lab.guest import Guest
from tests.system.stream import Stream
from tests.world.board import SOCKET, wait_running
from tests.world.installed import OLD, PROGRAM, Installed

FIRST_BUS = "docker network create -d canwharf --ipam-driver null -o can.name=can bus0"

# What a machine with Podman and CNI plugins, as one of sid, gets beside the units.
RUNTIMES = (
    "wrote /usr/local/libexec/netavark/canwharf, for Podman",
    "wrote /usr/lib/cni/canwharf, for CNI",
)
FOUND = (
    "Podman finds it: podman network create --driver canwharf --opt can.interface=vcan0 bus0",
    "CNI runtimes find it: docs/kubernetes.md has a list for a node",
)
UNITS = "canwharf.socket canwharf.service"
NAMES = ("ecu1", "ecu2")
# What a driver that needs CAP_NET_ADMIN in the host's network, and Docker's directories, which
# are root's alone, cannot do without (systemd-analyze security).
EXPOSED = {
    *(
        "CapabilityBoundingSet=~CAP_NET_ADMIN",
        "PrivateNetwork=",
        "RestrictAddressFamilies=~AF_UNIX",
    ),
    *("RestrictAddressFamilies=~AF_NETLINK", "User=/DynamicUser=", "PrivateUsers="),
    *("RootDirectory=/RootImage=", "ProcSubset=", "DeviceAllow="),
}

# As it was done by hand before there was `canwharf install`: without a socket unit.
OLD_UNIT = (
    r"[Unit]\nBefore=docker.service\n"
    rf"[Service]\nType=notify\nExecStart={PROGRAM} serve\nKillMode=process\nRestart=always\n"
    r"[Install]\nWantedBy=multi-user.target\n"
)


@pytest.fixture(scope="module")
def suite() -> str:
    """The fastest guest that boots systemd, unless another is asked for."""
    return os.environ.get("CANWHARF_SYSTEMD_SUITE", "sid")


@pytest.fixture(scope="module")
def machine(suite: str) -> Iterator[Installed]:
    """A machine with Docker, and the program; nothing is installed yet."""
    with Guest(suite, systemd=True) as guest:
        board = Installed(guest)
        board.put_program()
        yield board


@pytest.fixture
def installed(machine: Installed) -> Iterator[Installed]:
    """The machine with the service; what a test leaves behind is its failure."""
    if machine.property("canwharf.service", "ActiveState") != "active":
        machine.canwharf("install")
    yield machine
    machine.clean()
    left = machine.interfaces(), machine.rules()
    assert left == ([], []), f"left behind: {left}\n{machine.state()}"


@pytest.fixture
def talking(installed: Installed) -> Installed:
    """With two containers on a bus."""
    installed.network()
    for name in NAMES:
        installed.container(name, more="--restart always --stop-signal KILL")
    return installed


def assert_talking(board: Installed) -> None:
    board.assert_exactly_once("host:vcan0", *(board.member(name) for name in NAMES))
    assert len(board.rules()) == 24


def runtimes(board: Installed) -> tuple[str, ...]:
    """The lines about executables, on a machine like this one."""
    return RUNTIMES if board.sh("command -v podman", check=False) else ()


def test_nothing_is_done_where_it_cannot_be(machine: Installed) -> None:
    """Not root; a program that does not outlive a boot; another program on the socket."""
    assert "run it as root, 'sudo canwharf install'" in machine.refusal(
        "install", "setpriv --reuid 65534"
    )
    machine.sh(f"cp {PROGRAM} /tmp/")
    said = machine.refused("env -u PYTHONPATH /tmp/canwharf install")
    assert "/tmp/canwharf would not be there for a service" in said
    machine.sh(f"install -D -o daemon -m 755 {PROGRAM} /srv/canwharf")
    said = machine.refused("env -u PYTHONPATH /srv/canwharf install")
    assert "/srv/canwharf belongs to daemon" in said
    machine.sh("rm /tmp/canwharf /srv/canwharf")
    machine.start_daemon()
    assert f"another process listens on {SOCKET}" in machine.refusal("install")
    machine.end_daemon("TERM")
    machine.sh("rm -r /var/lib/canwharf /run/canwharf")
    shown = machine.canwharf("install --dry-run")
    assert "# /etc/systemd/system/canwharf.service" in shown
    assert machine.traces() == []


def test_installed_and_then_again(machine: Installed) -> None:
    """In a word for each thing done; from then on Docker finds the driver."""
    told = machine.canwharf("install")
    found = FOUND if runtimes(machine) else ()
    assert told == [
        f"loaded the kernel modules {', '.join((*USUAL, 'em_canid'))}",
        *runtimes(machine),
        "wrote /etc/modules-load.d/canwharf.conf",
        *(f"wrote /etc/systemd/system/{unit}" for unit in usual("canwharf").units),
        "enabled and started canwharf.service, on canwharf.socket",
        f"Docker finds the driver: {FIRST_BUS}",
        *found,
    ]
    assert machine.sh(f"systemctl is-enabled {UNITS}").split() == ["enabled", "enabled"]
    assert machine.sh(f"stat -c %a:%U {SOCKET}") == "600:root"
    machine.network()
    machine.clean()
    again = machine.canwharf("install")
    done = [line.split()[0] for line in again[1 : -1 - len(found)]]
    assert done == ["unchanged"] * (10 + len(runtimes(machine))) + ["restarted"]
    machine.network()
    machine.clean()


def test_a_failed_install_leaves_nothing(installed: Installed) -> None:
    """With the reason; the driver that was there stays."""
    installed.sh("echo mine > /var/lib/canwharf-other")
    said = installed.refusal("install --driver-name other")
    assert "canwharf-other.service does not start: " in said
    assert "cannot use /var/lib/canwharf-other: Not a directory" in said
    installed.sh("rm /var/lib/canwharf-other")
    assert not [each for each in installed.traces() if "other" in each]
    assert installed.sh("systemctl is-active canwharf.service") == "active"
    assert installed.sh("cat /etc/modules-load.d/canwharf.conf").endswith("em_canid")


def test_the_service_has_what_it_needs_and_no_more(talking: Installed) -> None:
    """It sees Docker's network namespaces, though its mounts are its own and it was there first."""
    told = talking.sh("systemd-analyze security --no-pager canwharf.service")
    exposed = {line.split()[1] for line in told.splitlines() if line.startswith("✗")}
    assert exposed <= EXPOSED, told
    talking.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    talking.sh("docker network connect --driver-opt can.ifname=can7 bus1 ecu1")
    talking.assert_exactly_once("host:vcan1", talking.member("ecu1", "can7"))


def test_killed_it_is_back_and_no_call_is_lost(talking: Installed) -> None:
    """Docker's call waits in the socket for the next daemon."""
    before = talking.property("canwharf.service", "MainPID")
    talking.sh("systemctl kill --signal KILL canwharf.service")
    talking.network("bus1", "-o can.interface=vcan1 -o can.name=can")
    assert talking.property("canwharf.service", "MainPID") not in ("0", before)
    talking.container("ecu3")
    talking.assert_exactly_once("host:vcan0", *(talking.member(name) for name in (*NAMES, "ecu3")))
    told = [line for line in talking.canwharf("doctor") if "failed and was restarted" in line]
    assert [line.split()[0] for line in told] == ["warning"], "it runs, and is not well"


def test_docker_killed(talking: Installed) -> None:
    """It is started again, starts its containers again, and they are on their bus."""
    before = talking.member("ecu1")
    talking.sh("systemctl kill --signal KILL docker.service")
    talking.sh(
        "timeout 60 sh -c 'until [ $(systemctl show -P NRestarts docker) -gt 0 ] && "
        "systemctl is-active -q docker; do :; done'"
    )
    wait_running(talking, *NAMES)
    assert talking.member("ecu1") != before
    assert_talking(talking)


@pytest.mark.long
def test_upgraded_while_frames_run(installed: Installed) -> None:
    """The old version's networks and containers, the new program and units, every frame."""
    installed.canwharf("uninstall")
    installed.put_program("old")
    installed.sh(f"printf '{OLD_UNIT}' > /etc/systemd/system/canwharf.service")
    installed.sh("systemctl daemon-reload && systemctl enable -q --now canwharf.service")
    installed.network()
    for name in NAMES:
        installed.container(name)
    stream = Stream(installed, "ecu1", "ecu2")
    installed.put_program()
    told = installed.canwharf("install")
    unit = "/etc/systemd/system/canwharf.service"
    assert f"rewrote {unit}, the old one is {unit}.old" in told
    assert "restarted canwharf.service, on canwharf.socket" in told
    installed.sh("systemctl restart canwharf.service")
    assert stream.end() > 1000
    serving = [line for line in installed.log().splitlines() if "serving" in line][-3:]
    versions = [line.rpartition("version=")[2].split()[0] for line in serving]
    assert versions == [OLD, __version__, __version__]
    assert installed.sh(f"systemctl is-enabled {UNITS}").split() == ["enabled", "enabled"]
    installed.container("ecu3")
    members = [installed.member(name) for name in (*NAMES, "ecu3")]
    installed.assert_exactly_once("host:vcan0", *members)


def test_a_second_name(talking: Installed) -> None:
    """Networks of another driver's name, with a state of their own; taken away alone."""
    talking.canwharf("install --driver-name rustyvxcan")
    for verb in ("status", "graph", "doctor", "sync --dry-run"):
        talking.canwharf(f"{verb} --driver-name rustyvxcan")
    (head, *_more) = talking.canwharf("status --driver-name rustyvxcan")
    assert head.startswith("rustyvxcan: the daemon runs")
    talking.sh("docker network create -d rustyvxcan -o can.interface=vcan7 -o can.name=can old")
    talking.container("ecu3", "old")
    talking.assert_exactly_once("host:vcan7", talking.member("ecu3"))
    assert talking.sh("ls /var/lib/canwharf-rustyvxcan") == "state.json"
    said = talking.refusal("uninstall --driver-name rustyvxcan --purge")
    assert "1 endpoints of containers are on buses of rustyvxcan" in said
    talking.sh("docker rm -f ecu3; docker network rm old")
    talking.canwharf("uninstall --driver-name rustyvxcan --purge")
    assert not [each for each in talking.traces() if "rusty" in each]
    assert "canwharf.conf" in talking.sh("ls /etc/modules-load.d")
    assert_talking(talking)


def test_a_power_cut(talking: Installed) -> None:
    """Containers are back by themselves, since the socket and the driver come before Docker."""
    talking.boot_after_power_cut()
    wait_running(talking, *NAMES)
    assert_talking(talking)
    listening = int(talking.property("canwharf.socket", "ActiveEnterTimestampMonotonic"))
    serving = int(talking.property("canwharf.service", "ActiveEnterTimestampMonotonic"))
    docker = int(talking.property("docker.service", "ExecMainStartTimestampMonotonic"))
    assert listening < serving < docker, talking.log("canwharf.* -u docker.service")


def test_the_doctor(talking: Installed) -> None:
    """Of units: not enabled, not running; what it advises fixes it, and so does --fix."""
    assert not [line for line in talking.canwharf("doctor") if line.startswith("failure")]
    talking.sh(f"systemctl disable {UNITS}")
    told = talking.sh(f"env -u PYTHONPATH {PROGRAM} doctor", check=False)
    (failure,) = [line for line in told.splitlines() if line.startswith("failure")]
    what, fix = failure.split("; fix it: ")
    assert what.split()[1] == "units:"
    talking.sh(fix)
    talking.sh(f"systemctl stop {UNITS} && ip link del vcan0")
    talking.canwharf("doctor --fix")
    assert talking.property("canwharf.service", "ActiveState") == "active"
    assert not [line for line in talking.canwharf("doctor") if line.startswith("failure")]
    assert_talking(talking)


@pytest.mark.parametrize(
    ("broken", "stopped"),
    [
        (f"rm {SOCKET}", "systemctl stop canwharf.service; "),
        ("rm -r /run/docker/plugins", ""),
        (f"echo >{SOCKET}.x", ""),
    ],
)
def test_the_socket_file_removed(talking: Installed, broken: str, stopped: str) -> None:
    """By a cleaner, or replaced: systemd listens all the same, and Docker finds nothing.

    The doctor's command brings it back, its --fix does, and so does another install.
    """
    if broken.endswith(".x"):
        broken += f"; mv {SOCKET}.x {SOCKET}"
    talking.sh(stopped + broken)
    told = talking.guest.run(f"env -u PYTHONPATH {PROGRAM} doctor", check=False)
    (failure,) = [line for line in told.stdout.splitlines() if line.startswith("failure")]
    assert told.status == 1
    assert failure.endswith("; fix it: systemctl restart canwharf.socket")
    talking.sh(failure.rpartition(": ")[2])
    assert talking.sh(f"stat -c %a:%U {SOCKET}") == "600:root"
    talking.sh(stopped + broken)
    assert not [line for line in talking.canwharf("doctor --fix") if line.startswith("failure")]
    talking.container("ecu3")
    talking.sh(broken)
    talking.canwharf("install")
    talking.container("ecu4")
    talking.assert_exactly_once(
        "host:vcan0", *(talking.member(name) for name in (*NAMES, "ecu3", "ecu4"))
    )


def test_uninstalled(machine: Installed) -> None:
    """Containers keep talking, networks are kept; with --purge nothing is left. Twice, too."""
    machine.network()
    for name in NAMES:
        machine.container(name, more="--stop-signal KILL")
    assert machine.canwharf("uninstall") == [
        "stopped and disabled canwharf.service, canwharf.socket, canwharf-span.service",
        *(f"removed /etc/systemd/system/{unit}" for unit in usual("canwharf").units),
        *(line.partition(",")[0].replace("wrote", "removed") for line in runtimes(machine)),
        "removed /etc/modules-load.d/canwharf.conf",
        "networks that Docker keeps, and whose containers cannot start without the driver: 1",
    ]
    assert_talking(machine)
    assert "2 endpoints of containers" in machine.refusal("uninstall --purge")
    machine.canwharf("install")
    machine.container("ecu3", more="--stop-signal KILL")
    members = [machine.member(name) for name in (*NAMES, "ecu3")]
    machine.assert_exactly_once("host:vcan0", *members)
    machine.sh("docker rm -f ecu1 ecu2 ecu3")
    dry = machine.canwharf("uninstall --purge --dry-run")
    assert (machine.interfaces(), machine.sh("systemctl is-active canwharf")) == (
        ["vcan0"],
        "active",
    )
    told = machine.canwharf("uninstall --purge")
    said = {line.removeprefix("would ").removesuffix(" and all in it") for line in dry}
    assert {line for line in said if line.startswith(("remove ", "delete "))} == {
        line.replace("removed ", "remove ")
        for line in told
        if line.startswith(("remove", "delete"))
    }
    assert "delete unowned interface vcan0" in told
    assert "removed /var/lib/canwharf" in told
    assert (machine.interfaces(), machine.rules(), machine.traces()) == ([], [], [])
    again = machine.canwharf("uninstall --purge")
    assert again[0] == "there is no canwharf.service and no canwharf.socket"
