"""`canwharf watch --report` of a recording: the document is there, or a line says why not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from canwharf.cli import listening, main, watch
from canwharf.operator.watch import serving

LOG = """(1700000000.000000) bus0/ecu1 123#11
(1700000000.010000) bus1/ecu2 123#11
(1700000000.020000) bus0 124#
"""


@pytest.fixture(name="log")
def _log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "drive.log"
    path.write_text(LOG)
    return path


@pytest.mark.parametrize("ending", ["txt", "csv", "html", "HTML"])
def test_the_ending_says_the_form(
    log: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "--read", log.name, "--report", f"matrix.{ending}"]) == 0
    assert capsys.readouterr().out.startswith(f"matrix.{ending}: made from drive.log, ")
    content = (log.parent / f"matrix.{ending}").read_text()
    assert all(each in content for each in ("ecu1", "ecu2", "(unknown)", "123"))


def test_only_one_bus_of_it(log: Path) -> None:
    assert main(["watch", "bus1", "-r", log.name, "--report", "matrix.csv"]) == 0
    content = (log.parent / "matrix.csv").read_text()
    assert "ecu2" in content
    assert "ecu1" not in content


def test_a_recording_that_is_cut_off_gives_what_was_complete(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_text(LOG + "(1700000000.03")
    assert main(["watch", "-r", log.name, "--report", "matrix.txt"]) == 0
    assert "drive.log: " in capsys.readouterr().err
    assert "ecu2" in (log.parent / "matrix.txt").read_text()


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ("-r drive.log --report matrix.pdf", 2, "its ending must be one of .txt, .csv, .html"),
        ("-r drive.log --report drive.csv", 1, "cannot write drive.csv: it exists"),
        ("-r drive.log --report none/matrix.csv", 1, "No such file or directory"),
        ("-r none.log --report matrix.csv", 1, "cannot read none.log: No such file"),
        ("bus7 -r drive.log --report matrix.csv", 1, "there are: bus0, bus1"),
        ("bus0,123:7FF -r drive.log --report matrix.csv", 2, "name only the bus"),
        ("-r drive.log --report x.csv --serve 8000", 2, "--report and --serve contradict"),
        ("--serve 0.0.0.0:8000", 2, "only this machine may see it"),
        ("-r drive.log", 2, "--read is for a document"),
        ("--for 1s", 2, "--for is for a document"),
        ("", 1, "the screen needs a terminal: 'canwharf dump' shows frames in a pipe or a file"),
        ("-r drive.log --for 1s --report matrix.csv", 2, "--for is for a live bus"),
        ("-r drive.log --report matrix.csv --dbc drive.log", 1, "cannot read drive.log"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_file(
    log: Path, words: str, status: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (log.parent / "drive.csv").write_text("mine")
    assert main(["watch", *words.split()]) == status
    assert reason in capsys.readouterr().err
    assert not (log.parent / "matrix.csv").exists()
    assert (log.parent / "drive.csv").read_text() == "mine"


def test_a_file_that_cannot_be_made_is_told_before_anybody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that was seen until Ctrl-C would be lost."""
    monkeypatch.setattr(listening, "capture", lambda *_any: pytest.fail("it listened"))
    path = tmp_path / "none" / "matrix.csv"
    assert main(["watch", "--report", str(path), "--for", "1h"]) == 1
    assert f"cannot write {path}: No such file or directory" in capsys.readouterr().err


def test_a_name_in_a_recording_does_not_reach_the_terminal_as_it_is(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording of somebody else's could hide text, or write a title or the clipboard."""
    log.write_text("(1700000000.000000) \x1b]52;c;eA==\x07/e 123#11\n")
    assert main(["watch", "bus7", "-r", log.name, "--report", "matrix.csv"]) == 1
    assert "there are: ?]52;c;eA==?\n" in capsys.readouterr().err


def test_a_name_that_is_no_text_is_no_traceback(log: Path) -> None:
    """An older tool, or a stick of another system, may have made it."""
    program = "from canwharf.cli import main; raise SystemExit(main())"
    words = ["watch", "-r", log.name, "--report", "\udcfe.txt"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"?.txt: made from drive.log, ")


@pytest.mark.parametrize(
    ("words", "library"), [(["--serve", "8000"], "textual_serve.server"), ([], "textual.app")]
)
def test_without_its_library_a_line_says_what_to_install(
    words: list[str],
    library: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(watch, "_has_terminal", lambda: True)
    monkeypatch.setitem(sys.modules, library, None)
    for name in ("screen", "table", "serving"):
        monkeypatch.delitem(sys.modules, f"canwharf.operator.watch.{name}", raising=False)
        monkeypatch.delattr(f"canwharf.operator.watch.{name}", raising=False)
    assert main(["watch", *words]) == 1
    assert "'pip install \"canwharf[watch]\"'; 'canwharf dump'" in capsys.readouterr().err


def test_each_tab_of_a_browser_starts_the_same_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []

    def serve(command: list[str], address: serving.Address, tell: Callable[[str], None]) -> None:
        started.extend(command)
        tell(f"http://{address}/secret/")

    monkeypatch.setattr(serving, "serve", serve)
    monkeypatch.setattr(listening, "capture", lambda *_any: nullcontext())
    words = ["watch", "bus0,123:7FF", "bus1", "--serve", "8000", "--dbc", "my vehicle.dbc"]
    monkeypatch.setattr(sys, "argv", ["canwharf", *words])
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-I", "/opt/bin/canwharf", *words])
    assert main(words) == 0
    program = [sys.executable, "-I", "/opt/bin/canwharf"]
    assert started == [*program, "watch", "--dbc=my vehicle.dbc", "--", "bus0,123:7FF", "bus1"]
    assert capsys.readouterr().out == "http://127.0.0.1:8000/secret/  (Ctrl-C ends it)\n"


def test_a_document_needs_no_textual(log: Path) -> None:
    program = "import sys; from canwharf.cli import main; main(); print('textual' in sys.modules)"
    words = ["watch", "-r", log.name, "--report", "matrix.txt"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "False"
