"""Words for a terminal, in colour where it knows any. Pure.

Rules:

- A colour only repeats what the words say.
- A name that others chose (a container may rename its interface) is made legible first: no
  character of it moves the cursor, or is anything but seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

GOOD, BAD, DOUBTFUL, STRONG, FAINT = "32", "31", "33", "1", "2"  # ECMA-48, SGR

_CODE = re.compile("\033\\[\\d*m")

Paint = Callable[[str, str], str]


def plain(words: str, _colour: str) -> str:
    """No colour."""
    return words


def coloured(words: str, colour: str) -> str:
    """In this colour."""
    return f"\033[{colour}m{words}\033[0m" if words else words


def moves(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether this output obeys control sequences: no file does, and no dumb terminal."""
    return terminal and environment.get("TERM") != "dumb"


def brush(terminal: bool, environment: Mapping[str, str]) -> Paint:
    """What to paint with on this output (https://no-color.org)."""
    wanted = moves(terminal, environment) and not environment.get("NO_COLOR")
    return coloured if wanted else plain


def legible(words: str) -> str:
    """The same with `?` for what cannot be seen."""
    return "".join(each if each.isprintable() else "?" for each in words)


def fit(words: str, columns: int, rows: int) -> str:
    """What a screen of this size shows of it, and how many lines are left out."""
    lines = words.split("\n")
    heights = [max(1, -(-len(_CODE.sub("", line)) // columns)) for line in lines]
    if sum(heights) <= rows:
        return words
    shown = len(lines)
    while shown and sum(heights[:shown]) >= rows:
        shown -= 1
    return "\n".join([*lines[:shown], f"... {len(lines) - shown} more lines"])
