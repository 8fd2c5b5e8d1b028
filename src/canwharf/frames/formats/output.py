"""A file that grows by whole batches: on a full disk it ends with the last one that fitted.

Rules:

- What is written waits in memory until `commit`. A batch that does not fit is taken back as a
  whole, so no line and no block is left in half.
- Nothing is raised while another library writes: the first failure is kept in `error`, and all that
  comes later is dropped. Its owner looks after each commit.
- A write before the end replaces what is on the disk, as a header is replaced at the close.
- A file that exists is not overwritten.
"""

from __future__ import annotations

import io
import os
from typing import Any

BATCH = 4096  # bytes; a smaller one would cost more calls, a greater one more frames on a full disk


class Output(io.RawIOBase):
    """The file. Raises FileExistsError and other OSError when it is made, and never later."""

    def __init__(self, path: str) -> None:
        self.name = path
        self.error: OSError | None = None
        self._file = -1  # not open: Python closes what was made in part, too
        self._size = 0  # bytes on the disk
        self._waiting = bytearray()
        self._at: int | None = None  # of the next write, where that is not the end
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    @property
    def size(self) -> int:
        """How many bytes it has, on the disk and in memory."""
        return self._size + len(self._waiting)

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def seekable(self) -> bool:
        """A header can be replaced."""
        return True

    def tell(self) -> int:
        """Where the next write goes."""
        return self.size if self._at is None else self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go back to a place from the start, or to the end."""
        self.commit()
        end = self.size
        where = offset if whence == os.SEEK_SET else end + offset
        self._at = None if where == end else where
        return where

    def write(self, data: Any) -> int:  # noqa: ANN401 (any buffer)
        """Take all of it."""
        content = bytes(data)
        if self._at is not None:
            self._replace(content, self._at)
            self._at += len(content)
        elif self.error is None:
            self._waiting += content
        return len(content)

    @property
    def waiting(self) -> int:
        """How many bytes wait in memory."""
        return len(self._waiting)

    def end(self, error: OSError) -> None:
        """Take nothing more, for an error of this file or of one that belongs to it."""
        self.error = self.error or error
        self._waiting.clear()

    def commit(self) -> None:
        """Bring to the disk what waits."""
        if self.error is not None or not self._waiting:
            return
        content = bytes(self._waiting)
        self._waiting.clear()
        if self._replace(content, self._size):
            self._size += len(content)
        else:
            os.ftruncate(self._file, self._size)

    def close(self) -> None:
        """Commit and close. A second time is as once."""
        if self.closed:
            return
        self.commit()
        super().close()
        if self._file < 0:
            return
        try:
            os.close(self._file)
        except OSError as error:  # NFS tells of a full disk only here
            self.error = self.error or error

    def _replace(self, content: bytes, where: int) -> bool:
        """Write all of it at this place; whether it went well."""
        rest = memoryview(content)
        try:
            while rest:
                written = os.pwrite(self._file, rest, where)
                rest, where = rest[written:], where + written
        except OSError as error:
            self.error = self.error or error
            return False
        return True
