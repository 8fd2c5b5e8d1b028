"""Words for a terminal, in colour where it knows any. Pure.

Rules:

- A colour only repeats what the words say.
- A name that others chose (a container may rename its interface) is made legible first: no
  character of it moves the cursor, or is anything but seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

GOOD, BAD, DOUBTFUL, STRONG, FAINT = "32", "31", "33", "1", "2"  # ECMA-48, SGR

GLUE = "\N{NO-BREAK SPACE}"  # a space at which no line is broken; `legible` lets none in
NARROWEST = 24  # columns; a narrower terminal breaks the lines by itself

_CODE = re.compile("\033\\[\\d*m")
_LEAD = re.compile("[ ├└─]*")
_ON = str.maketrans({"├": "│", "└": " ", "─": " "})  # a branch goes on beside its own lines

Color = Callable[[str, str], str]


def plain(words: str, _colour: str) -> str:
    """No colour."""
    return words


def colored(words: str, colour: str) -> str:
    """In this colour."""
    return f"\033[{colour}m{words}\033[0m" if words else words


def moves(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether this output obeys control sequences: no file does, and no dumb terminal."""
    return terminal and environment.get("TERM") != "dumb"


def color(terminal: bool, environment: Mapping[str, str]) -> Color:
    """What to paint with on this output (https://no-color.org)."""
    wanted = moves(terminal, environment) and not environment.get("NO_COLOR")
    return colored if wanted else plain


def sanitize(words: str) -> str:
    """The same with `?` for what cannot be seen."""
    return "".join(each if each.isprintable() else "?" for each in words)


def fold(words: str, columns: int) -> str:
    """The same in lines of so many columns at most, broken between words where they are not longer.

    What goes on is indented, and keeps the branch that it belongs to.
    """
    columns = max(columns, NARROWEST)
    lines = (part for line in words.split("\n") for part in _folded(line, columns))
    return "\n".join(lines).replace(GLUE, " ")


def _folded(line: str, columns: int) -> Iterator[str]:
    lead = _LEAD.match(line)
    assert lead is not None  # it matches nothing, too
    indent = lead[0].translate(_ON) + ("  " if lead[0] else "    ")
    now = lead[0]
    for word in re.findall(" *[^ ]+", line[len(now) :]):
        if now not in (lead[0], indent) and _width(now + word) > columns:
            yield now
            now = indent
        now += word.lstrip(" ") if now == indent else word
        while _width(now) > columns:
            place = _place(now, columns)
            yield now[:place]
            now = indent + now[place:]
    yield now


def _width(words: str) -> int:
    return len(_CODE.sub("", words))


def _place(words: str, columns: int) -> int:
    """Where so many columns end."""
    shown = 0
    for found in re.finditer(f"{_CODE.pattern}|.", words):
        shown += not _CODE.fullmatch(found[0])
        if shown > columns:
            return found.start()
    return len(words)


def fit(words: str, columns: int, rows: int) -> str:
    """What a screen of this size shows of it, and how many lines are left out."""
    lines = words.split("\n")
    heights = [max(1, -(-_width(line) // columns)) for line in lines]
    if sum(heights) <= rows:
        return words
    shown = len(lines)
    while shown and sum(heights[:shown]) >= rows:
        shown -= 1
    return "\n".join([*lines[:shown], f"... {len(lines) - shown} more lines"])
