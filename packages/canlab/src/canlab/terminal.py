"""The terminal of the person who calls: raw while a command in a guest has one of its own."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import tty
from contextlib import suppress

Modes = list[int | list[bytes | int]]


def size(terminal: int) -> tuple[int, int]:
    """Its rows and columns; 24 and 80 where it does not know."""
    packed = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))
    rows, columns, _, _ = struct.unpack("4H", packed)
    return rows or 24, columns or 80


def modes(terminal: int) -> Modes:
    """Its modes, for the command's own terminal."""
    found: Modes = termios.tcgetattr(terminal)
    return found


def in_foreground(terminal: int) -> bool:
    """Whether this process may change its modes and read from it, without being stopped."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # not the controlling one: nobody is stopped
        return True


class Raw:
    """Keys pass as they are, until `restore`."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._before = termios.tcgetattr(terminal)
        tty.setraw(terminal, termios.TCSADRAIN)

    def restore(self) -> None:
        """As it was before. No error: the terminal may be gone."""
        with suppress(termios.error):
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
