"""Events as lines on standard error, one a line.

Rules:

- Under systemd a line begins with its level (`<4>`, sd-daemon(3)) and the journal adds the time;
  elsewhere it begins with the time and the level's name.
- A line that cannot be written is lost: a full log disk does not stop a bus.
"""

from __future__ import annotations

import os
import sys
from time import strftime

from canwharf.bus.events import ERROR, INFO, WARNING, Event, Report

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
        try:
            print(start + " ".join((event.what, *words)), file=sys.stderr, flush=True)
        except OSError:
            return

    return report


def _quoted(value: str) -> str:
    """A value that can be told from what stands beside it, on one line."""
    return value if value.isalnum() or value.replace("-", "").isalnum() else repr(value)
