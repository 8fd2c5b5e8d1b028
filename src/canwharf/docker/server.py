"""HTTP on a unix socket: the front end's only I/O.

Theory of operation. One thread, one selector. Each connection is an h11 state machine that is
fed what arrives and that never waits: a caller who sends half a body holds up nobody. A complete
request is answered at once; the calls behind it take a few milliseconds.

Rules:

- Whatever arrives gets an answer of the protocol's form, or the end of its connection; nothing
  that arrives ends the server.
- A body may have BODY_LIMIT bytes (Docker's calls have some hundred).
- More than CONNECTION_LIMIT connections are not kept: the one that is waited for longest goes.
- A caller whose request is refused half-way gets to read why: what it still sends is thrown away
  for a while before the connection ends.
- A request must be complete DEADLINE seconds after its first byte. Between requests a connection
  may rest for ever: Docker keeps its own open.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic

import h11

from canwharf.docker.routes import refusal

BODY_LIMIT = 1024 * 1024  # bytes
DEADLINE = 30.0  # seconds
CONNECTION_LIMIT = 400  # well below the usual 1,024 descriptors; Docker has a handful
_FAREWELL = 5.0  # seconds that a refused caller has to stop sending and read why
_HEADER_LIMIT = 16 * 1024  # bytes
_RECEIVE_SIZE = 64 * 1024  # bytes
_JSON = "application/vnd.docker.plugins.v1.1+json"

Answer = Callable[[str, bytes], tuple[int, bytes]]


class Server:
    """Serves one listening socket on a selector whose keys' data are called when ready."""

    def __init__(
        self, selector: selectors.BaseSelector, listening: socket.socket, answer: Answer
    ) -> None:
        self.connections: dict[Connection, None] = {}  # oldest first
        self._selector = selector
        self._listening = listening
        self._answer = answer
        listening.setblocking(False)
        selector.register(listening, selectors.EVENT_READ, self._accept)

    def expire(self, now: float) -> float | None:
        """End connections whose request is overdue; when to look again, if ever."""
        for connection in list(self.connections):
            if connection.deadline is not None and connection.deadline <= now:
                connection.overdue()
        deadlines = [each.deadline for each in self.connections if each.deadline is not None]
        return min(deadlines, default=None)

    def close(self) -> None:
        """End all connections. The listening socket stays its owner's."""
        self._selector.unregister(self._listening)
        for connection in list(self.connections):
            connection.close()

    def _accept(self) -> None:
        try:
            accepted, _address = self._listening.accept()
        except OSError:
            return  # gone again, or no descriptor free: the next event tells
        Connection(self, self._selector, accepted, self._answer)
        if len(self.connections) > CONNECTION_LIMIT:
            self._give_up_one()

    def _give_up_one(self) -> None:
        """End the connection that has kept us waiting longest, or the oldest one at rest."""
        overdue = [each for each in self.connections if each.deadline is not None]
        first = min(overdue, key=lambda each: each.deadline or 0.0, default=None)
        (first or next(iter(self.connections))).close()


class Connection:
    """One caller: any number of requests, one after the other.

    `deadline` is the monotonic time by which the present request must be complete.
    """

    def __init__(
        self,
        server: Server,
        selector: selectors.BaseSelector,
        connected: socket.socket,
        answer: Answer,
    ) -> None:
        self.deadline: float | None = None
        self._server = server
        self._selector = selector
        self._socket = connected
        self._answer = answer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEADER_LIMIT)
        self._target = ""
        self._head = False  # whose answer has no room for words
        self._body: list[bytes] = []
        self._size = 0
        self._unsent = b""
        self._refused = False
        self._closed = False
        self._interest = selectors.EVENT_READ
        connected.setblocking(False)
        selector.register(connected, selectors.EVENT_READ, self._ready)
        server.connections[self] = None

    def overdue(self) -> None:
        """Tell the caller that its request took too long; if it was told already, hang up."""
        if self._refused:
            self.close()
        else:
            self._refuse(408, f"the request was not complete after {DEADLINE:g} seconds")

    def close(self) -> None:
        """Hang up."""
        if not self._closed:
            self._closed = True
            del self._server.connections[self]
            self._selector.unregister(self._socket)
            self._socket.close()

    def _ready(self) -> None:
        try:
            if self._send_rest() if self._unsent else self._receive():
                while self._take(self._http.next_event()):
                    pass
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, f"not an HTTP request: {error}")

    def _send_rest(self) -> bool:
        """Go on with an answer; whether the next request may be looked at."""
        self._flush()
        if self._unsent or self._http.our_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def _receive(self) -> bool:
        """Take what has come; whether there is something to look at."""
        try:
            received = self._socket.recv(_RECEIVE_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            self.close()
            return False
        if self._refused:
            if not received:
                self.close()
            return False
        self._http.receive_data(received)
        return True

    def _take(self, event: h11.Event | type[h11.NEED_DATA | h11.PAUSED]) -> bool:
        """Take one event; whether there may be another."""
        if isinstance(event, h11.Request):
            return self._begin(event)
        if isinstance(event, h11.Data):
            return self._gather(bytes(event.data))
        if isinstance(event, h11.EndOfMessage):
            return self._finish()
        if isinstance(event, h11.ConnectionClosed):
            self.close()
        elif event is h11.NEED_DATA and self.deadline is None:
            at_rest = self._http.their_state is h11.IDLE and not self._http.trailing_data[0]
            self.deadline = None if at_rest else monotonic() + DEADLINE
        return False

    def _begin(self, request: h11.Request) -> bool:
        self._target, self._body, self._size = request.target.decode("ascii"), [], 0
        self._head = request.method == b"HEAD"
        if request.method != b"POST":
            self._refuse(405, "every call of this protocol is a POST")
            return False
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._flush()
        return True

    def _gather(self, data: bytes) -> bool:
        self._size += len(data)
        self._body.append(data)
        if self._size > BODY_LIMIT:
            self._refuse(413, f"the body is larger than {BODY_LIMIT} bytes")
            return False
        return True

    def _finish(self) -> bool:
        self.deadline = None
        self._respond(*self._answer(self._target, b"".join(self._body)))
        if self._closed or self._unsent or self._http.our_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def _refuse(self, status: int, text: str) -> None:
        """Answer a request that is no good, as far as it can be answered."""
        if self._refused or self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.close()
            return
        self._refused = True
        self.deadline = monotonic() + _FAREWELL
        self._respond(status, refusal(text), [("Connection", "close")])

    def _respond(self, status: int, body: bytes, more: Iterable[tuple[str, str]] = ()) -> None:
        headers = [("Content-Type", _JSON), ("Content-Length", str(len(body))), *more]
        self._send(h11.Response(status_code=status, headers=headers))
        if not self._head:
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        self._flush()

    def _send(self, event: h11.Event) -> None:
        self._unsent += self._http.send(event) or b""

    def _flush(self) -> None:
        """Send what the caller takes now; the rest when it takes more."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        interest = selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ
        if interest != self._interest:
            self._interest = interest
            self._selector.modify(self._socket, interest, self._ready)
        if self._unsent:
            return
        if self._refused:
            with suppress(OSError):  # gone already
                self._socket.shutdown(socket.SHUT_WR)
        elif self._http.our_state is h11.MUST_CLOSE:
            self.close()
