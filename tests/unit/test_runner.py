"""`make test` says what it does, runs all kinds whatever fails, and ends what it started.

The runner runs here as in the Makefile, in a folder whose own Makefile has kinds that print what
pytest prints.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.runner import __main__ as runner
from tests.runner import covered, progress

LIMIT = 60.0

VERBOSE = """\
============================= test session starts ==============================
collecting ... collected 6 items

tests/unit/test_x.py::test_one PASSED                                    [ 16%]
tests/unit/test_x.py::test_two[a b/c] FAILED                             [ 33%]
tests/unit/test_x.py::test_three SKIPPED (no such thing)                 [ 50%]
tests/unit/test_x.py::test_four lab: making the root
PASSED                                                                   [ 66%]
tests/unit/test_x.py::test_four ERROR                                    [ 66%]
tests/unit/test_x.py::test_five """
SLOW = "slow 1 of 2: test_a.py::test_b"
BOOT = {"suite": "trixie", "boot": "uml", "suites_kernel": True, "kernel": "6.12", "python": "3.13"}
DOCKER = {"suite": "trixie", "docker": "26.1.5"}


def start(folder: Path, makefile: str, *kinds: str) -> subprocess.Popen[str]:
    """The runner over the kinds of a Makefile."""
    (folder / "Makefile").write_text(makefile.replace("    ", "\t"))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runner", *kinds],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "MAKEFLAGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_pytest_printed_is_counted() -> None:
    """A test that passes and fails in its teardown is both, as pytest says too."""
    read = progress.read(VERBOSE)
    assert read == progress.Progress(6, passed=2, failed=2, skipped=1, last="test_x.py::test_five")
    assert str(read) == "5 of 6: test_x.py::test_five"


def test_what_was_chosen_counts_not_what_was_found() -> None:
    assert progress.read("collected 50 items / 38 deselected / 12 selected\n").total == 12


@pytest.mark.parametrize(
    ("status", "printed", "expected"),
    [
        (0, "All checks passed!", (1, 0, 0, 0)),
        (2, "error: something", (0, 1, 0, 0)),
        (1, VERBOSE, (2, 2, 1, 1)),
        (125, "collected 3 items\na::b PASSED [ 33%]\nTHE GUEST DIED", (1, 1, 0, 1)),
    ],
)
def test_a_kind_counts_its_tests_or_itself(
    status: int, printed: str, expected: tuple[int, ...]
) -> None:
    """One that failed never counts as nothing failed."""
    assert progress.judge("kind", status, progress.read(printed), 1.0)[1:5] == expected


def test_all_kinds_run_whatever_fails_and_the_last_line_counts(tmp_path: Path) -> None:
    makefile = """
good:
    @echo 'collected 2 items'
    @echo 'a::b PASSED [ 50%]'
    @echo 'a::c PASSED [100%]'
bad:
    @echo 'the reason'; echo 'FAILED test_a.py::b - assert 1 == 2'; exit 3
last:
    @echo '$(SUITE) $(PYTEST_FLAGS)' >told
"""
    with start(tmp_path, makefile, "bad", "good", "last SUITE=sid") as process:
        output = process.communicate(timeout=LIMIT)[0]
    assert process.returncode == 1
    assert output.splitlines()[-1] == "3 passed, 1 failed"
    assert "the reason" in output
    end = output[output.index("not run") :]
    assert "bad: FAILED test_a.py::b - assert 1 == 2" in end, "the end tells what failed, too"
    assert "a::c" not in output, "what passed is not shown"
    assert (tmp_path / "told").read_text() == "sid -v --durations=25 --durations-min=5\n"
    assert "a::c" in (tmp_path / "build/tests/good.log").read_text()
    assert re.search(r"^good +2 +0 +0 +0 +\d+$", output, re.MULTILINE)


def test_two_run_at_a_time(tmp_path: Path) -> None:
    """The one waits until the other reads what it says."""
    os.mkfifo(tmp_path / "pipe")
    makefile = """
one:
    @echo hello >pipe
two:
    @cat pipe
"""
    with start(tmp_path, makefile, "one", "two") as process:
        output = process.communicate(timeout=LIMIT)[0]
    assert output.splitlines()[-1] == "2 passed, 0 failed"


def test_it_says_how_far_each_kind_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While they run: this one ends when that was said."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "build/tests").mkdir(parents=True)
    (tmp_path / "Makefile").write_text(
        "slow:\n\t@echo collected 2 items; echo 'x/test_a.py::test_b PASSED [ 50%]'; cat pipe\n"
    )
    said = []

    def say(text: str) -> None:
        if text == SLOW and SLOW not in said:  # once: nobody reads any more
            pipe.write_text("")
        said.append(text)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "EVERY", 0.1)
    monkeypatch.setattr(runner, "say", say)
    stop, ctrl_c = socket.socketpair()
    with stop, ctrl_c:
        (ended,) = runner.run_all(["slow"], stop)
    assert ended.result.passed == 1
    assert SLOW in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_that_was_started(tmp_path: Path, number: signal.Signals) -> None:
    """And no count is told, which might be taken for the whole."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    makefile = """
slow:
    @echo $$$$ >pipe; read never <pipe
"""
    with start(tmp_path, makefile, "slow") as process:
        child = os.pidfd_open(int(pipe.read_text()))
        process.send_signal(number)
        output = process.communicate(timeout=LIMIT)[0]
    assert select.select([child], [], [], LIMIT)[0]
    os.close(child)
    assert process.returncode == 130
    assert "interrupted" in output
    assert " passed, " not in output


def test_what_ignores_an_interrupt_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "build/tests").mkdir(parents=True)
    (tmp_path / "Makefile").write_text(
        "slow:\n\t@trap '' INT; echo $$$$ >pipe; read never <pipe; read never <pipe\n"
    )
    children = []

    def say(_text: str) -> None:
        children.append(os.pidfd_open(int(pipe.read_text())))
        ctrl_c.send(b"1")

    stop, ctrl_c = socket.socketpair()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "GOODBYE", 0.5)
    monkeypatch.setattr(runner, "say", say)
    with stop, ctrl_c, pytest.raises(KeyboardInterrupt):
        runner.run_all(["slow"], stop)
    assert select.select(children, [], [], LIMIT)[0] == children
    os.close(children[0])


def test_what_the_guests_told_is_what_was_covered() -> None:
    sid = {"suite": "sid", "boot": "uml", "suites_kernel": True, "kernel": "7.2", "python": "3.14"}
    assert covered.told([BOOT, DOCKER, DOCKER, BOOT, sid], ["trixie", "sid"]) == [
        "covered: trixie: kernel 6.12 by uml (2 boots), Python 3.13, Docker 26.1.5",
        "covered: sid: kernel 7.2 by uml (1 boot), Python 3.14",
    ]


def test_what_no_guest_told_of_is_said_not_to_be_covered() -> None:
    """A suite under another kernel, and a suite of which none came up."""
    other = BOOT | {"boot": "uml-sid", "suites_kernel": False, "kernel": "7.2"}
    assert covered.told([other], ["trixie", "bookworm"]) == [
        "covered: trixie: kernel 7.2 by uml-sid (1 boot), Python 3.13",
        "not covered: trixie's own kernel; its guests ran by uml-sid",
        "not covered: bookworm, of which no guest ran",
    ]


def test_without_guests_nothing_is_covered(tmp_path: Path) -> None:
    assert covered.told(covered.read(tmp_path / "none"), ["sid"]) == [
        "covered: no kernel and no Docker, as no guest came up"
    ]


def test_each_command_of_the_makefile_is_in_its_help() -> None:
    """And `make` alone prints it."""
    makefile = (REPOSITORY / "Makefile").read_text()
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert phony
    told = subprocess.run(
        ["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=LIMIT
    ).stdout
    commands = [word for word in phony[1].split() if word != "\\"]
    missing = [each for each in commands if not re.search(rf"^  {each} +\w", told, re.MULTILINE)]
    assert commands
    assert missing == []
