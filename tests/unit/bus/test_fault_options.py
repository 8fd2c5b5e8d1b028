"""A fault's words: each change as it was meant, and one canonical text that reads back the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus import fault_options
from canwharf.bus.fault import Fault
from canwharf.bus.fault_options import parse, read_edits, restored
from canwharf.errors import OptionError
from canwharf.kernel.injection import LOSS, MODULES, Edit

SIGNS: dict[str, Callable[[int, int], int]] = {
    "": lambda _old, value: value,
    "^": lambda old, value: old ^ value,
    "&": lambda old, value: old & value,
    "|": lambda old, value: old | value,
}
CHANGES = st.lists(
    st.tuples(st.integers(0, 63), st.sampled_from(sorted(SIGNS)), st.integers(0, 255)),
    min_size=1,
    max_size=8,
)


def made(edits: dict[int, Edit], old: int) -> dict[int, int]:
    return {place: (old & mask) ^ flip for place, (mask, flip) in edits.items()}


@given(CHANGES, st.integers(0, 255))
def test_changes_are_made_in_their_order(changes: list[tuple[int, str, int]], old: int) -> None:
    """And the text that is kept and shown says the same."""
    text = "+".join(f"data[{place}]{sign}={value:X}" for place, sign, value in changes)
    wanted: dict[int, int] = {}
    for place, sign, value in changes:
        wanted[place] = SIGNS[sign](wanted.get(place, old), value)
    try:
        edits = read_edits(text)
    except OptionError:  # it changes no bit
        assert set(wanted.values()) == {old}
        return
    assert made(edits, old) == wanted
    again = read_edits(parse({"id": "all", "set": text}).edits)
    assert dict.fromkeys(wanted, old) | made(again, old) == wanted


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"id": "123", "set": "data[2]^=ff"}, "123: set data[2]^=FF"),
        ({"id": "0x123", "set": "data[10] = 0x1, DATA[2]|=1"}, "123: set data[2]|=01+data[10]=01"),
        ({"id": "100-17F", "loss": "100"}, "100-17F: drop"),
        ({"id": "pgn:f004", "loss": "0.50 %"}, "pgn:F004: lose 0.5%"),
        ({"id": "all", "loss": "5", "set": "data[0]=0"}, "all: lose 5%, set data[0]=00"),
        ({"id": "123", "delay": "20"}, "123: delay 20ms"),
        ({"id": "123", "delay": "0.5 ms"}, "123: delay 500us"),
        ({"id": "all", "loss": "5", "delay": "10s"}, "all: lose 5%, delay 10000ms"),
    ],
)
def test_a_fault_is_shown_as_it_was_meant(given: dict[str, str], shown: str) -> None:
    assert str(parse(given)) == shown


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "say which frames"),
        ({"id": "123"}, "say what becomes of the frames"),
        ({"id": "none", "loss": "5"}, "no frame is meant"),
        ({"id": "1234", "loss": "5"}, "4 digits"),
        ({"id": "123", "set": "data[2]"}, "is no change"),
        ({"id": "123", "set": "data[2]^=1FF"}, "is no change"),
        ({"id": "123", "set": "byte2=1"}, "is no change"),
        ({"id": "123", "set": "data[64]=1"}, "at most 64 bytes"),
        ({"id": "123", "set": "data[1]^=0"}, "changes no bit"),
        ({"id": "123", "loss": "0"}, "percent"),
        ({"id": "123", "loss": "101%"}, "percent"),
        ({"id": "123", "loss": "nan"}, "percent"),
        ({"id": "123", "loss": "1e-3"}, "percent"),
        ({"id": "123", "loss": "100%", "set": "data[1]=1"}, "no frame is left"),
        ({"id": "123", "loss": "100%", "delay": "1s"}, "no frame is left"),
        ({"id": "123", "delay": "0"}, "from 1us to 10s"),
        ({"id": "123", "delay": "11s"}, "up to 10 s"),
        ({"id": "123", "delay": "-1ms"}, "up to 10 s"),
        ({"id": "123", "delay": "0.1us"}, "up to 10 s"),
        ({"id": "123", "jitter": "5ms"}, "no such fault"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_way_out(
    given: dict[str, str], reason: str
) -> None:
    with pytest.raises(OptionError, match=reason):
        parse(given)


def test_a_fault_is_read_back_from_disk_and_nothing_else_is() -> None:
    given = {"id": "123", "loss": "0.000001", "set": "data[1]=1", "delay": "500us"}
    fault = parse(given)._replace(number=3)
    assert restored(fault._asdict()) == fault
    off = Fault(1, bus_off=True, keep=True, until=5.5)
    assert restored(off._asdict()) == off
    for damage in (
        {"number": 0},
        {"number": 33},
        {"ids": 1},
        {"ids": "x"},
        {"delay": "x"},
        {"more": 1},
    ):
        with pytest.raises((TypeError, ValueError, OptionError)):
            restored(fault._asdict() | damage)
    with pytest.raises(TypeError):
        restored("drop")


def test_a_fault_needs_the_modules_that_it_uses() -> None:
    """The error for a missing one names no other."""
    faults = [
        parse({"id": "123", "loss": "5%"})._replace(number=1),
        parse({"id": "123", "loss": "100%"})._replace(number=2),
    ]
    filters = fault_options.filters(faults, "canid", {})
    assert filters[LOSS, 1].modules == ("em_meta",)
    assert filters[LOSS, 2].modules == ()
    assert set(filters[LOSS, 1].modules) < set(MODULES)
