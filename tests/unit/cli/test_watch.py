"""`canwharf watch --report` of a recording: the document is there, or a line says why not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from canwharf.cli import main, watch
from canwharf.errors import CanwharfError

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


def test_without_textual_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.delitem(sys.modules, "canwharf.operator.watch.screen", raising=False)
    monkeypatch.delitem(sys.modules, "canwharf.operator.watch.table", raising=False)
    with pytest.raises(CanwharfError, match=re.escape("'pip install \"canwharf[watch]\"'")):
        watch._screen()


def test_a_document_needs_no_textual(log: Path) -> None:
    program = "import sys; from canwharf.cli import main; main(); print('textual' in sys.modules)"
    words = ["watch", "-r", log.name, "--report", "matrix.txt"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "False"
