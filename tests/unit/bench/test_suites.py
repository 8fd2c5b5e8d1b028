"""Other projects' suites: what is read of a run, and what the page says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.suites import page as pages
from bench.suites.page import Both, page
from bench.suites.run import FAILED, PASSED, SKIPPED, Outcome, read
from bench.suites.table import SUITES, Suite

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="test.a" name="test_good" />
<testcase classname="test.a" name="test_bad">
<failure message="OSError: no CAN&#10;at line 3" /></testcase>
<testcase classname="test.a" name="test_broken"><error message="failed on setup" /></testcase>
<testcase classname="test.a" name="test_absent"><skipped message="no adapter" /></testcase>
</testsuite></testsuites>
"""
ISOTP = Suite("can-isotp", "4e5519c9f08e8a78", "test", repository="https://example.org/can-isotp")


def test_each_test_of_a_report_has_its_outcome_and_the_reasons_first_line(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    assert read(report) == {
        "test.a::test_good": Outcome(PASSED),
        "test.a::test_bad": Outcome(FAILED, "OSError: no CAN"),
        "test.a::test_broken": Outcome(FAILED, "failed on setup"),
        "test.a::test_absent": Outcome(SKIPPED, "no adapter"),
    }


def test_a_row_has_the_counts_on_the_machine_and_inside() -> None:
    machine = {"a": Outcome(FAILED, "no CAN"), "b": Outcome(FAILED, "no CAN"), "c": Outcome(PASSED)}
    inside = {"a": Outcome(PASSED), "b": Outcome(SKIPPED, "no adapter"), "c": Outcome(PASSED)}
    text = page([Both(ISOTP, machine, inside)], "canlab run --", "today")
    assert "| can-isotp | commit 4e5519c9f08e | 1 | 2 | 0 | 2 | 0 | 1 |\n" in text
    assert "| can-isotp | 2 failed | no CAN |\n" in text
    assert "| can-isotp | 1 skipped | no adapter |\n" in text
    assert "## What fails inside\n\nNothing.\n" in text


def test_a_failure_inside_has_its_reason_or_says_that_none_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "REASONS", {("can-isotp", "test_b"): "it waits for 1 ms."})
    inside = {"test_a": Outcome(FAILED, "x"), "test_b": Outcome(FAILED, "y")}
    text = page([Both(ISOTP, {"test_b": Outcome(PASSED)}, inside)], "canlab run --", "today")
    assert "`test_a` (not there on the machine): the reason is not known.\n" in text
    assert "`test_b` (passed on the machine): it waits for 1 ms.\n" in text


def test_each_reason_is_for_a_project_of_the_table() -> None:
    from bench.suites.table import REASONS  # noqa: PLC0415

    assert {project for project, _ in REASONS} <= {suite.name for suite in SUITES}
