"""Rates, the order and the cells of rows, and the plot of a signal: without a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.frames.frame import Frame
from canwharf.frames.statistics import Row
from canwharf.operator.watch.meter import Meter, Rate
from canwharf.operator.watch.plot import plot
from canwharf.operator.watch.view import Changes, Choice, cell, columns, data, fit, heading

EFF, RTR = 0x80000000, 0x40000000
MS = 1_000_000
KEY = ("bus0", 0x200, "ecu1")


def row(can_id: int, sender: str = "ecu1", content: bytes = b"", times: int = 1) -> Row:
    made = Row(Frame(0, "bus0", sender, can_id, content))
    for each in range(1, times):
        made.take(each * can_id * MS, content, None)
    return made


def test_a_rate_is_what_came_since_the_last_look() -> None:
    meter, key = Meter(), ("bus0", "ecu1")
    assert meter.rates({key: (100, (5000.0, 0.0))}, 10.0) == {}
    assert meter.rates({key: (300, (30_000.0, 0.0))}, 12.0) == {key: Rate(100.0, (12_500.0, 0.0))}
    new = "bus0", "ecu2"
    rates = meter.rates({key: (300, (30_000.0, 0.0)), new: (5, (500.0, 100.0))}, 13.0)
    assert rates == {key: Rate(), new: Rate(5.0, (500.0, 100.0))}


def test_a_load_is_a_share_of_the_bus_and_none_without_a_limit() -> None:
    rate = Rate(1.0, (100_000.0, 0.0)) + Rate(2.0, (25_000.0, 200_000.0))
    assert rate == Rate(3.0, (125_000.0, 200_000.0))
    assert rate.load(500_000, 2_000_000) == pytest.approx(35.0)
    assert rate.load(0, 0) is None


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        (Choice(), [0x100, 0x123, 0x200]),
        (Choice(sort="count"), [0x123, 0x200, 0x100]),
        (Choice(sort="period"), [0x123, 0x200, 0x100]),
        (Choice(sort="sender"), [0x100, 0x200, 0x123]),
        (Choice(words="ECU2"), [0x123]),
        (Choice(words="engine 12"), [0x123]),
        (Choice(words="engine 10"), []),
        (Choice(bus="bus0", sender="ecu1"), [0x100, 0x200]),
        (Choice(bus="bus1"), []),
        (Choice().toggle(KEY), [0x200, 0x100, 0x123]),
        (Choice().toggle(KEY).toggle(KEY), [0x100, 0x123, 0x200]),
    ],
)
def test_which_rows_are_shown_and_in_which_order(choice: Choice, ids: list[int]) -> None:
    rows = [row(0x123, "ecu2", times=9), row(0x100), row(0x200, times=4)]
    names = {0x123: "Engine"}
    shown = choice.order(rows, lambda can_id: names.get(can_id, ""))
    assert [each.can_id for each in shown] == ids


def test_the_orders_go_round() -> None:
    choice = Choice()
    names = [choice.sort]
    while (choice := choice.next_sort()).sort != names[0]:
        names.append(choice.sort)
    assert names == ["id", "sender", "count", "period"]


@given(st.integers(34, 300), st.integers(1, 3), st.booleans())
def test_a_table_of_any_width_has_id_sender_period_and_no_more_than_its_width(
    width: int, buses: int, messages: bool
) -> None:
    shown = columns(width, buses=buses, messages=messages)
    names = [each.name for each in shown]
    assert {"id", "sender", "period"} <= set(names)
    assert ("bus" in names) <= (buses > 1)
    assert ("message" in names) <= messages
    line = " ".join(
        f"{'':{each.width}}"
        if each.name == "data"
        else cell(each, row(0x123, "e" * 30), ["ecu2"], True, "Engine" * 9)
        for each in shown
    )
    heads = " ".join(heading(each, "id") for each in shown)
    assert len(line) == len(heads) <= width


@given(st.binary(max_size=64), st.integers(0, 80))
def test_data_is_cut_to_its_width(content: bytes, width: int) -> None:
    pieces = data(row(1, content=content), {0}, width)
    shown = "".join(words for words, _new in pieces).rstrip()
    whole = content.hex(" ").upper()
    assert len(shown) <= width
    assert shown == whole or (whole.startswith(shown.rstrip("…")) and len(whole) > width)
    assert [new for words, new in pieces if len(words) == 2][:1] in ([True], [])


def test_a_remote_request_has_no_data() -> None:
    assert data(row(1 | RTR, content=bytes(4)), (), 20) == [("remote request      ", False)]


def test_a_byte_is_marked_for_a_second_after_it_changed() -> None:
    changes = Changes()
    assert changes.of(row(1, content=b"\1\2"), 0.0) == set()
    assert changes.of(row(1, content=b"\1\3"), 0.2) == {1}
    assert changes.of(row(1, content=b"\1\3\4"), 0.9) == {1, 2}
    assert changes.of(row(1, content=b"\1\3\4"), 1.3) == {2}
    changes.keep([])
    assert changes.of(row(1, content=b"\7"), 1.4) == set()  # it was not shown in between


def test_a_name_cannot_leave_its_cell() -> None:
    assert fit("\x1b[2J\n", 4) == "?[2…"
    assert fit("é", 3, right=True) == "  é"
    assert fit("long", 0) == ""


def test_a_plot_goes_from_the_least_to_the_greatest_value() -> None:
    step = [(0, 0.0), (50, 0.0), (51, 10.0), (100, 10.0)]
    assert plot(step, 14, 2) == ["      10 ⠀⠀⡏⠉⠉", "       0 ⣀⣀⡇⠀⠀"]
    flat = plot([(0, 3.0), (10, 3.0)], 14, 3)
    assert [line[9:].strip("\N{BRAILLE PATTERN BLANK}") == "" for line in flat] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("size", [(0, 0), (5, 3), (10, 1), (80, 0)])
def test_a_plot_without_room_or_values_is_no_failure(size: tuple[int, int]) -> None:
    assert all(len(line) <= size[0] for line in plot([(0, 1.0)], *size))
    assert plot([], 80, 5) == ["no value yet"]
