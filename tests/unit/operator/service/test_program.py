"""The program that a service starts: the one that was called, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import canwharf
from canwharf import __version__
from canwharf.errors import InstallError
from canwharf.operator.service import program


def script(path: Path, text: str = "") -> Path:
    """An executable file."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_program_is_the_one_that_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a script or a module, the package; a zipapp; a launcher that is without site already."""
    made = script(tmp_path / "canwharf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["./canwharf", "install"])
    package = os.path.dirname(canwharf.__file__)
    assert program.words() == [sys.executable, "-IS", f"{package}/__main__.py"]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "flags", SimpleNamespace(no_site=1))
        assert program.words() == [str(made)]
    monkeypatch.setattr(program, "_PACKAGE", f"{made}/canwharf")
    assert program.words() == [str(made)]
    made.chmod(0o644)
    assert program.words() == [sys.executable, "-IS", str(made)]
    monkeypatch.setattr(sys, "argv", ["-c"])
    with pytest.raises(InstallError, match="cannot tell which program"):
        program.words()


def test_a_program_that_does_not_start_by_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that lives by the caller's PYTHONPATH; the service would fail at each boot."""
    monkeypatch.setattr(program, "_VOLATILE", ())
    monkeypatch.setattr(program, "_check_owner", lambda _path: None)
    made = script(tmp_path / "canwharf", "echo No module named canwharf >&2; exit 1")
    with pytest.raises(InstallError, match=r"No module named canwharf.*/opt/canwharf"):
        program.check([str(made)])
    made = script(tmp_path / "canwharf", f"echo canwharf {__version__}")
    program.check([str(made)])


def test_a_program_that_others_can_change_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can would be root at the next start."""
    monkeypatch.setattr(program, "_VOLATILE", ())
    made = script(tmp_path / "canwharf")
    made.chmod(0o777)
    lstat, owner = os.lstat, 0

    def of_the_owner(path: str) -> os.stat_result:
        found = list(lstat(path))
        found[4] = owner
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", of_the_owner)
    with pytest.raises(InstallError, match="every user can change"):
        program._check_owner(str(made))
    owner = 65534
    with pytest.raises(InstallError, match=r"belongs to nobody.*/opt/canwharf"):
        program._check_owner(str(made))


@pytest.mark.parametrize("words", [["--version"], ["serve", "--socket", "/none/x!.sock"]])
def test_the_packages_own_file_starts_it_without_site(words: list[str]) -> None:
    """And leaves the standard library before all else: the package's folder comes last."""
    file = f"{os.path.dirname(canwharf.__file__)}/__main__.py"
    done = subprocess.run(
        [sys.executable, "-IS", file, *words],
        check=False,
        capture_output=True,
        text=True,
        env={},
        cwd="/",
    )
    assert "canwharf" in (done.stdout or done.stderr)
    assert "Traceback" not in done.stderr


def test_bytecode_is_written_for_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service itself may not write; a package that nobody can write is done without."""
    (tmp_path / "one.py").write_text("one = 1\n")
    monkeypatch.setattr(program, "_PACKAGE", str(tmp_path))
    program.compile_package()
    assert list(tmp_path.glob("__pycache__/one.*.pyc"))
    monkeypatch.setattr(program, "_PACKAGE", "/dev/null/canwharf")
    program.compile_package()
