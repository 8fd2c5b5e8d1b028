"""Filters in candump's words, which the kernel applies to what a socket receives. Pure.

    bus0,123:7FF           a frame passes if its id & mask == this id & mask
    bus0,123~7FF           all others pass
    bus0,123:7FF,#FFFFFFFF error frames of these classes, too
    bus0,123:7F0,123~7FF,j all filters must match, not only one of them

Rules:

- Everything is hexadecimal. An id of 8 digits has 29 bits (CAN_EFF_FLAG is set).
- Without a filter every frame passes, error frames too. With one, error frames pass only by `#`.
- As with candump, the mask is of the whole word: `123:7FF` also passes 29-bit ids that end so;
  `123:C00007FF` is the id 123 of 11 bits alone, and no remote frame.

Source: candump.c of can-utils; linux/can.h, linux/can/raw.h.
"""

from __future__ import annotations

import re
from struct import Struct

from canwharf.errors import UsageError
from canwharf.kernel import uapi
from canwharf.record import NamedTuple

_ITEM = re.compile(r"([0-9A-Fa-f]{1,8})([:~])([0-9A-Fa-f]{1,8})")
_ERRORS = re.compile(r"#([0-9A-Fa-f]{1,8})")
_MOST = 512  # CAN_RAW_FILTER_MAX
_RULE = Struct("=II")  # struct can_filter


class Filter(NamedTuple):
    """Which frames pass: by one of the `rules` (id, mask), or by all of them (`join`).

    `errors` are the classes of error frames that pass.
    """

    rules: tuple[tuple[int, int], ...] = ((0, 0),)
    errors: int = uapi.CAN_ERR_MASK
    join: bool = False

    @property
    def packed(self) -> bytes:
        """For CAN_RAW_FILTER."""
        return b"".join(_RULE.pack(*each) for each in self.rules)

    def passes(self, can_id: int) -> bool:
        """Whether a frame with this id passes, as the kernel decides it; no error frame."""
        if self.rules == ((0, 0),):
            return True
        fits = (_fits(can_id, *each) for each in self.rules)
        return bool(self.rules) and (all(fits) if self.join else any(fits))


EVERYTHING = Filter()


def _fits(can_id: int, id: int, mask: int) -> bool:
    """One rule (net/can/af_can.c, can_rcv_list_find)."""
    inverted = bool(id & uapi.CAN_INV_FILTER)
    if mask & uapi.CAN_EFF_FLAG and not id & uapi.CAN_EFF_FLAG:
        mask &= uapi.CAN_SFF_MASK | uapi.CAN_EFF_FLAG | uapi.CAN_RTR_FLAG
    return (can_id & mask == id & mask & ~uapi.CAN_INV_FILTER) != inverted


def parse(word: str) -> tuple[str, Filter]:
    """A bus and the filters behind it. Raises UsageError."""
    bus, *items = word.split(",")
    if not items:
        return bus, EVERYTHING
    rules: list[tuple[int, int]] = []
    errors, join = 0, False
    for item in items:
        if item in ("j", "J"):
            join = True
        elif found := _ERRORS.fullmatch(item):
            errors |= int(found[1], 16) & uapi.CAN_ERR_MASK
        elif found := _ITEM.fullmatch(item):
            rules.append(_rule(*found.groups()))
        else:
            raise UsageError(
                f"{word}: {item or 'nothing'!r} is no filter; there are id:mask, id~mask, "
                "#errormask and j, in hexadecimal digits, as in bus0,123:7FF"
            )
    if len(rules) > _MOST:
        raise UsageError(f"{bus}: {len(rules)} filters, and the kernel takes {_MOST}")
    return bus, Filter(tuple(rules), errors, join)


def _rule(id: str, sign: str, mask: str) -> tuple[int, int]:
    flags = (uapi.CAN_EFF_FLAG if len(id) == 8 else 0) | (sign == "~") * uapi.CAN_INV_FILTER
    # The same bit in the mask would make it a filter of error frames.
    return int(id, 16) | flags, int(mask, 16) & ~uapi.CAN_ERR_FLAG
