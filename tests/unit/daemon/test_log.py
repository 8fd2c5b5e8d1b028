"""The log: lines for machines, and words that a stranger finds explained."""

from __future__ import annotations

import json
import os
import posix
import re
import select
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import canwharf
from canwharf.bus import events
from canwharf.bus.events import ERROR, INFO, WARNING, Event, EventType
from canwharf.daemon import log
from canwharf.daemon.log import reporter
from tests import REPOSITORY

SOURCE = Path(canwharf.__file__).parent
PAGE = REPOSITORY / "docs/logs.md"


@pytest.fixture(autouse=True)
def no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)


def printed(event: Event, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What is written of an event, for a machine."""
    reading, writing = os.pipe()
    monkeypatch.setattr(log, "_STANDARD_ERROR", writing)
    reporter(INFO, "json")(event)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        return told.read()


def object_of(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    content: dict[str, Any] = json.loads(line)
    return content


def test_a_line_for_a_machine_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in the values."""
    fields = {"network": "n1", "error": 'it\'s \n "gone" \x1b ü', "empty": ""}
    told = object_of(
        printed(Event(EventType("skipped", WARNING, "skipped it"), fields), monkeypatch)
    )
    at = datetime.fromisoformat(told.pop("time"))
    assert at.utcoffset() is not None
    what = {"level": "warning", "id": "skipped", "event": "skipped it"}
    assert told == {**what, "fields": fields}


def test_in_the_journal_it_has_its_level_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal takes it off, sorts by it, and prints the object alone with -o cat."""
    monkeypatch.setitem(posix.environ, b"JOURNAL_STREAM", b"8:1234")
    line = printed(Event(EventType("gone", ERROR, "gone"), {}), monkeypatch)
    assert line.startswith(b"<3>{")
    assert object_of(line[3:])["event"] == "gone"


@pytest.mark.parametrize("text", ["x" * 100_000, "ü" * 5_000, "\n" * 4_000])
def test_a_long_object_is_whole(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A half one is none; what cannot be written at once is cut within its longest value."""
    line = printed(
        Event(EventType("long", ERROR, "long"), {"error": text, "network": "n1"}), monkeypatch
    )
    assert len(line) <= select.PIPE_BUF
    fields = object_of(line)["fields"]
    assert fields["network"] == "n1"
    assert fields["error"].startswith(text[:300])
    assert fields["error"].endswith("…")


def test_every_event_is_explained_under_its_level() -> None:
    """What it means and whether to act: docs/logs.md. And nothing there is a thing of the past."""
    table = PAGE.read_text().partition("## What each event means")[2]
    explained = set()
    for part in re.split(r"^\*\*(?=info|warning|error)", table, flags=re.MULTILINE)[1:]:
        level = part.partition("**")[0]
        for row in re.findall(r"^\| (`.*?) \| (`.*?) \|", part, flags=re.MULTILINE):
            sentences, ids = (re.findall(r"`(.*?)`", cell) for cell in row)
            explained |= {(id, level, each) for id, each in zip(ids, sentences, strict=True)}
    assert len(explained) > 30
    assert explained == {row[:3] for row in events.TABLE}


def test_no_event_has_the_name_of_another() -> None:
    """A rule of a monitor would take one for the other."""
    ids = [row.id for row in events.TABLE]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", id) for id in ids)


def test_every_event_of_the_table_is_reported_somewhere() -> None:
    """What is explained can happen."""
    names = {name for name, row in vars(events).items() if isinstance(row, EventType)}
    told = " ".join(path.read_text() for path in SOURCE.rglob("*.py"))
    assert names == set(re.findall(r"\bevents\.([A-Z_]+)\b", told)) - {"TABLE"}
