"""A person's terminal and a command in a guest: what is typed goes in, what comes out is shown."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import sys
import termios
import threading
import tty
from contextlib import suppress
from types import FrameType

from lab.channel import Command, Process
from lab.errors import LabError
from lab.machine import Machine

SHELL = ("bash", "-l")


def require() -> None:
    """Raise LabError if a person is not there to type."""
    if not sys.stdin.isatty():
        raise LabError("a shell needs a terminal; in a script, say which command to run")


def run(guest: Machine, command: Command, timeout: float | None = None) -> int:
    """Run a command, show what it writes as it writes it; its status. Raises as Process.wait."""
    return guest.start(command, watch=_show).wait(timeout, check=False).status


def join(guest: Machine, command: Command = SHELL) -> int:
    """Join this terminal to a command until it ends; its status.

    Raises LabError if there is no terminal, GuestDied.
    """
    require()
    process = guest.start(
        command,
        env={"TERM": os.environ.get("TERM", "dumb")},
        cwd="/root",
        input=True,
        size=_size(),
        watch=_show,
    )
    _pass_on_keys(process)
    return process.wait(check=False).status


def _show(stream: str, data: bytes) -> None:
    target = sys.stdout if stream == "out" else sys.stderr
    with suppress(BrokenPipeError):  # the reader has ended, as in `… | head`
        target.buffer.write(data)
        target.buffer.flush()


def _size() -> tuple[int, int]:
    packed = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
    rows, columns, _, _ = struct.unpack("4H", packed)
    return rows or 24, columns or 80


def _pass_on_keys(process: Process) -> None:
    """Pass on keys and size until the command ends."""
    ended, end = os.pipe()

    def resized(_number: int, _frame: FrameType | None) -> None:
        process.resize(*_size())

    def wait() -> None:
        with suppress(LabError):  # the caller waits too, and hears of it
            process.wait(check=False)
        os.close(end)

    threading.Thread(target=wait, daemon=True).start()
    before = termios.tcgetattr(0)
    old = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setraw(0)
        while ended not in (ready := select.select([0, ended], [], [])[0]):
            if 0 in ready:
                process.write(os.read(0, 1024))
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, old)
        os.close(ended)
