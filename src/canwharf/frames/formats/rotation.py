"""A recording in several files, one after the other: a new one at a size, or after a time.

Rules:

- `drive.log` is drive-0001.log, drive-0002.log and so on: in the order of their names, each with
  its name from its beginning. None is renamed or removed.
- A file ends as soon as it has the size, or its time since its first frame is over. The next one
  begins with the next frame. So each is whole as soon as it ends, a silent bus makes no empty
  files, and each frame is in one file.
- The size is looked at after each hundred frames, so a file may have a little more.
- If there is a file with such a name, nothing is recorded: its turn would come in the middle.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from math import inf
from time import monotonic

from canwharf.errors import RecordingError
from canwharf.frames import formats
from canwharf.frames.formats.writer import Writer
from canwharf.frames.frame import Frame

_TOGETHER = 100  # frames


class RotatingWriter(Writer):
    """Several files, as one recording."""

    def __init__(self, path: str, size: float = inf, seconds: float = inf) -> None:
        """Begin the first file. Raises RecordingError."""
        super().__init__(path)
        if size < inf and not formats.format_of("write", path).grows:
            reason = "a file of this format has no size before its end: rotate it by time"
            raise RecordingError("write", path, reason)
        self.files.clear()
        self._most, self._seconds = size, seconds
        self._bytes = 0  # of the files that ended
        self._end = inf  # monotonic seconds
        _refuse_others(path)
        self._file: Writer | None = self._begin()

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return self._bytes + (self._file.size if self._file else 0)

    def write(self, frames: Iterable[Frame]) -> None:
        """Write these frames. Raises RecordingError, as for a full disk."""
        all = list(frames)
        for start in range(0, len(all), _TOGETHER):
            self._file = self._file or self._begin()
            if self._end == inf:
                self._end = monotonic() + self._seconds
            self._file.write(all[start : start + _TOGETHER])
            self._rotate(self._file)

    def commit(self, least: int = 0) -> None:
        """Bring to the disk what waits in memory. Raises RecordingError."""
        if self._file:
            self._file.commit(least)
            self._rotate(self._file)

    def close(self) -> None:
        """End the last file. Raises RecordingError."""
        if self._file:
            self._close(self._file)

    def _begin(self) -> Writer:
        stem, ending = os.path.splitext(self.path)
        file = formats.create(f"{stem}-{len(self.files) + 1:04}{ending}")
        self.files += file.files
        return file

    def _rotate(self, file: Writer) -> None:
        if file.size >= self._most or monotonic() >= self._end:
            self._close(file)

    def _close(self, file: Writer) -> None:
        self._file, self._end = None, inf
        try:
            file.close()
        finally:
            self._bytes += file.size
            self.left_out += file.left_out
            for each in file.channels:
                self.channels.setdefault(each, len(self.channels) + 1)


def _refuse_others(path: str) -> None:
    """Raise RecordingError if there is a file that could be one of this recording."""
    directory, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    try:
        names = sorted(os.listdir(directory or os.curdir))
    except OSError as error:
        raise RecordingError("write", path, error.strerror or str(error)) from error
    for each in names:
        if re.fullmatch(rf"{re.escape(stem)}-\d{{4,}}{re.escape(ending)}(\..*)?", each):
            reason = f"{each} exists, and a recording does not overwrite; give another name"
            raise RecordingError("write", path, reason)
