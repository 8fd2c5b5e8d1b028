"""The frames of several buses in one stream, in order, each with its sender.

Theory of operation. Each source has a socket of its own, so frames come in bundles. What is newer
than GRACE is held back, as an older frame may still be on its way to another socket; the rest is
sorted by the kernel's time stamps. The sockets are looked at no more often than that, so that many
frames cost one look.

Rules:

- Nothing lost is hidden: the kernel counts for each socket the frames for which there was no room.
- An interface that goes is read to its end. A new one is listened to as soon as it is announced:
  before its container's program starts.
- If the clock is set back, nothing is held back, once.
- Of a bus that other hosts have, too, frames come by a longer way (see `elsewhere`): all frames are
  held back for FAR then, or longer. What comes later than that is given when it comes.
- Without grace, two frames that have nothing to do with each other may change places. An answer
  still comes behind its question: no frame is taken that is newer than the look, and a container
  receives a frame after the socket of its source.
"""

from __future__ import annotations

import select
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from operator import itemgetter
from time import monotonic, time_ns
from typing import Self

from canwharf.errors import KernelError
from canwharf.frames.echoes import Echoes
from canwharf.frames.elsewhere import OTHERS, HostFacts
from canwharf.frames.filters import EVERYTHING, Filter
from canwharf.frames.frame import Frame
from canwharf.frames.receive import Receiver
from canwharf.frames.sockets import GONE, Listener
from canwharf.frames.sources import Source, Sources

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from canwharf.frames.elsewhere import Feed

GRACE = 0.002  # seconds
FAR = 0.1  # seconds, where frames come from other hosts, too
_PACE = 0.25  # seconds between two looks then, at most
_by_time = itemgetter(0)


class Capture:
    """All frames of these sources, from `with` on. Not for use by two threads at once."""

    def __init__(
        self,
        sources: Sources,
        filters: Mapping[str, Filter] = {},
        grace: float = GRACE,
        feed: Feed | None = None,
        far: float = FAR,
    ) -> None:
        """`filters` are by the bus's interface; that of "" is for every other bus.

        `grace` is in seconds; without it (0) frames come at once, and a look costs more. `feed` has
        the frames of other hosts, and is closed with the capture; `far` is the grace with it.
        """
        self.feed = feed
        self._grace, self._far = grace, far
        self._since: dict[str, int] = {}  # the feed's, as listeners have it
        self._labels: dict[str, str] = {}  # of buses by interface, also of one that has gone
        self._sources = sources
        self._filters = filters
        self._listeners: dict[int, Listener] = {}  # by the interface's index
        self._by_descriptor: dict[int, Listener] = {}
        self._echoes: dict[str, Echoes] = {}  # by the interface of an adapter's bus
        self._receiver = Receiver()
        self._epoll = select.epoll()
        self._held: list[Frame] = []
        self._looked = 0.0  # monotonic seconds
        self._now = 0  # nanoseconds
        self._lost: Counter[tuple[str, str]] = Counter()  # of listeners that are closed

    def __enter__(self) -> Self:
        """Listen. Raises CanwharfError."""
        try:
            self._epoll.register(self._sources.events, select.EPOLLIN)
            self._refresh()
            if self.feed:
                self._epoll.register(self.feed.fileno(), select.EPOLLIN)
                self._held += self._fed(self.feed.begin(self._interfaces))
                self._sort(0)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets, those of the sources, too."""
        for listener in list(self._listeners.values()):
            self._end(listener)
        self._epoll.close()
        self._sources.close()
        if self.feed:
            self.feed.close()

    def fileno(self) -> int:
        """The descriptor for a selector: readable when frames came, or sources changed."""
        return self._epoll.fileno()

    @property
    def sources(self) -> list[Source]:
        """What is listened to now."""
        return [each.source for each in self._listeners.values()]

    @property
    def losses(self) -> dict[tuple[str, str], int]:
        """The frames so far that were lost here, by bus and sender; empty if none was.

        With OTHERS for the sender, those of a feed, which may be this host's programs', too.
        Those of an adapter's bus interface are the wire's, though some may be the host's.
        """
        lost = self._lost.copy()
        for each in self._listeners.values():
            lost[each.source.bus, each.source.sender] += each.lost
        for interface, number in self.feed.dropped.items() if self.feed else ():
            lost[self._label(interface), OTHERS] += number
        return {key: number for key, number in lost.items() if number}

    @property
    def hosts(self) -> dict[tuple[str, str], HostFacts]:
        """What is known of other hosts, by bus and host."""
        told = self.feed.hosts if self.feed else {}
        return {(self._label(interface), host): facts for (interface, host), facts in told.items()}

    @property
    def troubles(self) -> list[str]:
        """Why frames of other hosts are not there, or shown as this host's; empty: all is well."""
        told = self.feed.troubles if self.feed else {}
        return [f"{self._label(each)}: {words}" if each else words for each, words in told.items()]

    @property
    def holding(self) -> bool:
        """Whether frames are held back: `read` has them after the grace, without a new event."""
        return bool(self._held)

    def ask_names(self) -> None:
        """Ask what senders without a name are called, also before they send. Raises CanwharfError.

        For an engine that answers later: at their first frame it is too late.
        """
        if not all(each.source.named for each in self._listeners.values()) and self._sources.ask():
            self._rename()

    def listener(self, interface: str) -> Listener | None:
        """That of a bus's interface; None while there is no such interface."""
        for each in self._listeners.values():
            if each.source.interface == interface and not each.source.endpoint:
                return each
        return None

    def read(self, timeout: float | None = None) -> list[Frame]:
        """The next frames, in order by time; none after so many seconds (None: waits for ever).

        Raises CanwharfError.
        """
        end = None if timeout is None else monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - monotonic())
            if frames := self._look(self._pace() if self._held else left):
                return frames
            if end is not None and monotonic() >= end:
                return []

    def rest(self) -> list[Frame]:
        """All that has come until now, also what `read` holds back: at the end of a capture."""
        now, seen = time_ns(), 0
        if self.feed:
            self._held += self._fed(self.feed.rest())
        while True:  # of each socket, only so many are read at once
            self._take(self._epoll.poll(0))
            if all(each.time > now for each in self._held[seen:]):
                break
            seen = len(self._held)
        frames, self._held = sorted(self._held, key=_by_time), []
        return frames

    def _look(self, wait: float | None) -> list[Frame]:
        early = self._looked + self._pace() - monotonic()
        if early > 0:
            select.select((), (), (), early)
        if self.feed:
            self.feed.look(self._interfaces)
            self._narrow()
        # Before it: what came until then is in a socket that is ready, or was read. After it, this
        # process may wait for a processor while frames come to sockets that were not ready.
        before, self._now = self._now, time_ns()
        ready = self._epoll.poll(wait)
        self._looked = monotonic()
        held = len(self._held)
        self._take(ready)
        if not self._held:
            return []
        self._sort(held)
        grace = int((self._far if self._since else self._grace) * 1_000_000_000)
        cut = self._now - grace if self._now >= before else self._held[-1].time
        place = bisect_right(self._held, cut, key=_by_time)
        frames, self._held = self._held[:place], self._held[place:]
        return frames

    def _sort(self, sorted_before: int) -> None:
        """Put what is held in order; of a million frames that may be held, only what has to be."""
        held = self._held
        if not sorted_before:
            held.sort(key=_by_time)
        elif sorted_before < len(held):
            first = min(map(_by_time, held[sorted_before:]))
            place = bisect_left(held, first, hi=sorted_before, key=_by_time)
            held[place:] = sorted(held[place:], key=_by_time)

    def _take(self, ready: list[tuple[int, int]]) -> None:
        """Read what is ready into what is held."""
        changed = False
        for descriptor, _events in ready:
            listener = self._by_descriptor.get(descriptor)
            if self.feed and descriptor == self.feed.fileno():
                self._held += self._fed(self.feed.read())
                continue
            if listener is None:
                changed |= self._sources.changed()
                continue
            if not listener.source.named and self._sources.ask():
                self._rename()
            self._read(listener)
        if changed:
            self._refresh()

    def _read(self, listener: Listener) -> None:
        """Read what it has into what is held; the end of an interface is its listener's, too."""
        source = listener.source
        frames = listener.read(self._receiver)
        if source.endpoint and not source.marked:
            self._echoes.setdefault(source.interface, Echoes()).expect(frames)
        elif not source.endpoint and not source.virtual:
            # Their originals: each was at its host end before it was echoed.
            for each in list(self._listeners.values()):
                if each.source.interface == source.interface and not each.source.marked:
                    self._read(each)
            if echoes := self._echoes.get(source.interface):
                frames = echoes.without(frames)
        self._held += frames
        if listener.gone:
            self._end(listener)

    def _pace(self) -> float:
        """Seconds between two looks."""
        return min(_PACE, self._far / 10) if self._since else self._grace

    def _interfaces(self) -> set[str]:
        return {each.interface for each in self.sources}

    def _fed(self, frames: list[Frame]) -> list[Frame]:
        """Of these, which the feed has, those that pass, with their bus's name."""
        self._narrow()
        buses: dict[str, str] = {}
        found = []
        for frame in frames:
            which = self._filters.get(frame.bus) or self._filters.get("", EVERYTHING)
            if which.passes(frame.can_id):
                if frame.bus not in buses:
                    buses[frame.bus] = self._label(frame.bus)
                found.append(frame._replace(bus=buses[frame.bus]))
        return found

    def _label(self, interface: str) -> str:
        """The name of the bus there."""
        for each in self.sources:
            if each.interface == interface:
                self._labels[interface] = each.bus
        return self._labels.get(interface, interface)

    def _narrow(self) -> None:
        """Take from the sockets at bus interfaces only what the feed does not have."""
        if self.feed is None or self._since == self.feed.since:
            return
        self._since = dict(self.feed.since)
        for listener in self._listeners.values():
            if not listener.source.endpoint:
                listener.narrow(self._since.get(listener.source.interface))

    def _rename(self) -> None:
        """Names that the engine tells now."""
        for source in self._sources.read():
            listener = self._listeners.get(source.ifindex)
            if listener and listener.source.endpoint == source.endpoint:
                listener.source = source

    def _refresh(self) -> None:
        """Listen to what there is now."""
        found = {each.ifindex: each for each in self._sources.read()}
        for index, listener in list(self._listeners.items()):
            source = found.get(index)
            if source and _place(source) == _place(listener.source):
                listener.source = source
            else:
                self._read(listener)
                self._end(listener)
        for index in sorted(found.keys() - self._listeners.keys()):  # the oldest interface first
            self._begin(found[index])

    def _begin(self, source: Source) -> None:
        try:
            which = self._filters.get(source.interface) or self._filters.get("", EVERYTHING)
            listener = Listener(source, which)
        except KernelError as error:
            if error.errno in GONE:  # gone again, which is announced
                return
            raise
        if not source.endpoint:
            listener.narrow(self._since.get(source.interface))
        self._listeners[source.ifindex] = listener
        self._by_descriptor[listener.fileno()] = listener
        self._epoll.register(listener.fileno(), select.EPOLLIN)

    def _end(self, listener: Listener) -> None:
        if self._listeners.get(listener.source.ifindex) is not listener:
            return  # it was at its end already
        self._lost[listener.source.bus, listener.source.sender] += listener.lost
        self._epoll.unregister(listener.fileno())
        del self._by_descriptor[listener.fileno()]
        del self._listeners[listener.source.ifindex]
        listener.close()


def _place(source: Source) -> tuple[str, str]:
    """What another link under the same index would not have."""
    return source.interface, source.endpoint
