"""How far a kind has come and what came of it, read from what it printed.

pytest is told to print a line for each test (-v); other programs have none, and a kind without
any counts as one test.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

COLLECTED = re.compile(r"\bcollected (\d+) items?(?:.* / (\d+) selected)?$", re.MULTILINE)
# The end of a test's line. Its beginning may be lost among other output.
OUTCOME = re.compile(r"\b(PASSED|FAILED|ERROR|SKIPPED)(?: \(.*\))? +\[ *\d+%\]$", re.MULTILINE)
FOLDERS = re.compile(r"^\S*/(?=test_\w+\.py::)")
SKIPPED = re.compile(r"^SKIPPED \[\d+\] .*$", re.MULTILINE)
FAILED = re.compile(r"^(?:FAILED|ERROR) \S+::.*$", re.MULTILINE)

COLUMNS = ("passed", "failed", "skipped", "not run", "seconds")


class Progress(NamedTuple):
    """Tests by outcome, of `total` (0: not known yet), and the last line that was printed."""

    total: int
    passed: int
    failed: int
    skipped: int
    last: str

    @property
    def done(self) -> int:
        """Tests that have ended."""
        return self.passed + self.failed + self.skipped

    def __str__(self) -> str:
        """`12 of 55: test_power.py::test_a_power_cut`."""
        counted = f"{self.done} of {self.total}: " if self.total else ""
        return f"{counted}{self.last}"


class Result(NamedTuple):
    """What came of a kind. `unrun` are tests that it found and did not come to."""

    kind: str
    passed: int
    failed: int
    skipped: int
    unrun: int
    seconds: float


def read(text: str) -> Progress:
    """What a kind has printed so far."""
    collected = sum(int(chosen or every) for every, chosen in COLLECTED.findall(text))
    outcomes = Counter(OUTCOME.findall(text))
    return Progress(
        total=collected,
        passed=outcomes["PASSED"],
        failed=outcomes["FAILED"] + outcomes["ERROR"],
        skipped=outcomes["SKIPPED"],
        last=_last_line(text),
    )


def judge(kind: str, status: int, progress: Progress, seconds: float) -> Result:
    """What came of a kind that has ended."""
    _total, passed, failed, skipped, _last = progress
    if status and not failed:
        failed = 1
    if not status and not progress.total:
        passed = 1
    unrun = max(0, progress.total - passed - failed - skipped)
    return Result(kind, passed, failed, skipped, unrun, seconds)


def skips(text: str) -> list[str]:
    """The reasons for which tests were skipped, as pytest tells them at its end (-ra)."""
    return SKIPPED.findall(text)


def failures(text: str) -> list[str]:
    """The tests that failed, each with the first line of its reason, as pytest tells them (-ra)."""
    return FAILED.findall(text)


def table(results: list[Result]) -> list[str]:
    """The results as lines under a head, with their sum."""
    kinds, *columns = zip(*results, strict=True)
    cells = [*zip(*columns, strict=True), tuple(sum(column) for column in columns)]
    numbers = [[f"{cell:.0f}" for cell in row] for row in cells]
    width = max(len(kind) for kind in kinds)
    return [
        f"{name:{width}}" + "".join(f"{cell:>9}" for cell in row)
        for name, row in zip(("", *kinds, "all"), (COLUMNS, *numbers), strict=True)
    ]


def _last_line(text: str) -> str:
    lines = text.rstrip().splitlines()
    if not lines:
        return ""
    return FOLDERS.sub("", OUTCOME.sub("", lines[-1])).strip()
