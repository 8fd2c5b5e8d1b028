"""The parts of the standard library that are made anew do what the standard library's do."""

from __future__ import annotations

import os
import posix
import stat
from pathlib import Path

import pytest

from canwharf import lean


@pytest.mark.parametrize("directory", ["", ".", "/", "a", "a/", "/var/lib/canwharf", "/a//"])
def test_a_path_is_joined_as_by_os(directory: str) -> None:
    """Or the state would be read at another place after an upgrade."""
    assert lean.join(directory, "state.json") == os.path.join(directory, "state.json")


@pytest.mark.parametrize("path", ["new", "some/new/one", "new/", "there", "there/new"])
def test_directories_are_made_as_by_os(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first start on an empty disk needs them, and any later one finds them."""
    for name in ("ours", "by-os"):
        (tmp_path / name / "there").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "by-os")
    os.makedirs(path, 0o755, exist_ok=True)
    monkeypatch.chdir(tmp_path / "ours")
    lean.make_directory(path)
    lean.make_directory(path)
    assert tree(tmp_path / "ours") == tree(tmp_path / "by-os")


def tree(top: Path) -> dict[str, int]:
    """All that is below, and its permissions."""
    below = {str(each.relative_to(top)): each.stat().st_mode for each in top.rglob("*")}
    return {path: stat.S_IMODE(mode) for path, mode in below.items()}


@pytest.mark.parametrize(
    ("path", "error"),
    [("file", FileExistsError), ("file/new", NotADirectoryError), ("astray", FileExistsError)],
)
def test_what_is_no_directory_is_an_error(path: str, error: type[OSError], tmp_path: Path) -> None:
    """The user reads what is in the way."""
    (tmp_path / "file").touch()
    (tmp_path / "astray").symlink_to("nowhere")
    with pytest.raises(error):
        lean.make_directory(str(tmp_path / path))


def test_a_link_that_leads_nowhere_is_not_there(tmp_path: Path) -> None:
    """As for os.path.exists."""
    (tmp_path / "astray").symlink_to("nowhere")
    assert lean.exists(str(tmp_path))
    assert not lean.exists(str(tmp_path / "astray"))


def test_a_variable_is_read_as_by_os(monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd says by one where its socket for news is; it may have any byte."""
    monkeypatch.setitem(posix.environ, b"NOTIFY_SOCKET", b"/run/\xff\xc3\xa4")
    assert lean.variable("NOTIFY_SOCKET") == os.fsdecode(b"/run/\xff\xc3\xa4")
    assert lean.variable("NOT_THERE_AT_ALL") == ""
