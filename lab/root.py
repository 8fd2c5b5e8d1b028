"""A guest's root file system: packages of one Debian release in a folder of the cache.

Rules: the folder is made once by mmdebstrap and never written again; guests lay a tmpfs over
it. Everything that a guest's host side mounts into it has its folder made here, because the
root is mounted read-only. Tools that the machine lacks are installed by package name, and
that is said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import cache
from lab.cache import Report, say
from lab.errors import LabError
from lab.suites import UML, Suite, mirror, suite_named

# Files that show a tool is there -> the package that brings it (the same in Debian and Ubuntu).
TOOLS = (
    ("mmdebstrap", "mmdebstrap"),
    ("unshare", "util-linux"),
    ("mkfs.ext4", "e2fsprogs"),
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

DPKG_STATE = Path("/var/lib/dpkg")

# An ordinary user may mount as root of a user namespace, with the user's range in /etc/subuid.
AS_ROOT = "unshare --user --map-root-user --map-auto --pid --fork --mount-proc"

ADMIN_PATH = f"/usr/sbin:/sbin:{os.environ.get('PATH', '/usr/bin:/bin')}"

# "$1" is the new root. The kernel's modules are where User-Mode Linux's package puts them (the
# folder is made where there is no such package), but modprobe looks in /lib/modules.
CUSTOMIZE = (
    *(() if UML else ('mkdir -p "$1/usr/lib/uml/modules"',)),
    'mkdir -p "$1/repo" "$1/share" "$1/persist" "$1/var/lib/docker" "$1/var/lib/canwharf"',
    'rm -rf "$1/usr/lib/modules" && ln -s uml/modules "$1/usr/lib/modules"',
)
DPKG = ("path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*")


def ensure_root(suite: str | Suite, report: Report = say) -> Path:
    """The root folder of a suite; made first if the cache does not have it (about 30 s).

    Raises LabError when the machine lacks a tool that cannot be installed, or mmdebstrap fails.
    """
    row = suite_named(suite) if isinstance(suite, str) else suite

    def make(target: Path) -> None:
        ensure_tools(report)
        debootstrap(row, target, ["--variant=minbase"], report, dpkg=DPKG, hooks=CUSTOMIZE)

    return cache.entry(root_name(row), f"the {row.name} root", make, report)


def root_name(suite: Suite) -> str:
    """The cache entry of a suite's root, named by its recipe."""
    recipe = cache.key(suite.name, suite.packages, suite.apt, CUSTOMIZE, DPKG)
    return f"root-{suite.name}-{recipe}"


def ensure_tools(report: Report = say, *more: tuple[str, str]) -> None:
    """Install what the lab needs on this machine and does not find: TOOLS, and `more` of the kind.

    Raises LabError when that cannot be done.
    """
    if os.geteuid() != 0:
        raise LabError(f"the lab mounts folders: run it as root, or behind `{AS_ROOT}`")
    missing = [
        package for tool, package in (*TOOLS, *more) if not shutil.which(tool, path=ADMIN_PATH)
    ]
    if not KEYRING.exists():
        missing.append("debian-archive-keyring")
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"missing on this machine: {' '.join(missing)} (and there is no apt-get)")
    if not os.access(DPKG_STATE, os.W_OK):  # root of a user namespace, and of nothing else
        raise LabError(f"missing on this machine; as root: apt-get install {' '.join(missing)}")
    report(f"installing on this machine, by apt-get: {' '.join(missing)}")
    quiet = ["apt-get", "-q", "-y", "--no-install-recommends"]
    if _apt([*quiet, "install", *missing]).returncode:
        _apt([*quiet, "update"])  # the package lists may be old or absent
        last = _apt([*quiet, "install", *missing])
        if last.returncode:
            raise LabError(f"apt-get install {' '.join(missing)} failed:\n{last.stdout[-2000:]}")


def _apt(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_tool(command: list[str]) -> None:
    """Run one of the machine's own programs. Raises LabError with what it said."""
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": ADMIN_PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{' '.join(command)} failed:\n{done.stderr}")


def debootstrap(
    suite: Suite,
    target: Path,
    how: Sequence[str],
    report: Report,
    *,
    dpkg: Sequence[str] = (),
    hooks: Sequence[str] = (),
) -> None:
    """Make a folder of a suite's packages, by mmdebstrap: `how` are its own options.

    `dpkg` are options for dpkg, `hooks` commands for a shell whose $1 is the folder.
    Raises LabError when mmdebstrap fails.
    """
    source = f"deb [signed-by={KEYRING}] {mirror()} {suite.name} main"
    command = [
        # In namespaces of its own, so that neither a mount nor a process outlives this one.
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("mmdebstrap", "--mode=root", "--format=directory", *how),
        f"--include={','.join(suite.packages)}",
        *(f"--aptopt={option}" for option in suite.apt),
        *(f"--dpkgopt={option}" for option in dpkg),
        *(f"--customize-hook={hook}" for hook in hooks),
        *(suite.name, str(target), source),
    ]

    def tell(line: str) -> None:
        if line.startswith("I: ") and "hook" not in line:  # its stages, a few seconds each
            report(f"{suite.name}: {line[3:].strip()}")

    follow(command, f"mmdebstrap failed for {suite.name}", tell)


def follow(command: Sequence[str], failed: str, tell: Callable[[str], None]) -> None:
    """Run one of the machine's own programs, and `tell` each line that it prints.

    Raises LabError with its last lines behind `failed`. It never outlives this call: where the
    first word is `unshare --kill-child`, neither does anything that it started.
    """
    said: deque[str] = deque(maxlen=30)
    with subprocess.Popen(
        command,
        env={**os.environ, "PATH": ADMIN_PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                said.append(line)
                tell(line)
        except BaseException:  # Ctrl-C does not reach a pid namespace's first process
            child.kill()
            raise
    if child.returncode:
        raise LabError(f"{failed}:\n{''.join(said)}")
