"""The frames of one host that are missing here, until they come or are given up. Pure.

Rules:

- What is missing is asked for in its order, once a second; gaps that are NEAR, as one. A gap of
  which nothing came after TRIES questions is given up: the other host does not have it any more.
- A host that starts again has nothing of what it was before.
- More than MOST gaps are not kept: the newest is given up.
"""

from __future__ import annotations

MOST = 64  # gaps
TRIES = 5
NEAR = 4096  # frames
AGAIN = 1_000_000_000  # nanoseconds


class Gaps:
    """Ranges of numbers, in their order."""

    def __init__(self) -> None:
        self._epoch = 0
        self._ranges: list[tuple[int, int]] = []  # the first number, the one behind
        self._tries = 0
        self._asked: int | None = None  # nanoseconds

    def __bool__(self) -> bool:
        """Whether something is missing."""
        return bool(self._ranges)

    def add(self, epoch: int, first: int, end: int) -> None:
        """These do not come any more by themselves."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._ranges.clear()
        if len(self._ranges) < MOST:
            self._ranges.append((first, end))
        if len(self._ranges) == 1:
            self._tries, self._asked = 0, None

    def take(self, epoch: int, first: int, count: int) -> list[int]:
        """Of a message with so many frames from this number on, the places of what was missing."""
        if epoch != self._epoch:
            return []
        end = first + count
        left: list[tuple[int, int]] = []
        places: list[int] = []
        for start, behind in self._ranges:
            low, high = max(start, first), min(behind, end)
            if low >= high:
                left.append((start, behind))
                continue
            places += range(low - first, high - first)
            left += [each for each in ((start, low), (high, behind)) if each[0] < each[1]]
        self._ranges = left[:MOST]
        if places:
            self._tries = 0
        return places

    def due(self, now: int) -> tuple[int, int, int] | None:
        """What to ask for now: the epoch, the first number and the one behind."""
        if not self._ranges or (self._asked is not None and now - self._asked < AGAIN):
            return None
        if self._tries == TRIES:
            self._ranges.pop(0)
            self._tries = 0
            return self.due(now)
        self._tries += 1
        self._asked = now
        first, end = self._ranges[0]
        near = [behind for start, behind in self._ranges if start - end < NEAR]
        return self._epoch, first, max(near)
