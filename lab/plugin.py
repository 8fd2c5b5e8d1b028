"""The managed plugin: a folder that `docker plugin create NAME FOLDER` takes.

    python3 -m lab.plugin dist/plugin-arm64 --arch arm64      # `make plugin` for each of ARCHES

The folder holds `config.json` (packaging/plugin) and `rootfs/`: the Python of a Debian release,
and canwharf. Nothing of it is run for its making, so an architecture needs no emulation.

Rules:

- A root file system that ships is of today's packages; only the lab's own tests take the cached
  one. What the plugin does not need is left out, by the table LEFT_OUT.
- What the daemon imports is compiled: Docker waits 25 s for a plugin's socket, and Python on a
  slow board takes some of these to compile. Bytecode knows no architecture, so a Python of this
  machine's makes it for all.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
from pathlib import Path

from lab import cache
from lab.cache import Report, say
from lab.errors import LabError
from lab.machine import HERE, REPOSITORY
from lab.root import debootstrap, ensure_tools, run_tool
from lab.suites import Suite

SUITE = Suite("trixie", packages=("python3",))
# Debian's name for each, and the machine in the header of its programs (elf.h's e_machine).
ARCHES = {"amd64": 62, "arm64": 183}
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}

# Kept small: neither the package tools that Python's packages depend on, nor what only an
# interactive or a graphical Python needs.
LEFT_OUT = (
    *("/usr/share/*", "/usr/sbin/*", "/var/cache/*", "/usr/lib/*/gconv/*", "/usr/lib/*/audit/*"),
    *("/usr/bin/d*", "/usr/bin/p[!y]*", "/usr/bin/py[!t]*", "/usr/bin/tar", "/usr/bin/update*"),
    *("/usr/lib/*/libdb-*", "/usr/lib/*/libsqlite*", "/usr/lib/*/libreadline*"),
    *("/usr/lib/*/libncurses*", "/usr/lib/*/libhistory*", "/usr/lib/*/libpanel*"),
    *(f"/usr/lib/python3.*/{name}/*" for name in ("test", "pydoc_data", "unittest", "_pyrepl")),
    *(f"/usr/lib/python3.*/{name}/*" for name in ("ensurepip", "sqlite3", "curses", "tomllib")),
    *(f"/usr/lib/python3.*/lib-dynload/{name}*" for name in ("_test", "_codecs", "_sqlite3")),
    *(f"/usr/lib/python3.*/lib-dynload/{name}*" for name in ("_curses", "readline", "xx")),
)
# Debian's own folders are links into /usr, which a package of no concern here makes.
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "/run"}
# Places to mount on: the container's own, the host's, and two for the compiler.
PLACES = ("proc", "sys", "run", "var/lib", "usr/lib64", "mnt", "media")
OURS = "usr/lib/python3/dist-packages/canwharf"
# $1 is a tree whose Python compiles, $2 the new one, $3 this folder.
COMPILE = """
mount --bind "$2" "$1/mnt" && mount --bind "$3" "$1/media" &&
exec chroot "$1" /usr/bin/python3 -I -B /media/compile.py /mnt
"""


def native() -> str:
    """This machine's architecture. Raises LabError where there is no plugin for it."""
    try:
        return _MACHINES[platform.machine()]
    except KeyError:
        raise LabError(f"no plugin is made for {platform.machine()}") from None


def build(arch: str, folder: Path, report: Report = say) -> None:
    """Make the plugin's folder anew, of today's packages. Raises LabError."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    ensure_tools(report)
    _packages(arch, folder / "rootfs", report)
    _finish(folder, report)


def cached(arch: str, folder: Path, report: Report = say) -> None:
    """Make the plugin's folder with the packages in the cache: for tests. Raises LabError."""
    folder.mkdir(parents=True)
    run_tool(["cp", "-a", "--reflink=auto", str(_kept(arch, report)), str(folder / "rootfs")])
    _finish(folder, report)


def _kept(arch: str, report: Report) -> Path:
    """The cached packages."""

    def make(target: Path) -> None:
        ensure_tools(report)
        _packages(arch, target, report)

    recipe = cache.key(SUITE, arch, LEFT_OUT, LINKS, PLACES)
    return cache.entry(f"plugin-{arch}-{recipe}", f"the plugin's packages ({arch})", make, report)


def _packages(arch: str, target: Path, report: Report) -> None:
    how = ["--variant=extract", f"--architectures={arch}"]
    left_out = [f"path-exclude={path}" for path in LEFT_OUT]
    debootstrap(SUITE, target, how, report, dpkg=left_out)
    for place in PLACES:
        (target / place).mkdir(parents=True, exist_ok=True)
    for link, goal in LINKS.items():
        (target / link).symlink_to(goal)


def _finish(folder: Path, report: Report) -> None:
    """Add canwharf to the packages, and the description."""
    rootfs = folder / "rootfs"
    no_bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src/canwharf", rootfs / OURS, ignore=no_bytecode)
    compiler = _kept(native(), report)
    run_tool(
        ["unshare", "--mount", "sh", "-c", COMPILE, "sh", str(compiler), str(rootfs), str(HERE)]
    )
    shutil.copy(REPOSITORY / "packaging/plugin/config.json", folder)


def main() -> None:
    """Make one."""
    parser = argparse.ArgumentParser("python3 -m lab.plugin", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arch", choices=ARCHES, default=native(), help="(%(default)s)")
    options = parser.parse_args()
    build(options.arch, options.folder)
    say(f"{options.folder} is ready: docker plugin create canwharf {options.folder}")


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        sys.exit(f"lab: {error}")
