"""Filters are candump's: who knows those need not learn others."""

from __future__ import annotations

import pytest

from canwharf.errors import UsageError
from canwharf.frames.filters import EVERYTHING, Filter, parse
from canwharf.kernel import uapi

EXTENDED, REMOTE = 0x123 | uapi.CAN_EFF_FLAG, 0x123 | uapi.CAN_RTR_FLAG


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("bus0", EVERYTHING),
        ("bus0,123:7FF", Filter(((0x123, 0x7FF),), 0)),
        ("bus0,123~7ff", Filter(((0x20000123, 0x7FF),), 0)),
        ("bus0,18FEF100:1FFFFFFF", Filter(((0x98FEF100, 0x1FFFFFFF),), 0)),
        ("bus0,00000123:C00007FF", Filter(((0x80000123, 0xC00007FF),), 0)),
        ("bus0,#FFFFFFFF", Filter((), uapi.CAN_ERR_MASK)),
        ("bus0,0:0,#4,#40", Filter(((0, 0),), 0x44)),
        ("bus0,100:700,123~7FF,j", Filter(((0x100, 0x700), (0x20000123, 0x7FF)), 0, join=True)),
        ("bus0,123:FFFFFFFF", Filter(((0x123, 0xDFFFFFFF),), 0)),
    ],
)
def test_what_candump_takes(word: str, wanted: Filter) -> None:
    assert parse(word) == ("bus0", wanted)


@pytest.mark.parametrize(
    "item", ["", "123", "xyz:7FF", "123:", "#", "123=7FF", "123456789:1", "-1:7FF", "#-1", " 1:1"]
)
def test_what_is_no_filter_is_told_with_an_example(item: str) -> None:
    with pytest.raises(UsageError, match=r"is no filter; .* as in bus0,123:7FF"):
        parse(f"bus0,{item}")


def test_no_more_than_the_kernel_takes() -> None:
    parse("bus0" + ",1:1" * 512)
    with pytest.raises(UsageError, match="513 filters, and the kernel takes 512"):
        parse("bus0" + ",1:1" * 513)


@pytest.mark.parametrize(
    ("word", "passing"),
    [
        ("bus0", {0x123, 0x124, EXTENDED, REMOTE}),
        ("bus0,123:7FF", {0x123, EXTENDED, REMOTE}),
        ("bus0,123:C00007FF", {0x123}),
        ("bus0,00000123:9FFFFFFF", {EXTENDED}),
        ("bus0,123~7FF", {0x124}),
        ("bus0,123~7FF,124~7FF", {0x123, 0x124, EXTENDED, REMOTE}),
        ("bus0,123~7FF,124~7FF,j", set[int]()),
        ("bus0,#FFFFFFFF", set[int]()),
    ],
)
def test_what_comes_from_another_host_is_filtered_as_the_kernel_filters(
    word: str, passing: set[int]
) -> None:
    which = parse(word)[1]
    assert {each for each in (0x123, 0x124, EXTENDED, REMOTE) if which.passes(each)} == passing
