"""What was sent on the buses so far: by bus, id and sender. Pure.

Theory of operation. A frame changes one row and nothing else, so that thousands a second cost
little. Sums over rows (of a sender, of a bus) are made when somebody looks.

Rules:

- The period is the mean of the times between two frames, the jitter their standard deviation.
  Both are exact: sums of integers.
- If the clock is set back, the time between these two frames is not counted.
- An error frame is no message: it counts for its bus, under the adapter or the sender that made it.
- Two senders of one id are a fault in CAN (see `conflicts`): their rows know of each other.
- There are at most MOST rows, and as many of error frames, so that a container that sends random
  ids does not fill the memory. Frames beyond are counted, and not hidden.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import sqrt

from canwharf.frames.bits import Bits, bits_of
from canwharf.frames.frame import Frame
from canwharf.kernel import uapi

MOST = 20_000  # rows: some 20 MB
Key = tuple[str, int, str]  # bus, can_id with its flags, sender

_NO_DATA = uapi.CAN_RTR_FLAG | uapi.CAN_ERR_FLAG


class Row:
    """The frames of one id from one sender. Times in nanoseconds."""

    __slots__ = (
        "_bits",
        "_length",
        "bus",
        "can_id",
        "count",
        "data",
        "fast",
        "fd",
        "first",
        "gaps",
        "greatest",
        "last",
        "least",
        "longest",
        "nominal",
        "sender",
        "shortest",
        "squares",
        "total",
    )  # fmt: skip

    def __init__(self, frame: Frame) -> None:
        self.first, self.bus, self.sender, self.can_id, self.data, self.fd = frame
        self.last = self.first
        self.count = 1
        self.gaps = self.total = self.squares = 0  # of the times between two frames
        self.least, self.greatest = 0, 0
        self.shortest = self.longest = self._length = len(self.data)
        self._bits = bits_of(self.can_id, self._length, self.fd)
        self.nominal, self.fast = self._bits

    @property
    def key(self) -> Key:
        """What it is counted under."""
        return self.bus, self.can_id, self.sender

    @property
    def period(self) -> float | None:
        """Nanoseconds between two frames in the mean; None before the second frame."""
        return self.total / self.gaps if self.gaps else None

    @property
    def jitter(self) -> float | None:
        """The standard deviation of the period in nanoseconds; None before the third frame."""
        if self.gaps < 2:
            return None
        return sqrt(self.gaps * self.squares - self.total * self.total) / self.gaps

    @property
    def bits(self) -> Bits:
        """What its frames took of a real bus."""
        return self.nominal, self.fast

    def resize(self, length: int, fd: int | None) -> Bits:
        """Note a frame of another length or kind; its bits."""
        self._length, self.fd = length, fd
        self.shortest, self.longest = min(self.shortest, length), max(self.longest, length)
        self._bits = bits_of(self.can_id, length, fd)
        return self._bits

    def take(self, time: int, data: bytes, fd: int | None) -> None:
        """Count a frame more."""
        self.count += 1
        gap = time - self.last
        self.last = time
        if gap >= 0:
            self.total += gap
            self.squares += gap * gap
            self.greatest = max(self.greatest, gap)
            if gap < self.least or not self.gaps:
                self.least = gap
            self.gaps += 1
        length = len(data)
        same = length == self._length and fd == self.fd
        nominal, fast = self._bits if same else self.resize(length, fd)
        self.nominal += nominal
        self.fast += fast
        self.data = data


class Statistics:
    """All rows."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.errors: dict[Key, Row] = {}  # of error frames
        self.left_out = 0  # frames whose row would be one too many
        self._senders: dict[tuple[str, int], list[str]] = {}

    def take(self, frames: Iterable[Frame]) -> None:
        """Count these frames."""
        rows = self.rows
        for frame in frames:
            time, bus, sender, can_id, data, fd = frame
            row = rows.get((bus, can_id, sender))
            if row is not None:
                row.take(time, data, fd)
            else:
                self._add(frame)

    def _add(self, frame: Frame) -> None:
        """Count a frame whose id is not among the rows."""
        key = frame.bus, frame.can_id, frame.sender
        if frame.error and (row := self.errors.get(key)):  # it was looked for among `rows`
            row.take(frame.time, frame.data, frame.fd)
            return
        rows = self.errors if frame.error else self.rows
        if len(rows) >= MOST:
            self.left_out += 1
            return
        rows[key] = Row(frame)
        if not frame.can_id & _NO_DATA:
            self._senders.setdefault(key[:2], []).append(frame.sender)

    def others(self, row: Row) -> list[str]:
        """The other senders of the row's id on its bus; empty, as it should be, of nearly all."""
        senders = self._senders.get((row.bus, row.can_id), [])
        return [each for each in senders if each != row.sender and row.sender in senders]

    def sums(self) -> dict[tuple[str, str], tuple[int, Bits]]:
        """The frames, and their bits, by bus and sender."""
        count: dict[tuple[str, str], int] = defaultdict(int)
        nominal: dict[tuple[str, str], float] = defaultdict(float)
        fast: dict[tuple[str, str], float] = defaultdict(float)
        for row in self.rows.values():
            key = row.bus, row.sender
            count[key] += row.count
            nominal[key] += row.nominal
            fast[key] += row.fast
        return {key: (count[key], (nominal[key], fast[key])) for key in count}

    def error_frames(self, bus: str) -> int:
        """The error frames of a bus."""
        return sum(row.count for row in self.errors.values() if row.bus == bus)


def changed(before: bytes, now: bytes) -> list[int]:
    """The places of the bytes that are not as before, or were not there."""
    return [place for place, byte in enumerate(now) if before[place : place + 1] != bytes((byte,))]
