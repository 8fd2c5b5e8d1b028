"""A time on the command line, like 30s. Pure."""

from __future__ import annotations

import re

from canwharf.errors import OptionError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 7 * 24 * 3600.0  # seconds


def seconds(option: str, text: str) -> float:
    """How long. Raises OptionError."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)?", text.strip())
    found = float(match[1]) * _UNITS[match[2] or "s"] if match else 0.0
    if not 0 < found <= _LONGEST:
        raise OptionError(option, text, "it must be a time up to 7 days: 500ms, 30s, 5m, 2h")
    return found
