"""The command line: exit codes, words, and log lines."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest

from canwharf import __version__
from canwharf.bus.events import ERROR, INFO, WARNING, Event
from canwharf.cli import VERBS, main
from canwharf.cli.log import reporter


@pytest.fixture(autouse=True)
def no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)


def test_help_names_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """And how to make a network."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    for verb, summary in VERBS.items():
        assert verb in told
        assert summary in told
    assert "docker network create -d canwharf" in told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """For a report of a fault."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"canwharf {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["nope"], ["serve", "--nope"], ["serve", "--log-level", "loud"], ["serve", "more"]],
)
def test_a_wrong_command_line_exits_with_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a unit file with a slip in it is told from a daemon that failed."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: canwharf" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With its options and their defaults."""
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    if verb == "serve":
        for words in ("--socket", "/run/docker/plugins/canwharf.sock", "--state-dir", "SIGTERM"):
            assert words in told


def test_the_words_of_the_process_are_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`canwharf` without arguments given by a caller."""
    monkeypatch.setattr(sys, "argv", ["canwharf", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out


def test_a_failure_is_one_line_and_exits_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason and what to do, no traceback."""
    arguments = ["serve", "--state-dir", str(tmp_path), "--socket", str(tmp_path / "a b.sock")]
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("canwharf: cannot serve ")


def test_a_garbled_state_file_keeps_the_daemon_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its path, and before a socket is there that Docker would wait on."""
    (tmp_path / "state.json").write_text("{")
    path = tmp_path / "canwharf.sock"
    assert main(["serve", "--state-dir", str(tmp_path), "--socket", str(path)]) == 1
    assert "state.json" in capsys.readouterr().err
    assert not path.exists()


EVENT = Event(WARNING, "skipped it", {"network": "n-1", "error": "it's \n gone", "empty": ""})


def test_a_line_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """With the time and the level; one event is one line."""
    reporter(INFO)(EVENT)
    told = capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d warning skipped it network=n-1 "
        r"error=\"it's \\n gone\" empty=''\n",
        told,
    )


@pytest.mark.parametrize(("level", "number"), [(ERROR, 3), (WARNING, 4), (INFO, 6)])
def test_a_line_for_the_journal(
    level: str,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the level that `journalctl -p` sorts by; the journal has a clock of its own."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1234")
    reporter(INFO)(Event(level, "ended", {}))
    assert capsys.readouterr().err == f"<{number}>ended\n"


@pytest.mark.parametrize(
    ("lowest", "printed"),
    [(INFO, [ERROR, WARNING, INFO]), (WARNING, [ERROR, WARNING]), (ERROR, [ERROR])],
)
def test_what_is_less_grave_is_not_printed(
    lowest: str, printed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """--log-level."""
    report = reporter(lowest)
    for level in (ERROR, WARNING, INFO):
        report(Event(level, f"what-{level}", {}))
    assert re.findall(r"what-(\w+)", capsys.readouterr().err) == printed


class FullDisk(io.StringIO):
    """A standard error that takes nothing."""

    def write(self, _text: str) -> int:
        raise OSError(28, os.strerror(28))


def test_a_line_that_cannot_be_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full log disk does not stop a bus."""
    monkeypatch.setattr(sys, "stderr", FullDisk())
    reporter(INFO)(EVENT)
