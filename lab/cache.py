"""The cache: things that are costly to make, made once, then only read.

Rules: an entry is named by what it is made of, so a changed recipe makes a new entry. It is
made under a temporary name and renamed when complete, so an entry that exists is complete.
One lock file an entry, held while making it, so two processes do not make it twice. Whatever
takes longer than two seconds says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError

Report = Callable[[str], None]


def say(text: str) -> None:
    """The usual report: a line on standard error, so that standard output stays the guest's."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def folder() -> Path:
    """$CANWHARF_LAB, or the user's cache folder. Raises LabError where it cannot be made."""
    named = os.environ.get("CANWHARF_LAB")
    path = Path(named) if named else Path.home() / ".cache" / "canwharf-lab"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"no folder for what the lab keeps: {error} (CANWHARF_LAB names one)"
        ) from error
    return path.resolve()


def key(*recipe: object) -> str:
    """A short name for a recipe."""
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]


def entry(name: str, what: str, make: Callable[[Path], None], report: Report) -> Path:
    """The cache entry `name`; if it is missing, `make` is called with the path to fill.

    `what` is what a progress line calls it. Raises the errors of `make`, and then leaves
    nothing behind.
    """
    done = folder() / name
    if done.exists():
        return done
    with locked(done.with_name(f"{name}.lock"), what, report):
        if done.exists():
            return done
        begun = time.monotonic()
        report(f"making {what} (once; kept in {done})")
        unfinished = done.with_name(f"{name}.part")
        _remove(unfinished)
        try:
            make(unfinished)
            unfinished.rename(done)
        except BaseException:
            _remove(unfinished)
            raise
        report(f"{what} is ready after {time.monotonic() - begun:.0f} s")
    return done


@contextmanager
def locked(path: Path, what: str, report: Report) -> Iterator[None]:
    """Hold the lock file; the kernel lets go of it when the process ends, however it ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another process that writes {what}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
