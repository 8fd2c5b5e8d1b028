"""The Debian releases a guest can be made of, and where their packages come from.

Rule: a release is a row of this table and nowhere is a version number compared; what differs
between releases is a field. The versions in the comments were seen once and will move on.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lab.errors import LabError

FALLBACK_MIRROR = "http://deb.debian.org/debian"

# There is User-Mode Linux for this architecture only; elsewhere a guest boots by QEMU.
UML = ("user-mode-linux",) if platform.machine() == "x86_64" else ()
PACKAGES = (
    "busybox-static",
    "ca-certificates",
    "can-utils",
    "dbus",
    "docker.io",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "procps",
    "python3",
    "python3-hypothesis",
    "python3-pytest",
    "strace",
    "systemd",
    "systemd-sysv",
    *UML,
    "util-linux",
)


@dataclass(frozen=True, slots=True)
class Suite:
    """One Debian release: its own packages and apt settings."""

    name: str
    packages: tuple[str, ...] = PACKAGES
    apt: tuple[str, ...] = ()


WITH_CLI = tuple(sorted((*PACKAGES, "docker-cli", "docker-compose")))
# Podman, also without root (passt, uidmap), and what speaks to containerd as a kubelet does;
# containerd itself comes with docker.io.
RUNTIMES = (
    "catatonit",  # what Podman runs as the first container of a pod
    "containernetworking-plugins",
    "crun",
    "netavark",
    "passt",
    "podman",
    "podman-compose",
    "python3-grpcio",
    "uidmap",
)

SUITES = {
    suite.name: suite
    for suite in (
        Suite("trixie", packages=WITH_CLI),  # Docker 26.1, kernel 6.12
        Suite("bookworm"),  # Docker 20.10 with the client in docker.io, kernel 6.1
        Suite(
            "sid",  # Docker 28.5, kernel 7.2, Podman 5.8, containerd 2.1
            packages=tuple(sorted((*WITH_CLI, *RUNTIMES))),
            # A mirror's copy of sid may be older than the few days for which it is signed.
            apt=('Acquire::Check-Valid-Until "false"',),
        ),
    )
}
DEFAULT_SUITE = "trixie"


def suite_named(name: str) -> Suite:
    """The row of the table, or a LabError that names the rows there are."""
    try:
        return SUITES[name]
    except KeyError:
        raise LabError(f"no suite {name!r}; there are {', '.join(SUITES)}") from None


def mirror(apt: Path = Path("/etc/apt")) -> str:
    """The Debian archive this machine already uses, as its network may know only that one."""
    return next(_archives(apt), FALLBACK_MIRROR)


def _archives(apt: Path) -> Iterator[str]:
    folder = apt / "sources.list.d"
    for path in (apt / "sources.list", *sorted(folder.glob("*"))):
        reader = _READERS.get(path.suffix)
        if reader is None or not path.is_file():
            continue
        for uri, components in reader(path.read_text(errors="replace")):
            # Third parties use "main" or a path that ends in "debian", but hardly both.
            if "main" in components and urlsplit(uri).path.rstrip("/").endswith("/debian"):
                yield uri.rstrip("/")


def _one_line(text: str) -> Iterator[tuple[str, list[str]]]:
    """Read `deb [option=value …] URI SUITE COMPONENT…` (sources.list(5), one-line style)."""
    for line in text.splitlines():
        if not line.startswith("deb "):
            continue
        head, bracket, tail = line.partition("]")
        words = (tail if bracket else head.removeprefix("deb ")).split()
        if len(words) > 2:
            yield words[0], words[2:]


def _deb822(text: str) -> Iterator[tuple[str, list[str]]]:
    """Read stanzas of `Key: value` (sources.list(5), deb822 style)."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in "\n".join(line.rstrip() for line in lines).split("\n\n"):
        pairs = (line.partition(":") for line in stanza.replace("\n ", " ").splitlines())
        fields = {key.strip().lower(): value.split() for key, _, value in pairs}
        if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
            for uri in fields.get("uris", []):
                yield uri, fields.get("components", [])


_READERS = {".list": _one_line, ".sources": _deb822}
