"""The daemons that run, as their lock files tell: for commands. The daemon does not import this.

Rules:

- A lock file counts only while its lock is held, so what a dead daemon wrote does no harm.
- Only root can read it, and a daemon of an earlier version writes nothing.
"""

from __future__ import annotations

import json
import os

from canwharf.daemon import sockets
from canwharf.daemon.instance import LOCKS, Instance, name_of_lock
from canwharf.record import NamedTuple

_LONGEST = 16384  # bytes of a lock file: two paths of PATH_MAX, each character escaped for JSON


class Running(NamedTuple):
    """A daemon that runs: its process, and where it says that its socket and its state are.

    `said` is None where that cannot be read: only root may, and earlier versions do not say it.
    """

    process: int
    said: Instance | None


def running(directory: str = LOCKS) -> dict[str, Running]:
    """The daemons that run, by their name. No lock is taken."""
    try:
        files = sorted(os.listdir(directory))
    except OSError:
        return {}
    names = {os.path.join(directory, each): name for each in files if (name := name_of_lock(each))}
    return {
        names[path]: Running(process, _said(path, names[path], process))
        for path, process in sockets.holders(names).items()
    }


def _said(path: str, name: str, process: int) -> Instance | None:
    """What the daemon wrote into its lock file; None where it did not, or we may not read it."""
    try:
        with open(path, opener=_unfollowed, encoding="ascii") as file:
            told = json.loads(file.read(_LONGEST))
        socket, state_dir = told["socket"], told["state_dir"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(socket, str) or not isinstance(state_dir, str):
        return None
    return Instance(name, socket, _as_seen(state_dir, process))


def _as_seen(directory: str, process: int) -> str:
    """The path by which we find a process's directory.

    A managed plugin, or a service with a /tmp of its own, has other mounts than we have.
    """
    through = f"/proc/{process}/root{directory}"
    try:
        theirs = os.stat(through)
    except OSError:
        return directory
    try:
        return directory if os.path.samestat(theirs, os.stat(directory)) else through
    except OSError:
        return through


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
