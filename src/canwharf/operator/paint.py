"""Colours of a terminal, where there is one. Pure.

Rule: a colour only repeats what the words say.
"""

from __future__ import annotations

from collections.abc import Callable

GOOD, BAD, DOUBTFUL, STRONG, FAINT = "32", "31", "33", "1", "2"  # ECMA-48, SGR

Paint = Callable[[str, str], str]


def plain(words: str, _colour: str) -> str:
    """No colour."""
    return words


def coloured(words: str, colour: str) -> str:
    """In this colour."""
    return f"\033[{colour}m{words}\033[0m" if words else words
