"""All frames of a test's bus, from its beginning on.

Theory of operation. A thread reads the capture all the time: an interface that comes is listened to
only if its announcement is read, and a test that waits for Docker would read nothing. The thread
asks nobody for names, as Docker may be starting a container and let it wait. The frames of a new
container are those of an endpoint, until the test's thread knows its name and tells it.

Rules:

- The capture is the thread's alone, until that has ended.
- What fails in the thread is raised where the test waits, and at the end.
- Memory has a bound: the oldest of more than MOST frames are forgotten, and counted.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from threading import Condition, Thread
from time import monotonic, time_ns

from canwharf.frames.capture import GRACE, Capture
from canwharf.frames.frame import HOST, WIRE, Frame
from canwharf.testing.recording import Recording
from canwharf.testing.wanted import Wanted

MOST = 1_000_000  # frames; some 250 MB
_GRACE = max(1, int(GRACE * 1000))  # milliseconds


class Monitor:
    """The frames so far, and those that a test waits for."""

    def __init__(self, capture: Capture, ask: Callable[[], Mapping[str, str]]) -> None:
        """It listens from now on, until `close`. `capture` is open, and closed with it.

        `ask` tells the names of senders that run, by what the capture calls them.
        """
        self.begun = time_ns()
        self.forgotten = 0
        self.lost = 0  # frames that came faster than they were read, at the last `sync`
        self._frames: list[Frame] = []
        self._unnamed: dict[str, int] = {}  # senders, with the time of their first frame
        self._names = {HOST: HOST, WIRE: WIRE}  # of senders, by what the capture calls them
        self._taken: set[int] = set()  # numbers of frames, counted from the first one of all
        self._recordings: list[Recording] = []
        self._error: Exception | None = None
        self._told = False  # the error
        self._capture = capture
        self._ask = ask
        self._changed = Condition()
        self._asked = self._answered = 0  # calls of `sync`
        self._ended = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = Thread(target=self._listen, name="canwharf", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and listen no more. Raises what failed in it and was not raised yet."""
        self._ended = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._capture.close()
        os.close(self._wake)
        if self._error is not None and not self._told:
            raise self._error

    def sync(self) -> None:
        """Return when all that has come until now has been read; at once after the end."""
        if self._ended:  # its wake-up is closed, and may be another file now
            return
        with self._changed:
            self._asked += 1
            asked = self._asked
            os.eventfd_write(self._wake, 1)
            self._changed.wait_for(lambda: self._answered >= asked or self._error is not None)

    def find(self, wanted: Wanted, deadline: float) -> Frame | None:
        """The oldest such frame that was not found before; None if none comes until `deadline`.

        `deadline` is in monotonic seconds. Raises what failed in the thread, as a CanwharfError.
        """
        asked: set[str] = set()
        while (frame := self._find(wanted, deadline, asked)) is None:
            unknown = self.unnamed() - asked
            if not unknown:
                return None
            asked |= unknown
            self.learn(self._ask())
        return frame

    def _find(self, wanted: Wanted, deadline: float, asked: Collection[str]) -> Frame | None:
        """The same, but None as soon as a sender has no name and is not among `asked`."""
        place = 0
        with self._changed:
            while True:
                if self._error is not None:
                    self._told = True
                    raise self._error
                place = max(place, self.forgotten)
                for frame in self._frames[place - self.forgotten :]:
                    if wanted.matches(frame) and place not in self._taken:
                        self._taken.add(place)
                        return frame
                    place += 1
                left = deadline - monotonic()
                if left <= 0 or self._unnamed.keys() - asked:
                    return None
                self._changed.wait(left)

    def all(self) -> list[Frame]:
        """All frames until now, with their names, but for those that were forgotten."""
        self.name()
        with self._changed:
            return list(self._frames)

    def name(self) -> None:
        """Ask for the names of those that have sent until now."""
        self.sync()
        if self.unnamed():
            self.learn(self._ask())

    def unnamed(self, since: int = 0) -> set[str]:
        """The senders without a name whose first frame came since then, in nanoseconds."""
        with self._changed:
            return {sender for sender, first in self._unnamed.items() if first >= since}

    def found(self) -> list[Frame]:
        """The frames that `find` has returned."""
        with self._changed:
            places = sorted(place for place in self._taken if place >= self.forgotten)
            return [self._frames[place - self.forgotten] for place in places]

    def learn(self, names: Mapping[str, str]) -> None:
        """The names of senders, by what the capture calls them: of all that came and will come."""
        with self._changed:
            new = {key: name for key, name in names.items() if key not in self._names}
            self._names |= new
            if not new.keys() & self._unnamed.keys():
                return
            self._frames[:] = self._renamed(self._frames)
            for key in new:
                self._unnamed.pop(key, None)

    def record(self, path: str) -> Recording:
        """Begin a recording of what comes from now on. Raises RecordingError."""
        made = Recording(path, self._renamed, self._end)
        self.sync()
        with self._changed:
            self._recordings.append(made)
        return made

    def _end(self, recording: Recording) -> None:
        """Nothing is for this recording any more, but what has come until now."""
        self.name()
        with self._changed:
            self._recordings.remove(recording)

    def _renamed(self, frames: Iterable[Frame]) -> list[Frame]:
        """The frames with the names of their senders, as far as these are known."""
        names = self._names
        return [
            frame if (name := names.get(frame.sender)) is None else frame._replace(sender=name)
            for frame in frames
        ]

    def _listen(self) -> None:
        """What the thread does."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._capture.fileno(), select.POLLIN)
        try:
            while True:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._wake)  # before what it told of is looked at
                if self._ended:
                    return
                self._read()
                poll.poll(_GRACE if self._capture.holding else None)
        except Exception as error:  # noqa: BLE001 - it is raised where the test waits
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _read(self) -> None:
        """What has come. Raises CanwharfError."""
        asked = self._asked
        frames = self._capture.read(0)
        if asked > self._answered:
            frames += self._capture.rest()
            self.lost = sum(self._capture.losses.values())
        with self._changed:
            self._add(frames)
            self._answered = asked
            self._changed.notify_all()

    def _add(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.sender not in self._names:
                self._unnamed.setdefault(frame.sender, frame.time)
        self._frames += self._renamed(frames)
        if len(self._frames) > MOST:
            gone = len(self._frames) - MOST + MOST // 10  # not one by one
            del self._frames[:gone]
            self.forgotten += gone
        for recording in self._recordings:
            recording.take(frames, hold=bool(self._unnamed))
