"""Events on standard error, one line each.

Rules:

- Under systemd a line begins with its level (`<4>`, sd-daemon(3)), which the journal removes, and
  the journal adds the time. Elsewhere a text line begins with the time and the level.
- A JSON line is one object: time (RFC 3339, UTC), level, id (of the table in `bus.events`), event
  (its sentence), fields. The object is always complete: in a line that is too long, values are cut.
- A line that cannot be written at once is lost: a full log disk or a blocked reader never stops a
  bus.
"""

from __future__ import annotations

import posix
from select import PIPE_BUF, select
from time import gmtime, strftime, time

from canwharf import jsontext
from canwharf.bus.events import ERROR, INFO, WARNING, Event, Report
from canwharf.lean import suppress, variable

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable

_STANDARD_ERROR = 2
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:+@")
LEVELS = {ERROR: 3, WARNING: 4, INFO: 6}  # syslog(3)'s numbers, gravest first


def reporter(lowest: str, form: str = "text") -> Report:
    """A function that prints events of at least this level, in one of FORMS."""
    journal = bool(variable("JOURNAL_STREAM"))
    most = LEVELS[lowest]
    line = _JOURNAL if journal and form == "text" else FORMS[form]

    def report(event: Event) -> None:
        number = LEVELS[event.level]
        if number <= most:
            _write((f"<{number}>" if journal else "") + line(event))

    return report


def _words(event: Event) -> str:
    fields = (f"{name}={_quoted(value)}" for name, value in event.fields.items())
    return " ".join((event.type.sentence, *fields))


def _text(event: Event) -> str:
    return f"{strftime('%Y-%m-%d %H:%M:%S')} {event.level:7} {_words(event)}"


def _json(event: Event) -> str:
    now = time()
    at = f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
    fields = dict(event.fields)
    while True:
        what = {"level": event.level, "id": event.type.id, "event": event.type.sentence}
        line = jsontext.dumps({"time": at, **what, "fields": fields})
        longest = max(fields, key=lambda name: len(fields[name]), default="")
        if len(line) < _ROOM or len(fields.get(longest, "")) < 2:
            return line
        fields[longest] = fields[longest][: len(fields[longest]) // 2 - 1] + "…"


FORMS: dict[str, Callable[[Event], str]] = {"text": _text, "json": _json}
_JOURNAL = _words
_ROOM = PIPE_BUF - len("<3>\n")


def _write(line: str) -> None:
    with suppress(OSError):
        if select([], [_STANDARD_ERROR], [], 0)[1]:
            posix.write(_STANDARD_ERROR, line.encode(errors="replace")[: PIPE_BUF - 1] + b"\n")


def _quoted(value: str) -> str:
    """A value on one line: quoted, unless it has letters, digits and plain signs only."""
    return value if value and _PLAIN.issuperset(value) else repr(value)
