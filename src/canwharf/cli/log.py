"""Events as lines on standard error, one a line.

Rules:

- Under systemd a line begins with its level (`<4>`, sd-daemon(3)) and the journal adds the time;
  elsewhere it begins with the time and the level's name.
- A line that cannot be written at once is lost: neither a full log disk nor a reader that has
  stopped reading stops a bus.
"""

from __future__ import annotations

import os
from contextlib import suppress
from select import PIPE_BUF, select
from time import strftime

from canwharf.bus.events import ERROR, INFO, WARNING, Event, Report

_STANDARD_ERROR = 2
LEVELS = {ERROR: 3, WARNING: 4, INFO: 6}  # syslog(3)'s numbers, gravest first


def reporter(lowest: str) -> Report:
    """A function that prints events of at least this level."""
    journal = "JOURNAL_STREAM" in os.environ
    most = LEVELS[lowest]

    def report(event: Event) -> None:
        number = LEVELS[event.level]
        if number > most:
            return
        start = f"<{number}>" if journal else f"{strftime('%Y-%m-%d %H:%M:%S')} {event.level:7} "
        words = (f"{name}={_quoted(value)}" for name, value in event.fields.items())
        _write(start + " ".join((event.what, *words)))

    return report


def _write(line: str) -> None:
    with suppress(OSError):
        if select([], [_STANDARD_ERROR], [], 0)[1]:
            os.write(_STANDARD_ERROR, line.encode(errors="replace")[: PIPE_BUF - 1] + b"\n")


def _quoted(value: str) -> str:
    """A value that can be told from what stands beside it, on one line."""
    return value if value.isalnum() or value.replace("-", "").isalnum() else repr(value)
