"""What the report of a failed test shows: its last frames, and what its containers said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from canwharf.frames.frame import Frame
from canwharf.frames.lines import body
from canwharf.frames.words import error_words
from canwharf.operator.render.terminal import sanitize

LAST = 40  # frames


def frames_text(frames: list[Frame], begun: int, forgotten: int, lost: int) -> str:
    """The last frames, with their senders; `begun` is the time from which seconds are counted."""
    return "\n".join(_frame_lines(frames, begun, forgotten, lost))


def _frame_lines(frames: list[Frame], begun: int, forgotten: int, lost: int) -> Iterator[str]:
    count = forgotten + len(frames)
    shown = frames[-LAST:]
    if not shown:
        yield "no frame was sent on the bus"
    elif count > len(shown):
        yield f"the last {len(shown)} of {count} frames; seconds since the bus was there"
    width = max((len(sanitize(frame.sender)) for frame in shown), default=0)
    for frame in shown:
        seconds = (frame.time - begun) / 1e9
        words = f"  {error_words(frame)}" if frame.error else ""
        yield f"{seconds:11.6f}  {sanitize(frame.sender):<{width}}  {body(frame)}{words}"
    if lost:
        yield f"{lost} more frames came faster than they were read, and were lost here"


def log_text(state: str, log: str) -> str:
    """A container's state and the end of its log; no line of it moves the cursor."""
    return "\n".join([state, *map(sanitize, log.splitlines())])


def failure(wanted: object, within: float, reasons: Iterable[str]) -> str:
    """Why a test did not get its frame: a line for each reason."""
    lines = [f"no {wanted} within {within:g} s", *(f"  {each}" for each in reasons)]
    return "\n".join(map(sanitize, lines))
