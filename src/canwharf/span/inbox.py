"""What zenoh's threads received, until the service's own thread takes it.

Rules:

- It is bounded in bytes: ROOM for all, of which one host gets HOST_ROOM. So a host that floods
  takes no room of the others.
- A message without room is left out. Its frames are lost, and counted as such by their numbers.
- Hosts have their turns: what one of them floods with delays the others by SHARE messages, and not
  by all that it has there. Messages of one host keep their order.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from threading import Lock

from canwharf.record import NamedTuple

ROOM = 16 << 20  # bytes
HOST_ROOM = 1 << 20  # bytes; some 25,000 classic frames
COST = 256  # bytes that Python takes for a message, beside its payload
SHARE = 8  # messages at a time; some 10 ms of work on a busy machine, if they are full
_NAMES = 256  # of which it is told that they had no room


class Received(NamedTuple):
    """A message of a host for a span, and our uptime when it came; or that it came and went.

    `topic` is that of a message without live frames.
    """

    span: str
    host: str
    payload: bytes
    at: int
    there: bool | None = None
    topic: str = ""


class Inbox:
    """For one thread, which waits on `descriptor` and takes what others put."""

    def __init__(self, room: int = ROOM, host_room: int = HOST_ROOM) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._room, self._host_room = room, host_room
        self._turn = Lock()
        self._queues: dict[str, deque[Received]] = {}  # by host; the first has its turn
        self._held = 0  # bytes
        self._by_host: Counter[str] = Counter()  # bytes
        self._left_out: Counter[tuple[str, str]] = Counter()

    def put(self, item: Received) -> None:
        """Let it be taken, if there is room."""
        size = len(item.payload) + COST
        with self._turn:
            of_host = self._by_host[item.host] + size
            if self._held + size > self._room or of_host > self._host_room:
                key = (item.span, item.host)
                if key in self._left_out or len(self._left_out) < _NAMES:
                    self._left_out[key] += 1
                return
            if not self._queues:
                os.eventfd_write(self.descriptor, 1)
            self._queues.setdefault(item.host, deque()).append(item)
            self._held += size
            self._by_host[item.host] = of_host

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._queues)

    def take(self) -> list[Received]:
        """What came, SHARE of it: of each host in turn the oldest."""
        taken: list[Received] = []
        with self._turn:
            queues = self._queues
            while queues and len(taken) < SHARE:
                host = next(iter(queues))
                queue = queues.pop(host)
                taken.append(item := queue.popleft())
                size = len(item.payload) + COST
                self._held -= size
                self._by_host[host] -= size
                if queue:
                    queues[host] = queue  # behind the others
                else:
                    del self._by_host[host]
            if taken and not queues:
                os.eventfd_read(self.descriptor)
        return taken

    def left_out(self) -> dict[tuple[str, str], int]:
        """How many messages had no room since the last call, by span and host."""
        with self._turn:
            told, self._left_out = self._left_out, Counter()
        return told

    def close(self) -> None:
        """What is put from now on is left out."""
        with self._turn:
            self._room = 0
            os.close(self.descriptor)
