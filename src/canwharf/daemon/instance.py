"""A daemon's identity: its name, its lock, and the process that has it.

Rules:

- The name is that of the socket's file, by which Docker knows the driver. A managed plugin's
  (`somebody/vxcan:latest`) is found as well: its socket lies in a folder (Docker:
  pkg/plugins/discovery.go).
- One daemon a name: its interfaces are known by that name alone. So no two daemons are ever at one
  path at the same time.
"""

from __future__ import annotations

import fcntl
import os
from typing import IO

from canwharf.bus import naming
from canwharf.errors import StartError

LOCKS = "/run/canwharf"
_PLUGINS = "/docker/plugins/"  # in /run, where Docker looks


def driver_name(path: str) -> str:
    """The name by which Docker knows the driver on this socket. Raises StartError."""
    _folder, found, name = path.removesuffix(".sock").rpartition(_PLUGINS)
    first, _, last = name.rpartition("/")
    if not found or first == last:  # Docker also finds NAME/NAME.sock
        name = last
    if not naming.is_driver(name):
        raise StartError(
            f"cannot serve {path}: {name!r} is no driver's name; right would be up to "
            f"{naming.MAX_ID} letters and digits, as in /run/docker/plugins/canwharf.sock"
        )
    return name


def reserve(driver: str, directory: str = LOCKS) -> IO[str]:
    """Be the only daemon of this driver's name, until this file is closed. Raises StartError.

    Its interfaces are known by this name alone.
    """
    path = lock_path(driver, directory)
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        lock = open(path, "w", opener=_private, encoding="ascii")  # noqa: SIM115 (the caller's)
    except OSError as error:
        raise StartError(f"cannot open {path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise StartError(
            f"another daemon serves the driver {driver}: stop that one, or give this one a "
            "--socket of another name and a --state-dir of its own"
        ) from error
    return lock


def process_of(driver: str, directory: str = LOCKS) -> int:
    """The process that serves this driver; 0 where none does. Holds up no one.

    /proc/locks (proc(5)) tells: `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END`.
    """
    try:
        found = os.stat(lock_path(driver, directory))
        with open("/proc/locks", encoding="ascii") as file:
            locks = [line.split() for line in file]
    except OSError:
        return 0
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for _number, kind, *_how, process, where, _start, _end in locks:
        if kind == "FLOCK" and where == device:
            return int(process)
    return 0


def lock_path(driver: str, directory: str = LOCKS) -> str:
    """The file whose lock tells who serves a driver."""
    return os.path.join(directory, f"{driver.replace('/', '%')}.lock")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
