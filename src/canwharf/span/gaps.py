"""The frames of one host that are missing here, until they come or are given up. Pure.

Rules:

- What is missing is asked for in its order, once a second; gaps that are NEAR, as one. A gap of
  which nothing came after TRIES questions is given up: the other host does not have it any more.
- A question counts if the host was heard after it. One that is away, as in a cut, is asked for as
  long as it stays away.
- A host that starts again has nothing of what it was before.
- More than MOST gaps are not kept: the newest is given up.
"""

from __future__ import annotations

MOST = 64  # gaps
TRIES = 5
NEAR = 4096  # frames
AGAIN = 1_000_000_000  # nanoseconds


class Gaps:
    """Ranges of numbers, in their order. `given_up` counts frames that are waited for no more."""

    def __init__(self) -> None:
        self.given_up = 0
        self._epoch = 0
        self._ranges: list[tuple[int, int]] = []  # the first number, the one behind
        self._tries = 0
        self._asked: int | None = None  # nanoseconds

    def __bool__(self) -> bool:
        """Whether something is missing."""
        return bool(self._ranges)

    def add(self, epoch: int, first: int, end: int) -> None:
        """These do not come any more by themselves."""
        self._turn_to(epoch)
        self._ranges.append((first, end))
        self._limit()
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
        self._ranges = left
        self._limit()
        if places:
            self._tries = 0
        return places

    def due(self, now: int, heard: int, epoch: int) -> tuple[int, int, int] | None:
        """What to ask for now: the epoch, the first number and the one behind.

        The host was `heard` then last, with this epoch.
        """
        self._turn_to(epoch)
        if not self._ranges or (self._asked is not None and now - self._asked < AGAIN):
            return None
        if self._asked is not None and heard > self._asked:
            self._tries += 1
        if self._tries == TRIES:
            self._give_up(self._ranges.pop(0))
            self._tries, self._asked = 0, None
            return self.due(now, heard, epoch)
        self._asked = now
        first, end = self._ranges[0]
        near = [behind for start, behind in self._ranges if start - end < NEAR]
        return self._epoch, first, max(near)

    def _turn_to(self, epoch: int) -> None:
        """What the host was before does not come any more."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._give_up(*self._ranges)
            self._ranges.clear()

    def _limit(self) -> None:
        self._give_up(*self._ranges[MOST:])
        del self._ranges[MOST:]

    def _give_up(self, *ranges: tuple[int, int]) -> None:
        self.given_up += sum(end - first for first, end in ranges)
