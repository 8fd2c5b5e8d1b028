"""A place for the guest's memory.

User-Mode Linux keeps it in a file that has no name (O_TMPFILE). It must be mapped executable, so a
folder that is mounted noexec is of no use, as /dev/shm is in many containers. On a tmpfs it is
fast; elsewhere the machine writes to a disk what the guest has in its memory.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from canlab.errors import CanlabError, UnfitError

MIB = 1 << 20
LEAST = 64 * MIB  # the kernel itself, a Python and a little more
USUAL_LEAST = 256 * MIB
USUAL_MOST = 4096 * MIB

VARIABLE = "CANLAB_TMPDIR"
# Where the limit of a container's memory is, by version of control groups.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Place(NamedTuple):
    """A folder for the guest's memory, and how many bytes it has free."""

    folder: str
    free: int


def find(wanted: int | None, environment: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """The folder and the size in bytes: `wanted`, or what suits this machine.

    Raises UnfitError where no folder serves, CanlabError where none has room for `wanted`.
    """
    least = wanted or USUAL_LEAST
    small: list[Place] = []
    refused: list[str] = []
    for folder in _folders(environment):
        try:
            place = Place(folder, probe(folder))
        except OSError as error:
            refused.append(f"{folder}: {error.strerror}")
            continue
        if place.free >= least:
            return folder, wanted or usual(place.free)
        small.append(place)
    if wanted is None and small and max(small, key=_free).free >= LEAST:
        place = max(small, key=_free)
        return place.folder, place.free // MIB * MIB
    rows = [*refused, *(f"{place.folder}: {place.free // MIB} MiB free" for place in small)]
    told = "; ".join(rows)
    if small:
        raise CanlabError(
            f"no folder has room for {least // MIB} MiB of guest memory ({told}); "
            f"name one that has by {VARIABLE}, or take less by --memory"
        )
    raise UnfitError(
        f"no folder can hold the guest's memory ({told}); {VARIABLE} names one that is writable "
        "and not mounted noexec"
    )


def _free(place: Place) -> int:
    return place.free


def usual(free: int) -> int:
    """Half of what this machine, or this container, has, within limits; in bytes."""
    half = min(_total(), free) // 2
    return max(USUAL_LEAST, min(USUAL_MOST, half)) // MIB * MIB


def probe(folder: str) -> int:
    """How many bytes are free in a folder that can hold the memory.

    Raises OSError where it cannot: no such folder, no right, noexec, no O_TMPFILE.
    """
    try:
        file = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_EXCL | os.O_CLOEXEC, 0o700)
    except IsADirectoryError as error:  # the file system does not know O_TMPFILE
        raise OSError(error.errno, "its file system has no files without a name") from None
    try:
        os.ftruncate(file, mmap.PAGESIZE)
        everything = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        try:
            mmap.mmap(file, mmap.PAGESIZE, mmap.MAP_SHARED, everything).close()
        except PermissionError as error:
            raise OSError(error.errno, "it is mounted noexec") from None
        room = os.fstatvfs(file)
        return room.f_bavail * room.f_frsize
    finally:
        os.close(file)


def _folders(environment: Mapping[str, str]) -> Iterator[str]:
    """Candidates, the best first; one that the user names is the only one."""
    if named := environment.get(VARIABLE):
        yield os.path.abspath(named)
        return
    yield "/dev/shm"  # noqa: S108
    for variable in ("XDG_RUNTIME_DIR", "TMPDIR"):
        if folder := environment.get(variable):
            yield os.path.abspath(folder)
    yield from ("/tmp", "/var/tmp")  # noqa: S108
    yield os.path.abspath(os.curdir)


def _total() -> int:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _LIMITS:
        try:
            with open(path) as file:
                total = min(total, int(file.read()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total
