"""sid's User-Mode Linux under the suite's root: for processors on which the suite's own dies.

User-Mode Linux before 6.13 keeps a process's registers in a buffer that is smaller than those of
processors with AMX, and panics at its first process ("ptrace set fp regs failed"). sid's does not.
The guest's programs, Docker and Python are the suite's; its kernel is not.

The kernel needs sid's C library and nothing else of sid, so its folder is small (200 MB).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lab import cache
from lab.boot import Wiring
from lab.boot.uml import no_uml, uml_command
from lab.cache import Report
from lab.root import debootstrap, ensure_tools
from lab.suites import SUITES

SUITE = replace(SUITES["sid"], packages=("user-mode-linux",))
LEFT_OUT = ("path-exclude=/usr/share/*",)
# The extracted packages lack what the package base-files would bring.
LINKS = {"lib": "usr/lib", "lib64": "usr/lib64"}
# Where `enter` mounts something.
FOLDERS = ("proc", "dev", "repo", "share", "mnt")


@dataclass(frozen=True, slots=True)
class UmlSid:
    """sid's User-Mode Linux, with sid's libraries, under the root of any suite."""

    name: str = "uml-sid"
    what: str = "sid's User-Mode Linux"
    suites_kernel: bool = False
    limit: float = 120.0
    hang_counts: bool = False
    patience: float = 1.0

    def obstacle(self) -> str | None:
        """Not worth a try where there is no User-Mode Linux."""
        return no_uml()

    def command(self, wiring: Wiring, report: Report) -> list[str]:
        """Run the kernel in its folder, which is made first (20 s, once)."""
        return uml_command(wiring, kernel=ensure_kernel(report), rootflags="/mnt")


def ensure_kernel(report: Report) -> Path:
    """The folder with sid's User-Mode Linux, made first if the cache does not have it."""

    def make(target: Path) -> None:
        ensure_tools(report)
        debootstrap(SUITE, target, ["--variant=extract"], report, dpkg=LEFT_OUT)
        for link, goal in LINKS.items():
            (target / link).symlink_to(goal)
        for folder in FOLDERS:
            (target / folder).mkdir(exist_ok=True)

    recipe = cache.key(SUITE.packages, SUITE.apt, LEFT_OUT, LINKS, FOLDERS)
    return cache.entry(f"kernel-uml-sid-{recipe}", "sid's User-Mode Linux", make, report)
