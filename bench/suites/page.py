"""Writes docs/suites.md of what came of the suites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from bench.suites.run import FAILED, PASSED, SKIPPED, Outcomes
from bench.suites.table import REASONS, Suite

HEAD = """\
# Test suites of other projects

The kernel of canwharf-kernel is tested by the tests of Python's CAN packages, which canwharf did not write. Each
suite ran twice, by the same command and with the same files: on the machine as it is, whose kernel has no CAN,
and with `{prefix}` in front of it.

{where}

| project | version | passed on the machine | failed | skipped | passed inside | failed | skipped |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

HOW = """
## Run it

    make suites

It fetches the projects from PyPI, and two from their repositories, as their archives on PyPI have the tests
without the tests' helpers. It takes about 10 minutes, and writes this page. `bench/suites/table.py` has the
projects, their versions, and the reasons above.
"""


class Both(NamedTuple):
    """What came of a suite on the machine, and inside."""

    suite: Suite
    machine: Outcomes
    inside: Outcomes


def page(results: list[Both], prefix: str, where: str) -> str:
    """The page's text. `where` says on which machine."""
    lines = [HEAD.format(prefix=prefix, where=where) + "\n".join(map(_row, results)), ""]
    lines += ["## What fails or is skipped on the machine", ""]
    lines += ["| project | tests | why, in the test's own words |", "| --- | --- | --- |"]
    lines += [line for each in results for line in _whys(each.suite, each.machine)]
    lines += ["", "## What is skipped inside", ""]
    lines += ["| project | tests | why, in the test's own words |", "| --- | --- | --- |"]
    lines += [line for each in results for line in _whys(each.suite, each.inside, FAILED)]
    lines += ["", "## What fails inside", "", *_failures(results)]
    return "\n".join(lines) + "\n" + HOW


def _row(both: Both) -> str:
    version = f"commit {both.suite.version[:12]}" if both.suite.repository else both.suite.version
    counts = [
        sum(each.outcome == outcome for each in outcomes.values())
        for outcomes in (both.machine, both.inside)
        for outcome in (PASSED, FAILED, SKIPPED)
    ]
    return f"| {both.suite.name} | {version} | " + " | ".join(map(str, counts)) + " |"


def _whys(suite: Suite, outcomes: Outcomes, without: str = PASSED) -> Iterator[str]:
    """Reasons and how many tests each holds for, the most frequent first."""
    whys = Counter(
        (each.outcome, each.why)
        for each in outcomes.values()
        if each.outcome not in {PASSED, without}
    )
    for (outcome, why), number in whys.most_common():
        yield f"| {suite.name} | {number} {outcome} | {why.replace('|', '¦')} |"


def _failures(results: list[Both]) -> Iterator[str]:
    """A line for each test that fails inside, with the reason that was found."""
    nothing = True
    for suite, machine, inside in results:
        for name, each in inside.items():
            if each.outcome != FAILED:
                continue
            nothing = False
            there = machine[name].outcome if name in machine else "not there"
            yield f"- {suite.name}, `{name}` ({there} on the machine): {_reason(suite, name)}"
    if nothing:
        yield "Nothing."


def _reason(suite: Suite, name: str) -> str:
    found = (
        why for (project, part), why in REASONS.items() if project == suite.name and part in name
    )
    return next(found, "the reason is not known.")
