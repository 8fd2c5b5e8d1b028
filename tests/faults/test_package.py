"""The one Debian package, on the oldest Debian that it is for, and through release upgrades."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf import __version__
from lab import deb
from lab.guest import Guest
from tests.world.packaged import NAMES, Packaged, talk


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the package."""
    return deb.build(tmp_path_factory.mktemp("packages")).parent


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
