"""Which CAN ids a tc filter matches: entries, and the tree of matches that the kernel takes. Pure.

Theory of operation. A `basic` filter has a tree of matches. Ours matches the frames that must not
pass: those whose id is on the list of denied ones, or not on the list of allowed ones. So one
message replaces both lists at once, and what it does not match goes on to the next filter.

    send     ERROR FRAME or DENIED or not ALLOWED
    receive  not ERROR FRAME and (DENIED or not ALLOWED)

Rules:

- The kernel reads a tree from left to right and stops as soon as the result is known. So `a or b
  and c` is a or (b and c), `a and b or c` is a and (b or c), and no parentheses are needed.
- An error frame has no id: the same bits are its class. It is decided on first, as `canid` would
  take the class for an id of 11 bits.
- `canid` (em_canid) takes a whole list in one match, at most 500 entries. `u32` (em_u32) has one
  entry a match, and stands in where a kernel was built without em_canid. It compares bytes as they
  are in memory: a frame has its id there in the machine's own byte order, and so have its key and
  its mask here.
- Data and remote frames, classic and FD, are treated alike.

Sources: linux/pkt_cls.h (tcf_ematch_hdr), net/sched/ematch.c (__tcf_em_tree_match), em_canid.c,
em_u32.c; linux/can.h.
"""

from __future__ import annotations

from struct import Struct

from canwharf.kernel import uapi
from canwharf.kernel.message import attribute
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Sequence

CANID, U32 = "canid", "u32"  # as tc-ematch(8) calls them; the second where the first is missing
KINDS = {CANID: uapi.TCF_EM_CANID, U32: uapi.TCF_EM_U32}
MOST = 500  # entries: EM_CAN_RULES_MAX

_TREE = Struct("=HH")  # struct tcf_ematch_tree_hdr: how many matches, program
_MATCH = Struct("=HHHH")  # struct tcf_ematch_hdr: id, kind, flags, padding
_FILTER = Struct("=II")  # struct can_filter: id, mask
_KEY = Struct("=IIii")  # struct tc_u32_key: mask, value, offset, offset's mask


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
    packed = b""
    for number, (each, data, flags) in enumerate(matches, 1):
        kept = flags & uapi.TCF_EM_INVERT if number == len(matches) else flags  # the end of it
        packed += attribute(number, _MATCH.pack(0, KINDS[each], kept, 0) + data)
    head = attribute(uapi.TCA_EMATCH_TREE_HDR, _TREE.pack(len(matches), 0))
    return head + attribute(uapi.TCA_EMATCH_TREE_LIST, packed)


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
