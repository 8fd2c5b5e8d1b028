"""Which kernels and engines a run was about, from what its guests told when they came up.

The lab writes a JSON object a line into the file that CANWHARF_BOOTS names:

    {"suite": "trixie", "boot": "uml", "suites_kernel": true, "kernel": "6.12", "python": "3.13.5"}
    {"suite": "trixie", "docker": "26.1.5+dfsg1"}

the first for each guest that came up (`suites_kernel`: whether the kernel is the suite's own), the
second when Docker serves in one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """What the lab wrote; nothing if no guest came up."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def told(rows: list[Row], suites: Iterable[str]) -> list[str]:
    """A line for each kernel that ran, and one for each thing of these suites that did not."""
    lines = [*_covered(rows), *_uncovered(rows, suites)]
    return lines if rows else ["covered: no kernel and no Docker, as no guest came up"]


def _covered(rows: list[Row]) -> Iterable[str]:
    boots = Counter((row["suite"], row["kernel"], row["boot"]) for row in rows if "boot" in row)
    for (suite, kernel, boot), times in boots.items():
        more = [
            f"{name} {' and '.join(found)}"
            for name in ("Python", "Docker")
            if (found := _values(rows, suite, name.lower()))
        ]
        how = f"kernel {kernel} by {boot} ({times} boot{'s' * (times > 1)})"
        yield "covered: " + ", ".join([f"{suite}: {how}", *more])


def _uncovered(rows: list[Row], suites: Iterable[str]) -> Iterable[str]:
    for suite in suites:
        boots = _values(rows, suite, "boot")
        if not boots:
            yield f"not covered: {suite}, of which no guest ran"
        elif not any(row.get("suites_kernel") for row in rows if row["suite"] == suite):
            yield f"not covered: {suite}'s own kernel; its guests ran by {' and '.join(boots)}"


def _values(rows: list[Row], suite: str, name: str) -> list[str]:
    """The different values of a field in the rows of a suite, in their order."""
    return list(dict.fromkeys(row[name] for row in rows if row["suite"] == suite and name in row))
