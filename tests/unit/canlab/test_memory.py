"""Where the guest's memory goes, and how much of it there is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from canlab import memory
from canlab.errors import CanlabError, UnfitError


def test_the_first_folder_with_room_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """/dev/shm is noexec in many containers; then the next is asked."""
    free = {"/dev/shm": None, str(tmp_path): 100 << 30}

    def probe(folder: str) -> int:
        room = free.get(folder)
        if room is None:
            raise OSError(1, "it is mounted noexec")
        return room

    monkeypatch.setattr(memory, "probe", probe)
    folder, size = memory.find(None, {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert folder == str(tmp_path)
    assert memory.USUAL_LEAST <= size <= memory.USUAL_MOST
    assert memory.find(512 << 20, {"TMPDIR": str(tmp_path)}) == (str(tmp_path), 512 << 20)


def test_a_full_folder_gives_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB, a container's /dev/shm, is enough for a small test."""
    monkeypatch.setattr(memory, "probe", lambda _folder: 70 << 20)
    assert memory.find(None, {})[1] == 70 << 20
    with pytest.raises(CanlabError, match="--memory") as error:
        memory.find(512 << 20, {})
    assert error.value.status == 125


def test_no_folder_at_all_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(_folder: str) -> int:
        raise OSError(1, "it is mounted noexec")

    monkeypatch.setattr(memory, "probe", probe)
    with pytest.raises(UnfitError, match="/dev/shm: it is mounted noexec"):
        memory.find(None, {})


def test_a_folder_is_probed_without_a_trace(tmp_path: Path) -> None:
    assert memory.probe(str(tmp_path)) > 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match=r"."):
        memory.probe(os.path.join(tmp_path, "missing"))
