"""What a user keeps when the daemon dies at any step of any call: everything, exactly once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.guest import Guest
from tests.faults.conftest import Keep


def campaign(guest: Guest, *options: str) -> list[dict[str, Any]]:
    """Run it in the guest; the rows of the table."""
    # In a file, as the list is long for a serial line.
    words = " ".join(("python3", "-m", "tests.faults.crashing", *options))
    done = guest.run(f"{words} > /share/crashes.json", check=False, timeout=3600)
    text = (guest.share / "crashes.json").read_text()
    assert text, done.stderr
    rows: list[dict[str, Any]] = json.loads(text)
    failures = [(row["operation"], failure) for row in rows for failure in row["failures"]]
    assert not failures, f"{len(failures)} crashes were not survived; the first: {failures[0]}"
    assert done.status == 0, done.stderr
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Operations and their steps, in Markdown."""
    lines = ["| Operation | kernel messages | disk steps | crashes | survived |", "|-|-|-|-|-|"]
    for row in rows:
        steps = row["steps"]
        counts = (steps.get("kernel", 0), steps.get("disk", 0), row["crashes"], row["survived"])
        lines.append(f"| {row['operation']} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


@pytest.mark.short
def test_a_crash_at_every_fifth_step(bare: Guest) -> None:
    rows = campaign(bare, "--every", "5", "--operation", "Join")
    assert len(rows) == 7


def test_a_crash_after_every_message_and_disk_step(bare: Guest, keep: Keep) -> None:
    rows = campaign(bare)
    print(table(rows))  # noqa: T201
    keep("crashes", rows)
    for row in rows:
        # Twice: the caller asks again, or gives up.
        assert row["crashes"] == row["survived"] == 2 * sum(row["steps"].values()), row


def test_a_crash_after_every_send(bare: Guest, keep: Keep) -> None:
    """As it can really happen: the kernel finishes what is sent even if we die meanwhile."""
    rows = campaign(bare, "--whole")
    print(table(rows))  # noqa: T201
    keep("crashes_whole", rows)


def test_crashes_on_a_mesh(bare: Guest) -> None:
    """Where the kernel lacks a module for the hub: at every fifth step of what makes rules."""
    rows = campaign(bare, "--mesh", "--every", "5", "--operation", "Join")
    rows += campaign(bare, "--mesh", "--every", "5", "--operation", "start")
    assert len(rows) == 8
