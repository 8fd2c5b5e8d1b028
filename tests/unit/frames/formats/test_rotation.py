"""A recording in several files: each is whole, and together they have each frame once."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import can
import pytest

from canwharf.errors import RecordingError
from canwharf.frames.formats import rotation
from canwharf.frames.formats.rotation import RotatingWriter
from canwharf.frames.frame import Frame
from tests.unit.frames.formats.test_formats import HERE, frames, read, write, write_in_batches

SIZE = 64 * 1024  # bytes


@pytest.mark.parametrize("ending", HERE)
def test_each_file_is_whole_and_has_its_senders(ending: str, tmp_path: Path) -> None:
    """And together they have each frame once, in order."""
    sent = frames(20_000)
    writer = RotatingWriter(str(tmp_path / f"drive{ending}"), size=SIZE)
    write_in_batches(writer, sent[:5000])
    writer.write(sent[5000:])  # as after a while in which the program did not run
    writer.close()
    files = [tmp_path / f"drive-{number + 1:04}{ending}" for number in range(len(writer.files))]
    assert writer.files == [str(each) for each in files]
    assert len(files) > 2
    parts = [read(each) for each in files]
    assert list(chain.from_iterable(parts)) == sent
    sizes = [sum(one.stat().st_size for one in tmp_path.glob(f"{each.name}*")) for each in files]
    assert all(SIZE <= each < 2 * SIZE for each in sizes[:-1])
    assert writer.size == sum(sizes)
    assert len(writer.channels) == 3
    with can.LogReader(files[1]) as messages:
        assert len(list(messages)) == len(parts[1])


def test_a_new_file_after_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is since the first frame of each; while nothing comes, no file is made."""
    now = 100.0
    monkeypatch.setattr(rotation, "monotonic", lambda: now)
    writer = RotatingWriter(str(tmp_path / "drive.log"), seconds=10)
    sent = frames(4)
    for frame, at in zip(sent, (150, 159, 200, 211), strict=True):
        now = at
        writer.commit()
        writer.write([frame])
    now = 300.0
    writer.commit()  # as each second: this ends the file
    assert read(tmp_path / "drive-0003.log") == [sent[3]]
    writer.close()
    parts = [read(Path(each)) for each in writer.files]
    assert parts == [sent[:2], [sent[2]], [sent[3]]]


def test_what_does_not_fit_is_counted_over_all_files(tmp_path: Path) -> None:
    """Trc has no room for CAN FD."""
    writer = RotatingWriter(str(tmp_path / "drive.trc"), size=1)
    for each in frames(3):
        writer.write([each, each._replace(fd=0)])
    writer.close()
    assert (len(writer.files), writer.left_out) == (3, 3)


@pytest.mark.parametrize("there", ["drive-0007.log", "drive-0002.log.senders.csv"])
def test_a_file_whose_turn_would_come_is_refused_at_once(there: str, tmp_path: Path) -> None:
    """Not in the middle of a drive."""
    (tmp_path / there).touch()
    with pytest.raises(RecordingError, match=f"{there} exists"):
        RotatingWriter(str(tmp_path / "drive.log"), size=SIZE)
    assert [each.name for each in tmp_path.iterdir()] == [there]
    write(tmp_path / "drive.log", [Frame(0, "bus0", "ecu1", 1, b"")])  # the name alone is free


def test_where_the_size_is_not_known_or_there_is_no_directory(tmp_path: Path) -> None:
    """The sentence says what is possible."""
    with pytest.raises(RecordingError, match="rotate it by time"):
        RotatingWriter(str(tmp_path / "drive.mf4"), size=SIZE)
    with pytest.raises(RecordingError, match="No such file or directory"):
        RotatingWriter(str(tmp_path / "none" / "drive.log"), size=SIZE)
