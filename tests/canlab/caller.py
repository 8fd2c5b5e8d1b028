"""Calls canlab as a user does: with pipes, and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import REPOSITORY

SOURCE = REPOSITORY / "packages/canlab/src"
CANLAB = (sys.executable, "-m", "canlab")
LIMIT = 60.0  # seconds: nothing here takes one on an idle machine


def environment(**more: str) -> dict[str, str]:
    """This process's environment and more."""
    return {**os.environ, **more}


def run(
    *arguments: str | bytes,
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    **how: Any,  # noqa: ANN401 - as subprocess.run takes it
) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end, with pipes."""
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    return subprocess.run(
        [*CANLAB, *arguments],
        capture_output=True,
        timeout=LIMIT,
        env=environment(**(env or {})),
        check=False,
        **given,
        **how,
    )


def python(program: str, *options: str) -> str:
    """What a Python program writes inside; it must succeed."""
    done = run(*options, sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def guests(mark: Path) -> list[int]:
    """Processes of a guest's kernel that was started with this copy of its file."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(mark) in words:
                found.append(int(entry))
    return found


def wait_for_no_guests(mark: Path) -> None:
    """Wait until no such process is left; fails if one is."""
    until = time.monotonic() + LIMIT
    while left := guests(mark):
        assert time.monotonic() < until, f"left over: {left}"
        for process in left:
            try:
                select.select([os.pidfd_open(process)], [], [], LIMIT)
            except ProcessLookupError:
                continue


class OnTerminal:
    """canlab on a terminal of its own."""

    def __init__(
        self,
        *arguments: str,
        size: tuple[int, int] = (33, 77),
        program: Sequence[str] = CANLAB,
    ) -> None:
        self.terminal, slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *program, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )

    def resize(self, rows: int, columns: int) -> None:
        """As a window manager does."""
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """As a person does."""
        os.write(self.terminal, keys)

    def wait_for(self, text: bytes, limit: float = LIMIT) -> None:
        """Wait until it is shown, so many seconds at most."""
        until = time.monotonic() + limit
        while text not in self.seen:
            left = until - time.monotonic()
            assert select.select([self.terminal], [], [], max(0, left))[0], self.seen
            self.seen += os.read(self.terminal, 4096)

    def end(self) -> int:
        """Its status; the terminal's modes are those of before."""
        status = self.process.wait(LIMIT)
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        os.close(self.terminal)
        return status
