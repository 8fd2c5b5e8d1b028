"""Text for a terminal: color, width, and names without control characters. Pure.

Rules:

- A color only repeats what the text says.
- A name from outside (a container can rename its interface) is sanitized first: none of its
  characters moves the cursor or is invisible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

GOOD, BAD, DOUBTFUL, STRONG, FAINT = "32", "31", "33", "1", "2"  # ECMA-48, SGR

GLUE = "\N{NO-BREAK SPACE}"  # a space at which no line is broken; `sanitize` removes it from names
NARROWEST = 24  # columns; a narrower terminal breaks lines by itself

_CODE = re.compile("\033\\[\\d*m")
_LEAD = re.compile("[ ├└─]*")
_ON = str.maketrans({"├": "│", "└": " ", "─": " "})  # the branch beside continued lines

Color = Callable[[str, str], str]


def plain(words: str, _color: str) -> str:
    """The text without color."""
    return words


def colored(words: str, color: str) -> str:
    """The text in this color."""
    return f"\033[{color}m{words}\033[0m" if words else words


def moves(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether this output obeys control sequences; a file and a dumb terminal do not."""
    return terminal and environment.get("TERM") != "dumb"


def color(terminal: bool, environment: Mapping[str, str]) -> Color:
    """The function that colors text for this output (https://no-color.org)."""
    wanted = moves(terminal, environment) and not environment.get("NO_COLOR")
    return colored if wanted else plain


def sanitize(words: str) -> str:
    """The text with `?` for each character that is not printable."""
    return "".join(each if each.isprintable() else "?" for each in words)


def fold(words: str, columns: int) -> str:
    """The text in lines of at most `columns` characters, broken between words where possible.

    Continued lines are indented, and keep the branch that they belong to.
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
    """The index at which this many columns end."""
    shown = 0
    for found in re.finditer(f"{_CODE.pattern}|.", words):
        shown += not _CODE.fullmatch(found[0])
        if shown > columns:
            return found.start()
    return len(words)


def fit(words: str, columns: int, rows: int) -> str:
    """The lines that fit on a screen of this size, and how many more there are."""
    lines = words.split("\n")
    heights = [max(1, -(-_width(line) // columns)) for line in lines]
    if sum(heights) <= rows:
        return words
    shown = len(lines)
    while shown and sum(heights[:shown]) >= rows:
        shown -= 1
    return "\n".join([*lines[:shown], f"... {len(lines) - shown} more lines"])
