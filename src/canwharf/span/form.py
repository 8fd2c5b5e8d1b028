"""Whether a value of somebody else's JSON has its form. Pure.

All of them return the value, or raise ValueError.
"""

from __future__ import annotations

from canwharf.bus.naming import name_fault
from canwharf.bus.span import is_name

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

_BEYOND = 1 << 64  # no number is so large


def name(value: object) -> str:
    """Of a host or a span."""
    if not (isinstance(value, str) and is_name(value)):
        raise ValueError(f"{value!r} can be no name")
    return value


def interface(value: object) -> str:
    """The name of an interface."""
    if not isinstance(value, str) or name_fault(value):
        raise ValueError(f"{value!r} can be no interface")
    return value


def word(value: object, most: int = 32) -> str:
    """So many letters at most, of which none means something to a terminal."""
    if not (isinstance(value, str) and len(value) <= most and value.isascii()):
        raise ValueError(f"{value!r} is no word of {most} letters")
    if not value.isprintable():
        raise ValueError(f"{value!r} is not printable")
    return value


def number(value: object) -> int:
    """A count, or a time in nanoseconds."""
    if type(value) is not int or not 0 <= value < _BEYOND:
        raise ValueError(f"{value!r} is no count")
    return value


def number_or_none(value: object) -> int | None:
    """A number that may be unknown."""
    return None if value is None else number(value)


def difference(value: object) -> int:
    """Of two times, in nanoseconds."""
    if type(value) is not int or not -_BEYOND < value < _BEYOND:
        raise ValueError(f"{value!r} is no difference")
    return value


def members(value: object, most: int) -> Mapping[str, object]:
    """An object with so many members at most."""
    if not isinstance(value, dict) or len(value) > most:
        raise ValueError(f"no object of at most {most} members")
    return value


def items(value: object, number: int) -> list[object]:
    """The first so many items of a list, which must be there; a later canwharf may have more."""
    if not isinstance(value, list) or len(value) < number:
        raise ValueError(f"no list of {number} items")
    return value[:number]
