"""The service that connects this host's buses to those of other hosts: one process for all spans.

Theory of operation. One thread waits for frames of every bus and for what zenoh's threads received,
which they leave in a bounded inbox. It needs no rights: anyone may open a raw CAN socket.

Rules:

- It lives apart from the daemon: either may stop, start or be upgraded while the other runs.
- Once a second it looks which buses have a span now, and who came with a certificate of the
  authority for the first time: for this one the session is opened anew, as access control is fixed
  when it is opened. So a host that joins is no work for the others.
- A frame that comes alone is sent at once; under load, several share a message (`gather`).
- A bus has one bridge: the name of its local socket, where programs of this host ask for its state,
  ends with the process, however that ends.
- A session that cannot be opened anew (its port is busy, a certificate is being replaced) is tried
  again in each look, and the reason said once. Until then no other host is heard.
- At the end, buses are left first: nothing is put on one after that. Then the session is closed,
  which another host can hold up: what does not end in time is left to the end of the process.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import Self

from canwharf.bus.naming import Span
from canwharf.errors import CanwharfError, SpanError
from canwharf.frames.capture import Capture
from canwharf.frames.sources import Sources
from canwharf.kernel.netlink import Netlink
from canwharf.span import wanted
from canwharf.span.bridge import Bridge, Say, uptime
from canwharf.span.engine_names import EngineNames
from canwharf.span.gather import Gathering
from canwharf.span.inbox import Inbox, Received
from canwharf.span.local import Local
from canwharf.span.outlook import Outlook
from canwharf.span.pace import Presence
from canwharf.span.recovery import ASK, PAST, Recovery
from canwharf.span.report import HOSTS
from canwharf.span.session import Session
from canwharf.span.settings import Settings
from canwharf.span.state import State
from canwharf.span.wires import Wires

_LOOK = 1.0  # seconds
_WAIT = 0.2  # seconds until a signal is noticed
_BUSY = 0.001  # seconds until an adapter without room is tried again


class Service:
    """All bridges of a driver's buses. For `with`: it ends what it began.

    `closed` says afterwards whether the session has ended, too. If not, a thread of it still runs.
    """

    def __init__(
        self, settings: Settings, driver: str, path: str, say: Say, helper: str = ""
    ) -> None:
        """`path` is the file of spans, `helper` the socket of names.

        Raises SpanError, SetupError.
        """
        self.bridges: dict[str, Bridge] = {}  # by interface
        self._driver, self._path, self._say = driver, path, say
        self._settings = settings
        self._names = EngineNames(driver, helper)
        self._session: Session | None = Session(settings)
        self._requests = Netlink()
        self._certificate = _end_of(settings)
        self._inbox = Inbox()
        self._epoll = select.epoll()
        self._epoll.register(self._inbox.descriptor, select.EPOLLIN)
        self._locals: dict[str, Local] = {}  # by interface
        self._presence: dict[str, Presence] = {}  # by interface
        self._outlooks: dict[str, Outlook] = {}  # by interface
        self._wires: dict[tuple[str, str], Wires] = {}  # by interface and span, until the end
        self._twin: int | None = None  # our uptime when another host had our name
        self.closed = False
        self._said: dict[str, str] = {}  # the last complaint about an interface or the file
        self._looked = float("-inf")
        self._gathering = Gathering()
        self._news = False  # a host came or went

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._leave()
        self._requests.close()
        self._epoll.close()
        self._inbox.close()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that access control lets in, beside this one."""
        return self._settings.hosts

    def run(self, ended: Sequence[int], alive: Callable[[], None]) -> None:
        """Connect them until there is a number in `ended`; say in each look that it is alive."""
        while not ended:
            if self.step():
                alive()

    def step(self) -> bool:
        """Wait for something for a moment, and do what is due; whether it looked at all buses."""
        now = monotonic()
        if due := now - self._looked >= _LOOK:
            self._looked = now
            self._look()
        ready = {descriptor for descriptor, _events in self._epoll.poll(self._patience())}
        looked = uptime()
        for item in self._inbox.take():
            self._received(item)
        if due or self._news:
            self._news = False
            self._tell_presence()
        for outlook in self._outlooks.values():
            outlook.read()
        sent = 0
        for interface, bridge in list(self.bridges.items()):
            try:
                sent += self._work(bridge, looked, ready)
            except CanwharfError as error:
                self._complain(interface, str(error))
                self._end(interface)
        for local in self._locals.values():  # last: one that leaves is told what came before
            if local.fileno() in ready:
                local.work()
        if pause := self._gathering.after(sent, monotonic()):
            select.select((), (), (), min(pause, self._patience()))
        return due

    def _work(self, bridge: Bridge, looked: int, ready: set[int]) -> int:
        """Do what is due for a bus; how many frames were sent. Raises CanwharfError."""
        sent = 0
        if bridge.capture.holding or bridge.capture.fileno() in ready:
            sent = bridge.outward(looked)
        else:
            bridge.looked = looked
        bridge.flush()
        bridge.beat()
        return sent

    def _patience(self) -> float:
        wait = 0.0 if self._inbox.waiting else _WAIT
        for bridge in self.bridges.values():
            if bridge.capture.holding:
                return 0.0
            if bridge.busy:
                wait = min(wait, _BUSY)
        return wait

    def _received(self, item: Received) -> None:
        for interface, bridge in self.bridges.items():
            if bridge.span.name != item.span:
                continue
            if item.topic:
                bridge.aside(item.host, item.topic, item.payload)
            elif item.there is None:
                bridge.inward(item.host, item.payload, item.at)
            else:
                self._news = True
                bridge.appear(item.host, item.there)
                self._presence[interface].put(item.host, item.there)
                self._outlooks[interface].appeared(item.host, item.there)

    def _tell_presence(self) -> None:
        for interface, presence in self._presence.items():
            for host, there in presence.news(now := uptime()):
                away = presence.away(host, now) if there else 0
                again = f" again, after {away / 1e9:.1f} s" if away else ""
                words = f"is there{again}" if there else "is gone"
                span = self.bridges[interface].span.name
                self._say(f"{interface}, span {span}: {host} {words}")

    def _look(self) -> None:
        """Do what is due once a second."""
        try:
            spans = wanted.read(self._path, self._driver)
        except CanwharfError as error:
            self._complain("", str(error))
            return
        session = self._opened()
        if session is None:
            return
        self._tell_crowded()
        if not spans:
            self._complain("", "no bus of this host has a span (can.span): it waits for one")
        self._follow(session, spans)
        if self._names.fault:  # no sender need wait for a name until it is asked again
            self._names()
        linked = session.partners()
        for interface, outlook in self._outlooks.items():
            try:
                self.bridges[interface].capture.ask_names()
                outlook.look(linked, self._twin)
            except CanwharfError as error:
                self._complain(interface, str(error))

    def _follow(self, session: Session, spans: Mapping[str, Span]) -> None:
        """Begin and end bridges, until they are those of these buses."""
        for interface, bridge in list(self.bridges.items()):
            if spans.get(interface) != bridge.span:
                self._end(interface)
        for interface in spans.keys() - self.bridges.keys():
            try:
                self._begin(session, interface, spans[interface])
            except CanwharfError as error:
                self._complain(interface, str(error))
                self._end(interface)

    def _opened(self) -> Session | None:
        """The session with all that may be in it; None where it cannot be opened now."""
        session = self._session
        if session is None:
            return self._open()
        if session.repeated:
            words = f"another host is called {self._settings.host}, too: neither hears the other"
            self._complain("", f"{words}; give each a --name of its own")
            session.repeated = 0
            self._twin = uptime()
        if not (strangers := sorted(session.strangers())):
            return session
        names = ", ".join(strangers)
        if self._settings.strict:
            self._complain("--host", f"not heard, as they are not among these: {names}")
            return session
        self._say(f"{names} joined, with a certificate of the authority")
        self._leave()
        self._settings = self._settings._replace(hosts=(*self._settings.hosts, *strangers))
        return self._open()

    def _open(self) -> Session | None:
        try:
            self._session = Session(self._settings)
        except SpanError as error:
            self._complain("session", f"{error}; it is tried again")
            return None
        self._said.pop("session", None)
        return self._session

    def _tell_crowded(self) -> None:
        for (span, host), number in self._inbox.left_out().items():
            for bridge in self.bridges.values():
                if bridge.span.name == span:
                    bridge.crowded(host, number)

    def _leave(self) -> None:
        """End all bridges and the session."""
        for interface in list(self.bridges):
            self._end(interface)
        if self._session:
            self.closed = self._session.close()
        self._session = None

    def _begin(self, session: Session, interface: str, span: Span) -> None:
        """Raises CanwharfError."""
        if any(each.span.name == span.name for each in self.bridges.values()):
            self._complain(interface, f"another bus of this host is in the span {span.name}")
            return
        local = self._locals[interface] = Local(interface, lambda: self._state(interface))
        state = wanted.state_of(self._driver, interface)
        sources = Sources(self._driver, "", self._names, (interface,), load=lambda: state)
        with ExitStack() as undo:
            capture = undo.enter_context(Capture(sources, grace=0))
            undo.callback(session.leave, span.name)
            send = session.publish(span.name)
            bridge = Bridge(interface, span, capture, send, self._about(interface))
            self.bridges[interface] = bridge
            undo.pop_all()  # from here on, `_end` does it
        self._epoll.register(capture.fileno(), select.EPOLLIN)
        self._epoll.register(local.fileno(), select.EPOLLIN)
        bridge.followers = local.followers
        host = self._settings.host
        bridge.wires = self._wires.setdefault((interface, span.name), Wires(host))
        bridge.recovery = Recovery(host, partial(session.tell, span.name))
        for topic, words in ((ASK, ASK), (PAST, f"{PAST}-{host}")):
            session.hear(span.name, words, self._receiver(span.name, topic))
        self._outlooks[interface] = Outlook(
            session, bridge, self._requests, self._settings.host, self._certificate
        )
        self._said.pop(interface, None)
        self._say(f"{interface} is in the span {span.name}")
        self._presence[interface] = Presence(HOSTS)
        session.subscribe(span.name, self._receiver(span.name), self._teller(span.name))

    def _end(self, interface: str) -> None:
        if bridge := self.bridges.pop(interface, None):
            self._presence.pop(interface, None)
            self._outlooks.pop(interface, None)
            if self._session:
                self._session.leave(bridge.span.name)
            self._epoll.unregister(bridge.capture.fileno())
            bridge.capture.close()
            self._say(f"{interface} has left the span {bridge.span.name}")
        if local := self._locals.pop(interface, None):
            local.close()  # closed, it leaves the epoll

    def _state(self, interface: str) -> State:
        """What a local program is told of a bus."""
        return (
            self._outlooks[interface]
            .state()
            ._replace(rival=self._locals[interface].rival, nameless=self._names.fault)
        )

    def _receiver(self, span: str, topic: str = "") -> Callable[[str, bytes], None]:
        return lambda host, payload: self._inbox.put(
            Received(span, host, payload, uptime(), topic=topic)
        )

    def _teller(self, span: str) -> Callable[[str, bool], None]:
        return lambda host, there: self._inbox.put(Received(span, host, b"", uptime(), there))

    def _about(self, interface: str) -> Say:
        return lambda words: self._say(f"{interface}: {words}")

    def _complain(self, about: str, words: str) -> None:
        """Say it, unless it was the last thing that was said of it."""
        if self._said.get(about) != words:
            self._said[about] = words
            self._say(f"{about}: {words}" if about else words)


def _end_of(settings: Settings) -> int | None:
    """When this host's certificate ends."""
    if not settings.ca:
        return None
    from canwharf.span import certificate  # noqa: PLC0415 (OpenSSL: without certificates, no need)

    return certificate.end(settings)
