"""JSON that can be read in one way only.

Python's reader takes more than the standard: UTF-16 and UTF-32, NaN, and an object that has a name
twice, of which it keeps the last. What two programs read differently is refused here.

Source: RFC 8259, sections 4, 6 and 8.1.
"""

from __future__ import annotations

import json


def loads(text: bytes) -> object:
    """The value of a JSON text in UTF-8. Raises ValueError, RecursionError (nested too deeply)."""
    return json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:60]!r} stands twice in an object")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")
