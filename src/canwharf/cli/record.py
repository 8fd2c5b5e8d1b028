"""`canwharf record`: what is sent on the buses, into a file, with the sender of each frame.

Rules:

- As `dump`, it works while the daemon is stopped; it neither calls nor starts it.
- Each second what has come is brought to the file: a crash costs no more than that, where the
  format allows it.
- A signal ends the recording as it was meant to end: the file is closed, and the status is 0. Where
  the disk is full it ends too, with what there was room for, and status 1.
- Where the recording goes on in another file, no frame is lost between the two: what comes
  meanwhile waits in the kernel.
- Nothing that is not in the file is hidden: frames that came too fast, or for which the format has
  no room.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from math import inf
from time import monotonic
from typing import TextIO

from canwharf.cli import duration, listening, selection
from canwharf.cli.listening import LOOK, ending, say
from canwharf.cli.options import Flag, Option
from canwharf.errors import OptionError, UsageError
from canwharf.frames import formats
from canwharf.frames.capture import Capture
from canwharf.frames.formats.rotation import RotatingWriter
from canwharf.frames.formats.writer import Writer
from canwharf.frames.frame import Frame
from canwharf.operator.render.terminal import sanitize

DESCRIPTION = (
    "Record what is sent on the buses, and who sent each frame, into a file whose ending says the "
    f"format: {', '.join(formats.FORMATS)}. Each sender is a channel; one on "
    "another host of a span is HOST/NAME. It ends with Ctrl-C, after --for or after --count "
    "frames. It works while the daemon is stopped. Run it as root."
)
EXAMPLE = "sudo canwharf record bus0 -o drive.log --for 10m"
OPTIONS = (
    listening.BUS,
    Option("output", "", "the file, which must not exist", "FILE", short="o"),
    Option("for", "", "end after this time: 500ms, 30s, 5m, 2h", "TIME"),
    Option("count", "", "end after so many frames", "COUNT", short="n"),
    Option(
        "rotate-size",
        "",
        "go on in a new file when one has this size (100M): drive-0001.log, drive-0002.log, …",
        "SIZE",
    ),
    Option("rotate-time", "", "go on in a new file after this time", "TIME"),
    Option(
        "recover",
        "",
        "of a bus across hosts, have also what a cut of the connection lost, if it is back within "
        "this time, up to 5m; frames are written so much later",
        "TIME",
    ),
    Flag("json", "print what was recorded as JSON"),
    *selection.WHICH,
)
_TELL = 1.0  # seconds between two commits, and two lines of progress
_RECOVER = 300.0  # seconds (canwharf.span.recovery.KEEP)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SMALLEST = 1 << 16  # bytes of a file: two blocks of a blf


def run(options: Mapping[str, str]) -> int:
    """Record until the end. Raises CanwharfError."""
    which = selection.announced(options).instance
    if not options["output"]:
        raise UsageError("say the file: -o drive.log")
    most = listening.count(options["count"])
    end = monotonic() + _seconds(options, "for")
    rotate = _size(options["rotate-size"]), _seconds(options, "rotate-time")
    recover = _recover(options["recover"])
    with ending() as ended, listening.capture(which, options["bus"], recover=recover) as capture:
        if not capture.sources:
            say("there is no bus yet; it waits for one")
        elif recover and capture.feed and not capture.feed.since:
            say("no 'canwharf span' answers for these buses; --recover waits for one")
        recorder = _Recorder(_writer(options["output"], *rotate), capture, most)
        try:
            while recorder.left and not ended and monotonic() < end:
                recorder.take(LOOK)
            recorder.rest()
        finally:
            recorder.close()
        recorder.tell(as_json=bool(options["json"]))
    return 0


def _writer(path: str, size: float, seconds: float) -> Writer:
    """One file, or one after the other. Raises RecordingError."""
    if min(size, seconds) < inf:
        return RotatingWriter(path, size, seconds)
    return formats.create(path)


def _seconds(options: Mapping[str, str], name: str) -> float:
    """The time that an option says; without end where it is left out. Raises OptionError."""
    text = options[name]
    return duration.seconds(f"--{name}", text) if text else inf


def _recover(text: str) -> float:
    """For how many seconds frames are held back; 0: not at all. Raises OptionError."""
    found = duration.seconds("--recover", text) if text else 0
    if found > _RECOVER:  # all that comes meanwhile is in memory
        raise OptionError("--recover", text, "it must be a time up to 5m, as other hosts keep it")
    return found


def _size(text: str) -> float:
    """A size in bytes; without end where it is left out. Raises OptionError."""
    if not text:
        return inf
    match = re.fullmatch(r"([0-9]{1,12})([KMG])?B?", text.strip().upper())
    found = int(match[1]) * _UNITS.get(match[2], 1) if match else 0
    if found < _SMALLEST:
        raise OptionError("--rotate-size", text, "it must be a size from 64K on: 500K, 100M, 2G")
    return found


class _Recorder:
    """A file, and how far it has come."""

    def __init__(self, writer: Writer, capture: Capture, most: float) -> None:
        self.left = most
        self._writer = writer
        self._capture = capture
        self._taken = 0
        self._begun = monotonic()
        self._next = self._begun + _TELL
        self._before = 0  # frames at the last line of progress
        self._terminal: TextIO | None = sys.stderr if sys.stderr.isatty() else None

    def take(self, wait: float) -> None:
        """Write what comes within so many seconds. Raises CanwharfError."""
        self._write(self._capture.read(wait))
        if monotonic() >= self._next:
            self._next = monotonic() + _TELL
            self._writer.commit()
            self._progress()

    def rest(self) -> None:
        """Write what has come until now."""
        self._write(self._capture.rest())

    def close(self) -> None:
        """Close the file, also after a failure. Raises RecordingError."""
        if self._terminal:
            print(file=self._terminal)
        self._writer.close()

    def tell(self, *, as_json: bool) -> None:
        """What is in the file, and what is not."""
        writer, lost = self._writer, self._capture.losses
        senders = [channel._asdict() for channel in writer.channels]
        if as_json:
            told = {
                "file": writer.path,
                "files": writer.files,
                "frames": self._taken - writer.left_out,
                "bytes": writer.size,
                "channels": senders,
                "left_out": writer.left_out,
                "lost": [
                    {"bus": bus, "sender": who, "frames": n} for (bus, who), n in lost.items()
                ],
                "hosts": listening.hosts(self._capture),
            }
            print(json.dumps(told))
            return
        files = writer.files[0]
        if len(writer.files) > 1:
            files += f" to {writer.files[-1]}"
        print(
            f"{sanitize(files)}: {self._taken - writer.left_out} frames of {len(senders)} senders, "
            f"{writer.size} bytes"
        )
        if writer.left_out:
            say(f"{writer.left_out} frames are not in the file: its format has no room for them")
        for (bus, sender), frames in lost.items():
            say(f"{frames} frames of {sender} on {bus} were lost here: they came too fast")
        listening.say_hosts(self._capture)

    def _write(self, frames: list[Frame]) -> None:
        if len(frames) > self.left:
            frames = frames[: int(self.left)]
        self._writer.write(frames)
        self.left -= len(frames)
        self._taken += len(frames)

    def _progress(self) -> None:
        if not self._terminal:
            return
        rate, self._before = (self._taken - self._before) / _TELL, self._taken
        lost = sum(self._capture.losses.values())
        line = (
            f"{monotonic() - self._begun:.0f} s  {self._taken} frames  {rate:.0f} frames/s  "
            f"{self._writer.size / 1e6:.1f} MB  {lost} lost"
        )
        # A line that is longer than the terminal would be a new one each second.
        room = os.get_terminal_size(self._terminal.fileno()).columns - 1
        shown = line[:room] if room > 0 else line  # a serial line does not know its width
        print(f"\r{shown.ljust(room)}", end="", file=self._terminal, flush=True)
