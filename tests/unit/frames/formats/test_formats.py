"""What was recorded is read back: the same frames, in their order, with their senders."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canwharf.errors import RecordingError
from canwharf.frames import formats
from canwharf.frames.formats.writer import Writer
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import CAN_EFF_FLAG, CAN_ERR_FLAG, CAN_RTR_FLAG

START = 1_700_000_000_123_456_000  # nanoseconds
HERE = [each for each in formats.FORMATS if each != ".mf4"]  # see test_mf4.py
DATA = Frame(START, "bus0", "ecu1", 0x123, b"\x11\x22")


def frames(count: int) -> list[Frame]:
    """Of three senders on two buses; data frames of classic CAN, which all formats have."""
    senders = [("bus0", "ecu1"), ("bus0", "host"), ("bus1", "ecu2")]
    return [
        Frame(START + i * 250_000, *senders[i % 3], 0x100 + i % 7, i.to_bytes(8, "big"))
        for i in range(count)
    ]


def write(path: Path, what: list[Frame]) -> Writer:
    """A whole recording."""
    writer = formats.create(str(path))
    writer.write(what)
    writer.close()
    return writer


def write_in_batches(writer: Writer, what: list[Frame]) -> None:
    """As they come from a bus."""
    for start in range(0, len(what), 50):
        writer.write(what[start : start + 50])


def read(path: Path) -> list[Frame]:
    """A recording that has to be whole."""
    recording = formats.Recording(str(path))
    found = list(recording)
    assert recording.cut == ""
    return found


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file gets longer than this: its writer is refused as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def made(kind: str, id: int, data: bytes, flags: int) -> tuple[int, bytes, int | None]:
    """The id, the data and the flags of a frame that can be on a bus."""
    if kind == "fd":
        lengths = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
        fitting = max(length for length in lengths if length <= len(data))
        return id | CAN_EFF_FLAG if id > 0x7FF else id, data[:fitting], flags
    if kind == "error":
        return id | CAN_ERR_FLAG, data[:8].ljust(8, b"\0"), None
    content = bytes(len(data[:8])) if kind == "remote" else data[:8]
    remote = CAN_RTR_FLAG if kind == "remote" else 0
    return (id | CAN_EFF_FLAG if id > 0x7FF else id) | remote, content, None


KINDS = st.sampled_from(["data", "fd", "remote", "error"])
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
ANY = st.builds(
    lambda bus, sender, what: Frame(START, bus, sender, *what),
    NAMES,
    NAMES,
    st.builds(made, KINDS, st.integers(0, 0x1FFFFFFF), st.binary(max_size=64), st.integers(0, 3)),
)


@pytest.mark.parametrize("ending", HERE)
def test_read_back_by_us_and_by_python_can(ending: str, tmp_path: Path) -> None:
    """Thousands of frames, over more than one block of a binary log."""
    path, sent = tmp_path / f"drive{ending}", frames(5000)
    assert write(path, sent).left_out == 0
    assert read(path) == sent
    with can.LogReader(path) as messages:
        theirs = [(each.arbitration_id, bytes(each.data)) for each in messages]
    assert theirs == [(each.can_id, each.data) for each in sent]


@pytest.mark.parametrize("ending", HERE)
@settings(max_examples=25, deadline=None)
@given(sent=st.lists(ANY, min_size=1, max_size=12))
def test_any_frame_of_any_sender(ending: str, sent: list[Frame]) -> None:
    """Names with every character, CAN FD, remote and error frames: kept, or counted."""
    sent = [each._replace(time=START + i * 1000) for i, each in enumerate(sent)]
    with TemporaryDirectory() as directory:
        path = Path(directory) / f"drive{ending}"
        left_out = write(path, sent).left_out
        wanted = sent
        if ending == ".trc":
            wanted = [each for each in sent if each.fd is None and not each.remote | each.error]
        if ending == ".asc":  # of an error frame, only that there was one
            wanted = [
                each._replace(can_id=CAN_ERR_FLAG, data=b"") if each.error else each
                for each in sent
            ]
        assert left_out == len(sent) - len(wanted)
        assert read(path) == wanted


@pytest.mark.parametrize("ending", HERE)
def test_a_full_disk_costs_no_frame_that_was_on_it(ending: str, tmp_path: Path) -> None:
    """The writer says so; what is there is whole, for us and for python-can."""
    path, sent = tmp_path / f"drive{ending}", frames(20_000)
    writer = formats.create(str(path))
    with disk_of(100_000):
        with pytest.raises(RecordingError, match=r"cannot write .*drive"):
            write_in_batches(writer, sent)
        with pytest.raises(RecordingError):
            writer.close()
    found = read(path)
    assert found
    assert found == sent[: len(found)]
    with can.LogReader(path) as messages:
        assert len(list(messages)) == len(found)


@pytest.mark.parametrize("ending", [".log", ".csv", ".asc", ".trc"])
def test_a_full_disk_keeps_what_fitted_of_many_frames(ending: str, tmp_path: Path) -> None:
    """On a busy bus thousands come at once: not all of them are lost with the last one."""
    path, sent = tmp_path / f"drive{ending}", frames(5000)
    writer = formats.create(str(path))
    with disk_of(60_000), pytest.raises(RecordingError):
        writer.write(sent)
    with pytest.raises(RecordingError):
        writer.close()
    found = read(path)
    assert len(found) > 500
    assert found == sent[: len(found)]


@pytest.mark.parametrize("ending", [each for each in HERE if each != ".db"])
@pytest.mark.parametrize("short", [1, 2, 17])
def test_what_was_complete_before_a_cut_is_read(ending: str, short: int, tmp_path: Path) -> None:
    """Bytes are missing at the end: the rest comes, and the cut is said."""
    path, sent = tmp_path / f"drive{ending}", frames(3000)
    writer = formats.create(str(path))
    writer.write(sent)
    writer.close()
    path.write_bytes(path.read_bytes()[: -short - (20 if ending == ".asc" else 0)])
    recording = formats.Recording(str(path))
    found = list(recording)
    assert recording.cut
    assert len(found) > 1000
    assert found == sent[: len(found)]


@pytest.mark.parametrize("ending", HERE)
def test_a_recording_whose_program_was_killed(ending: str, tmp_path: Path) -> None:
    """What was committed is there without the close."""
    path, sent = tmp_path / f"drive{ending}", frames(5000)
    writer = formats.create(str(path))
    writer.write(sent)
    writer.commit()
    found = [each._replace(time=0) for each in formats.Recording(str(path))]
    assert len(found) > 1000
    assert found == [each._replace(time=0) for each in sent[: len(found)]]
    writer.close()


@pytest.mark.parametrize("ending", HERE)
def test_a_recording_is_not_overwritten(ending: str, tmp_path: Path) -> None:
    """A drive cannot be driven again."""
    path = tmp_path / f"drive{ending}"
    write(path, [DATA])
    with pytest.raises(RecordingError, match="does not overwrite"):
        formats.create(str(path))
    assert read(path) == [DATA]
    beside = Path(f"{path}.senders.csv")
    if beside.exists():
        beside.unlink()
        with pytest.raises(RecordingError, match="does not overwrite"):
            formats.create(str(path))
        assert not beside.exists()  # it would be taken for that of the old recording


@pytest.mark.parametrize("ending", HERE)
def test_an_empty_recording(ending: str, tmp_path: Path) -> None:
    """A silent bus is no error."""
    path = tmp_path / f"drive{ending}"
    write(path, [])
    assert read(path) == []


@pytest.mark.parametrize("ending", [".log", ".csv", ".db", ".blf"])
def test_garbage_is_refused(ending: str, tmp_path: Path) -> None:
    """And never read as frames."""
    path = tmp_path / f"drive{ending}"
    path.write_bytes(b"no recording at all\n" * 50)
    with pytest.raises(RecordingError, match="cannot read"):
        list(formats.Recording(str(path)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1.0,0x800,0,0,0,1,ESI=", "has the id 800, which has more than 11 bits"),
        ("1.0,0x20000123,1,0,0,1,ESI=", "20000123 is no id"),
        ("1.0,0x123,0,1,0,9,", "has 9 bytes"),
        ("1.0,0x123,0,1,0,999999999999999,", ""),
        ("inf,0x123,0,0,0,1,ESI=", "infinity"),
        ("1.0,0x123,0,0,0,1", "not enough values"),
        ("1e13,0x123,0,0,0,1,ESI=", "frame 2 has a time that no clock shows"),
        ("-1e150,0x123,0,0,0,1,ESI=", "frame 2 has a time that no clock shows"),
    ],
)
def test_what_no_bus_can_carry_is_refused(line: str, reason: str, tmp_path: Path) -> None:
    """A player would send another frame in its place, or end with a traceback."""
    path = tmp_path / "drive.csv"
    header = "timestamp,arbitration_id,extended,remote,error,dlc,data"
    path.write_text(f"{header}\n1.0,0x123,0,0,0,1,ESI=\n{line}\n")
    with pytest.raises(RecordingError, match=f"cannot read .*{reason}"):
        list(formats.Recording(str(path)))


@pytest.mark.parametrize("line", ["(1.0) can0 FFF#11", "(1.0) can0 80000123#11"])
def test_an_id_that_does_not_fit_is_no_line(line: str, tmp_path: Path) -> None:
    """It would be sent as another id."""
    path = tmp_path / "drive.log"
    path.write_text(f"{line}\n")
    with pytest.raises(RecordingError, match="line 1 is not one of candump -L"):
        list(formats.Recording(str(path)))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe can be read once, and a recording is read twice."""
    os.mkfifo(tmp_path / "pipe.log")
    with pytest.raises(RecordingError, match="not a plain file"):
        formats.Recording(str(tmp_path / "pipe.log"))


def test_an_id_with_more_bits_is_recorded_as_it_is_received(tmp_path: Path) -> None:
    """A program may say 923 without the flag of 29 bits: all receive 123."""
    for ending in (".log", ".csv", ".db", ".asc", ".blf", ".trc"):
        write(tmp_path / f"drive{ending}", [DATA._replace(can_id=0x923)])
        assert [each.id for each in read(tmp_path / f"drive{ending}")] == [0x123], ending


def test_files_of_others_have_no_senders(tmp_path: Path) -> None:
    """Their channels are buses; a sender is not made up."""
    log = tmp_path / "candump.log"
    log.write_text("(1700000000.000001) can1 123#11\n(1700000000.000002) can1 123#R8 T\n")
    assert [(each.bus, each.sender) for each in formats.Recording(str(log))] == [("can1", "")] * 2
    for ending in (".asc", ".trc", ".blf"):
        path = tmp_path / f"other{ending}"
        with can.Logger(path) as theirs:
            theirs(can.Message(timestamp=1.7e9, arbitration_id=1, channel=4, is_extended_id=False))
        assert [(each.bus, each.sender) for each in formats.Recording(str(path))] == [("5", "")]
    path = tmp_path / "other.csv"
    with can.Logger(path) as theirs:
        theirs(can.Message(timestamp=1.7e9, arbitration_id=1, is_extended_id=False))
    assert [(each.bus, each.sender) for each in formats.Recording(str(path))] == [("", "")]


def test_an_ending_that_is_no_format(tmp_path: Path) -> None:
    """The sentence has those that there are."""
    for function in (formats.create, formats.Recording):
        with pytest.raises(RecordingError, match=r"no format.*\.log .*\.blf .*\.db "):
            function(str(tmp_path / "drive.pcap"))


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    """The kernel's words."""
    with pytest.raises(RecordingError, match="No such file"):
        formats.Recording(str(tmp_path / "none.log"))


def test_without_python_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs nothing works; the rest says what to install."""
    monkeypatch.setitem(sys.modules, "can", None)
    for ending in (".log", ".csv", ".db"):
        write(tmp_path / f"drive{ending}", [DATA])
    with pytest.raises(RecordingError, match="canwharf\\[frames\\]"):
        formats.create(str(tmp_path / "drive.blf"))
    assert not (tmp_path / "drive.blf").exists()
