"""What a user has from the Debian package: a bus after one command, and all that apt can do.

One board for all, in the order of a machine's life; each test leaves the package installed, and no
network. What is seldom done is in tests/faults/test_package.py.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import zenoh

from canwharf import __version__
from canwharf.cli import main
from canwharf.operator.service.modules import USUAL
from canwharf.span.extra import FOLDER
from lab.guest import Guest
from lab.machine import REPOSITORY
from tests.system.stream import Stream
from tests.world.board import SOCKET, UP, wait_running
from tests.world.installed import OLD
from tests.world.packaged import NAMES, Packaged, build, talk

UNITS = "canwharf.socket canwharf.service"
# The guest's own Python has no zenoh; this machine's runs on each.
LIBRARY = f"/repo/{Path(zenoh.__file__).parents[1].relative_to(REPOSITORY)}"
# A command of another host, which is on the same machine with a bus of its own.
FAR = (
    'python3 -c "import sys; from canwharf.daemon.instance import Instance; '
    "from canwharf.cli import main; Instance.spans = '/share/far.spans'; sys.exit(main())\""
)
HELPER = "/run/canwharf-names/open/socket"
CONNECT = f"import socket; socket.socket(socket.AF_UNIX).connect('{HELPER}')"
# What `canwharf span`, which talks to other hosts and to buses, cannot do without.
EXPOSED = {
    *("PrivateNetwork=", "IPAddressDeny=", "RootDirectory=/RootImage=", "DeviceAllow="),
    *(f"RestrictAddressFamilies=~{each}" for each in ("AF_UNIX", "AF_NETLINK")),
    "RestrictAddressFamilies=~AF_(INET|INET6)",
    "RestrictAddressFamilies=~…",  # AF_CAN's row
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages."""
    return build(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def machine(packages: Path) -> Iterator[Packaged]:
    """A machine with Docker, and nothing of ours."""
    with Guest(os.environ.get("CANWHARF_SYSTEMD_SUITE", "sid"), systemd=True) as guest:
        board = Packaged(guest, packages)
        directory = guest.share / "span"
        with chdir(guest.share):
            for words, where in {
                "init --name a --listen tls/127.0.0.1:7447": directory,
                "invite b": directory,
                "join b.join": guest.share / "far",
            }.items():
                assert main(["span", *words.split(), "--directory", str(where)]) == 0
        yield board


@pytest.fixture
def installed(machine: Packaged) -> Iterator[Packaged]:
    """The machine with the package; what a test leaves behind is its failure."""
    if machine.property("canwharf.service", "ActiveState") != "active":
        machine.install()
    yield machine
    machine.clean()
    left = machine.interfaces(), machine.rules()
    assert left == ([], []), f"left behind: {left}\n{machine.state()}"


def assert_talking(board: Packaged, *names: str) -> None:
    board.assert_exactly_once("host:vcan0", *(board.member(name) for name in names or NAMES))


def test_one_command_and_docker_has_the_driver(machine: Packaged) -> None:
    """It is enabled, running, and starts no Python but the system's own."""
    machine.apt(f"install /share/canwharf_{OLD}_all.deb")
    machine.network()
    machine.container("ecu1")
    machine.assert_exactly_once("host:vcan0", machine.member("ecu1"))
    assert machine.sh(f"systemctl is-enabled {UNITS}").split() == ["enabled", "enabled"]
    assert machine.sh(f"stat -c %a:%U {SOCKET}") == "600:root"
    loaded = machine.sh("lsmod")
    assert all(module.replace("-", "_") in loaded for module in USUAL)
    assert machine.canwharf("--version") == [f"canwharf {OLD}"]
    assert not [line for line in machine.canwharf("doctor") if line.startswith("failure")]
    assert machine.sh("find /usr/share/canwharf -name '*.pyc' | head -n 1")
    pages = {"man/man1/canwharf.1.gz", "bash-completion/completions/canwharf"}
    assert {f"/usr/share/{each}" for each in pages} <= set(machine.sh("dpkg -L canwharf").split())
    machine.clean()


def test_upgraded_while_frames_run(machine: Packaged) -> None:
    """The old package's networks and containers, the new program, every frame, every call."""
    talk(machine)
    assert machine.uses() == OLD
    held = machine.property("canwharf.socket", "ActiveEnterTimestampMonotonic")
    stream = Stream(machine, *NAMES)
    upgrade = machine.guest.start(f"apt-get -q -y install /share/canwharf_{__version__}_all.deb")
    for number in range(3):  # Docker's calls, before, during and after
        machine.network(f"bus{number + 1}", f"-o can.interface=vcan{number + 1} -o can.name=can")
    upgrade.wait(300)
    assert stream.end() > 1000
    assert machine.uses() == __version__
    assert machine.property("canwharf.socket", "ActiveEnterTimestampMonotonic") == held
    machine.container("ecu3")
    assert_talking(machine, *NAMES, "ecu3")
    machine.clean()


def test_what_starts_at_a_boot_stays_as_it_was_chosen(installed: Packaged) -> None:
    """The socket alone, for a quick boot, also after an upgrade."""
    installed.sh("systemctl disable canwharf.service && systemctl enable canwharf.socket")
    installed.apt(f"install --reinstall /share/canwharf_{__version__}_all.deb")
    said = installed.sh(f"systemctl is-enabled {UNITS}", check=False)
    assert said.split() == ["enabled", "disabled"]
    installed.sh("systemctl enable canwharf.service")


def test_neither_pip_nor_the_caller_can_break_it(installed: Packaged) -> None:
    """A half-removed canwharf of pip's, PYTHONPATH, or a file of site's that does not run."""
    local = installed.sh("python3 -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'")
    installed.sh(
        f"mkdir -p {local}/canwharf && echo broken= > {local}/canwharf/__init__.py && "
        f"echo 'import nonesuch' > {local}/broken.pth"
    )
    installed.sh("systemctl restart canwharf.service")
    assert installed.canwharf("--version") == [f"canwharf {__version__}"]
    told = installed.sh(f"PYTHONPATH={local} canwharf --version")
    assert told == f"canwharf {__version__}"
    installed.sh(f"rm -r {local}/canwharf {local}/broken.pth")


def test_a_bus_across_hosts_as_a_service(installed: Packaged) -> None:
    """It says what is missing; then without a right, with a key that root alone can read.

    Killed it is back, and after a power cut. `tests/system/test_span.py` has two hosts.
    """
    unit, where = "canwharf-span.service", "/etc/canwharf/span"
    assert installed.sh(f"systemctl is-enabled {unit}", check=False) == "disabled"
    installed.network(options="-o can.name=can -o can.span=bench7")
    installed.container("ecu1", more="--restart always --stop-signal KILL")
    installed.sh(f"mkdir -p /etc/canwharf && cp -r /share/span {where}")
    installed.sh(f"systemctl start {unit}", check=False)
    said = f"timeout 60 sh -c 'until journalctl -u {unit} | grep -q \"{{}}\"; do :; done'"
    installed.sh(said.format("zenoh, which connects hosts, is not installed: pip install --target"))
    installed.sh(f"mkdir -p {FOLDER} && cp -r {LIBRARY}/zenoh {FOLDER}")
    installed.sh(f"systemctl enable --now {unit}")
    installed.sh(said.format("vcan0 is in the span bench7"))
    process = installed.property(unit, "MainPID")
    facts = installed.sh(f"cat /proc/{process}/status")
    assert re.search(r"^CapBnd:\t0+$", facts, re.MULTILINE)
    assert not re.search(r"^Uid:\t0\t", facts, re.MULTILINE)
    told = installed.sh(f"systemd-analyze security --no-pager {unit}")
    exposed = {line.split()[1] for line in told.splitlines() if line.startswith("✗")}
    assert exposed <= EXPOSED, told
    assert any("canwharf span' connects vcan0" in line for line in installed.canwharf("doctor"))
    alive = f"systemctl show -P WatchdogTimestampMonotonic {unit}"
    begun = installed.property(unit, "ActiveEnterTimestampMonotonic")
    installed.sh(f"timeout 60 sh -c 'until [ $({alive}) -gt {begun} ]; do :; done'")
    assert_names_are_known(installed)
    installed.sh(f"systemctl kill --signal KILL {unit}")
    changed = f"until [ $(systemctl show -P MainPID {unit}) -gt 0 ] && "
    changed += f"[ $(systemctl show -P MainPID {unit}) != {process} ]; do :; done"
    installed.sh(f"timeout 60 sh -c '{changed}'")
    installed.boot_after_power_cut()
    installed.sh(said.format("vcan0 is in the span bench7"))
    wait_running(installed, "ecu1")
    installed.assert_exactly_once("host:vcan0", installed.member("ecu1"))
    installed.apt("remove canwharf")
    assert installed.property(unit, "ActiveState") == "inactive"
    installed.sh("rm -r /etc/canwharf /usr/local/lib/canwharf")
    installed.install()
    assert installed.sh(f"systemctl is-enabled {unit}", check=False) == "enabled"
    installed.sh(f"systemctl disable {unit}")


def assert_names_are_known(board: Packaged) -> None:
    """At another host, though the service may not ask Docker; and nobody else is told."""
    board.network("bus1", "-o can.name=can -o can.interface=vcan1")
    buses = {"vcan1": {"name": "bench7", "max_age": 0}}
    content = json.dumps({"version": 1, "driver": "canwharf", "buses": buses})
    (board.guest.share / "far.spans").write_text(content)
    with_zenoh = {"PYTHONPATH": f"/repo/src:{LIBRARY}"}
    far = board.guest.start(f"exec {FAR} span --directory /share/far", env=with_zenoh)
    far.wait_for("a is there", UP)
    board.sh("docker exec -d ecu1 cangen can0 -g 100")
    board.sh(f"timeout 60 {FAR} dump bus1 | grep -m 1 ' a/ecu1 '")
    board.sh("docker restart ecu1 && pkill -f '[f]ar.spans'")
    assert '": "ecu1"' in board.canwharf("names")[0]
    for stranger in (
        "setpriv --reuid 65534 --regid 65534 --clear-groups",
        "systemd-run --quiet --pipe --wait --property DynamicUser=yes",
    ):
        assert "Permission denied" in board.refused(f'{stranger} python3 -c "{CONNECT}"')
    board.sh("docker network rm bus1")


def test_a_power_cut(installed: Packaged) -> None:
    """Containers are back by themselves, since the socket and the driver come before Docker."""
    talk(installed)
    installed.boot_after_power_cut()
    wait_running(installed, *NAMES)
    assert_talking(installed)


@pytest.mark.long
def test_removed_and_installed_again(installed: Packaged) -> None:
    """Containers keep talking, networks are kept, and Docker does not wait for who is gone."""
    talk(installed)
    stream = Stream(installed, *NAMES)
    installed.apt("remove canwharf")
    assert stream.end() > 100
    assert_talking(installed)
    assert installed.sh("ls /var/lib/canwharf") == "state.json"
    assert installed.sh(f"ls {SOCKET} /usr/share/canwharf 2>/dev/null", check=False) == ""
    assert "canwharf" in installed.refused("docker run --rm --network bus0 ecu true")
    installed.install()
    installed.container("ecu3")
    assert_talking(installed, *NAMES, "ecu3")


def test_purged_nothing_is_left(installed: Packaged) -> None:
    """But apt's own records, and what a running bus holds until the next boot."""
    installed.apt("purge canwharf")
    left = [line for line in installed.traces() if not line.startswith("/var/lib/apt")]
    assert left == []


def test_before_docker_is_there(machine: Packaged) -> None:
    """It is installed and serves; Docker, which comes later, finds it."""
    machine.sh("systemctl stop docker.service docker.socket")
    machine.install()
    machine.sh("systemctl start docker.service")
    talk(machine)
    assert_talking(machine)
    machine.clean()
