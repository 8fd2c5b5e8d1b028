"""The benchmarks' page: a reader sees the figures that matter first, and they are the table's."""

from __future__ import annotations

import re

import pytest

from bench.goals import GOALS, reached
from bench.page import (
    HEADLINE,
    executable_rows,
    headline,
    policy_rows,
    scale_rows,
    start_rows,
    written,
)
from bench.span import LIMITS, TRANSPORTS, span_rows
from bench.spread import spread
from tests import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"


def table(text: str) -> list[tuple[str, str, str]]:
    """The rows of the long table."""
    long = text.split("## All figures")[1]
    rows = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \|$", long, re.MULTILINE)
    return [row for row in rows if row[0] not in ("figure", "---")]


def test_the_page_is_what_make_bench_writes() -> None:
    text = PAGE.read_text()
    found = re.search(r"guest \((\w+), kernel (\S+), Python\s+(\S+), (\w+)\)", text)
    assert found
    suite, kernel, python, machine = found.groups()
    versions = {"kernel": kernel, "python": python, "machine": machine}
    assert written(table(text), versions, suite) == text


def test_the_headline_has_seven_figures_and_each_is_in_the_table() -> None:
    rows = table(PAGE.read_text())
    short = headline(rows)
    assert len(short) == len(HEADLINE) == 7
    assert {result for _, result, _ in short} <= {result for _, result, _ in rows}


def test_a_figure_that_is_not_measured_any_more_is_no_empty_row() -> None:
    with pytest.raises(KeyError, match="Join, endpoint number 10"):
        headline([("start", "1", "2")])


def test_the_start_of_the_daemon_stands_beside_its_limit() -> None:
    rows = start_rows({"repeats": 40, "bare": 0.02, "first": {"0": 0.05, "50": 0.055}})
    assert [row[1] for row in rows] == ["2.5 times", "2.8 times"]
    assert rows[1][2] == "a bare `python3 -IS`; at most 2.2; the shortest of 40 of each"


def test_the_start_of_the_executable_stands_beside_its_limit() -> None:
    found = {"repeats": 80, "bare": 0.02, "calls": {"Podman": 0.024}}
    [(figure, result, against)] = executable_rows(found)
    assert (figure.split(",")[0], result) == ("a call by the executable of Podman", "1.2 times")
    assert against.endswith("; at most 3; the shortest of 80 of each")


def test_costs_that_grow_stand_beside_their_limits_and_a_meshs() -> None:
    cost = {"join": 0.002, "checked": 0.01, "first": 0.01, "status": 0.2, "rss_kb": 16384.0}
    many = {"join": 0.0025, "checked": 0.4, "first": 0.4, "status": 1.0, "rss_kb": 24576.0}
    rows = scale_rows(
        {
            "growth": {"canwharf": {"1": cost, "1000": many}, "mesh": {"1": cost}},
            "frames": {"8": {"plain": 10.0, "canwharf": 11.0, "mesh": 10.5}},
            "rest_kb": 15360,
        }
    )
    found = {figure: (result, against) for figure, result, against in rows}
    assert found["Join, 1000 endpoints on a linear bus"] == (
        "1.25 times",
        "its cost with one endpoint; at most 1.5",
    )
    result, against = found["a frame to 8 containers on a linear bus"]
    assert result == "1.10 of the time"
    assert against.endswith("at most 1.3; a mesh 1.05")
    assert found["resident memory, no endpoint"] == ("15.0 MB", "at most 12")


def test_a_policy_is_told_by_what_a_frame_takes_without_one() -> None:
    rows = policy_rows({"0": 40.0, "10": 40.4, "500": 44.0})
    assert [row[1] for row in rows] == ["1.01 of the time", "1.10 of the time"]
    assert ["10 ids" in rows[0][0], "500 ids" in rows[1][0]] == [True, True]


def test_a_goal_that_is_missed_says_why() -> None:
    rows = table(PAGE.read_text())
    found = reached(rows)
    assert len(found) == len(GOALS)
    assert all(why for _cost, _goal, result, why in found if result == "1.60 times")
    figures = {goal.row: f"{goal.limit} {goal.unit}" for goal in GOALS}
    met = reached([(row, figure, "") for row, figure in figures.items()])
    assert not any(why for *_cost, why in met)
    missed = reached(
        [(goal.row, f"{goal.limit + (-1 if goal.least else 1)}", "") for goal in GOALS]
    )
    assert all(why.startswith("missed: ") for *_cost, why in missed)
    with pytest.raises(KeyError, match="no figure begins"):
        reached(rows[:1])


def test_a_span_is_held_against_both_yardsticks_and_what_it_lost_is_told() -> None:
    """One that does not gather frames flatters it under load."""
    against = {"udp": spread([0.7]), "gathering": spread([3.9])}
    run = {"against": against, "sent": 100, "lost": 7, "wrong": 0, "pss_kb": 22528}
    load = {f"{rate} a second each way, {each}": run for each in TRANSPORTS for rate in LIMITS}
    way = {each: {"whole": spread([2.6]), "added": spread([1.6])} for each in TRANSPORTS}
    rows = span_rows({"load": load, "way": way})
    times = [f"{number} times the processor time" for number in (0.7, 3.9)]
    assert [each for _, each, _ in rows[:6]] == [*times, "lost 7 of 100"] * 2
    assert [each.partition(";")[0] for *_, each in rows[:6:3]] == ["at most 3", "at most 2"]
    assert [each for _, each, _ in rows[12:]] == ["1.6 times", "1.6 times", "22.0 MB"]
    goals = {goal.row: goal for goal in GOALS if "another host" in goal.row}
    assert len(goals) == 5
    assert all(any(row[0].startswith(each) for row in rows) for each in goals)
