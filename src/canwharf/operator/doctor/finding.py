"""What a check says: a finding. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from canwharf.operator.doctor.facts import Facts
from canwharf.record import NamedTuple

OK, WARN, FAILURE = "ok", "warning", "failure"


class Finding(NamedTuple):
    """One line: a level, a message, and the command that fixes it (empty: there is none)."""

    level: str
    message: str
    fix: str = ""
    safe: bool = False


Check = Callable[[Facts], Iterable[Finding]]
