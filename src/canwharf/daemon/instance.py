"""A daemon's identity is an instance: its name, and all paths and units that follow from it.

Rules:

- The name is that of the socket's file, by which Docker knows the driver. A managed plugin's
  (`somebody/vxcan:latest`) is found as well: its socket lies in a folder (Docker:
  pkg/plugins/discovery.go).
- One daemon a name: its interfaces are known by that name alone. So no two daemons are ever at one
  path at the same time.
- `usual` is the one table of paths. A daemon may be told others, by --socket and --state-dir.
"""

from __future__ import annotations

import fcntl
import os
from typing import IO, NamedTuple

from canwharf.bus import naming
from canwharf.errors import StartError

DEFAULT_NAME = "canwharf"  # where no other is given
LOCKS = "/run/canwharf"
_PLUGINS = "/docker/plugins/"  # in /run, where Docker looks


class Instance(NamedTuple):
    """A daemon's name, the path of its socket, and the directory of its networks."""

    name: str
    socket: str
    state_dir: str

    @property
    def lock(self) -> str:
        """The file whose lock tells that a daemon of this name runs."""
        return lock_path(self.name)

    @property
    def unit(self) -> str:
        """What its units are called, without their suffix."""
        return _unit(self.name)

    @property
    def service(self) -> str:
        """The service unit."""
        return f"{self.unit}.service"

    @property
    def socket_unit(self) -> str:
        """The unit by which systemd holds the socket."""
        return f"{self.unit}.socket"

    @property
    def rescue(self) -> str:
        """The units that start it once more, without their suffix."""
        return f"{self.unit}-rescue"

    @property
    def refuse(self) -> str:
        """The units that answer Docker while it does not start, without their suffix."""
        return f"{self.unit}-refuse"

    @property
    def units(self) -> tuple[str, ...]:
        """Every unit, in the order in which they are installed."""
        return (
            self.socket_unit,
            self.service,
            f"{self.rescue}.service",
            f"{self.rescue}.timer",
            f"{self.refuse}.socket",
            f"{self.refuse}@.service",
        )

    @property
    def helpers(self) -> tuple[str, ...]:
        """The units that run only while it does not start."""
        return f"{self.rescue}.timer", f"{self.rescue}.service", f"{self.refuse}.socket"


def usual(name: str) -> Instance:
    """The instance of this name, where `canwharf install` puts it."""
    return Instance(name, f"/run{_PLUGINS}{name}.sock", f"/var/lib/{_unit(name)}")


def _unit(name: str) -> str:
    """A managed plugin's name has a slash, which no unit's and no file's name can have."""
    return (
        DEFAULT_NAME
        if name == DEFAULT_NAME
        else f"{DEFAULT_NAME}-{name.replace('/', '-').replace(':', '-')}"
    )


def name_of(path: str) -> str:
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


def reserve(name: str, directory: str = LOCKS) -> IO[str]:
    """Be the only daemon of this name, until this file is closed. Raises StartError.

    Its interfaces are known by this name alone.
    """
    path = lock_path(name, directory)
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
            f"another daemon serves the driver {name}: stop that one, or give this one a "
            "--socket of another name and a --state-dir of its own"
        ) from error
    return lock


def process_of(name: str, directory: str = LOCKS) -> int:
    """The process of the daemon of this name; 0 where none does. Holds up no one.

    /proc/locks (proc(5)) tells: `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END`.
    """
    try:
        found = os.stat(lock_path(name, directory))
        with open("/proc/locks", encoding="ascii") as file:
            locks = [line.split() for line in file]
    except OSError:
        return 0
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for _number, kind, *_how, process, where, _start, _end in locks:
        if kind == "FLOCK" and where == device:
            return int(process)
    return 0


def lock_path(name: str, directory: str = LOCKS) -> str:
    """The file whose lock tells that a daemon of this name runs."""
    return os.path.join(directory, f"{name.replace('/', '%')}.lock")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
