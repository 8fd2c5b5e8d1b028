"""What a service said at last: its own words, not systemd's about it."""

from __future__ import annotations

import json

import pytest

from canwharf.errors import InstallError
from canwharf.operator import journal

LINES = (
    {"_PID": "412", "MESSAGE": "ModuleNotFoundError: No module named 'canwharf' "},
    {"_PID": "412", "MESSAGE": [255, 254]},  # what is no text
    {"_PID": "1", "MESSAGE": "canwharf.service: Failed with result 'exit-code'."},
)


def test_the_last_line_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one life, where that is known: an earlier one failed otherwise."""
    asked: list[str] = []

    def run(*words: str, limit: float) -> str:
        assert limit
        asked.extend(words)
        return "\n".join(map(json.dumps, LINES))

    monkeypatch.setattr(journal, "run", run)
    assert journal.last_line("x.service") == "ModuleNotFoundError: No module named 'canwharf'"
    assert asked[-2:] == ["--unit", "x.service"]
    journal.last_line("x.service", "ab12")
    assert asked[-3:] == ["_SYSTEMD_INVOCATION_ID=ab12", "+", "INVOCATION_ID=ab12"]


@pytest.mark.parametrize("answer", ["", "garbage"])
def test_a_journal_that_says_nothing(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told then; the rest of the doctor's words are."""
    monkeypatch.setattr(journal, "run", lambda *_words, **_limit: answer)
    assert journal.last_line("x.service") == ""

    def none(*_words: str, **_limit: float) -> str:
        raise InstallError("there is no program journalctl")

    monkeypatch.setattr(journal, "run", none)
    assert journal.last_line("x.service") == ""
