"""The trees of matches: as the kernel reads them, they drop what must not pass, no more."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.kernel import ematch
from canwharf.kernel.ematch import CANID, U32, Entry, Lists
from tests.fake import wire

EXTENDED, REMOTE, ERROR = 0x80000000, 0x40000000, 0x20000000  # linux/can.h
AND, OR, INVERT = 1, 2, 4  # linux/pkt_cls.h
KIND_CMP, KIND_U32, KIND_META, KIND_CANID = 1, 3, 4, 7


def entries(extended: bool) -> st.SearchStrategy[Entry]:
    last = 0x1FFFFFFF if extended else 0x7FF
    # Few ids, so that lists meet, and masks that leave a part of them open.
    masks = st.sampled_from([last, last & ~3, last & ~0xFC, 0])
    return st.builds(
        lambda number, mask: Entry(number & mask, mask, extended), st.integers(0, 15), masks
    )


LISTED = st.lists(st.one_of(entries(False), entries(True)), max_size=5).map(tuple)
LISTS = st.builds(Lists, LISTED, LISTED)
WORDS = [
    id | extended | remote | error
    for id in (*range(17), 0x7FF, 0x10000003)
    for extended in (0, EXTENDED)
    for remote in (0, REMOTE)
    for error in (0, ERROR)
    if extended or id <= 0x7FF
]


def passes(lists: Lists, word: int) -> bool:
    def among(listed: tuple[Entry, ...]) -> bool:
        return any(
            bool(word & EXTENDED) == each.extended and not (word ^ each.id) & each.mask
            for each in listed
        )

    return among(lists.allowed) and not among(lists.denied)


def tree(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and data of each match; the kernel's checks of their number and order."""
    head, listed = wire.attributes(data)[1], wire.attributes(data)[2]
    matches = wire.attributes(listed)
    assert struct.unpack("=HH", head) == (len(matches), 0)
    assert list(matches) == list(range(1, len(matches) + 1))
    for number, each in matches.items():
        _id, kind, flags, _pad = struct.unpack_from("=HHHH", each)
        assert bool(flags & (AND | OR)) == (number < len(matches))
        yield kind, flags, each[8:]


def drops(data: bytes, word: int, length: int = 8, chance: int = 0) -> bool:
    """__tcf_em_tree_match of net/sched/ematch.c; a filter without a tree matches each frame."""
    result = True
    for kind, flags, body in tree(data) if data else ():
        result = matches(kind, body, word, length, chance) != bool(flags & INVERT)
        if (flags & AND and not result) or (flags & OR and result):
            break
    return result


def matches(kind: int, body: bytes, word: int, length: int = 8, chance: int = 0) -> bool:
    """em_canid_match, em_u32_match, em_cmp_match, em_meta_match."""
    if kind == KIND_CMP:
        value, mask, offset, one, two = struct.unpack("=IIHBB", body)
        assert (mask, offset, one, two) == (0, 4, 1, 1 | 1 << 4)  # the length is greater
        return length > int(value)
    if kind == KIND_META:
        head, mask, value = (wire.attributes(body)[number] for number in (1, 2, 3))
        # A random number, as 32 bits of it, is less than a value (linux/tc_ematch/tc_em_meta.h).
        assert head == struct.pack("=HBBHBB", 1 << 12 | 1, 0, 2, 1 << 12, 0, 0)
        assert mask == struct.pack("=I", 0xFFFFFFFF)
        return chance < int(struct.unpack("=I", value)[0])
    if kind == KIND_U32:
        mask, value, offset, more = struct.unpack("=4sIii", body)
        assert offset == more == 0
        frame = struct.pack("=I", word)
        return all(
            not (a ^ b) & m for a, b, m in zip(frame, struct.pack("=I", value), mask, strict=True)
        )
    assert kind == KIND_CANID
    filters = list(struct.iter_unpack("=II", body))
    assert filters  # the kernel refuses none
    if word & EXTENDED:
        return any(id & EXTENDED and not (id ^ word) & mask for id, mask in filters)
    low = word & 0x7FF  # an error frame's class, too
    return any(not id & EXTENDED and not (id ^ low) & mask for id, mask in filters)


@pytest.mark.parametrize("kind", [CANID, U32])
@pytest.mark.parametrize("errors", [True, False])
@given(LISTS)
def test_a_tree_matches_what_must_not_pass(kind: str, errors: bool, lists: Lists) -> None:
    """Error frames by their own rule, remote frames like data frames; both kinds alike."""
    data = ematch.unwanted(lists, kind, errors=errors)
    for word in WORDS:
        wanted = errors if word & ERROR else passes(lists, word)
        assert drops(data, word) != wanted, hex(word)


@pytest.mark.parametrize("kind", [CANID, U32])
@given(LISTS)
def test_a_fault_is_about_the_meant_frames_alone(kind: str, lists: Lists) -> None:
    """Never an error frame; a change of bytes is about no remote frame, and no shorter one."""
    if not lists.allowed:
        return
    plain = ematch.meant(lists, kind)
    picky = ematch.meant(lists, kind, longer_than=4, share=0.25)
    quarter = 1 << 30
    for word in WORDS:
        wanted = passes(lists, word) and not word & ERROR
        assert drops(plain, word, length=0) == wanted, hex(word)
        assert drops(picky, word, 5, quarter - 2) == (wanted and not word & REMOTE), hex(word)
        assert not drops(picky, word, 4, 0)
        assert not drops(picky, word, 5, quarter)


def test_a_whole_list_is_one_match_of_canid() -> None:
    """The kernel has a table for it; with u32 it compares entry by entry."""
    many = tuple(Entry(id, 0x7FF) for id in range(500))
    [first, second] = tree(ematch.unwanted(Lists(many), CANID, errors=False))
    assert (first[0], second[0]) == (KIND_U32, KIND_CANID)
    assert len(list(tree(ematch.unwanted(Lists(many), U32, errors=False)))) == 501


@given(LISTS)
def test_the_size_is_what_the_kernel_has_to_keep(lists: Lists) -> None:
    assert lists.size == len([*lists.allowed, *lists.denied])
