"""Debian's package, made and checked in a root of its own, the same on any machine.

    python3 -m lab.deb dist      # `make deb`: dist/canwharf_VERSION_all.deb

packaging/debian is an ordinary source package: on Debian 13 or later, with what its Build-Depends
name, `cp -r packaging/debian . && dpkg-buildpackage -b -us -uc` makes the same. What debhelper
writes into a package's scripts differs from release to release, so here it is always that of SUITE,
and nothing is installed on this machine.

Rule: a package against which lintian has a warning is not made; it looks at the manual, too.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from lab import cache
from lab.cache import Report, say
from lab.errors import LabError
from lab.machine import REPOSITORY
from lab.root import debootstrap, ensure_tools, run_tool
from lab.suites import Suite

SUITE = Suite("trixie", packages=("debhelper", "dh-python", "lintian", "man-db", "python3"))
# What of the repository goes into the package.
SOURCES = ("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "docs", "packaging", "src")
# $1 is the root, $2 a folder for the source and what is made of it. No compiler has a part in it,
# which dpkg-buildpackage would ask for (-d).
BUILD = """
mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/tmp" && mount --bind "$2" "$1/mnt" &&
exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 sh -euc '
cd /mnt/source
dpkg-buildpackage -d -b -us -uc
lintian --allow-root --fail-on error,warning ../*.deb >&2
'
"""


def build(folder: Path, version: str = "", report: Report = say) -> Path:
    """Make the package; its path. Raises LabError.

    Another `version` than the source's own is for tests of an upgrade.
    """
    root = _root(report)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="canwharf-deb-") as name:
        place = Path(name)
        _lay_out(place / "source", version)
        run_tool(["unshare", "--mount", "sh", "-c", BUILD, "sh", str(root), name])
        (made,) = place.glob("*.deb")
        return Path(shutil.copy(made, folder / made.name))


def _root(report: Report) -> Path:
    """A root with Debian's tools for packages."""

    def make(target: Path) -> None:
        ensure_tools(report)
        debootstrap(SUITE, target, ["--variant=minbase"], report)

    recipe = cache.key(SUITE.name, SUITE.packages)
    return cache.entry(f"package-tools-{recipe}", "Debian's tools for packages", make, report)


def _lay_out(source: Path, version: str) -> None:
    """A Debian source package: the repository's files, with debian/ at the top."""
    source.mkdir()
    without = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=without)
        else:
            shutil.copy(path, source)
    shutil.copytree(source / "packaging/debian", source / "debian")
    if version:
        _replace(
            source / "src/canwharf/__init__.py", r"^__version__ = .*", f'__version__ = "{version}"'
        )
        _replace(source / "debian/changelog", r"^canwharf \(.*\)", f"canwharf ({version})")


def _replace(path: Path, pattern: str, text: str) -> None:
    path.write_text(re.sub(pattern, text, path.read_text(), count=1, flags=re.MULTILINE))


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser("python3 -m lab.deb", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the package goes")
    made = build(parser.parse_args().folder)
    say(f"{made} is ready: apt install ./{made.name}")


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        sys.exit(f"lab: {error}")
