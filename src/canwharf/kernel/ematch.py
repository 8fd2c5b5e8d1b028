"""Which CAN ids a tc filter matches: entries, and the tree of matches that the kernel takes. Pure.

Theory of operation. A `basic` filter has a tree of matches. Ours matches the frames that must not
pass: those whose id is on the list of denied ones, or not on the list of allowed ones. So one
message replaces both lists at once, and what it does not match goes on to the next filter.

    send     ERROR FRAME or DENIED or not ALLOWED
    receive  not ERROR FRAME and (DENIED or not ALLOWED)

A fault matches the frames that it is about:

    not ERROR FRAME and not REMOTE and LONGER and RANDOM and not DENIED and (ALLOWED or ALLOWED)

Rules:

- The kernel reads a tree from left to right and stops as soon as the result is known. So `a or b
  and c` is a or (b and c), `a and b or c` is a and (b or c), and no parentheses are needed.
- An error frame has no id: the same bits are its class. It is decided on first, as `canid` would
  take the class for an id of 11 bits.
- `canid` (em_canid) takes a whole list in one match, at most 500 entries. `u32` (em_u32) has one
  entry a match, and stands in where a kernel was built without em_canid. It compares bytes as they
  are in memory: a frame has its id there in the machine's own byte order, and so have its key and
  its mask here.
- Data and remote frames, classic and FD, are treated alike, but by a fault that changes bytes: a
  remote frame has none, and a shorter frame lacks some. `cmp` (em_cmp) compares the length.
- `meta` (em_meta) compares a random number of 32 bits: so a part of the frames is matched.

Sources: linux/pkt_cls.h (tcf_ematch_hdr), net/sched/ematch.c (__tcf_em_tree_match), em_canid.c,
em_cmp.c, em_meta.c, em_u32.c; linux/can.h.
"""

from __future__ import annotations

import sys
from struct import Struct

from canwharf.kernel import uapi
from canwharf.kernel.message import attribute
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Sequence

CANID, U32 = "canid", "u32"  # as tc-ematch(8) calls them; the second where the first is missing
_CMP, _META = "cmp", "meta"
KINDS = {
    CANID: uapi.TCF_EM_CANID,
    U32: uapi.TCF_EM_U32,
    _CMP: uapi.TCF_EM_CMP,
    _META: uapi.TCF_EM_META,
}
MOST = 500  # entries: EM_CAN_RULES_MAX

_TREE = Struct("=HH")  # struct tcf_ematch_tree_hdr: how many matches, program
_MATCH = Struct("=HHHH")  # struct tcf_ematch_hdr: id, kind, flags, padding
_FILTER = Struct("=II")  # struct can_filter: id, mask
_KEY = Struct("=IIii")  # struct tc_u32_key: mask, value, offset, offset's mask
_COMPARED = Struct("=IIHBB")  # struct tcf_em_cmp: value, mask, offset, two bytes of bit fields
_META_HEAD = Struct("=HBBHBB")  # struct tcf_meta_hdr: kind, shift, operation; the same of a value
_U32 = Struct("=I")
_LENGTH = 4  # the offset of a frame's length (struct can_frame, canfd_frame)
_ALL = 1 << 32  # random numbers


class Entry(NamedTuple):
    """All ids of one length that equal `id` in the bits of `mask`."""

    id: int
    mask: int
    extended: bool = False


class Lists(NamedTuple):
    """The ids that pass: what is allowed but for what is denied. Entries may overlap."""

    allowed: tuple[Entry, ...] = ()
    denied: tuple[Entry, ...] = ()

    @property
    def size(self) -> int:
        """How many entries the kernel has to keep."""
        return len(self.allowed) + len(self.denied)


def unwanted(lists: Lists, kind: str, *, errors: bool) -> bytes:
    """The value of TCA_BASIC_EMATCHES for a filter that matches what must not pass.

    `errors` says that error frames pass. It is empty if nothing passes: such a filter has no tree.
    """
    error = uapi.CAN_ERR_FLAG
    matches = [(U32, _KEY.pack(error, error, 0, 0), _ERRORS[errors])]
    matches += [(kind, data, uapi.TCF_EM_REL_OR) for data in _DATA[kind](lists.denied)]
    allowed = uapi.TCF_EM_REL_AND | uapi.TCF_EM_INVERT
    matches += [(kind, data, allowed) for data in _DATA[kind](lists.allowed)]
    if not lists.allowed:
        if not errors:
            return b""
        matches = matches[:1]
    return _tree(matches)


def meant(lists: Lists, kind: str, *, longer_than: int = -1, share: float = 1.0) -> bytes:
    """The same for a filter that matches what passes, as far as a fault is about it.

    These are no error frames; with `longer_than` data frames of more bytes, with `share` such a
    part of them, by chance.
    """
    no = uapi.TCF_EM_REL_AND | uapi.TCF_EM_INVERT
    matches = [(U32, _KEY.pack(uapi.CAN_ERR_FLAG, uapi.CAN_ERR_FLAG, 0, 0), no)]
    if longer_than >= 0:
        matches.append((U32, _KEY.pack(uapi.CAN_RTR_FLAG, uapi.CAN_RTR_FLAG, 0, 0), no))
        matches.append((_CMP, _longer_than(longer_than), uapi.TCF_EM_REL_AND))
    if share < 1:
        matches.append((_META, _by_chance(share), uapi.TCF_EM_REL_AND))
    matches += [(kind, data, no) for data in _DATA[kind](lists.denied)]
    matches += [(kind, data, uapi.TCF_EM_REL_OR) for data in _DATA[kind](lists.allowed)]
    return _tree(matches)


def _tree(matches: Sequence[tuple[str, bytes, int]]) -> bytes:
    """The matches in their order: kind, data and flags of each; those of the last end the tree."""
    packed = b""
    for number, (each, data, flags) in enumerate(matches, 1):
        kept = flags & uapi.TCF_EM_INVERT if number == len(matches) else flags  # the end of it
        packed += attribute(number, _MATCH.pack(0, KINDS[each], kept, 0) + data)
    head = attribute(uapi.TCA_EMATCH_TREE_HDR, _TREE.pack(len(matches), 0))
    return head + attribute(uapi.TCA_EMATCH_TREE_LIST, packed)


def _longer_than(length: int) -> bytes:
    """Of a `cmp` match: the frame is longer. The bit fields are in the machine's own order."""
    fields = (uapi.TCF_EM_ALIGN_U8, 0), (uapi.TCF_LAYER_NETWORK, uapi.TCF_EM_OPND_GT)
    order = 1 if sys.byteorder == "little" else -1
    one, two = (low | high << 4 for low, high in (each[::order] for each in fields))
    return _COMPARED.pack(length, 0, _LENGTH, one, two)


def _by_chance(share: float) -> bytes:
    """Of a `meta` match: a random number is less than this part of all."""
    kinds = (uapi.TCF_META_TYPE_INT | uapi.TCF_META_ID_RANDOM, 0, uapi.TCF_EM_OPND_LT)
    value = uapi.TCF_META_TYPE_INT | uapi.TCF_META_ID_VALUE, 0, 0
    head = attribute(uapi.TCA_EM_META_HDR, _META_HEAD.pack(*kinds, *value))
    # As long as a word of the machine is, until it is masked.
    head += attribute(uapi.TCA_EM_META_LVALUE, _U32.pack(_ALL - 1))
    return head + attribute(uapi.TCA_EM_META_RVALUE, _U32.pack(round(share * (_ALL - 1))))


def _canid(entries: Sequence[Entry]) -> list[bytes]:
    """All entries as the data of one `canid` match."""
    words = [(each.id | _FLAG[each.extended], each.mask) for each in entries]
    return [b"".join(_FILTER.pack(*word) for word in words)] if words else []


def _u32(entries: Sequence[Entry]) -> list[bytes]:
    """The data of one `u32` match for each entry: the id and the flag of its length."""
    return [
        _KEY.pack(each.mask | uapi.CAN_EFF_FLAG, each.id | _FLAG[each.extended], 0, 0)
        for each in entries
    ]


_DATA = {CANID: _canid, U32: _u32}
_FLAG = {False: 0, True: uapi.CAN_EFF_FLAG}
_ERRORS = {  # by whether error frames pass: the flags of the first match
    False: uapi.TCF_EM_REL_OR,
    True: uapi.TCF_EM_REL_AND | uapi.TCF_EM_INVERT,
}
