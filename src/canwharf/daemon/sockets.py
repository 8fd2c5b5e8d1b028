"""The listening socket: Docker finds a driver by the name of a socket file.

Rules:

- A socket that systemd holds for us is used as it is, and stays there when we end: what calls
  meanwhile waits in it for the next daemon.
- Otherwise the socket is root's alone from the moment that it exists (0600).
- A socket file that nobody listens on is a leftover and is replaced; one that somebody listens
  on is never stolen.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

from canwharf.errors import StartError

_BACKLOG = 128
_FIRST_PASSED = 3  # SD_LISTEN_FDS_START


def passed(path: str) -> socket.socket | None:
    """The socket that systemd holds for us (sd_listen_fds(3)), if it started us with one.

    Raises StartError where that is not a socket which listens at this path.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    number = os.environ.get("LISTEN_FDS", "")
    if number != "1":
        raise StartError(f"cannot listen on {path}: systemd passes {number} sockets, not one")
    try:
        held = socket.socket(fileno=_FIRST_PASSED)
        where = held.getsockname()
        listens = held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(f"cannot use the socket that systemd passes: {error.strerror}") from error
    if where != path or not listens:
        raise StartError(
            f"cannot listen on {path}: systemd passes a socket "
            f"{'at' if listens else 'that does not listen, at'} {where!r}; ListenStream= of the "
            "socket unit and --socket of the service should be the same path"
        )
    return held


def listen(path: str) -> socket.socket:
    """Listen at this path. Raises StartError."""
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o755, exist_ok=True)
        _clear(path)
        return _bind(path)
    except OSError as error:
        raise StartError(f"cannot listen on {path}: {error.strerror or error}") from error


def forget(path: str, listening: socket.socket) -> None:
    """Remove our socket file, if it is still there and still ours."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        listening.close()
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # nobody listens there any more, so it was ours
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)


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
