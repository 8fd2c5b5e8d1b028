"""The benchmarks' page: a reader sees the figures that matter first, and they are the table's."""

from __future__ import annotations

import re

import pytest

from bench.page import HEADLINE, headline, written
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


def test_the_headline_has_six_figures_and_each_is_in_the_table() -> None:
    rows = table(PAGE.read_text())
    short = headline(rows)
    assert len(short) == len(HEADLINE) == 6
    assert {result for _, result, _ in short} <= {result for _, result, _ in rows}


def test_a_figure_that_is_not_measured_any_more_is_no_empty_row() -> None:
    with pytest.raises(KeyError, match="Join, endpoint number 10"):
        headline([("start", "1", "2")])
