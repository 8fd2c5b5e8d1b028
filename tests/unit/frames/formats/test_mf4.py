"""ASAM's mf4, which asammdf writes when the recording ends: it is there then, or a sentence is."""

from __future__ import annotations

from pathlib import Path

import can
import pytest

from canwharf.errors import RecordingError
from canwharf.frames import formats
from canwharf.frames.formats.rotation import RotatingWriter
from tests.unit.frames.formats.test_formats import frames, read, write

# asammdf's __del__ of a file that it could not open
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """By us with the senders, and by python-can."""
    path, sent = tmp_path / "drive.mf4", frames(500)
    assert write(path, sent).left_out == 0
    assert read(path) == sent
    with can.LogReader(path) as messages:
        assert len(list(messages)) == len(sent)


def test_one_that_was_not_closed_or_is_cut(tmp_path: Path) -> None:
    """A kill leaves nothing in it. What a cut leaves cannot be read, and is not taken for all."""
    path = tmp_path / "drive.mf4"
    writer = formats.create(str(path))
    writer.write(frames(100))
    writer.commit()
    killed = formats.Recording(str(path))
    assert list(killed) == []
    assert killed.cut == "it was not closed, and is empty"
    writer.close()
    for content in (path.read_bytes()[:-20], b"garbage"):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="it is no mf4, or not complete"):
            list(formats.Recording(str(path)))


def test_a_full_disk_of_the_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asammdf collects what comes in a file of its own, elsewhere."""

    def full(*_any: object) -> None:
        raise OSError(28, "No space left on device")

    writer = formats.create(str(tmp_path / "drive.mf4"))
    monkeypatch.setattr(can.MF4Writer, "on_message_received", full)
    with pytest.raises(RecordingError, match="temporary file: No space left on device"):
        writer.write(frames(1))
    monkeypatch.setattr(can.MF4Writer, "stop", full)
    with pytest.raises(RecordingError, match="temporary file: No space left on device"):
        writer.close()


def test_it_is_rotated_by_time(tmp_path: Path) -> None:
    """A file is written as soon as its time is over, so a kill costs one."""
    writer = RotatingWriter(str(tmp_path / "drive.mf4"), seconds=1e-9)
    sent = frames(3)
    for each in sent:
        writer.write([each])
    assert [read(Path(each)) for each in writer.files] == [[each] for each in sent]


def test_without_asammdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install, and nothing is left."""
    monkeypatch.setattr("can.io.mf4.asammdf", None)
    with pytest.raises(RecordingError, match="pip install asammdf"):
        formats.create(str(tmp_path / "drive.mf4"))
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "other.mf4"
    path.write_bytes(b"MDF     ")
    with pytest.raises(RecordingError, match="pip install asammdf"):
        list(formats.Recording(str(path)))
