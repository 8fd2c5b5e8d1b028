"""The frames of other hosts, from the bridges of this one: for dump, record and watch.

Rules:

- Each bus with a span is asked for, once a second while nothing answers. Frames of a bus without an
  answer are those of the raw sockets alone, and that is said.
- What comes is checked: any process of the host may have taken the name. One that sends what is no
  record is given up, and asked again.
- A bridge tells something each second. One that does not, for SILENCE, is given up.
- At the end a bridge is told so, and tells what came until then.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from errno import ECONNREFUSED, ENOENT
from time import monotonic, time_ns

from canwharf.errors import CanwharfError, SpanError
from canwharf.frames.elsewhere import HostFacts
from canwharf.frames.frame import Frame
from canwharf.span import feed, wanted
from canwharf.span.feed import Reader, Told
from canwharf.span.local import address

SILENCE = 3.0  # seconds
_LOOK = 1.0  # seconds
_BEGIN = 1.0  # seconds to wait for a bridge at the beginning, and at the end
_SHARE = 1 << 18  # bytes that are read at once
_QUESTION = b'{"ask": "frames"}\n'
_RECOVER = b'{"ask": "frames", "recover": true}\n'
_REFUSAL = b'{"error": '  # as a length of a record it would be too much


class OtherHosts:
    """What the bridges of this host tell of some buses. See `frames.elsewhere.Feed`."""

    def __init__(
        self,
        path: str,
        driver: str,
        say: Callable[[str], None],
        *,
        recover: bool = False,
        late: bool = True,
    ) -> None:
        """`path` is the file of spans; `say` is for what changes how frames are shown.

        `recover`: frames that a cut of the connection lost come later. Without `late`, frames that
        the bus does not get, as they are too old, are only counted.
        """
        self._late = late
        self._question = _RECOVER if recover else _QUESTION
        self.since: dict[str, int] = {}
        self.hosts: dict[tuple[str, str], HostFacts] = {}
        self.dropped: dict[str, int] = {}
        self._path, self._driver, self._say = path, driver, say
        self._bridges: dict[str, _Bridge] = {}  # by interface
        self._epoll = select.epoll()
        self._looked = float("-inf")
        self.troubles: dict[str, str] = {}

    def fileno(self) -> int:
        """Readable when there is something to read."""
        return self._epoll.fileno()

    def begin(self, interfaces: Callable[[], Collection[str]]) -> list[Frame]:
        """Ask for these, and wait for the answers a moment; what has come by then."""
        self.look(interfaces)
        end = monotonic() + _BEGIN
        frames: list[Frame] = []
        while (left := end - monotonic()) > 0 and self._bridges.keys() - self.since.keys():
            for each in self._ready(left):
                frames += self._take(each)
        return frames

    def look(self, interfaces: Callable[[], Collection[str]]) -> None:
        """Once a second, ask for those that have a span now, and give up those that are silent."""
        now = monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        try:
            spans = wanted.read(self._path, self._driver).keys() & set(interfaces())
        except CanwharfError as error:
            self._tell("", str(error))
            return
        for gone in self.troubles.keys() - spans:
            del self.troubles[gone]
        for interface, bridge in list(self._bridges.items()):
            if interface not in spans:
                self._end(interface)
            elif now - bridge.heard > SILENCE:
                self._end(interface, f"tells nothing for {SILENCE:g} s")
        for interface in sorted(spans - self._bridges.keys()):
            try:
                self._begin(interface)
            except OSError as error:
                there = error.errno not in (ECONNREFUSED, ENOENT)
                reason = f"cannot be asked: {error.strerror}" if there else "does not run"
                self._tell(interface, _without(reason))

    def read(self) -> list[Frame]:
        """What has come."""
        return [frame for each in self._ready(0) for frame in self._take(each)]

    def rest(self) -> list[Frame]:
        """All that there is until now, and the end."""
        for bridge in self._bridges.values():
            bridge.finish()
        end = monotonic() + _BEGIN
        frames: list[Frame] = []
        while self._bridges and (left := end - monotonic()) > 0:
            for each in self._ready(left):
                frames += self._take(each)
        return frames

    def close(self) -> None:
        """Ask for nothing any more."""
        for interface in list(self._bridges):
            self._end(interface)
        self._epoll.close()

    def _ready(self, wait: float) -> list[str]:
        ready = {descriptor for descriptor, _events in self._epoll.poll(wait)}
        return [name for name, each in self._bridges.items() if each.fileno() in ready]

    def _begin(self, interface: str) -> None:
        """Raises OSError."""
        bridge = _Bridge(interface, self._question)
        self._bridges[interface] = bridge
        self._epoll.register(bridge.fileno(), select.EPOLLIN)

    def _end(self, interface: str, reason: str = "") -> None:
        bridge = self._bridges.pop(interface)
        self._epoll.unregister(bridge.fileno())
        bridge.close()
        if reason and not bridge.finishing:
            self._tell(interface, _without(reason))
        self.since.pop(interface, None)

    def _take(self, interface: str) -> list[Frame]:
        """The frames among what it tells now."""
        frames: list[Frame] = []
        try:
            for told in self._bridges[interface].read():
                self._note(interface, told)
                frames += self._meant(interface, told)
        except EOFError:
            self._end(interface, "has ended")
        except (OSError, SpanError) as error:
            self._end(interface, f"says: {error}")
        return frames

    def _meant(self, interface: str, told: Told) -> Iterator[Frame]:
        """Its frames, without those that are in the raw sockets: from before the beginning."""
        if told.kind == feed.LATE and not self._late:
            return
        begun = self._bridges[interface].begun
        since = 0
        if told.kind == feed.OWN and monotonic() - begun < _BEGIN:  # later, the clock may be set
            since = self.since.get(interface, 0)
        now = time_ns()
        for frame in told.frames:
            if frame.time > now:  # else it would be waited for until then
                yield frame._replace(time=now)
            elif frame.time >= since:
                yield frame

    def _note(self, interface: str, told: Told) -> None:
        """What is known of a host now."""
        kind, number, host, frames = told
        if kind == feed.BEGIN:
            self._begun(interface, number)
            return
        if kind == feed.DROPPED:
            self.dropped[interface] = self.dropped.get(interface, 0) + number
            return
        if not host or kind == feed.OWN:
            return
        if kind == feed.PRESENT:
            if known := self.hosts.get((interface, host)):  # of one that was silent, no clock
                self.hosts[interface, host] = known._replace(there=number > 0)
            return
        facts = self.hosts.get((interface, host), HostFacts())
        if kind == feed.LOST:
            facts = facts._replace(lost=facts.lost + number)
        elif kind == feed.RECOVERED:
            facts = facts._replace(recovered=facts.recovered + len(frames))
        else:
            late = len(frames) if kind == feed.LATE else 0
            facts = facts._replace(ahead=-number, late=facts.late + late, there=True)
        self.hosts[interface, host] = facts

    def _begun(self, interface: str, since: int) -> None:
        """All is told from this time on, and then which hosts are there."""
        self.since[interface] = since
        for key, facts in self.hosts.items():
            if key[0] == interface:
                self.hosts[key] = facts._replace(there=False)
        if self.troubles.pop(interface, ""):
            self._say(f"{interface}: 'canwharf span' runs: frames of other hosts have names")

    def _tell(self, interface: str, words: str) -> None:
        """Say why there is no feed, unless that was said already."""
        if self.troubles.get(interface) != words:
            self.troubles[interface] = words
            self._say(f"{interface}: {words}" if interface else words)


class _Bridge:
    """The connection to the bridge of a bus."""

    def __init__(self, interface: str, question: bytes) -> None:
        """Ask. Raises OSError."""
        self.begun = self.heard = monotonic()
        self.finishing = False
        self._reader = Reader(interface)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(address(interface))
            self._socket.send(question)
        except OSError:
            self._socket.close()
            raise
        self.fileno = self._socket.fileno

    def read(self) -> Iterator[Told]:
        """What it tells now. Raises EOFError, OSError, SpanError."""
        try:
            received = self._socket.recv(_SHARE)
        except BlockingIOError:
            return
        if not received:
            raise EOFError
        self.heard = monotonic()
        if received.startswith(_REFUSAL):
            raise SpanError(received[len(_REFUSAL) : 200].decode(errors="replace").strip('"} '))
        yield from self._reader.read(received)

    def finish(self) -> None:
        """Ask for what came until now, and no more."""
        self.finishing = True
        with suppress(OSError):  # it has ended, which is read
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


def _without(reason: str) -> str:
    return (
        f"'canwharf span', which connects it to other hosts, {reason}: what comes from them is not "
        "there, or is shown as the host's"
    )
