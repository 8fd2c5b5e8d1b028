"""The one Debian package, on the oldest Debian that it is for, and after another install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from canwharf import __version__
from lab import deb
from lab.guest import Guest
from tests.world.installed import PROGRAM
from tests.world.packaged import NAMES, Packaged, talk

UNITS = "canwharf.socket canwharf.service"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the package."""
    return deb.build(tmp_path_factory.mktemp("packages")).parent


@pytest.fixture(scope="module")
def machine(packages: Path, suite: str) -> Iterator[Packaged]:
    """A machine with Docker and the package."""
    with Guest(suite, systemd=True) as guest:
        board = Packaged(guest, packages)
        board.install()
        yield board


@pytest.fixture
def installed(machine: Packaged) -> Iterator[Packaged]:
    """The machine; what a test leaves behind is its failure."""
    yield machine
    machine.clean()
    assert (machine.interfaces(), machine.rules()) == ([], [])


def test_the_oldest_debian_takes_the_same_package(packages: Path) -> None:
    """Python 3.11, an older systemd and an older Docker; tests/system has the newest."""
    with Guest("bookworm", systemd=True) as guest:
        board = Packaged(guest, packages)
        board.sh(f"dpkg -i /share/canwharf_{__version__}_all.deb")
        talk(board)
        members = [board.member(name) for name in NAMES]
        board.assert_exactly_once("host:vcan0", *members)
        assert "cpython-311.pyc" in board.sh("find /usr/share/canwharf -name '*.pyc'")
        board.apt("purge canwharf")
        board.assert_exactly_once("host:vcan0", *members)


def test_the_package_takes_over_from_an_earlier_install(installed: Packaged) -> None:
    """Of a zipapp, with its networks; from then on only the package's program serves."""
    talk(installed)
    installed.apt("remove canwharf")
    installed.sh(f"/repo/packaging/zipapp.sh python3 {PROGRAM}")
    installed.sh(f"env -u PYTHONPATH {PROGRAM} install")
    said = installed.install()
    assert "'/usr/bin/canwharf install' changes that" in said
    told = installed.sh("env -u PYTHONPATH /usr/bin/canwharf doctor", check=False)
    assert "/etc/systemd/system override the package's" in told
    assert "upgrade the package" in installed.refused(f"env -u PYTHONPATH {PROGRAM} install")
    told = installed.sh("env -u PYTHONPATH /usr/bin/canwharf install")
    unit = "/etc/systemd/system/canwharf.service"
    assert f"moved {unit} to {unit}.old: the package's unit takes its place" in told
    installed.sh(f"rm {PROGRAM} /etc/systemd/system/*.old /etc/modules-load.d/*.old; hash -r")
    assert installed.sh(f"systemctl is-enabled {UNITS}").split() == ["enabled", "enabled"]
    links = installed.sh("readlink /etc/systemd/system/*.target.wants/canwharf.*").split()
    assert links == [f"/usr/lib/systemd/system/canwharf.{kind}" for kind in ("service", "socket")]
    doctor = installed.canwharf("doctor")
    assert any(line.endswith("(a package's)") for line in doctor)
    assert "apt remove canwharf" in installed.refusal("uninstall")
    installed.container("ecu3")
    members = [installed.member(name) for name in (*NAMES, "ecu3")]
    installed.assert_exactly_once("host:vcan0", *members)


def test_a_second_name_goes_with_the_package(installed: Packaged) -> None:
    """Its units run the package's program: without it, Docker would wait for ever."""
    installed.canwharf("install --driver-name other")
    installed.sh("docker network create -d other --ipam-driver null -o can.interface=vcan7 b7")
    installed.apt("remove canwharf")
    assert "canwharf-other" not in installed.sh("ls /etc/systemd/system")
    installed.install()
    installed.canwharf("install --driver-name other")
    installed.sh("docker network rm b7")
    installed.canwharf("uninstall --driver-name other --purge")
