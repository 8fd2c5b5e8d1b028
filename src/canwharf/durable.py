"""Files that are replaced as a whole, and read without surprises.

Rules:

- A file is written aside, made durable, and renamed over the old one: a power cut, a full disk or a
  reader in the middle finds the old text or the new one.
- What is written is always a new file of ours (O_EXCL): a link, a FIFO or another process's
  file that waits under the name to be written is removed, never written through. In a folder that
  others may write to (the text collector's) that would be any file of the machine. A folder is
  left with all that is in it: that is an error which says what to do.
- What is read is a plain file: to open a FIFO would wait for its writer for ever.

Source: open(2), rename(2).
"""

from __future__ import annotations

import errno
import posix
import stat

from canwharf.lean import suppress

_NEW = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC


def replace(path: str, text: bytes, mode: int | None = None, *, sync: bool = True) -> None:
    """Make this the file's text. Raises OSError, and the old file is as it was.

    `mode` are its exact permissions; else those of an ordinary new file. The rename itself is
    durable when the folder has been synced, which is the caller's.
    """
    aside = f"{path}.new"
    try:
        descriptor = posix.open(aside, _NEW, 0o666)
    except FileExistsError:  # left by a crash, or planted
        _clear(aside)
        descriptor = posix.open(aside, _NEW, 0o666)
    try:
        try:
            if mode is not None:
                posix.fchmod(descriptor, mode)
            left = memoryview(text)
            while left:
                left = left[posix.write(descriptor, left) :]
            if sync:
                posix.fsync(descriptor)
        finally:
            posix.close(descriptor)
        posix.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            posix.unlink(aside)
        raise


def _clear(path: str) -> None:
    """Remove what waits under the name to be written. Raises OSError."""
    try:
        posix.unlink(path)
    except IsADirectoryError as error:
        words = f"{path} is a directory, which canwharf does not remove: move it away"
        raise OSError(errno.EISDIR, words, path) from error


def read(path: str) -> bytes:
    """What a plain file holds. Raises OSError."""
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(posix.fstat(file.fileno()).st_mode):
            raise OSError("it is not a plain file")
        return file.read()


def _at_once(path: str, flags: int) -> int:
    return posix.open(path, flags | posix.O_NONBLOCK)
