"""Comma separated values (.csv): python-can's seven columns, and the senders in a file beside.

python-can reads no file with an eighth column. So FILE.senders.csv has a row for each frame, in the
same order: its bus, its sender, and its flags if it is of CAN FD.

Source: python-can, can/io/csv.py.
"""

from __future__ import annotations

import csv
import io
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

from canwharf.errors import RecordingError
from canwharf.frames.formats.writer import Frames, Writer, can_id, nanoseconds, seconds
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import (
    CAN_EFF_FLAG,
    CAN_ERR_FLAG,
    CAN_RTR_FLAG,
)

BESIDE = ".senders.csv"  # after the file's name
_COLUMNS = ("timestamp", "arbitration_id", "extended", "remote", "error", "dlc", "data")
_SENDERS = ("bus", "sender", "fd_flags")
_UNKNOWN = ("", "", "")


class CsvWriter(Writer):
    """Two files that grow together, the senders first."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._senders = Rows()
        self._beside = self._open(path + BESIDE)
        self._frames = self._open(path)
        self._beside.write(self._senders.line(_SENDERS))
        self._frames.write(self._senders.line(_COLUMNS))

    def _add(self, frame: Frame, _channel: int) -> bool:
        flags = "" if frame.fd is None else f"{frame.fd}"
        self._beside.write(self._senders.line((frame.bus, frame.sender, flags)))
        id = frame.can_id
        kinds = (f"{int(bool(id & flag))}" for flag in (CAN_EFF_FLAG, CAN_RTR_FLAG, CAN_ERR_FLAG))
        data = b"" if id & CAN_RTR_FLAG else b64encode(frame.data)
        row = (
            seconds(frame.time),
            hex(frame.id),
            *kinds,
            f"{len(frame.data)}",
            data.decode(),
        )
        self._frames.write(f"{','.join(row)}\n".encode())
        return True


class Rows:
    """Rows as lines, with quotes where they are needed."""

    def __init__(self) -> None:
        self._memory = io.StringIO()
        self._rows = csv.writer(self._memory, lineterminator="\n")

    def line(self, row: Sequence[str]) -> bytes:
        """One line."""
        self._memory.seek(0)
        self._memory.truncate()
        self._rows.writerow(row)
        return self._memory.getvalue().encode()


def read(path: str) -> Frames:
    """The frames. Raises RecordingError where a row is not of these columns."""
    with open(path, encoding="utf-8", errors="replace", newline="\n") as lines:
        header = next(lines, "")
        if not header.endswith("\n"):
            return "its first line is not complete"
        if tuple(header.strip().split(",")) != _COLUMNS:
            reason = f"the columns must be {','.join(_COLUMNS)}, as python-can writes them"
            raise RecordingError("read", path, reason)
        for number, (each, beside) in enumerate(zip(lines, _beside(path), strict=False), 2):
            if not each.endswith("\n"):
                return f"line {number} is not complete"
            try:
                yield _frame(each.strip().split(","), beside)
            except (ValueError, NotBase64) as error:
                raise RecordingError("read", path, f"line {number}: {error}") from error
    return ""


def _frame(row: Sequence[str], beside: Sequence[str]) -> Frame:
    time, id_text, extended, remote, error, dlc, data = row
    id = can_id(
        int(id_text, 16), extended=extended == "1", remote=remote == "1", error=error == "1"
    )
    content = bytes(int(dlc)) if remote == "1" else b64decode(data, validate=True)
    bus, sender, flags = beside
    fd = int(flags) if flags else 0 if len(content) > 8 and remote == "0" else None
    return Frame(nanoseconds(float(time)), bus, sender, id, content, fd)


def table(path: str, columns: Sequence[str]) -> Iterator[list[str]]:
    """The complete rows of the file beside; none if there is no such file."""
    try:
        opened = open(  # noqa: SIM115 (a file that is not there is no error; one that breaks is)
            path + BESIDE, encoding="utf-8", errors="replace", newline=""
        )
    except FileNotFoundError:
        return
    with opened as lines:
        rows = csv.reader(each for each in lines if each.endswith("\n"))
        if tuple(next(rows, ())) != tuple(columns):
            reason = f"the columns must be {','.join(columns)}"
            raise RecordingError("read", path + BESIDE, reason)
        for row in rows:
            if len(row) != len(columns):
                raise RecordingError("read", path + BESIDE, f"line {rows.line_num} is broken")
            yield row


def _beside(path: str) -> Iterator[Sequence[str]]:
    """A row for each frame, without an end."""
    return chain(table(path, _SENDERS), repeat(_UNKNOWN))
