"""Docker inside: `canlab --docker`, with canwharf's buses; this is the caller's end.

The guest gets two disks: the `system` that Docker runs in, which is only read, and the one on which
Docker keeps its images, networks and containers. That is a file without a name, or the caller's own
(`--disk`). `guest/docker` does the rest.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from typing import NamedTuple

from canlab import system
from canlab.errors import CanlabError
from canlab.guest.docker import BIN, EXT4, SOCKET

SIZE = 32 << 30  # bytes; the file is sparse, so this is a limit, not a cost
# What leads docker to another daemon than the one inside.
_ELSEWHERE = {"DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"}


class Disks(NamedTuple):
    """Two open files."""

    system: int
    kept: int


def canwharf() -> str:
    """The folder of canwharf's package. Raises CanlabError where it is not installed."""
    spec = find_spec("canwharf")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if os.path.isfile(os.path.join(folder, "__main__.py")):
            return os.path.realpath(folder)
    raise CanlabError("--docker needs canwharf beside canlab: pip install canwharf")


def disks(kept: str | None) -> Disks:
    """Open them; the system is made first if need be. Raises CanlabError."""
    path = system.find()
    try:
        of_system = os.open(path, os.O_RDONLY)
        if not _has_ext4(of_system):
            raise CanlabError(f"{path}: it has no file system ext4, so no system for Docker")
        return Disks(of_system, _kept(kept) if kept else _temporary())
    except OSError as error:
        raise CanlabError(f"{error.filename or path}: {error.strerror}") from error


def _has_ext4(file: int) -> bool:
    offset, magic = EXT4
    return os.pread(file, len(magic), offset) == magic


def _temporary() -> int:
    """A disk that ends with this process."""
    folder = next((each for each in ("/var/tmp",) if os.access(each, os.W_OK)), None)  # noqa: S108
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(SIZE)
        return os.dup(file.fileno())


def _kept(path: str) -> int:
    """A disk that the caller keeps; one guest at a time has it. Raises CanlabError."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
        disk = file.fileno()
        try:
            fcntl.flock(disk, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CanlabError(f"--disk {path}: another canlab uses it") from error
        if not os.fstat(disk).st_size:
            os.ftruncate(disk, SIZE)
        elif not _has_ext4(disk) and not _is_blank(disk):
            raise CanlabError(f"--disk {path}: it is a file, but no disk with ext4; name another")
        return os.dup(disk)  # the lock ends with the last descriptor of the open file


def _is_blank(file: int) -> bool:
    """As one that was made, and whose guest ended before it had a file system."""
    return os.fstat(file).st_size == SIZE and not any(os.pread(file, 1 << 16, 0))


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The command's environment: `docker` and `canwharf` are those that belong to the guest."""
    kept = {name: value for name, value in given.items() if name not in _ELSEWHERE}
    path = given.get("PATH", os.defpath)
    return {**kept, "PATH": f"{BIN}:{path}", "DOCKER_HOST": f"unix://{SOCKET}"}
