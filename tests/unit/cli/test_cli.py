"""The command line: exit codes, words, and log lines."""

from __future__ import annotations

import contextlib
import os
import posix
import re
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from canwharf import __version__
from canwharf.bus.events import ERROR, INFO, WARNING, Event, EventType
from canwharf.cli import VERBS, main
from canwharf.cli.options import Argument, Flag, Option
from canwharf.daemon import log
from canwharf.daemon.log import reporter


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
    assert "\n  docker network create -d canwharf --ipam-driver null -o can.name=can bus0\n" in told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """For a report of a fault."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"canwharf {__version__}\n"


@pytest.mark.parametrize("arguments", [["status", "--jsn"], ["status", "bus0", "bus1"]])
def test_an_unknown_word_shows_the_usage_of_its_verb(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage of the whole program has no option in it."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "usage: canwharf status [-h] [--json]" in told
    assert told.endswith(f"canwharf status: error: unrecognized arguments: {arguments[-1]}\n")


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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("play x.log --bus b0 --bus b1", "--bus may be given once, and here it is b0 and b1"),
        ("fault add bus0 --from ecu1 --from ecu2", "--from may be given once"),
        ("serve --socket /a.sock --socket /b.sock", "--socket may be given once"),
        ("status ", "BUS is empty: give a value, or leave it out"),
        ("dump --from ", "--from is empty"),
        ("serve --socket ", "--socket is empty"),
    ],
)
def test_what_would_have_no_effect_is_refused(
    arguments: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording would go to the last of two buses, and an unset variable would mean all."""
    with pytest.raises(SystemExit) as caught:
        main(arguments.split(" "))
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("dump -L -e", "--log and --error-words contradict each other"),
        ("dump -L --dbc x.dbc", "--log and --dbc contradict each other"),
        ("dump --json -t a", "--json and --time contradict each other"),
        ("dump bus0,123:7FF bus0,124:7FF", "bus0 is there with other filters, too"),
        ("dump any any,123:7FF", "any is there with other filters, too"),
        ("fault list bus0 --for 3s", "--for is for 'canwharf fault add' and"),
        ("fault clear bus0 --keep", "--keep is for 'canwharf fault add' and"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    arguments: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of them would have no effect, and its user would not know."""
    assert main([*arguments.split(), "--state-dir", str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With its options and their defaults, and an example to copy."""
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert f"example:\n  canwharf {verb}" in told or f"example:\n  sudo canwharf {verb}" in told
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


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("", {"bus": "", "json": "", "dry-run": "", "state-dir": "/var"}),
        ("--json can0", {"bus": "can0", "json": "json", "dry-run": "", "state-dir": "/var"}),
        (
            "can0 --dry-run --state-dir=/x",
            {"bus": "can0", "json": "", "dry-run": "dry-run", "state-dir": "/x"},
        ),
    ],
)
def test_flags_and_words_without_a_name(
    words: str, values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order, as of any other program."""
    taken: list[Mapping[str, str]] = []

    def run(given: Mapping[str, str]) -> int:
        taken.append(given)
        return 7

    table = (
        Argument("bus", "a bus", "BUS"),
        Flag("json", "for machines"),
        Flag("dry-run", "do nothing"),
        Option("state-dir", "/var", "where", "DIR"),
    )
    verb = SimpleNamespace(DESCRIPTION="Look.", EXAMPLE="canwharf look", OPTIONS=table, run=run)
    monkeypatch.setitem(VERBS, "look", "look at it")
    monkeypatch.setitem(sys.modules, "canwharf.cli.look", verb)
    assert main(["look", *words.split()]) == 7
    assert taken == [values]


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


def test_what_is_for_root_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever forgot `sudo` reads that, not only what the kernel says."""

    def refuse(*_arguments: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("canwharf.daemon.sockets.make_directory", refuse)
    monkeypatch.setattr("canwharf.cli.posix.geteuid", lambda: 1000)
    socket = tmp_path / "canwharf.sock"
    assert main(["serve", "--state-dir", str(tmp_path), "--socket", str(socket)]) == 1
    assert capsys.readouterr().err.endswith("Permission denied; it must run as root\n")


END = """\
import os, signal, sys
from types import SimpleNamespace
from canwharf import cli
def run(_options):
    print("a bus", flush=sys.argv[1:] == ["at-once"])
    if sys.argv[1:] == ["interrupted"]:
        os.kill(os.getpid(), signal.SIGINT)
    return 0
cli.VERBS["look"] = "look at it"
sys.modules["canwharf.cli.look"] = SimpleNamespace(
    DESCRIPTION="Look.", EXAMPLE="canwharf look", OPTIONS=(), run=run)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(cli.main(["look"]))
"""


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("at-once", 141, ""),
        ("late", 141, ""),
        ("interrupted", 130, ""),
        ("full", 1, "canwharf: cannot write its output: No space left on device\n"),
    ],
)
def test_an_end_before_all_was_said_is_no_traceback(how: str, status: int, said: str) -> None:
    """`canwharf status | head -1`, Ctrl-C, a full disk."""
    reading, writing = os.pipe()
    os.close(reading)
    if how in ("interrupted", "full"):
        os.close(writing)
        writing = os.open("/dev/full" if how == "full" else os.devnull, os.O_WRONLY)
    words = [sys.executable, "-c", END, how]
    done = subprocess.run(words, check=False, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (status, said)


@pytest.mark.parametrize(
    ("closed", "status", "said"),
    [(">&-", 1, "canwharf: cannot write its output: it is closed\n"), ("2>&-", 0, "a bus\n")],
)
def test_a_stream_that_is_closed_is_no_traceback(closed: str, status: int, said: str) -> None:
    """A cron job closes what nobody reads; what was to be shown is not lost without a word."""
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", END, "late"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (status, said)


EVENT = Event(
    EventType("skipped", WARNING, "skipped it"),
    {"network": "n-1", "error": "it's \n gone", "empty": ""},
)


def test_a_line_for_a_person(capfd: pytest.CaptureFixture[str]) -> None:
    """With the time and the level; one event is one line."""
    reporter(INFO)(EVENT)
    told = capfd.readouterr().err
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
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With the level that `journalctl -p` sorts by; the journal has a clock of its own."""
    monkeypatch.setitem(posix.environ, b"JOURNAL_STREAM", b"8:1234")
    reporter(INFO)(Event(EventType("ended", level, "ended"), {}))
    assert capfd.readouterr().err == f"<{number}>ended\n"


@pytest.mark.parametrize(
    ("lowest", "printed"),
    [(INFO, [ERROR, WARNING, INFO]), (WARNING, [ERROR, WARNING]), (ERROR, [ERROR])],
)
def test_what_is_less_grave_is_not_printed(
    lowest: str, printed: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """--log-level."""
    report = reporter(lowest)
    for level in (ERROR, WARNING, INFO):
        report(Event(EventType(level, level, f"what-{level}"), {}))
    assert re.findall(r"what-(\w+)", capfd.readouterr().err) == printed


@pytest.mark.parametrize("kind", ["full disk", "nobody reads", "closed"])
def test_a_line_that_cannot_be_written_is_lost(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Neither a full log disk nor a reader that has stopped reading stops a bus."""
    reading, writing = os.pipe()
    if kind == "nobody reads":
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
    elif kind == "full disk":
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, writing)
        os.close(full)
    else:
        os.close(reading)
    monkeypatch.setattr(log, "_STANDARD_ERROR", writing)
    reporter(INFO)(EVENT)
    for descriptor in (writing, reading)[: 1 if kind == "closed" else 2]:
        os.close(descriptor)


def test_a_long_line_is_cut_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than a pipe takes at once could block us, or be mixed with another's."""
    reading, writing = os.pipe()
    monkeypatch.setattr(log, "_STANDARD_ERROR", writing)
    reporter(INFO)(Event(EventType("long", ERROR, "long"), {"error": "x" * 100_000}))
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        line = told.read()
    assert len(line) == select.PIPE_BUF
    assert line.endswith(b"xxx\n")
