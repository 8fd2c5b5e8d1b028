"""The thread that reads the frames, and what the screen asks it.

Rules:

- Frames are read by this thread alone, in batches. The screen takes the lock for the moment in
  which it copies what it shows; what comes meanwhile waits in the kernel's buffers.
- Nothing is swallowed: what ends the thread is in `failure`, what ends a recording in `trouble`.
- All that is kept is bounded: rows (see `statistics`), samples of the one signal that is plotted.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Mapping
from time import localtime, monotonic, strftime
from typing import Protocol

from canwharf.errors import RecordingError
from canwharf.frames import formats
from canwharf.frames.buses import BusFacts
from canwharf.frames.dbc import Decoded, Decoder
from canwharf.frames.elsewhere import HostFacts
from canwharf.frames.formats.writer import Writer
from canwharf.frames.frame import Frame
from canwharf.frames.statistics import Key, Row, Statistics
from canwharf.operator.watch.meter import Meter, Rate
from canwharf.operator.watch.plot import Sample

LOOK = 1.0  # seconds between two looks at rates and buses
_WAIT = 0.1  # seconds until its end is noticed where no frame comes
_SAMPLES = 2000  # of the signal that is plotted
_APART = 10_000_000  # nanoseconds between two of these, at least: to decode takes time


class Capture(Protocol):
    """What is read: `frames.capture.Capture`, or another in a test."""

    @property
    def losses(self) -> Mapping[tuple[str, str], int]:
        """Lost frames by bus and sender."""

    @property
    def hosts(self) -> Mapping[tuple[str, str], HostFacts]:
        """What is known of other hosts, by bus and host."""

    @property
    def troubles(self) -> list[str]:
        """Why frames of other hosts are not there, or shown as this host's."""

    def read(self, timeout: float | None = None) -> list[Frame]:
        """The next frames."""

    def rest(self) -> list[Frame]:
        """The last frames."""


class Reading:
    """All that was read so far. What is public is for the screen; nothing of it is changed there.

    `rates` are by bus and sender. `signal` is plotted: the row's key, and the signal's name.
    """

    def __init__(
        self,
        capture: Capture,
        buses: Callable[[], Mapping[str, BusFacts]],
        decoder: Decoder | None = None,
    ) -> None:
        """`buses` tells what is known of them, and is asked by the thread."""
        self.decoder = decoder
        self.buses: Mapping[str, BusFacts] = {}
        self.rates: Mapping[tuple[str, str], Rate] = {}
        self.losses: Mapping[tuple[str, str], int] = {}
        self.hosts: Mapping[tuple[str, str], HostFacts] = {}
        self.troubles: list[str] = []
        self.failure: BaseException | None = None
        self.trouble: RecordingError | None = None
        self.signal: tuple[Key, str] | None = None
        self._capture = capture
        self._ask = buses
        self._statistics = Statistics()
        self._meter = Meter()
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self._writer: Writer | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Read what has come, and close the recording. Raises RecordingError."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        if not self.failure:
            self.take(self._capture.rest())
        if self._writer:
            self.stop_recording()
        if self.trouble:
            raise self.trouble

    def take(self, frames: list[Frame]) -> None:
        """Count these frames, and put them into the recording."""
        with self._lock:
            self._statistics.take(frames)
            self._sample(frames)
            self._record(frames)

    def look(self, now: float) -> None:
        """Rates, losses, buses and hosts; `now` in seconds. Raises CanwharfError."""
        buses, losses = self._ask(), dict(self._capture.losses)
        hosts, troubles = dict(self._capture.hosts), list(self._capture.troubles)
        with self._lock:
            self.rates = self._meter.rates(self._statistics.sums(), now)
            self.buses, self.losses = buses, losses
            self.hosts, self.troubles = hosts, troubles
            if self._writer:
                self._record([], commit=True)

    # What the screen asks.

    def rows(self) -> dict[Key, Row]:
        """All rows, which the thread goes on to change: for sorting, and for `copies`."""
        with self._lock:
            return dict(self._statistics.rows)

    def copies(self, rows: list[Row]) -> list[tuple[Row, list[str]]]:
        """These rows as they are now, each with the other senders of its id."""
        with self._lock:
            return [(copy.copy(row), self._statistics.others(row)) for row in rows]

    @property
    def left_out(self) -> int:
        """Frames for which there was no row any more."""
        return self._statistics.left_out

    def errors(self, bus: str) -> int:
        """The error frames of a bus."""
        with self._lock:
            return self._statistics.error_frames(bus)

    def decoded(self, row: Row) -> Decoded | None:
        """What the row's last frame says; None without a DBC file, or if that does not know it."""
        return self.decoder.decode(_frame(row)) if self.decoder else None

    def plot(self, signal: tuple[Key, str] | None) -> None:
        """Follow this signal from now on."""
        with self._lock:
            self.signal = signal
            self._samples.clear()

    def samples(self) -> list[Sample]:
        """Those of the signal that is plotted."""
        with self._lock:
            return list(self._samples)

    # Recording.

    @property
    def recording(self) -> tuple[str, int] | None:
        """The file's path and its bytes so far; None if there is no recording now."""
        writer = self._writer
        return (writer.path, writer.size) if writer else None

    def start_recording(self) -> str:
        """Record into a new file, named by the time; its path. Raises RecordingError."""
        path = strftime("canwharf-%Y%m%d-%H%M%S.log", localtime())
        made = formats.create(path)
        with self._lock:
            self.trouble, self._writer = None, made
        return path

    def stop_recording(self) -> str:
        """Close the file; its path. Raises RecordingError."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is None:
            return ""
        writer.close()
        return writer.path

    def _record(self, frames: list[Frame], *, commit: bool = False) -> None:
        if self._writer is None:
            return
        try:
            self._writer.write(frames)
            if commit:
                self._writer.commit()
        except RecordingError as error:
            self.trouble = error
            self._close_quietly(self._writer)
            self._writer = None

    @staticmethod
    def _close_quietly(writer: Writer) -> None:
        """After a failure that is told: the same one is no news."""
        try:
            writer.close()
        except RecordingError:
            return

    # The thread.

    def _run(self) -> None:
        due = 0.0
        try:
            while not self._ended.is_set():
                self.take(self._capture.read(_WAIT))
                if (now := monotonic()) >= due:
                    due = now + LOOK
                    self.look(now)
        except BaseException as error:  # noqa: BLE001 (told by the screen's thread)
            self.failure = error

    def _sample(self, frames: list[Frame]) -> None:
        if self.signal is None or self.decoder is None:
            return
        key, name = self.signal
        for frame in frames:
            if (frame.bus, frame.can_id, frame.sender) != key:
                continue
            if self._samples and 0 <= frame.time - self._samples[-1][0] < _APART:
                continue
            decoded = self.decoder.decode(frame)
            value = number(decoded.signals.get(name)) if decoded else None
            if value is not None:
                self._samples.append((frame.time, value))


def number(value: object) -> float | None:
    """A signal's value as a number, also where the file has a word for it; None for a text."""
    value = getattr(value, "value", value)
    return float(value) if isinstance(value, int | float) else None


def _frame(row: Row) -> Frame:
    """The row's last frame."""
    return Frame(row.last, row.bus, row.sender, row.can_id, row.data, row.fd)
