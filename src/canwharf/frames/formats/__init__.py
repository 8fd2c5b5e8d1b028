"""Recordings of frames, in the formats of the field: by the file's ending, with the senders.

    writer = formats.create("drive.blf")
    writer.write(frames)
    writer.close()
    recording = formats.Recording("drive.blf")
    for frame in recording: ...
    recording.cut               # after the end: what is wrong with it, if anything is

- `writer`: what all formats have in common. `output`: the file, and a full disk.
- `rotation`: several files, one after the other.
- `candump`, `csv`, `sqlite`: need nothing. `pythoncan`: the only import of python-can.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial

from canwharf.errors import RecordingError
from canwharf.frames.formats import candump, csv, pythoncan, sqlite
from canwharf.frames.formats.writer import Frames, Writer
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import CAN_EFF_MASK, CAN_ERR_FLAG, CAN_RTR_FLAG
from canwharf.record import NamedTuple

_NO_NUMBER = (ValueError, TypeError, OverflowError, MemoryError)  # or one that is too large
_CLASSIC, _FD = 8, 64  # the most bytes of a frame
_LATEST = 1 << 63  # nanoseconds: the kernel's time stamps have 64 bits, with a sign


class Format(NamedTuple):
    """What a file's ending means; one that does not `grow` is written at its end."""

    name: str
    write: Callable[[str], Writer]
    read: Callable[[str], Frames]
    grows: bool = True


FORMATS = {
    ".log": Format("candump -L", candump.CandumpWriter, candump.read),
    ".asc": Format(
        "Vector's ASCII log",
        partial(pythoncan.TextWriter, kind="ASCWriter", comment="//", without=0, fd=True),
        partial(pythoncan.read_text, kind="ASCReader", first=0, relative_timestamp=False),
    ),
    ".blf": Format(
        "Vector's binary log",
        partial(pythoncan.BinaryWriter, kind="BLFWriter"),
        pythoncan.read_blf,
    ),
    ".trc": Format(
        "PEAK's trace, classic data frames only",
        partial(
            pythoncan.TextWriter,
            kind="TRCWriter",
            comment=";  ",
            without=CAN_RTR_FLAG | CAN_ERR_FLAG,
            fd=False,
        ),
        partial(pythoncan.read_text, kind="TRCReader", first=1),
    ),
    ".mf4": Format(
        "ASAM MDF 4, with asammdf",
        partial(pythoncan.BinaryWriter, kind="MF4Writer"),
        pythoncan.read_mf4,
        grows=False,
    ),
    ".csv": Format("comma separated values", csv.CsvWriter, csv.read),
    ".db": Format("SQLite", sqlite.SqliteWriter, sqlite.read),
}


class Recording:
    """A recording that can be read, more than once."""

    def __init__(self, path: str) -> None:
        """Raises RecordingError where there is no such file or format."""
        self.path = path
        self.cut = ""  # known after the last frame
        self._format = format_of("read", path)
        try:
            is_plain = stat.S_ISREG(os.stat(path).st_mode)
            if is_plain:
                with open(path, "rb"):
                    pass
        except OSError as error:
            raise RecordingError("read", path, error.strerror or str(error)) from error
        if not is_plain:
            raise RecordingError("read", path, "it is not a plain file")

    def __iter__(self) -> Iterator[Frame]:
        """All complete frames. Raises RecordingError."""
        try:
            self.cut = yield from _checked(self.path, self._format.read(self.path))
        except OSError as error:
            raise RecordingError("read", self.path, error.strerror or str(error)) from error
        except _NO_NUMBER as error:
            raise RecordingError("read", self.path, str(error)) from error


def _checked(path: str, frames: Frames) -> Frames:
    """The frames, if each could be on a bus. Raises RecordingError."""
    number = 0
    while True:
        try:
            frame = next(frames)
        except StopIteration as end:
            return str(end.value)
        number += 1
        if frame.can_id & CAN_EFF_MASK > frame.id:
            reason = f"frame {number} has the id {frame.can_id:X}, which has more than 11 bits"
            raise RecordingError("read", path, reason)
        if len(frame.data) > (_CLASSIC if frame.fd is None else _FD):
            raise RecordingError("read", path, f"frame {number} has {len(frame.data)} bytes")
        if abs(frame.time) >= _LATEST:
            raise RecordingError("read", path, f"frame {number} has a time that no clock shows")
        yield frame


def create(path: str) -> Writer:
    """A new recording. Raises RecordingError, also where the file exists."""
    return format_of("write", path).write(path)


def format_of(operation: str, path: str) -> Format:
    """The format that a file's ending says. Raises RecordingError."""
    ending = os.path.splitext(path)[1].lower()
    if ending not in FORMATS:
        there = ", ".join(f"{each} ({form.name})" for each, form in FORMATS.items())
        reason = f"its ending says no format: {there}"
        raise RecordingError(operation, path, reason)
    return FORMATS[ending]
