"""What is sent on a test's bus, into a file.

Rules:

- The first frames of a container may be there before its name is known. They wait, so that each
  frame has its sender in the file.
- A full disk, or what else fails, fails the test at the close. The monitor's thread goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Self

from canwharf.errors import CanwharfError
from canwharf.frames import formats
from canwharf.frames.frame import Frame


class Recording:
    """A file that grows until `close`, which comes at the latest with the end of the test."""

    def __init__(
        self,
        path: str,
        named: Callable[[Iterable[Frame]], list[Frame]],
        end: Callable[[Recording], None],
    ) -> None:
        """`named` gives senders their names; `end` is called first of all at the close.

        Raises RecordingError.
        """
        self._writer = formats.create(path)
        self._named = named
        self._end = end
        self._waiting: list[Frame] = []
        self._error: CanwharfError | None = None
        self._closed = False

    def take(self, frames: list[Frame], *, hold: bool) -> None:
        """Write these frames, unless they have to wait for a name."""
        self._waiting += frames
        if not hold and self._waiting:
            self._write()

    def close(self) -> None:
        """Finish the file. Raises RecordingError, also for what failed before."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as stack:  # from below; whatever fails, the file is finished
            stack.callback(self._raise)
            stack.callback(self._writer.close)
            stack.callback(self._write)
            self._end(self)

    def _write(self) -> None:
        if self._error is None:
            try:
                self._writer.write(self._named(self._waiting))
            except CanwharfError as error:
                self._error = error
        self._waiting.clear()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()
