"""What a container may send or receive: a text of CAN ids -> a validated set -> entries. Pure.

    100-1FF+7DF             these ids, and no others
    ~7E0-7EF                all but these
    18FEF100-18FEF1FF+pgn:F004+123:7F0+sff+~7E0

Rules:

- Ids are hexadecimal as candump writes them, in either case, with or without 0x: up to three digits
  are an id of 11 bits, eight are one of 29 bits. Other lengths are refused.
- An item is an id, a range, an id with a mask (as in candump's filters, but always within ids of
  its own length), a J1939 parameter group (`pgn:` with any priority and source, and below F000
  with any destination), or `sff`, `eff`, `all`, `none`.
- Items are separated by `+` or `,`. An item with `~` or `!` before it is left out of the set. Of
  both, the first needs no quotes: Docker's `--network name=bus0,driver-opt=...` ends a value at a
  comma, an interactive shell takes `!` for its history, YAML takes it for a tag.
- `none` stands alone: beside other items it is refused, as that has two readings.
- If all items are left out, everything else passes. If there are others, nothing else passes. An
  item that is left out is so wherever it stands.
- Equal sets have equal texts: the shortest of a few forms. Only where masks are that are no range,
  these stay as they were written.
- YAML reads 7E0 without quotes as the number 7. So a text of one or two decimal digits is refused.
- What needs more entries than the kernel takes (`ematch.MOST`) is refused here.

Sources: candump(1), cansend(1); linux/can.h; SAE J1939-21 (PDU1, PDU2).
"""

from __future__ import annotations

import re
from itertools import product

from canwharf.errors import OptionError
from canwharf.kernel import ematch, uapi
from canwharf.kernel.ematch import Entry, Lists
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LAST = {False: uapi.CAN_SFF_MASK, True: uapi.CAN_EFF_MASK}  # the greatest id, by `extended`
_DIGITS = {False: 3, True: 8}
_WORDS = {"sff": (False,), "eff": (True,), "all": (False, True), "none": ()}
_NAMES = {False: "sff", True: "eff"}
_GAPS = (1, 0xFF, uapi.CAN_EFF_MASK)  # of how many ids, between two ranges of a form
_PDU2, _PDU1 = 0x3FFFF00, 0x3FF0000  # of an id, the bits of its parameter group
_HEX = r"(?:0x)?([0-9a-f]+)"
_MUST = (
    "must be an id of 11 bits (123) or of 29 bits (18FEF100), a range (100-1FF), an id and a mask "
    "(123:7F0), pgn:F004, sff, eff, all or none; + stands between two of them, ~ before one that "
    "is left out"
)


class Block(NamedTuple):
    """The ids from `first` to `last` that equal `first` in the bits of `mask`: 0 is a range."""

    first: int
    last: int
    mask: int = 0


class Space(NamedTuple):
    """The ids of one length that pass: in a block that is allowed, and in none that is denied.

    If only ranges are allowed, no range is denied, and no mask that lies in a gap between them.
    """

    extended: bool
    allowed: tuple[Block, ...]
    denied: tuple[Block, ...]

    def has(self, id: int) -> bool:
        """Whether this id passes."""
        return _among(id, self.allowed) and not _among(id, self.denied)

    @property
    def forms(self) -> list[tuple[Sequence[Block], Sequence[Block]]]:
        """Blocks that are allowed and denied: the same set in each form.

        It is that of this value or, if only ranges are allowed, over gaps, and over all ids.
        """
        forms: list[tuple[Sequence[Block], Sequence[Block]]] = [(self.allowed, self.denied)]
        if self.allowed and not any(each.mask for each in self.allowed):
            wholes = [_over_gaps(self.allowed, length) for length in _GAPS]
            wholes.append([Block(0, _LAST[self.extended])])
            forms += [(each, [*_minus(each, self.allowed), *self.denied]) for each in wholes]
        return forms

    @property
    def lists(self) -> Lists:
        """The form with the fewest entries."""
        forms = [
            Lists(*(tuple(_entries(blocks, self.extended)) for blocks in form))
            for form in self.forms
        ]
        return min(forms, key=lambda form: form.size)


class IdSet(NamedTuple):
    """The ids that pass, of both lengths."""

    standard: Space
    extended: Space

    def passes(self, can_id: int) -> bool:
        """Whether a frame with this `can_id` (linux/can.h) passes; an error frame has no id."""
        extended = bool(can_id & uapi.CAN_EFF_FLAG)
        return self[extended].has(can_id & _LAST[extended])

    @property
    def lists(self) -> Lists:
        """The entries for the kernel."""
        standard, extended = (space.lists for space in self)
        return Lists(standard.allowed + extended.allowed, standard.denied + extended.denied)

    def __str__(self) -> str:
        """The shortest text of this set, without a need for quotes."""
        texts = []
        for (standard, not_standard), (extended, not_extended) in product(
            *(space.forms for space in self)
        ):
            allowed = [_text(each, False) for each in standard]
            allowed += [_text(each, True) for each in extended]
            denied = [f"~{_text(each, False)}" for each in not_standard]
            denied += [f"~{_text(each, True)}" for each in not_extended]
            if allowed == list(_NAMES.values()):
                allowed = [] if denied else ["all"]
            texts.append("+".join(allowed + denied) or "none")
        return min(texts, key=lambda text: (text.count("+"), len(text), text))


def parse(option: str, text: str) -> IdSet:
    """The set that the value of an option says, for the kernel's filter. Raises OptionError."""
    ids = read(option, text)
    if (size := ids.lists.size) > ematch.MOST:
        reason = (
            f"the kernel's filter would need {size} entries, and takes {ematch.MOST}: name fewer "
            "ids, or ranges that begin and end at a multiple of 16, like 100-1FF"
        )
        raise OptionError(option, text, reason)
    return ids


def of(can_ids: Iterable[int]) -> IdSet:
    """The set of exactly these ids; those of 29 bits have their flag (linux/can.h)."""
    blocks: dict[bool, list[Block]] = {extended: [] for extended in _LAST}
    for can_id in can_ids:
        extended = bool(can_id & uapi.CAN_EFF_FLAG)
        id = can_id & _LAST[extended]
        blocks[extended].append(Block(id, id))
    return IdSet(*(_space(extended, found, ()) for extended, found in blocks.items()))


def read(option: str, text: str) -> IdSet:
    """The set that the value of an option says, of any size. Raises OptionError."""
    try:
        return _parse(text)
    except ValueError as error:
        raise OptionError(option, text, str(error)) from None


def _parse(text: str) -> IdSet:
    """The set of a text. Raises ValueError with the reason."""
    bare = text.strip().lower()
    if re.fullmatch("[0-9]{1,2}", bare):
        reason = "is too short to be sure: YAML reads 7E0 without quotes as the number 7. Write "
        raise ValueError(f"{reason}{int(bare, 16):03X} for this id, or put the value in quotes")
    blocks: dict[tuple[bool, bool], list[Block]] = {}  # by whether extended, and whether denied
    words = [each.strip() for each in re.split("[+,]", bare)]
    denials = [word.startswith(("~", "!")) for word in words]
    items = [word[denied:].strip() for word, denied in zip(words, denials, strict=True)]
    for item, denied in zip(items, denials, strict=True):
        for extended, block in _item(item):
            blocks.setdefault((extended, denied), []).append(block)
    if "none" in items and {*words} != {"none"}:
        rest = [word for word, item in zip(words, items, strict=True) if item != "none"]
        ways = {str(_parse("+".join(rest))) if rest else "all": None, "none": None}
        raise ValueError(f"none stands alone, as no id passes then: write {' or '.join(ways)}")
    if all(denials):
        for extended, last in _LAST.items():
            blocks[extended, False] = [Block(0, last)]
    return IdSet(
        *(
            _space(extended, *(blocks.get((extended, denied), ()) for denied in (False, True)))
            for extended in _LAST
        )
    )


def _space(extended: bool, allowed: Iterable[Block], denied: Iterable[Block]) -> Space:
    """The ids of one length in the form that `Space` has."""
    allowed, denied = _merged(allowed), _merged(denied)
    if not any(each.mask for each in allowed):
        allowed = _minus(allowed, [each for each in denied if not each.mask])
        denied = [each for each in denied if each.mask and _reaches(each, allowed)]
    return Space(extended, tuple(allowed), tuple(denied) if allowed else ())


def _reaches(mask: Block, ranges: Iterable[Block]) -> bool:
    """Whether any of these ranges is not wholly beside the ids of a mask."""
    return any(mask.first <= each.last and each.first <= mask.last for each in ranges)


def _item(word: str) -> Iterator[tuple[bool, Block]]:
    """One item of a text, in lower case: whether its ids are extended, and which they are."""
    if word in _WORDS:
        for extended in _WORDS[word]:
            yield extended, Block(0, _LAST[extended])
    elif group := re.fullmatch(f"pgn:{_HEX}", word):
        yield True, _group(group[1])
    elif match := re.fullmatch(f"{_HEX}(?:([-:]){_HEX})?", word):
        digits, sign, more = match[1], match[2], match[3] or match[1]
        extended, first = _number(digits)
        if sign == ":" and int(more, 16) > _LAST[True]:
            ways = f"{digits}:{int(more, 16) & _LAST[extended]:X}".upper()
            reason = "has a mask with flags; data frames and remote frames pass alike: write"
            raise ValueError(f"{word.upper()} {reason} {ways}")
        if _number(more)[0] != extended:
            raise ValueError(f"{word.upper()} has an id of 11 bits and one of 29 bits")
        second = _number(more)[1]
        if sign == "-" and second < first:
            ways = f"{more}-{digits}".upper()
            raise ValueError(f"{word.upper()} ends before it begins: write {ways}")
        yield extended, _masked(first, second, extended) if sign == ":" else Block(first, second)
    else:
        raise ValueError(f"{word!r} is no item: it {_MUST}" if word else _MUST)


def _number(digits: str) -> tuple[bool, int]:
    """Whether these digits are of an extended id, and the number. Raises ValueError."""
    value, length = int(digits, 16), len(digits)
    shown = digits.upper()
    extended = length == _DIGITS[True]
    if not extended and length > _DIGITS[False]:
        ways = [f"{value:03X} for 11 bits"] * (value <= _LAST[False])
        ways += [f"{value:08X} for 29 bits"] * (value <= _LAST[True])
        reason = f"{shown} has {length} digits: an id of 11 bits has 3, one of 29 bits has 8"
        raise ValueError(f"{reason}; write {' or '.join(ways)}" if ways else reason)
    if value > _LAST[extended]:
        bits = "29 bits has, without flags" if extended else "11 bits has"
        reason = f"{shown} is more than {_LAST[extended]:X}, which is all that an id of {bits}"
        raise ValueError(reason if extended else f"{reason}; write {value:08X} for 29 bits")
    return extended, value


def _group(digits: str) -> Block:
    """The extended ids of a J1939 parameter group. Raises ValueError."""
    number = int(digits, 16)
    if number > _PDU2 >> 8:
        decimal = f"; it is hexadecimal, 61444 is pgn:{61444:X}" if digits.isdecimal() else ""
        raise ValueError(f"pgn:{digits.upper()} is more than {_PDU2 >> 8:X}{decimal}")
    broadcast = number & 0xFF00 >= 0xF000
    if not broadcast and number & 0xFF:
        reason = f"pgn:{digits.upper()} has a destination, {number & 0xFF:02X}, in its last digits"
        ways = f"pgn:{number & ~0xFF:X} for all, or {number << 8:08X}:{_PDU2:08X} for this one"
        raise ValueError(f"{reason}; write {ways}")
    return _masked(number << 8, _PDU2 if broadcast else _PDU1, True)


def _masked(id: int, mask: int, extended: bool) -> Block:
    """The ids that equal this one in the bits of the mask; a range if they are one."""
    free = _LAST[extended] & ~mask
    first = id & mask
    return Block(first, first | free, mask if free & (free + 1) else 0)


def _merged(blocks: Iterable[Block]) -> list[Block]:
    """The same ids in sorted ranges with gaps between them, and masks that are in none of these."""
    ordered = sorted(set(blocks))
    ranges = _over_gaps([each for each in ordered if not each.mask], 0)
    masks = [each for each in ordered if each.mask]
    covered = [
        each for each in masks if any(r.first <= each.first and each.last <= r.last for r in ranges)
    ]
    return ranges + [each for each in masks if each not in covered]


def _over_gaps(ranges: Iterable[Block], length: int) -> list[Block]:
    """Sorted ranges, joined over gaps of up to so many ids."""
    joined: list[Block] = []
    for each in ranges:
        if joined and each.first <= joined[-1].last + 1 + length:
            joined[-1] = Block(joined[-1].first, max(joined[-1].last, each.last))
        else:
            joined.append(each)
    return joined


def _minus(ranges: Iterable[Block], holes: Sequence[Block]) -> list[Block]:
    """What is left of sorted ranges without others; both have gaps between them."""
    left, passed = [], 0
    for each in ranges:
        start = each.first
        while passed < len(holes) and holes[passed].last < start:
            passed += 1
        for hole in holes[passed:]:
            if hole.first > each.last:
                break
            if hole.first > start:
                left.append(Block(start, hole.first - 1))
            start = hole.last + 1
        if start <= each.last:
            left.append(Block(start, each.last))
    return left


def _entries(blocks: Iterable[Block], extended: bool) -> Iterator[Entry]:
    """Entries with the ids of these blocks.

    A range takes the largest parts that begin at a multiple of their size: for n bits, up to 2n-2.
    """
    full = _LAST[extended]
    for first, last, mask in blocks:
        if mask:
            yield Entry(first, mask, extended)
            continue
        start = first
        while start <= last:
            size = start & -start or full + 1
            while start + size - 1 > last:
                size >>= 1
            yield Entry(start, full & ~(size - 1), extended)
            start += size


def _among(id: int, blocks: Iterable[Block]) -> bool:
    return any(first <= id <= last and not (id ^ first) & mask for first, last, mask in blocks)


def _text(block: Block, extended: bool) -> str:
    """A block as an item."""
    first, last, mask = block
    digits = _DIGITS[extended]
    if mask in (_PDU1, _PDU2) and extended and (first & 0xF00000 == 0xF00000) == (mask == _PDU2):
        return f"pgn:{first >> 8:04X}"
    if mask:
        return f"{first:0{digits}X}:{mask:0{digits}X}"
    if (first, last) == (0, _LAST[extended]):
        return _NAMES[extended]
    return f"{first:0{digits}X}" + (f"-{last:0{digits}X}" if last > first else "")
