"""The listening socket: Docker finds a driver by the name of a socket file.

Rules:

- The socket is root's alone from the moment that it exists (0600).
- A socket file that nobody listens on is a leftover and is replaced; one that somebody listens
  on is never stolen.
- Two daemons that start at the same moment take turns: the directory is locked meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat

from canwharf.bus import naming
from canwharf.errors import StartError

_BACKLOG = 128


def driver_name(path: str) -> str:
    """The name by which Docker knows the driver on this socket. Raises StartError."""
    name = os.path.basename(path).removesuffix(".sock")
    if not naming.is_id(name):
        raise StartError(
            f"cannot serve {path}: {name!r} is no driver's name; right would be up to "
            f"{naming.MAX_ID} letters and digits, as in /run/docker/plugins/canwharf.sock"
        )
    return name


def listen(path: str) -> socket.socket:
    """Listen at this path. Raises StartError."""
    try:
        directory = os.path.dirname(path) or "."
        os.makedirs(directory, mode=0o755, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _clear(path)
            return _bind(path)
        finally:
            os.close(lock)
    except OSError as error:
        raise StartError(f"cannot listen on {path}: {error.strerror or error}") from error


def _clear(path: str) -> None:
    """Remove a socket that nobody listens on."""
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise StartError(f"cannot listen on {path}: it exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)  # a full backlog: somebody is there, if slow
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except (BlockingIOError, TimeoutError):
            pass
    raise StartError(
        f"another daemon listens on {path}: stop that one, or give this one a --socket of its own"
    )


def _bind(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    old = os.umask(0o177)
    try:
        listening.bind(path)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(old)
    return listening
