"""Values of options: the user's text -> one number in one unit -> a canonical text. Pure.

Rules:

- The usual spellings are accepted: those of `ip link set type can` (500000, 0.875, on), of
  systemd.network (500K, 87.5%, 875‰, 100ms, yes), and of data sheets (500 kbit/s, 120 ohm).
- A number and its unit make a whole number of the kernel's unit, exactly: nothing is rounded.
- A text with two readings is refused. A refusal names the unit and gives examples.
- Equal values have equal canonical texts: networks are compared by them.

Sources: iproute2, ip-link(8); systemd.network(5), section [CAN]; systemd.syntax(7).
"""

from __future__ import annotations

from canwharf.errors import OptionError
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIGITS = "0123456789"
_U32 = 0xFFFFFFFE  # the kernel's own "unknown" is one more
_SWITCHES = {
    **dict.fromkeys(("on", "yes", "true", "1", "y", "enable", "enabled"), True),
    **dict.fromkeys(("off", "no", "false", "0", "n", "disable", "disabled"), False),
}


class Unit(NamedTuple):
    """What a number counts: its units with their factors, and its range, in the kernel's unit.

    `must` is for the error: what the value must be, with examples. `words` are texts for a number.
    """

    factors: Mapping[str, int]
    least: int
    must: str
    most: int = _U32
    words: Mapping[str, int] = {}


_NEVER = dict.fromkeys(("off", "never", "none"), 0)
_PREFIXES = {"": 1, "k": 1000, "m": 1_000_000, "g": 1_000_000_000}
_BITS = ("", "bit", "bit/s", "bits/s", "bps", "bd", "baud")

RATE = Unit(
    {prefix + bits: factor for prefix, factor in _PREFIXES.items() for bits in _BITS},
    1,
    "a bit rate in bit/s, like 500000, 500k or 1M",
)
MILLISECONDS = Unit(
    {"": 1, "ms": 1, "msec": 1, "s": 1000, "sec": 1000, "min": 60_000},
    0,
    "a time of whole milliseconds, like 100, 100ms or 1s; 0: never",
    words=_NEVER,
)
NANOSECONDS = Unit(
    {"": 1, "ns": 1, "nsec": 1, "us": 1000, "µs": 1000, "μs": 1000},
    1,
    "a time of whole nanoseconds, like 125, 125ns or 1us",
)
QUANTA = Unit({"": 1, "tq": 1}, 1, "a whole number of time quanta from 1 on, like 6")
CLOCKS = Unit({"": 1}, 0, "a whole number of the controller's clock periods, like 14")
OHMS = Unit(
    {"": 1, "ohm": 1, "ohms": 1, "ω": 1},
    0,
    "a resistance in ohms, like 120; 0: none",
    0xFFFF,
    _NEVER,
)
FRAMES = Unit({"": 1, "frames": 1}, 0, "a whole number of frames, like 100")
PER_SECOND = Unit(
    {"": 1, "k": 1000, "/s": 1, "fps": 1, "frames/s": 1},
    1,
    "a whole number of frames a second from 1 to 1000000, like 1000, or off; can.send=none lets "
    "none pass",
    1_000_000,
    {"off": 0},
)
_OFF = dict.fromkeys(("off", "none", "0"), 0)
BANDWIDTH = Unit(
    {prefix + bits: factor for prefix, factor in _PREFIXES.items() for bits in _BITS},
    1000,
    "a bit rate in bit/s from 1000 to 20000000, like 500000, 500k or 1M; or off",
    20_000_000,
    _OFF,
)
MICROSECONDS = Unit(
    {"us": 1, "µs": 1, "μs": 1, "": 1000, "ms": 1000, "msec": 1000, "s": 1_000_000},
    0,
    "a time up to 10 s, like 20ms, 500us or 1s (20 is 20ms); or off",
    10_000_000,
    _OFF,
)
PROBABILITY = Unit(
    {"%": 10_000, "‰": 1000, "ppm": 1},
    0,
    "a part of all frames with its sign, like 5%, 0.1% or 100%; or off",
    1_000_000,
    _OFF,
)
_PER_MILLE = Unit(
    {"": 1000, "%": 10, "‰": 1},
    1,
    "a part of a bit with up to three digits, like 0.875 or 87.5%",
    999,
)


def number(option: str, value: str, unit: Unit) -> int:
    """A number in the kernel's unit. Raises OptionError."""
    text = value.strip().lower()
    if text in unit.words:
        return unit.words[text]
    result = _exactly(text, unit.factors)
    if result is None or not unit.least <= result <= unit.most:
        raise OptionError(option, value, f"must be {unit.must}")
    return result


def point(option: str, value: str) -> int:
    """A part of a bit, in per mille: 0.875, 87.5%, 875‰, or 87.5 as python-can writes it.

    Raises OptionError.
    """
    text = value.strip().lower()
    whole, rest = _digits(text)
    part, rest = _digits(rest, ".")
    percent = len(whole) == 2 and whole[0] != "0" and len(part) < 2 and not rest
    return number(option, f"{text}%" if percent else value, _PER_MILLE)


def switch(option: str, value: str) -> bool:
    """On or off, in any of the usual words. Raises OptionError."""
    result = _SWITCHES.get(value.strip().lower())
    if result is None:
        raise OptionError(option, value, "must be on or off (or yes or no, true or false)")
    return result


def choice(option: str, value: str, choices: Sequence[str]) -> str:
    """One of these words, in any case. Raises OptionError."""
    text = value.strip().lower()
    if text not in choices:
        raise OptionError(option, value, f"must be {', '.join(choices[:-1])} or {choices[-1]}")
    return text


def _exactly(text: str, factors: Mapping[str, int]) -> int | None:
    """The number times the factor of its unit; None if that is no whole number, or unreadable."""
    whole, rest = _digits(text)
    part, rest = _digits(rest, ".")
    exponent, unit = _digits(rest, "e+" if rest.startswith("e+") else "e")
    factor = factors.get(unit.removeprefix(" "))
    if factor is None or not (whole or part):
        return None
    if len(whole) > 12 or len(part) > 9 or len(exponent) > 2:
        return None
    numerator = int(whole + part) * factor * 10 ** int(exponent or "0")
    result, remainder = divmod(numerator, 10 ** len(part))
    return None if remainder else result


def _digits(text: str, mark: str = "") -> tuple[str, str]:
    """The digits with which a text begins, behind this mark, and the rest; or none, and all."""
    behind = text.removeprefix(mark)
    rest = behind.lstrip(_DIGITS)
    digits = behind[: len(behind) - len(rest)]
    return (digits, rest) if digits and text.startswith(mark) else ("", text)
