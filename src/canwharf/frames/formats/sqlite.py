"""A database of SQLite (.db): python-can's table of messages, and two more for the senders.

python-can's writer works in a thread that ends in silence when the disk is full, and has no room
for channels; its table is written here, and its reader reads it.

Source: python-can, can/io/sqlite.py.
"""

from __future__ import annotations

import os
import sqlite3
from urllib.parse import quote

from canwharf.errors import RecordingError
from canwharf.frames.formats.writer import (
    MICROSECOND,
    Frames,
    Writer,
    can_id,
    nanoseconds,
)
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import (
    CAN_EFF_FLAG,
    CAN_ERR_FLAG,
    CAN_RTR_FLAG,
)
from canwharf.record import NamedTuple

_TABLES = """
CREATE TABLE messages (ts REAL, arbitration_id INTEGER, extended INTEGER, remote INTEGER,
    error INTEGER, dlc INTEGER, data BLOB);
CREATE TABLE senders (channel INTEGER PRIMARY KEY, bus TEXT, sender TEXT);
CREATE TABLE origins (message INTEGER PRIMARY KEY, channel INTEGER, fd_flags INTEGER);
"""
_WITH_SENDERS = """
SELECT messages.*, bus, sender, fd_flags FROM messages
LEFT JOIN origins ON origins.message = messages.rowid LEFT JOIN senders USING (channel)
ORDER BY messages.rowid
"""
_ALONE = "SELECT *, NULL, NULL, NULL FROM messages ORDER BY rowid"
_ROW = 4  # of bytes that make a commit due: a thousand rows, as each commit waits for the disk


class _Row(NamedTuple):
    time: float
    id: int
    extended: int
    remote: int
    error: int
    dlc: int
    data: bytes | None


class SqliteWriter(Writer):
    """One transaction a batch: SQLite takes back one that does not fit."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._open(path).close()  # an empty file is an empty database; an existing one is refused
        self._outputs.clear()
        self._frames = 0
        self._waiting: list[tuple[_Row, int, int | None]] = []
        self._error: sqlite3.Error | None = None
        try:
            self._base = sqlite3.connect(path, isolation_level=None)
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.executescript(f"BEGIN; {_TABLES} COMMIT;")
        except sqlite3.Error as error:
            raise RecordingError("write", path, str(error)) from error

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return os.stat(self.path).st_size

    def commit(self, least: int = 0) -> None:
        """One transaction. Raises RecordingError."""
        if self._error is None and self._waiting and len(self._waiting) * _ROW >= least:
            try:
                self._transact()
            except sqlite3.Error as error:
                self._error = error
        if self._error is not None:
            raise RecordingError("write", self.path, str(self._error)) from self._error

    def close(self) -> None:
        """Commit and close. Raises RecordingError."""
        try:
            self.commit()
        finally:
            self._base.close()

    def _transact(self) -> None:
        senders = [(channel, *key) for key, channel in self.channels.items()]
        numbered = list(enumerate(self._waiting, self._frames + 1))
        with self._base:  # commits, or rolls back
            self._base.execute("BEGIN")
            self._base.executemany("INSERT OR IGNORE INTO senders VALUES (?, ?, ?)", senders)
            self._base.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
                [row for _number, (row, _channel, _fd) in numbered],
            )
            self._base.executemany(
                "INSERT INTO origins VALUES (?, ?, ?)",
                [(number, channel, fd) for number, (_row, channel, fd) in numbered],
            )
        self._frames += len(self._waiting)
        self._waiting.clear()

    def _add(self, frame: Frame, channel: int) -> bool:
        id = frame.can_id
        row = _Row(
            frame.time // MICROSECOND / 1_000_000,
            frame.id,
            int(bool(id & CAN_EFF_FLAG)),
            int(bool(id & CAN_RTR_FLAG)),
            int(bool(id & CAN_ERR_FLAG)),
            len(frame.data),
            b"" if id & CAN_RTR_FLAG else frame.data,
        )
        self._waiting.append((row, channel, frame.fd))
        return True


def read(path: str) -> Frames:
    """The frames. Raises RecordingError where it is no such database."""
    if not os.path.getsize(path):
        return "it is empty"
    base = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)
    read_any = False
    try:
        names = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        for row in base.execute(_WITH_SENDERS if {"origins", "senders"} <= names else _ALONE):
            bus, sender, fd = row[7:]
            yield _frame(_Row(*row[:7]), bus or "", sender or "", fd)
            read_any = True
    except sqlite3.Error as error:
        if not read_any:
            raise RecordingError("read", path, str(error)) from error
        return str(error)
    finally:
        base.close()
    return ""


def _frame(row: _Row, bus: str, sender: str, fd: int | None) -> Frame:
    id = can_id(row.id, extended=row.extended, remote=row.remote, error=row.error)
    content = bytes(row.dlc) if row.remote else bytes(row.data or b"")
    if fd is None and len(content) > 8 and not row.remote:
        fd = 0
    return Frame(nanoseconds(row.time), bus, sender, id, content, fd)
