"""JSON that can be read in one way only, and that costs a start little.

Python's reader takes more than the standard: UTF-16 and UTF-32, NaN, and an object that has a name
twice, of which it keeps the last. What two programs read differently is refused here.

Python's json imports re, to skip spaces and to word its errors: that is a good part of a start. Its
reader and its writer are in C, and work without it; it is imported for an error.

Source: RFC 8259, sections 4, 6 and 8.1; Lib/json/decoder.py and encoder.py.
"""

from __future__ import annotations

from _json import encode_basestring_ascii as quoted

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SPACES = " \t\n\r"


def loads(text: bytes) -> object:
    """The value of a JSON text in UTF-8. Raises ValueError, RecursionError (nested too deeply)."""
    decoded = text.decode().strip(_SPACES)
    value: object
    try:
        value, end = _read(decoded, 0)
    except StopIteration:  # there is no value
        end = -1
    if end != len(decoded):
        import json  # noqa: PLC0415 (see above)

        value = json.loads(text.decode())  # raises the error, in words and with its place
    return value


def loads_object(text: bytes, what: str) -> dict[str, object]:
    """The object that a JSON text is. Raises ValueError, which says what `what` should be."""
    try:
        value = loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a JSON object")  # noqa: TRY004 (as for no JSON at all)
    return value


def dumps(value: object) -> str:
    """The text of a value, on one line, in ASCII. Raises TypeError, RecursionError."""
    return "".join(_write(value, 0))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:60]!r} stands twice in an object")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _no_text(value: object) -> None:
    raise TypeError(f"{value!r} has no form in JSON")


class _Context:
    """What the reader asks for; in json, its JSONDecoder."""

    strict = True
    object_hook = array_hook = None
    object_pairs_hook = staticmethod(_once)
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_number)


_read: Callable[[str, int], tuple[Any, int]]
_write: Callable[[object, int], Any]
_context: Any = _Context
try:
    from _json import make_encoder, make_scanner

    _read = make_scanner(_context)
    _write = make_encoder(None, _no_text, quoted, None, ": ", ", ", False, False, True)
except (ImportError, AttributeError, TypeError):  # of a later Python: they ask for something else
    import json

    _reader: Any = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)
    _read = _reader.scan_once

    def _write(value: object, _level: int) -> str:
        return json.dumps(value)


__all__ = ["dumps", "loads", "loads_object", "quoted"]
