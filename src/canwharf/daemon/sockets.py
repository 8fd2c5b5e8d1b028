"""The listening socket, by whose file Docker finds a driver, and the lock of a daemon's name.

Rules:

- A socket that systemd holds for us is used as it is, and stays there when we end: what calls
  meanwhile waits in it for the next daemon.
- Otherwise the socket is root's alone from the moment that it exists (0600). That for users without
  root is for a group (0660).
- The lock file is for root alone: a user that can open it can lock it, and keep the daemon from
  starting. It says where the daemon's socket and its state are, while the lock is held.
- A socket file without a listener is a leftover and is replaced; one with a listener is never
  stolen.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import posix
import stat

from canwharf import jsontext
from canwharf.daemon.instance import LOCKS, Instance, lock_path
from canwharf.errors import StartError
from canwharf.lean import Socket, make_directory, suppress, variable

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

_BACKLOG = 128
_FIRST_PASSED = 3  # SD_LISTEN_FDS_START
_SAME = "; ListenStream= of the socket unit and --socket of the service should be the same path"


def passed(path: str, for_users: str = "") -> dict[str, Socket]:
    """The sockets that systemd holds for us (sd_listen_fds(3)), by their paths.

    Empty if it did not start us with any. Raises StartError where one is at neither path, does not
    listen, or none is at `path`.
    """
    if variable("LISTEN_PID") != str(posix.getpid()):
        return {}
    number = variable("LISTEN_FDS")
    first = range(_FIRST_PASSED, _FIRST_PASSED + int(number)) if number.isdecimal() else ()
    held = dict(_passed(descriptor, path, for_users) for descriptor in first)
    if path not in held:
        raise StartError(f"cannot listen on {path}: systemd passes no socket at this path{_SAME}")
    return held


def _passed(descriptor: int, *paths: str) -> tuple[str, Socket]:
    """A socket of systemd's, which is at one of these paths. Raises StartError."""
    try:
        held = Socket(fileno=descriptor)
        where = held.getsockname()
        listens = held.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(f"cannot use the socket that systemd passes: {error.strerror}") from error
    if where not in paths or not listens:
        raise StartError(
            f"cannot listen on {paths[0]}: systemd passes a socket "
            f"{'at' if listens else 'that does not listen, at'} {where!r}{_SAME}"
        )
    return where, held


def listen(path: str) -> Socket:
    """Listen at this path, for root alone. Raises StartError."""
    try:
        make_directory(path.rpartition("/")[0] or ".")
        _clear(path)
        return _bind(path)
    except OSError as error:
        raise StartError(f"cannot listen on {path}: {error.strerror or error}") from error


def listen_for_group(path: str, group: str) -> Socket:
    """Listen at this path, for root and the members of a group. Raises StartError."""
    import grp  # noqa: PLC0415 (one more import, and few need it)

    if not path:
        raise StartError("a managed plugin has no socket for users without root")
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        raise StartError(f"there is no group {group}: 'groupadd --system {group}'") from None
    listening = listen(path)
    try:
        posix.chmod(path.rpartition("/")[0] or ".", 0o755)
        posix.chown(path, -1, number)
        posix.chmod(path, 0o660)
    except OSError as error:
        raise StartError(f"cannot let {group} use {path}: {error.strerror}") from error
    return listening


def forget(path: str, listening: Socket) -> None:
    """Remove our socket file, if it is still there and still ours."""
    with suppress(OSError), Socket(_socket.AF_UNIX) as probe:
        listening.close()
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # there is no other listener, so it was ours
            if stat.S_ISSOCK(posix.lstat(path).st_mode):
                posix.unlink(path)


def _clear(path: str) -> None:
    """Remove a socket without a listener. Raises StartError if there is one."""
    try:
        found = posix.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise StartError(f"cannot listen on {path}: it exists and is not a socket")
    with Socket(_socket.AF_UNIX) as probe:
        probe.settimeout(1)  # a full backlog has a listener, if a slow one
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            posix.unlink(path)
            return
        except (BlockingIOError, TimeoutError):
            pass
    raise StartError(
        f"another daemon listens on {path}: stop that one, or give this one a --socket of its own"
    )


def _bind(path: str) -> Socket:
    listening = Socket(_socket.AF_UNIX)
    old = posix.umask(0o177)
    try:
        listening.bind(path)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    finally:
        posix.umask(old)
    return listening


def reserve(name: str, directory: str = LOCKS) -> IO[str]:
    """Be the only daemon of this name, until this file is closed. Raises StartError.

    Its interfaces are known by this name alone.
    """
    path = lock_path(name, directory)
    try:
        make_directory(directory)
        lock = open(path, "r+", opener=_private, encoding="utf-8")  # noqa: SIM115 (the caller's)
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
    lock.truncate(0)  # what an earlier daemon said, not before the lock is ours
    return lock


def announce(lock: IO[str], instance: Instance) -> None:
    """Say where this daemon's socket and its state are. `lock` is from `reserve`.

    Raises OSError where /run is full.
    """
    paths = {
        "socket": _absolute(instance.socket),
        "state_dir": _absolute(instance.state_dir),
    }
    line = f"{jsontext.dumps(paths)}\n".encode()
    # Not into the file's buffer, which would be written again when it is closed.
    if posix.write(lock.fileno(), line) < len(line):
        raise OSError(errno.ENOSPC, posix.strerror(errno.ENOSPC))


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"{posix.getcwd()}/{path}"


def process_of(name: str, directory: str = LOCKS) -> int:
    """The process of the daemon of this name; 0 where none runs. Holds up no one."""
    return holders([lock_path(name, directory)]).get(lock_path(name, directory), 0)


def holders(paths: Iterable[str]) -> dict[str, int]:
    """The process that has each file's lock, of those that one has.

    /proc/locks (proc(5)) tells: `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END`.
    """
    try:
        with open("/proc/locks", encoding="utf-8") as file:
            locks = [line.split() for line in file]
    except OSError:
        return {}
    holders = {
        where: int(process)
        for _number, kind, *_how, process, where, _start, _end in locks
        if kind == "FLOCK"
    }
    held = {}
    for path in paths:
        with suppress(OSError):  # it is gone
            found = posix.stat(path)
            device = f"{posix.major(found.st_dev):02x}:{posix.minor(found.st_dev):02x}"
            if process := holders.get(f"{device}:{found.st_ino}"):
                held[path] = process
    return held


def _private(path: str, flags: int) -> int:
    return posix.open(path, flags | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_NONBLOCK, 0o600)


def notify(text: str) -> None:
    """Notify systemd, if it started us with a socket for that (sd_notify(3))."""
    address = variable("NOTIFY_SOCKET")
    if address:
        with suppress(OSError), Socket(_socket.AF_UNIX, _socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.send(text.encode())
