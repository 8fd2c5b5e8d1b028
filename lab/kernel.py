"""The lab's own kernel: User-Mode Linux with all of CAN built in, made of Debian's source.

`make kernel` builds it, and of it the wheel canwharf-kernel (lab.kernel_wheel); `kernel.config`
says what is in it, and why; `kernel.patches` change the source, and say why; `kernel.sh` are the
steps.

Rules: the source is what sid has on the day of the build, so nowhere is a version named. It is
built by the tools of the oldest suite, and needs no library, so it starts in the root of every
suite, and on this machine, whose own compiler has no part in it. The same source and tools give
the same kernel, byte for byte.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lab import cache
from lab.cache import Report, say
from lab.root import debootstrap, ensure_tools, follow
from lab.suites import SUITES, Suite

HERE = Path(__file__).resolve().parent
FRAGMENT, STEPS, PATCHES = (HERE / f"kernel.{kind}" for kind in ("config", "sh", "patches"))

# linux-source depends on the newest linux-source-X.Y, whose archive is all that is kept.
SOURCE = Suite("sid", packages=("linux-source",), apt=SUITES["sid"].apt)
# Its changelog says which version it is.
ARCHIVE_ONLY = (
    "path-exclude=/*",
    "path-include=/usr/src/*",
    "path-include=/usr/share/doc/linux-source-*/*",
)
TOOLS = Suite(
    "bookworm",
    packages=("bc", "bison", "flex", "gcc", "kmod", "libc6-dev", "make", "patch", "xz-utils"),
)

PROGRESS = 5.0  # seconds between two lines about it
# $1 are the tools, $2 the source's folder, $3 this one, $4 the new kernel's. What the build sees
# is the same wherever these are, and whatever the caller's environment.
BUILD = """
mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/tmp" &&
mount --bind "$2" "$1/media" && mount --bind "$3" "$1/srv" && mount --bind "$4" "$1/mnt" &&
exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    sh /srv/kernel.sh /media /srv/kernel.config /srv/kernel.patches /mnt
"""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel in the cache: a folder in which a boot strategy can start it."""

    folder: Path

    @property
    def program(self) -> Path:
        """The kernel, an ordinary program; it needs no library."""
        return self.folder / "usr/bin/linux.uml"

    @property
    def release(self) -> str:
        """As `uname -r` says it in a guest."""
        return self.modules.name

    @property
    def version(self) -> str:
        """The release without our suffix, as `7.2.13`."""
        return self.release.partition("-")[0]

    @property
    def modules(self) -> Path:
        """What modprobe reads in a guest: a folder that has the release's name."""
        (folder,) = (self.folder / "usr/lib/uml/modules").iterdir()
        return folder

    @property
    def config(self) -> Path:
        """The whole of its configuration."""
        return self.folder / "config"

    @property
    def licenses(self) -> Path:
        """A folder with the texts of its licenses."""
        return self.folder / "licenses"

    @property
    def made_of(self) -> list[str]:
        """Its source packages: name, version, and what of them is in it."""
        return (self.folder / "made-of").read_text().splitlines()


def ensure_kernel(report: Report = say) -> Kernel:
    """The lab's own kernel; made first if the cache does not have it (5 to 10 min on 2 cores).

    Raises LabError when the machine lacks a tool that cannot be installed, or the build fails.
    """

    def make(target: Path) -> None:
        ensure_tools(report)
        source, tools = _source(report), _tools(report)
        target.mkdir()
        _build(tools, source, target, report)

    made_of = (SOURCE.name, SOURCE.packages, TOOLS.name, TOOLS.packages)
    files = (FRAGMENT, STEPS, *sorted(PATCHES.iterdir()))
    recipe = cache.key(made_of, BUILD, *(file.read_bytes() for file in files))
    return Kernel(cache.entry(f"kernel-own-{recipe}", "the lab's own kernel", make, report))


def ensure_source(report: Report = say) -> Path:
    """The archive of which the kernel was built: linux-source-X.Y.tar.xz. Raises LabError."""
    (archive,) = _source(report).glob("usr/src/linux-source-*")
    return archive


def _source(report: Report) -> Path:
    """The files of Debian's package with the kernel's source, in a folder."""

    def make(target: Path) -> None:
        report("fetching the kernel's source (160 MB)")
        debootstrap(SOURCE, target, ["--variant=extract"], report, dpkg=ARCHIVE_ONLY)

    name = f"kernel-own-source-{cache.key(SOURCE.name, SOURCE.packages, ARCHIVE_ONLY)}"
    return cache.entry(name, "the kernel's source", make, report)


def _tools(report: Report) -> Path:
    """A root with a compiler."""

    def make(target: Path) -> None:
        debootstrap(TOOLS, target, ["--variant=minbase"], report)

    return cache.entry(
        f"kernel-own-tools-{cache.key(TOOLS.name, TOOLS.packages)}",
        "the kernel's tools",
        make,
        report,
    )


def _build(tools: Path, source: Path, target: Path, report: Report) -> None:
    """Run the steps, and say every few seconds where they are."""
    command = [
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BUILD, "sh"),
        *(str(path) for path in (tools, source, HERE, target)),
    ]
    compiled, told = 0, time.monotonic()

    def tell(line: str) -> None:
        nonlocal compiled, told
        if line.startswith("  CC "):
            compiled += 1
            if time.monotonic() - told > PROGRESS:
                told = time.monotonic()
                report(f"the kernel: {compiled} files compiled, now {line.rsplit(maxsplit=1)[-1]}")
        elif not line.startswith(" "):
            report(f"the kernel: {line.strip()}")

    follow(command, "the kernel's build failed", tell)
