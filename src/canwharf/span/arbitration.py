"""The queue in front of an adapter: what waits goes in the order of arbitration. Pure.

Theory of operation. Where two nodes of a bus begin to send at once, the lower id goes on, as a 0 is
dominant: first the 11 bits, then the bit that says whether 18 more follow. Frames from other hosts
that wait for the wire go in the same order.

Rules:

- Frames of one id stay in their order.
- With more than `room` frames, the oldest of the highest id is left out.
- A frame that waited beyond its deadline is left out.

Source: ISO 11898-1:2015, 10.4.2 (arbitration field).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from canwharf.frames.frame import Frame
from canwharf.kernel import uapi

ROOM = 1000  # frames; at 500 kbit/s some 0.25 s of a full wire

_BASE = 18  # bits of a long id behind its first 11


def rank(can_id: int) -> int:
    """A number that is lower for an id that wins."""
    if not can_id & uapi.CAN_EFF_FLAG:
        return (can_id & uapi.CAN_SFF_MASK) << (_BASE + 1)
    id = can_id & uapi.CAN_EFF_MASK
    return (id >> _BASE) << (_BASE + 1) | 1 << _BASE | id & ((1 << _BASE) - 1)


class Waiting:
    """The frames that wait. `shed` counts those that had no room, `stale` those that waited."""

    def __init__(self, room: int = ROOM) -> None:
        self.shed = self.stale = 0
        self._room = room
        self._length = 0
        self._ranks: list[int] = []  # sorted; of those in `_queues`
        self._queues: dict[int, deque[tuple[int, Frame]]] = {}

    def __len__(self) -> int:
        return self._length

    def put(self, frame: Frame, deadline: int) -> None:
        """Let it wait until then (in nanoseconds, of the clock that `first` is told)."""
        key = rank(frame.can_id)
        if key not in self._queues:
            self._ranks.insert(bisect_left(self._ranks, key), key)
            self._queues[key] = deque()
        self._queues[key].append((deadline, frame))
        self._length += 1
        if self._length > self._room:
            self._drop(-1)
            self.shed += 1

    def first(self, now: int) -> Frame | None:
        """The frame that wins; it still waits. None: no frame waits that is not too old."""
        while self._ranks:
            deadline, frame = self._queues[self._ranks[0]][0]
            if deadline >= now:
                return frame
            self.pop()
            self.stale += 1
        return None

    def pop(self) -> None:
        """The one that `first` gave waits no longer."""
        self._drop(0)

    def _drop(self, end: int) -> None:
        """Leave out the oldest frame of the id at this end of the order."""
        key = self._ranks[end]
        queue = self._queues[key]
        queue.popleft()
        self._length -= 1
        if not queue:
            del self._ranks[end], self._queues[key]
