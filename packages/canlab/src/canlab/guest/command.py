"""Starts the command as the caller would have started it.

The agent stands where a shell would: it leads the session, and the command is a group of processes
in it. So Ctrl-Z stops the command; the group of a session's leader would not be stopped.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import struct
import termios
from contextlib import suppress

from canlab import libc
from canlab.start import FILE, NULL, PIPE, TTY, Start, unpack_modes

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as of a shell
SHELL = "/bin/sh"
# Signals that come to the whole group of processes, as from a terminal.
FROM_TERMINALS = (
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP),
    *(signal.SIGTSTP, signal.SIGCONT),
)


class Command:
    """A command that was started: its process, and this end of its streams."""

    def __init__(self, start: Start) -> None:
        self.pid = 0
        self.failed = ""
        """Why it could not be started."""
        self.status = 0
        self.ours: dict[int, int] = {}
        """This end of the pipes, by the descriptor in the command."""
        self.terminal = -1
        self.input = -1
        """The same open file as the command's standard input, if that is a FILE."""
        theirs = [self._open(fd, kind, start) for fd, kind in enumerate(start.streams)]
        told, tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _become(start, theirs, tell)
        for fd in {*theirs, tell}:
            os.close(fd)
        with os.fdopen(told, "rb") as words:
            if error := words.read():
                number, _, operation = error.decode().partition(" ")
                self.status = status(int(number))
                self.failed = f"{operation}: {os.strerror(int(number))}"

    def _open(self, fd: int, kind: str, start: Start) -> int:
        """The command's end of a stream."""
        if kind == NULL:
            return os.open(os.devnull, os.O_RDWR)
        if kind == FILE:
            path, offset = start.input
            self.input = os.open(path, os.O_RDONLY)
            os.lseek(self.input, offset, os.SEEK_SET)
            return os.dup(self.input)
        if kind == PIPE:
            reading, writing = os.pipe()
            self.ours[fd], theirs = (writing, reading) if fd == 0 else (reading, writing)
            os.set_blocking(self.ours[fd], False)
            return theirs
        if self.terminal < 0:
            self.terminal, self._slave = os.openpty()
            fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)
            termios.tcsetattr(self._slave, termios.TCSANOW, unpack_modes(start.terminal))
            set_size(self.terminal, *start.size)
        return os.dup(self._slave)

    def started(self) -> None:
        """Close what only the command needs."""
        if self.terminal >= 0:
            os.close(self._slave)

    def signal(self, number: int) -> None:
        """Send a signal as it would have come: one that terminals send goes to the group."""
        whole = number in FROM_TERMINALS
        with suppress(ProcessLookupError):  # it was faster
            os.kill(-self.pid if whole else self.pid, number)


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal its size; its foreground processes hear of a change (SIGWINCH)."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


def status(number: int | None) -> int:
    """The status of a command that could not be started, by errno."""
    return NOT_FOUND if number == errno.ENOENT else NOT_EXECUTABLE


def _become(start: Start, theirs: list[int], tell: int) -> None:
    what = "start"
    try:
        os.setpgid(0, 0)
        for fd in range(3):
            if start.user:  # it may open /dev/stdout, or its terminal, by name
                os.fchown(theirs[fd], *start.user[:2])
            os.dup2(theirs[fd], fd)
        if TTY in start.streams:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else it stops here
            os.tcsetpgrp(start.streams.index(TTY), os.getpgrp())
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                ignored = number in start.ignored
                signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.umask(start.umask)
        for limit, both in start.limits.items():  # as root, who may raise them
            resource.setrlimit(limit, both)
        if start.user:
            what = "change the user"
            _change_user(*start.user)
        what = f"change to {start.folder}"
        os.chdir(start.folder)
        what = start.argv[0]
        execute(start.argv, start.environment)
    except (OSError, ValueError) as error:
        reason = error.errno if isinstance(error, OSError) else errno.EINVAL
        os.write(tell, f"{reason} {what}".encode(errors="replace"))
    finally:
        os._exit(NOT_FOUND)


def _change_user(uid: int, gid: int, groups: list[int]) -> None:
    """The caller's own uid, with the right to networks that root has here."""
    libc.keep_capabilities()
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    libc.hold_capabilities(libc.CAP_NET_ADMIN, libc.CAP_NET_RAW)


def execute(argv: list[str], environment: dict[str, str]) -> None:
    """As execvpe(3), which runs a file without a first line `#!` by the shell. Raises OSError."""
    denied: OSError | None = None
    for path in _candidates(argv[0], environment):
        try:
            os.execve(path, argv, environment)
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                os.execve(SHELL, [SHELL, path, *argv[1:]], environment)
            if error.errno == errno.EACCES:
                denied = denied or error
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
    raise denied or OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def _candidates(name: str, environment: dict[str, str]) -> list[str]:
    if "/" in name:
        return [name]
    folders = environment.get("PATH", os.defpath).split(":")
    return [os.path.join(folder, name) for folder in folders]
