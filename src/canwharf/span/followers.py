"""The programs of this host that are told a bus's frames as its bridge knows them: see `feed`.

Rules:

- The bridge waits for none of them. For one that does not read, ROOM bytes wait; what is more is
  left out, and it is told how many frames that were. One that reads nothing for PATIENCE has ended.
- One that says that it has enough, by closing its side, gets what came until then, and the end.
- Times of other hosts' frames are by this host's clock, and go on as those of the sender do. The
  difference of the clocks is measured by uptimes, as for their age (see `freshness`): so a frame is
  never told to be later than it came, and an answer never to be earlier than its question.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from time import monotonic

from canwharf.frames.frame import HOST, WIRE, Frame
from canwharf.span import feed
from canwharf.span.freshness import JUMP

MOST, OF_USER = 8, 6
ROOM = 1 << 20  # bytes
PATIENCE = 10.0  # seconds

_BEAT = 1.0  # seconds
_FOR_EVER = 1 << 62  # nanoseconds
_LITTLE = 20_000_000  # nanoseconds; frames that were lost may come in another order


class Followers:
    """Those of a bridge: for an epoll, `work` is due when it is readable."""

    def __init__(self) -> None:
        self._each: dict[int, _Follower] = {}  # by descriptor
        self._last: dict[str, int] = {}  # the time of each host's last frame
        self._present: set[str] = set()  # hosts
        self._beaten = 0.0  # monotonic seconds
        self._epoll = select.epoll()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._each)

    def fileno(self) -> int:
        """The descriptor: readable when there is something to do."""
        return self._epoll.fileno()

    @property
    def recovering(self) -> bool:
        """Whether one of them wants what was lost, too."""
        return any(each.recovers for each in self._each.values())

    def add(self, connected: socket.socket, user: int = 0, *, recovers: bool = False) -> bool:
        """One more from now on, which is closed here.

        False: there are MOST already, or OF_USER of this user, who must not shut out the others.
        """
        own = sum(each.user == user for each in self._each.values())
        if own >= OF_USER or len(self._each) >= MOST:
            return False
        follower = _Follower(connected, user, recovers=recovers)
        self._each[connected.fileno()] = follower
        self._epoll.register(connected.fileno(), select.EPOLLIN)
        records = [feed.encode(feed.PRESENT, 1, host) for host in sorted(self._present)]
        self._tell(follower, feed.encode(feed.BEGIN, time.time_ns()) + b"".join(records), 0)
        return True

    def work(self) -> None:
        """Send what waits, and notice which of them have ended."""
        for descriptor, _events in self._epoll.poll(0):
            if follower := self._each.get(descriptor):
                if not follower.ended:
                    follower.listen()
                self._flush(follower)

    def close(self) -> None:
        """End them all."""
        for each in list(self._each.values()):
            self._end(each)
        self._epoll.close()

    def own(self, frames: Sequence[Frame]) -> None:
        """These came to the bus; those of its interface are told."""
        if entered := [each for each in frames if each.sender in (HOST, WIRE) and not each.error]:
            self._tell_all(feed.encode(feed.OWN, 0, "", entered), len(entered))

    def other(self, host: str, uptime: int, frames: Sequence[Frame], late: int) -> None:
        """These came from a host, the first of them too late for the bus.

        `uptime` is to be added to their times, so that they are by this host's uptime; nanoseconds.
        """
        ahead = _clock(uptime)
        own = [self._own(host, ahead, each) for each in frames]
        for kind, part in ((feed.LATE, own[:late]), (feed.OTHER, own[late:])):
            if part:
                self._tell_all(feed.encode(kind, ahead, host, part), len(part))

    def recovered(self, host: str, uptime: int, frames: Sequence[Frame]) -> None:
        """These were lost, and came afterwards. `uptime` as above."""
        ahead = _clock(uptime)
        own = [self._own(f"{host} before", ahead, each, _LITTLE) for each in frames]
        record = feed.encode(feed.RECOVERED, ahead, host, own)
        for each in list(self._each.values()):
            if each.recovers:
                self._tell(each, record, len(frames))

    def lost(self, host: str, number: int) -> None:
        """So many frames of a host were lost on the way."""
        self._tell_all(feed.encode(feed.LOST, number, host), 0)

    def appear(self, host: str, *, there: bool) -> None:
        """A host came, or has gone."""
        (self._present.add if there else self._present.discard)(host)
        self._tell_all(feed.encode(feed.PRESENT, int(there), host), 0)

    def beat(self) -> None:
        """Once a second, tell them that the bridge is there."""
        now = monotonic()
        if now - self._beaten < _BEAT:
            return
        self._beaten = now
        for each in list(self._each.values()):
            if each.unsent and now - each.active > PATIENCE:
                self._end(each)
        self._tell_all(feed.encode(feed.OWN, 0), 0)

    def _own(self, host: str, ahead: int, frame: Frame, most: int = JUMP) -> Frame:
        """A frame with its time here, and its sender without the host.

        It is not before the last one by so many nanoseconds, or less.
        """
        last = self._last.get(host, 0)
        at = min(max(0, frame.time + ahead), _FOR_EVER)  # another host may tell any time
        if 0 < last - at < most:
            at = last
        self._last[host] = at
        return frame._replace(time=at, sender=frame.sender.partition("/")[2])

    def _tell_all(self, record: bytes, frames: int) -> None:
        for each in list(self._each.values()):
            self._tell(each, record, frames)

    def _tell(self, follower: _Follower, record: bytes, frames: int) -> None:
        if follower.ended:
            return
        follower.put(record, frames)
        self._flush(follower)

    def _flush(self, follower: _Follower) -> None:
        try:
            waits = follower.send()
        except OSError:  # it has gone
            self._end(follower)
            return
        if follower.ended and not waits:
            self._end(follower)
            return
        events = (select.EPOLLOUT if waits else 0) | (0 if follower.ended else select.EPOLLIN)
        if events != follower.events:
            follower.events = events
            self._epoll.modify(follower.fileno(), events)

    def _end(self, follower: _Follower) -> None:
        if self._each.pop(follower.fileno(), None):
            self._epoll.unregister(follower.fileno())
            follower.close()


def _clock(uptime: int) -> int:
    """What is to be added, so that a time is by this host's clock; nanoseconds."""
    own = (time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) for _turn in range(3))
    # The smaller ones waited for a processor between the two clocks.
    return min(max(-_FOR_EVER, uptime + max(own)), _FOR_EVER)


class _Follower:
    """A program. `ended`: it has enough. `recovers`: it wants what was lost, too."""

    def __init__(self, connected: socket.socket, user: int, *, recovers: bool) -> None:
        self.user, self.recovers = user, recovers
        self.unsent = bytearray()
        self.ended = False
        self.active = monotonic()
        self.events: int = select.EPOLLIN
        self._dropped = 0  # frames
        self._socket = connected
        self._socket.setblocking(False)
        self.fileno = self._socket.fileno

    def put(self, record: bytes, frames: int) -> None:
        """Have it sent, if there is room."""
        if len(self.unsent) + len(record) > ROOM:
            self._dropped += frames
            return
        if self._dropped:
            self.unsent += feed.encode(feed.DROPPED, self._dropped)
            self._dropped = 0
        self.unsent += record

    def listen(self) -> None:
        """Notice its end; it has nothing to say else."""
        try:
            self.ended = not self._socket.recv(1 << 10)
        except BlockingIOError:
            return
        except OSError:
            self.ended = True

    def send(self) -> bool:
        """Send what it takes now; whether something is left. Raises OSError: it has gone."""
        if not self.unsent:
            return False
        try:
            sent = self._socket.send(self.unsent, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return True
        self.active = monotonic()
        del self.unsent[:sent]
        return bool(self.unsent)

    def close(self) -> None:
        self._socket.close()
