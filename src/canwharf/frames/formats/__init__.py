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
from collections.abc import Callable, Iterator
from functools import partial

from canwharf.errors import RecordingError
from canwharf.frames.formats import candump, csv, pythoncan, sqlite
from canwharf.frames.formats.writer import Frames, Writer
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import CAN_ERR_FLAG, CAN_RTR_FLAG
from canwharf.record import NamedTuple


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
            with open(path, "rb"):
                pass
        except OSError as error:
            raise RecordingError("read", path, error.strerror or str(error)) from error

    def __iter__(self) -> Iterator[Frame]:
        """All complete frames. Raises RecordingError."""
        try:
            self.cut = yield from self._format.read(self.path)
        except OSError as error:
            raise RecordingError("read", self.path, error.strerror or str(error)) from error


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
