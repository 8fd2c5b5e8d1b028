"""The thread that reads: nothing is lost or swallowed, and all that it keeps has an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.errors import KernelError, RecordingError
from canwharf.frames import statistics
from canwharf.frames.formats import Recording
from canwharf.frames.frame import Frame
from canwharf.operator.watch import reading as module
from canwharf.operator.watch.reading import Reading
from tests.unit.operator.watch.fake import BUS0, MS, Fed, decoder, drive

KEY = ("bus0", 0x123, "engine")


def _reading(capture: Fed) -> Reading:
    return Reading(capture, lambda: {"bus0": BUS0})


def _count(of: Reading) -> int:
    return sum(row.count for row in of.rows().values())


def test_each_frame_is_counted_also_the_last_ones() -> None:
    capture, frames = Fed(), drive(0, 500)
    of = _reading(capture)
    of.start()
    for place in range(0, len(frames), 7):
        capture.queue.put(frames[place : place + 7])
    of.stop()
    assert _count(of) + of.errors("bus0") == len(frames)
    assert of.failure is None


def test_what_ends_the_thread_is_told() -> None:
    capture, error = Fed(), KernelError("read frames of", "bus0", 5)
    of = _reading(capture)
    of.start()
    capture.queue.put(error)
    of._thread.join()
    of.stop()
    assert of.failure is error


def test_rates_losses_and_buses_are_looked_at() -> None:
    capture = Fed()
    of = _reading(capture)
    of.look(0.0)
    of.take(drive(0, 1000))
    capture.lost["bus0", "engine"] = 3
    of.look(2.0)
    assert of.rates["bus0", "engine"].frames == 105
    assert of.losses == {("bus0", "engine"): 3}
    assert of.buses == {"bus0": BUS0}


def test_beyond_so_many_rows_frames_are_counted_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container that sends random ids does not fill the memory."""
    monkeypatch.setattr(statistics, "MOST", 10)
    of = _reading(Fed())
    of.take([Frame(0, "bus0", "ecu1", each, b"") for each in range(15)] * 2)
    assert (len(of.rows()), of.left_out, _count(of)) == (10, 10, 20)


def test_a_signal_is_followed_from_then_on(tmp_path: Path) -> None:
    of = Reading(Fed(), dict, decoder(tmp_path))
    of.take(drive(0, 100))
    of.plot((KEY, "Speed"))
    of.take(drive(100, 200))
    samples = of.samples()
    assert [time for time, _value in samples] == [each * MS for each in range(100, 200, 10)]
    assert samples[0][1] == (10 + (100 // 7 << 8)) * 0.5
    of.plot((KEY, "Gear"))  # the file has a word for its value
    of.take(drive(200, 220))
    assert [value for _time, value in of.samples()] == [1.0, 1.0]
    of.plot(None)
    assert of.samples() == []


def test_of_a_fast_signal_not_every_value_is_decoded(tmp_path: Path) -> None:
    of = Reading(Fed(), dict, decoder(tmp_path))
    of.plot((KEY, "Speed"))
    of.take([Frame(each * MS, "bus0", "engine", 0x123, bytes(8)) for each in range(1000)])
    assert len(of.samples()) == 100


def test_a_recording_has_what_came_between_its_begin_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of = _reading(Fed())
    of.take(drive(0, 100))
    path = of.start_recording()
    assert of.recording == (path, 0)
    of.take(between := drive(100, 200))
    assert of.stop_recording() == path
    of.take(drive(200, 300))
    assert list(Recording(path)) == [
        each._replace(time=each.time // 1000 * 1000) for each in between
    ]
    assert of.recording is None


def test_a_recording_is_closed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    capture = Fed()
    of = _reading(capture)
    path = of.start_recording()
    of.start()
    capture.queue.put(drive(0, 100))
    of.stop()
    assert len(list(Recording(path))) == len(drive(0, 100))


def test_a_full_disk_ends_the_recording_and_not_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of = _reading(Fed())
    path = of.start_recording()
    assert of._writer is not None

    def full(*_frames: object) -> None:
        raise RecordingError("write", path, "No space left on device")

    monkeypatch.setattr(of._writer, "write", full)
    of.take(drive(0, 100))
    of.take(drive(100, 200))
    assert (of.recording, str(of.trouble)) == (
        None,
        f"cannot write {path}: No space left on device",
    )
    assert _count(of) == len(drive(0, 100)) + len(drive(100, 200)) - 2
    with pytest.raises(RecordingError):
        of.stop()


@pytest.mark.parametrize(
    ("value", "found"), [(2, 2.0), (0.5, 0.5), ("first", None), (None, None), (True, 1.0)]
)
def test_what_can_be_plotted(value: object, found: float | None) -> None:
    assert module.number(value) == found
