"""The last messages that this host sent, for hosts that missed some. Pure.

Rules:

- There is room for so many bytes; the oldest go first.
- A message is found by the number of any of its frames.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

ROOM = 4 << 20  # bytes; some 60,000 frames at full load
COST = 128  # bytes that Python takes for a message, beside its payload
_TRIM = 1024  # places of messages that went

_first = itemgetter(0)


class Kept:
    """Messages in the order of their numbers."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._held = 0  # bytes
        self._messages: list[tuple[int, int, bytes]] = []  # first number, the one behind, payload
        self._begin = 0  # the place of the oldest one that is kept

    def put(self, first: int, count: int, payload: bytes) -> None:
        """Keep a message with so many frames."""
        self._messages.append((first, first + count, payload))
        self._held += len(payload) + COST
        while self._held > self._room:
            self._held -= len(self._messages[self._begin][2]) + COST
            self._begin += 1
        if self._begin > _TRIM:
            del self._messages[: self._begin]
            self._begin = 0

    def find(self, first: int, end: int, most: int) -> tuple[list[bytes], int]:
        """The messages with these numbers, the first of them; and the number behind those."""
        place = max(
            self._begin, bisect_right(self._messages, first, lo=self._begin, key=_first) - 1
        )
        found: list[bytes] = []
        for start, behind, payload in self._messages[place : place + most + 1]:
            if start >= end or len(found) == most:
                break
            if behind > first:
                found.append(payload)
                first = behind
        return found, first if found else end

    def clear(self) -> None:
        """Keep none any more."""
        self._messages.clear()
        self._held = self._begin = 0
