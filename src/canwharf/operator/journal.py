"""The last line of a service in systemd's journal: the reason why it fails.

Rule: a line of the program comes before systemd's own. Without one, it is the line of the process
that could not execute the program.
"""

from __future__ import annotations

import json

from canwharf.errors import InstallError
from canwharf.operator.command import run

_LINES = "50"
_LIMIT = 10.0  # seconds
_MANAGER = "1"  # process id of systemd, which says only that the unit failed


def last_line(unit: str, invocation: str = "") -> str:
    """The last line of a unit, in one invocation (InvocationID=) if given; empty if there is none.

    Raises nothing.
    """
    which = (
        (f"_SYSTEMD_INVOCATION_ID={invocation}", "+", f"INVOCATION_ID={invocation}")
        if invocation
        else ("--unit", unit)
    )
    try:
        output = run(
            *("journalctl", "--quiet", "--output", "json", "--lines", _LINES), *which, limit=_LIMIT
        )
        entries = [json.loads(line) for line in output.splitlines()]
    except (InstallError, ValueError):
        return ""
    messages = [each.get("MESSAGE") for each in entries if each.get("_PID") != _MANAGER]
    return next((each.strip() for each in reversed(messages) if isinstance(each, str)), "")
