"""A board as its owner set it up: real systemd, and the Debian package."""

from __future__ import annotations

import shutil
from pathlib import Path

from canwharf import __version__
from lab import deb
from lab.guest import Guest
from tests.world.installed import OLD, Booted

NAMES = ("ecu1", "ecu2")


def build(folder: Path) -> Path:
    """The package, and one of a version before this one; the folder that has both."""
    for version in (OLD, __version__):
        deb.build(folder, version)
    return folder


class Packaged(Booted):
    """A board that has both packages in /share, and none of them installed."""

    program = "canwharf"

    def __init__(self, guest: Guest, packages: Path) -> None:
        super().__init__(guest)
        for path in packages.glob("*.deb"):
            shutil.copy(path, guest.share)

    def apt(self, words: str) -> str:
        """What apt and the package's scripts say; the lab has no archive to fetch from."""
        return self.sh(f"env -u PYTHONPATH apt-get -q -y --no-install-recommends {words} 2>&1")

    def install(self, version: str = __version__) -> str:
        """Install a package, or upgrade to it."""
        return self.apt(f"install /share/canwharf_{version}_all.deb")

    def uses(self) -> str:
        """The version of the daemon that serves, as it said when it began."""
        serving = [line for line in self.log().splitlines() if "serving" in line]
        return serving[-1].rpartition("version=")[2].split()[0]


def talk(board: Packaged) -> None:
    """Two containers on a bus."""
    board.network()
    for name in NAMES:
        board.container(name, more="--restart always --stop-signal KILL")
