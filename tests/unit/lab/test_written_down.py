"""The list of what booted, from which a test run says what it covered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.channel import Completed
from lab.docker import Docker
from lab.machine import BOOTED, Machine
from lab.suites import suite_named


class Guest(Machine):
    """A guest that says which Docker it has, and is never booted."""

    def __init__(self) -> None:
        self.suite = suite_named("sid")

    def run(self, *_words: object, **_how: object) -> Completed:
        return Completed(0, "28.5.2\n", "")


def test_each_line_names_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest's and its Docker's."""
    path = tmp_path / "boots.jsonl"
    monkeypatch.setenv(BOOTED, str(path))
    guest = Guest()
    guest.write_down(boot="uml", suites_kernel=True, kernel="6.12")
    Docker(guest).start()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"suite": "sid", "boot": "uml", "suites_kernel": True, "kernel": "6.12"},
        {"suite": "sid", "docker": "28.5.2"},
    ]


def test_nothing_is_written_where_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guests that a person starts are in no test run."""
    monkeypatch.delenv(BOOTED, raising=False)
    monkeypatch.chdir(tmp_path)
    Guest().write_down(boot="uml")
    assert list(tmp_path.iterdir()) == []
