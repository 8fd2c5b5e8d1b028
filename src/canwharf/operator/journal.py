"""What a service said at last, from systemd's journal: for whoever must know why it fails.

Rule: the program's own words come first, or those of the system that could not start it.
"""

from __future__ import annotations

import json

from canwharf.errors import InstallError
from canwharf.operator.command import run

_LINES = "50"
_LIMIT = 10.0  # seconds
_MANAGER = "1"  # systemd's process: it says only that the unit failed


def last_line(unit: str, invocation: str = "") -> str:
    """The last line of a unit in one of its lives (InvocationID=), else of all; empty if none.

    Raises nothing.
    """
    which = (
        (f"_SYSTEMD_INVOCATION_ID={invocation}", "+", f"INVOCATION_ID={invocation}")
        if invocation
        else ("--unit", unit)
    )
    try:
        told = run(
            *("journalctl", "--quiet", "--output", "json", "--lines", _LINES), *which, limit=_LIMIT
        )
        entries = [json.loads(line) for line in told.splitlines()]
    except (InstallError, ValueError):
        return ""
    said = [each.get("MESSAGE") for each in entries if each.get("_PID") != _MANAGER]
    return next((each.strip() for each in reversed(said) if isinstance(each, str)), "")
