"""What a forked process does with the files that it has inherited."""

from __future__ import annotations

import os


def detach(*kept: int) -> None:
    """Close all but these; the standard streams become /dev/null. Their readers wait for no one."""
    last = 2
    for fd in sorted(kept):
        if fd > last + 1:  # os.closerange(3, 3) closes all from 3 on (Python 3.11)
            os.closerange(last + 1, fd)
        last = max(last, fd)
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
