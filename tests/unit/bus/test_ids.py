"""Sets of CAN ids: what passes is what the text says, in every spelling and for the kernel, too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus import ids
from canwharf.bus.ids import IdSet
from canwharf.errors import OptionError
from canwharf.kernel.ematch import Lists
from canwharf.record import NamedTuple

OPTION = "can.send"
STANDARD, EXTENDED, REMOTE = 0x7FF, 0x1FFFFFFF, 0x40000000
FLAG = 0x80000000  # of a frame with an id of 29 bits
ALL_STANDARD = range(STANDARD + 1)


class Item(NamedTuple):
    """An item of a text, what it stands for, and some ids at its edges."""

    text: str
    has: Callable[[int], bool]  # of a frame's can_id without the other flags
    edges: tuple[int, ...] = ()


def parse(text: str) -> IdSet:
    return ids.parse(OPTION, text)


def spelled(value: int, extended: bool, loud: bool = False) -> str:
    text = f"{value:08x}" if extended else f"{value:x}" if value > 0xFF else f"{value:03x}"
    return f"0X{text.upper()}" if loud else text


def near(extended: bool, *values: int) -> tuple[int, ...]:
    last = EXTENDED if extended else STANDARD
    around = {value + step for value in values for step in (-1, 0, 1)}
    return tuple(each | FLAG * extended for each in around if 0 <= each <= last)


def interval(first: int, last: int, extended: bool, loud: bool) -> Item:
    """An id or a range."""
    first, last = sorted((first, last))
    text = spelled(first, extended, loud)
    text += f"-{spelled(last, extended, loud)}" if last > first else ""
    flag = FLAG * extended
    return Item(text, lambda each: first | flag <= each <= last | flag, near(extended, first, last))


def masked(id: int, mask: int, extended: bool) -> Item:
    flag, last = FLAG * extended, EXTENDED if extended else STANDARD
    low, high = id & mask, (id & mask) | (last & ~mask)
    return Item(
        f"{spelled(id, extended)}:{spelled(mask, extended)}",
        lambda each: not ((each ^ (id | flag)) & (mask | FLAG)),
        near(extended, low, high, id),
    )


def group(number: int) -> Item:
    """A J1939 parameter group."""
    parts, mask = (number, 0x3FFFF) if number & 0xF000 == 0xF000 else (number & 0x3FF00, 0x3FF00)

    def has(id: int) -> bool:
        return bool(id & FLAG) and (id >> 8) & mask == parts

    return Item(f"pgn:{parts:x}", has, near(True, parts << 8, (parts << 8) | 0x18000021))


def of(extended: bool, last: int) -> st.SearchStrategy[Item]:
    numbers = st.integers(0, last)
    return st.one_of(
        st.builds(interval, numbers, numbers, st.just(extended), st.booleans()),
        st.builds(lambda n: interval(n, n, extended, False), numbers),
        # Adjacent and overlapping ones are rare among all.
        st.builds(
            lambda n, more: interval(n, min(n + more, last), extended, False),
            st.integers(0, 40),
            st.integers(0, 9),
        ),
        st.builds(masked, numbers, numbers, st.just(extended)),
    )


PLAIN = st.sampled_from(
    [
        Item("sff", lambda each: not each & FLAG),
        Item("eff", lambda each: bool(each & FLAG)),
        Item("all", lambda _each: True),
    ]
)
GROUPS = st.builds(group, st.integers(0, 0x3FFFF))
ITEMS = st.one_of(of(False, STANDARD), of(True, EXTENDED), GROUPS, PLAIN)
SIGNED = st.tuples(st.sampled_from(["", "", "~", "!"]), ITEMS)


class Policy(NamedTuple):
    """A text and its items, each with the sign before it."""

    text: str
    items: Sequence[tuple[str, Item]]

    def passes(self, id: int) -> bool:
        """The sentence of the documentation, in Python."""
        if any(sign and item.has(id) for sign, item in self.items):
            return False
        return all(sign for sign, _ in self.items) or any(
            not sign and item.has(id) for sign, item in self.items
        )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    items = draw(st.lists(SIGNED, min_size=1, max_size=6))
    separator = draw(st.sampled_from(["+", ",", ", ", " + "]))
    return Policy(separator.join(sign + item.text for sign, item in items), items)


def probes(policy: Policy, more: Sequence[int]) -> Iterator[int]:
    """Some ids of either length, and those at the edges of items."""
    yield from range(sum(more) % 13, STANDARD + 1, 13)
    for _sign, item in policy.items:
        yield from item.edges
    yield from (each | FLAG for each in (0, EXTENDED, *more))


ANY = st.lists(st.integers(0, EXTENDED), max_size=20)


def matched(lists: Lists, id: int) -> bool:
    """As the kernel does it: no entry that is denied, and one that is allowed."""

    def among(entries: Sequence[tuple[int, int, bool]]) -> bool:
        return any(
            bool(id & FLAG) == extended and not (id ^ each) & mask
            for each, mask, extended in entries
        )

    return among(lists.allowed) and not among(lists.denied)


@given(policies(), ANY)
def test_what_passes_is_what_the_text_says(policy: Policy, more: Sequence[int]) -> None:
    """And remote frames as data frames."""
    parsed = parse(policy.text)
    for id in probes(policy, more):
        assert parsed.passes(id) == parsed.passes(id | REMOTE) == policy.passes(id), hex(id)


@given(policies(), ANY)
def test_the_kernels_entries_match_what_passes(policy: Policy, more: Sequence[int]) -> None:
    lists = parse(policy.text).lists
    for id in probes(policy, more):
        assert matched(lists, id) == policy.passes(id), hex(id)


@given(st.lists(st.tuples(st.sampled_from(["", "~"]), of(False, STANDARD)), min_size=1, max_size=6))
def test_all_ids_of_11_bits(items: list[tuple[str, Item]]) -> None:
    policy = Policy("+".join(sign + item.text for sign, item in items), items)
    parsed = parse(policy.text)
    lists = parsed.lists
    for id in ALL_STANDARD:
        assert matched(lists, id) == parsed.passes(id) == policy.passes(id), hex(id)


@given(policies())
def test_the_canonical_text_says_the_same_and_stays(policy: Policy) -> None:
    """It goes through Docker's --network, a shell, and the engine, which lowers it."""
    parsed = parse(policy.text)
    assert parse(str(parsed)) == parse(str(parsed).lower()) == parsed
    assert str(parse(str(parsed))) == str(parsed)
    assert not set(str(parsed)) & set(",!;&|()<>*?[]{}#$'\"\\ ")
    assert str(parsed).count("+") <= policy.text.count("+") + policy.text.count(",") + 9


def test_a_mask_that_takes_nothing_away_is_not_in_the_text() -> None:
    """Else two equal sets had two texts, and the record of one would look like a change."""
    assert str(parse("000+~001:001")) == "000"
    assert parse("eff+000+~001:001") == parse("eff+000")


@given(policies(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_a_set(policy: Policy, random: object) -> None:
    words = [sign + item.text for sign, item in policy.items] * 2
    random.shuffle(words)  # type: ignore[attr-defined]
    assert str(parse("+".join(words))) == str(parse(policy.text))


@given(policies(), policies(), ANY)
def test_laws_of_union_and_exclusion(one: Policy, two: Policy, more: Sequence[int]) -> None:
    """More inclusions let more pass, an exclusion takes only its own ids away."""
    included = [item for sign, item in (*one.items, *two.items) if not sign]
    first = [item for sign, item in one.items if not sign]
    if first:
        a, b = parse("+".join(i.text for i in first)), parse("+".join(i.text for i in included))
        assert all(b.passes(id) for id in probes(one, more) if a.passes(id))
    [(_, item), *_] = two.items
    before, after = parse(one.text), parse(f"{one.text}+~{item.text}")
    if all(sign for sign, _ in one.items):
        after = parse(f"all+{one.text}+~{item.text}")
    for id in probes(one, (*more, *(each & EXTENDED for each in item.edges))):
        assert after.passes(id) == (before.passes(id) and not item.has(id))


@given(st.sets(st.integers(0, STANDARD), max_size=40))
def test_equal_sets_have_equal_texts(members: set[int]) -> None:
    """Networks are compared by them: listed, denied, and cut out of a range."""
    absent = [f"{id:03x}" for id in ALL_STANDARD if id not in members]
    listed = parse("+".join(f"{id:03x}" for id in members) or "none")
    texts = {str(listed), str(parse("sff+~" + "+~".join(absent)))}
    texts.add(str(parse("+".join(["~eff", *(f"~{text}" for text in absent)]))))
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("text", "canonical", "size"),
    [
        ("100-1FF,7DF", "100-1FF+7DF", 2),
        ("!7E0-7EF", "~7E0-7EF", 3),
        ("18FEF100-18FEF1FF,pgn:F004,123:7F0,sff,!7E0", None, 4),
        ("0x7e0,0X7E1", "7E0-7E1", 1),
        ("123:7f0", "120-12F", 1),
        ("123:00F", "003:00F", 1),
        ("1,2,3,4", "001-004", 3),
        ("100-17F,180-1FF", "100-1FF", 1),
        ("100-1FF,!110", "100-1FF+~110", 2),
        ("100-1FF,7DF,!110", "100-1FF+7DF+~110", 3),
        ("100-1FF,500-5FF,!110-11F,!180", "100-10F+120-1FF+500-5FF+~180", 4),
        ("100-1FF,!180-1FF", "100-17F", 1),
        ("sff,!7E0-7EF", "sff+~7E0-7EF", 2),
        ("!sff", "eff", 1),
        ("eff,sff", "all", 2),
        ("!all", "none", 0),
        ("100,!100", "none", 0),
        ("none", "none", 0),
        ("None+none", "none", 0),
        ("pgn:ef00", "pgn:EF00", 1),
        ("pgn:FEF1,!18FEF121", "pgn:FEF1+~18FEF121", 2),
        ("001-7FE", "001-7FE", 3),
        ("00000001-1FFFFFFE", "00000001-1FFFFFFE", 3),
    ],
)
def test_the_shortest_text_and_the_fewest_entries(
    text: str, canonical: str | None, size: int
) -> None:
    parsed = parse(text)
    assert str(parsed) == (canonical or "sff+18FEF100-18FEF1FF+pgn:F004+~7E0")
    assert parsed.lists.size == size


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be an id of 11 bits"),
        ("100,,200", "must be an id of 11 bits"),
        ("x", "'x' is no item: it must be"),
        ("123~7F0", "is no item"),
        ("0x", "is no item"),
        ("7", "YAML reads 7E0 without quotes as the number 7. Write 007"),
        ("70", "Write 070 for this id"),
        ("0123", "0123 has 4 digits.*; write 123 for 11 bits or 00000123 for 29 bits"),
        ("18fef1", "18FEF1 has 6 digits.*; write 0018FEF1 for 29 bits"),
        ("123456789", "has 9 digits: an id of 11 bits has 3, one of 29 bits has 8$"),
        ("800", "800 is more than 7FF.*; write 00000800 for 29 bits"),
        ("80000123", "more than 1FFFFFFF.*without flags"),
        ("123-18FEF100", "an id of 11 bits and one of 29 bits"),
        ("1ff-100", "1FF-100 ends before it begins: write 100-1FF"),
        ("123:c00007ff", "data frames and remote frames pass alike: write 123:7FF"),
        ("pgn:61444", "more than 3FFFF; it is hexadecimal, 61444 is pgn:F004"),
        ("all+none", "none stands alone, as no id passes then: write all or none$"),
        ("none,7e0", "write 7E0 or none$"),
        ("none+~7e0-7ef", "write ~7E0-7EF or none$"),
        ("~none", "write all or none$"),
        ("7e0,~none", "write 7E0 or none$"),
        ("none+~all", "write none$"),
        ("none+x", "'x' is no item"),
        ("pgn:EF21", "write pgn:EF00 for all, or 00EF2100:03FFFF00 for this one"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(text: str, reason: str) -> None:
    """With the option, the value, and what to write."""
    with pytest.raises(OptionError, match=f"option can.send={re.escape(text)}: .*{reason}"):
        parse(text)


def test_more_than_the_kernel_takes_is_refused_with_the_number() -> None:
    even = "+".join(f"{id:03X}" for id in range(0, 0x800, 2))
    with pytest.raises(OptionError, match="would need 1024 entries, and takes 500"):
        parse(even)
    at_the_limit = "+".join(f"{id:08X}" for id in range(0, 1000, 2))
    assert parse(at_the_limit).lists.size == 500
    with pytest.raises(OptionError, match="would need 502 entries"):  # and the two for all others
        parse("~" + at_the_limit.replace("+", "+~"))


@given(
    st.sets(st.integers(0, 40) | st.integers(0, STANDARD), max_size=60),
    st.sets(st.integers(0x18FEF100, 0x18FEF130), max_size=20),
)
def test_a_set_of_ids_has_these_and_no_others(standard: set[int], extended: set[int]) -> None:
    """Each spelling that is proposed for a list is of the ids that were seen."""
    seen = standard | {id | FLAG for id in extended}
    found = ids.of(seen)
    assert parse(str(found)) == found
    looked_at = {*ALL_STANDARD, *(id | FLAG for id in range(0x18FEF0F0, 0x18FEF140)), FLAG}
    assert {id for id in looked_at if found.passes(id)} == seen


def test_only_neighbours_are_a_range() -> None:
    assert str(ids.of([0x102, 0x100, 0x101, 0x7DF])) == "100-102+7DF"
    assert str(ids.of([0x18FEF100 | FLAG, 0x100])) == "100+18FEF100"
    assert str(ids.of([])) == "none"


@given(st.text(max_size=30))
def test_any_text_is_a_set_or_refused_in_words(text: str) -> None:
    with suppress(OptionError):
        assert parse(text).lists.size <= 500
