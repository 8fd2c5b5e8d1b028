"""What the lab needs on a machine, and what a user reads where it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import root
from lab.errors import LabError
from lab.root import ensure_tools
from tests import REPOSITORY


def test_an_ordinary_user_reads_how_the_lab_runs_without_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError, match="as root, or behind `unshare --user --map-root-user"):
        ensure_tools()


def test_make_and_the_lab_name_the_same_command() -> None:
    (line,) = (
        line
        for line in (REPOSITORY / "Makefile").read_text().splitlines()
        if line.startswith("AS_ROOT = ")
    )
    assert {*root.AS_ROOT.split()} <= {*line.split()}


def test_root_of_a_user_namespace_reads_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """apt-get would fail there with many lines about rights."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(root, "TOOLS", (("no-such-tool", "no-such-package"),))
    monkeypatch.setattr(root, "KEYRING", tmp_path)
    monkeypatch.setattr(root, "DPKG_STATE", tmp_path / "not there")
    with pytest.raises(LabError, match=r"as root: apt-get install no-such-package$"):
        ensure_tools()
