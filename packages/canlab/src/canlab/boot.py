"""Starts the guest's kernel, and sees to it that nothing of it is left.

The kernel's parent is a *keeper*, a fork of this process that does nothing but wait: for the end of
the kernel, or of this process, which it sees by a pipe. Then it kills the kernel, and itself; the
kernel's own processes end with it. The kernel ends, too, when the keeper is killed, and the guest
powers off when its line ends. So it does not matter which of the processes is killed, nor how.

The kernel's memory is a file without a name. Its own folder (for a file with its pid) would be left
behind: it is given one in which nothing can be made.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from canlab import guest, libc, processor
from canlab.descriptors import detach
from canlab.errors import CanlabError

# No file can be made here, not even by root. The kernel says so on its console and goes on.
NOWHERE = "/proc/self/fdinfo/"
# What is built in makes interfaces of its own accord, in each new namespace, too.
QUIET_NETWORK = ("fb_tunnels=none", "dummy.numdummies=0", "ifb.numifbs=0")
# What the caller's Python needs to start, before it has the caller's environment.
LOADER = "LD_LIBRARY_PATH"
COMMAND_LINE = 4096  # bytes that the kernel takes


class Running(NamedTuple):
    """A guest: its line, a file with its console, and the pipe whose end is the guest's end."""

    line: int
    console: int
    lifeline: int
    keeper: int

    def console_text(self) -> str:
        """What the kernel has said so far."""
        return os.pread(self.console, os.fstat(self.console).st_size, 0).decode(errors="replace")

    def end(self) -> None:
        """End the guest; returns when its processes are gone."""
        os.close(self.lifeline)
        os.waitpid(self.keeper, 0)
        os.close(self.line)


def start(
    kernel: str,
    folder: str,
    size: int,
    processors: int,
    disks: Sequence[int] = (),
    *,
    as_root: bool,
) -> Running:
    """Start the kernel with `size` bytes of memory in `folder`, with the agent as its pid 1.

    `disks` are open files: the guest has them as /dev/ubda, which it only reads, /dev/ubdb, …
    `as_root`: what belongs to the caller belongs to root in the guest.
    """
    command = kernel_command(kernel, size, processors)
    command += (
        f"ubd{number}{'' if number else 'r'}=/proc/self/fd/{disk}"
        for number, disk in enumerate(disks)
    )
    if as_root:
        command.append("hostfs=,asroot")
    ours, theirs = socket.socketpair()
    console = os.memfd_create("canlab-console")
    ending, lifeline = os.pipe()
    with theirs:
        command.append(f"ssl0=fd:{theirs.fileno()}")
        words = [*command, "--", *agent_words()]
        if sum(map(len, words)) + len(words) > COMMAND_LINE:
            raise CanlabError("the paths of Python and of canlab are too long for the kernel")
        # A signal in the child would be handled as this process handles it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        keeper = os.fork()
        if not keeper:
            files = theirs.fileno(), *disks
            alone = processors == 1
            _keep(words, {"TMPDIR": folder}, console, files, ending, alone=alone)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(ending)
    return Running(ours.detach(), console, lifeline, keeper)


def kernel_command(kernel: str, size: int, processors: int) -> list[str]:
    """The kernel and its words, but for the line and what follows `--`."""
    words = [
        # Where seccomp is forbidden the kernel takes ptrace, which is slower.
        *(kernel, f"mem={size >> 20}M", "seccomp=auto", f"ncpus={processors}"),
        *("rootfstype=hostfs", "rootflags=/", "root=/dev/root", "rw"),
        *("con=null", "con0=null,fd:1", "ssl=null", f"uml_dir={NOWHERE}"),
        *("quiet", "panic=-1"),  # a panic ends the guest, where a machine would reboot
        *QUIET_NETWORK,
        f"init={quoted(os.path.realpath(sys.executable))}",
    ]
    if libraries := os.environ.get(LOADER):
        words.append(f"{LOADER}={quoted(libraries)}")
    return words


def agent_words() -> list[str]:
    """What the guest's Python is called with."""
    return ["-I", "-S", quoted(os.path.join(os.path.dirname(guest.__file__), "init.py"))]


def quoted(word: str) -> str:
    """A word as the kernel reads it from its command line. Raises CanlabError for a `"`."""
    if '"' in word:
        raise CanlabError(f'the kernel cannot be told of a path with a ": {word}')
    return f'"{word}"' if any(char.isspace() for char in word) else word


def _keep(
    command: list[str],
    environment: dict[str, str],
    console: int,
    files: Sequence[int],
    ending: int,
    *,
    alone: bool,
) -> NoReturn:
    """The keeper: start the kernel, wait for the first end, kill it. All signals are blocked.

    `files` are the kernel's: its line and its disks. A guest `alone` has one processor.
    """
    kernel = 0
    try:
        os.setsid()
        detach(console, *files, ending)
        if alone:
            processor.take_one()
        os.dup2(console, 1)
        os.dup2(console, 2)
        keeper = os.getpid()
        kernel = os.fork()
        if not kernel:
            _become(command, environment, files, keeper)
        for fd in files:
            os.close(fd)
        signal.signal(signal.SIGCHLD, lambda *_: os._exit(0))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.read(ending, 1)
    except OSError as error:
        os.write(2, f"canlab: {error}\n".encode())
    finally:
        if kernel:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.kill(kernel, signal.SIGKILL)
            os.waitpid(kernel, 0)
        os._exit(0)


def _become(
    command: list[str], environment: dict[str, str], files: Sequence[int], keeper: int
) -> NoReturn:
    try:
        libc.die_with(keeper)
        for fd in files:
            os.set_inheritable(fd, True)
        # hostfs holds a file open for each that is open in the guest.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(command[0], command, environment)
    except OSError as error:
        os.write(2, f"canlab: {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(1)
