"""Frames of containers that come back from an adapter as if the wire had sent them. Pure.

Theory of operation. An adapter of a mesh shows the echo of each frame that was forwarded to it, and
nothing tells it from a frame of the wire. But its original was seen at the container's host end
before. So an echo takes one such frame away, and what finds none is from the wire. Where the wire
sends the very same frame meanwhile, both are equal: the numbers are right, whichever came first.

Rules:

- An adapter echoes a frame when it has sent it. What has no echo within PATIENCE was not sent.
- Error frames are not forwarded to an adapter, and have no echo.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from canwharf.frames.frame import WIRE, Frame

PATIENCE = 2_000_000_000  # nanoseconds

_Key = tuple[int, bytes, bool]


class Echoes:
    """The frames whose echo is still to come, of one adapter."""

    def __init__(self) -> None:
        self._pending: dict[_Key, deque[int]] = {}
        self._order: deque[tuple[int, _Key]] = deque()

    def expect(self, frames: Iterable[Frame]) -> None:
        """These were forwarded to the adapter."""
        for frame in frames:
            if not frame.error:
                key = _key(frame)
                self._pending.setdefault(key, deque()).append(frame.time)
                self._order.append((frame.time, key))

    def without(self, frames: Iterable[Frame]) -> list[Frame]:
        """Of these, which the adapter showed, those that are no echo."""
        return [each for each in frames if each.sender != WIRE or not self._is_echo(each)]

    def _is_echo(self, frame: Frame) -> bool:
        self._expire(frame.time - PATIENCE)
        key = _key(frame)
        if key not in self._pending:
            return False
        self._forget(key)
        return True

    def _expire(self, oldest: int) -> None:
        while self._order and self._order[0][0] < oldest:
            time, key = self._order.popleft()
            if key in self._pending and self._pending[key][0] <= time:
                self._forget(key)

    def _forget(self, key: _Key) -> None:
        times = self._pending[key]
        times.popleft()
        if not times:
            del self._pending[key]


def _key(frame: Frame) -> _Key:
    return frame.can_id, frame.data, frame.fd is not None
