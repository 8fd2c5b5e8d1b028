"""HTTP on a listening socket: Docker's calls, and requests for metrics.

Theory of operation. One thread, one selector. A connection collects bytes until it has a complete
request and never waits: a client that sends half a body does not delay others. A complete request
is answered at once; the calls take a few milliseconds. The part of an answer that the client has
not read is kept, and nothing more is read from this client until it has.

Rules:

- Any input gets an answer of the protocol's form, or the end of its connection; none ends the
  server.
- The bytes of a body and the number of connections are limited, for each kind of server. Beyond the
  limit the connection ends whose request is due first.
- A client whose request is refused half-way can read the error: what it still sends is discarded
  for a while before the connection ends.
- A request must be complete within a deadline from its first byte. Between requests Docker's
  connection may rest for ever. A connection from the network (`once`) has one request, with the
  deadline from its start on, and the same time again to read the answer.
- A descriptor that comes along with a request is open until that is answered, and no longer.
"""

from __future__ import annotations

import _socket
import posix
import sys
from time import monotonic

from canwharf.daemon import http
from canwharf.errors import HttpError
from canwharf.lean import READ, WRITE, Selector, Socket, suppress
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

_FAREWELL = 5.0  # seconds for a refused client to stop sending and read the error
_RECEIVE_SIZE = 64 * 1024  # bytes

# One descriptor comes along with a request at most (SCM_RIGHTS, unix(7)): a namespace.
_ANCILLARY = _socket.CMSG_LEN(4)


class Sender(NamedTuple):
    """Who sends a request, as far as a kind of server asks.

    `descriptor` came along with it (-1: none). `uid` is the user's id; None on a socket that is
    root's alone. `connection` is that of the request: what it holds ends with it.
    """

    descriptor: int = -1
    uid: int | None = None
    connection: Connection | None = None


ROOT = Sender()  # nothing came along
Answer: TypeAlias = "Callable[[str, bytes, Sender], tuple[int, bytes]]"
"""Path, body and sender of a request -> HTTP's status and the answer."""


class Kind(NamedTuple):
    """A kind of server: its HTTP method, the types of its answers, and its limits.

    `refusal` makes the body of an error, of the type `refusal_type`. `body` is in bytes, `deadline`
    in seconds, `connections` are those kept at the same time. `once`: one request for each
    connection. `of_users`: the kernel is asked for each client's user.
    """

    method: str
    content_type: str
    refusal: Callable[[str], bytes]
    refusal_type: str
    body: int
    connections: int
    deadline: float
    once: bool
    of_users: bool = False


class Server:
    """Serves one listening socket on a selector whose keys' data are functions to call.

    `called` says that a call has been answered.
    """

    def __init__(
        self,
        selector: Selector,
        listening: Socket,
        answer: Answer,
        kind: Kind,
    ) -> None:
        self.kind = kind
        self.called = False
        self.connections: dict[Connection, None] = {}  # oldest first
        self._selector = selector
        self._listening = listening
        self._answer = answer
        listening.setblocking(False)
        selector.register(listening, READ, self._accept)

    def expire(self, now: float) -> float | None:
        """End connections whose request is overdue; the time of the next deadline, or None."""
        for connection in list(self.connections):
            if connection.deadline is not None and connection.deadline <= now:
                connection.overdue()
        deadlines = [each.deadline for each in self.connections if each.deadline is not None]
        return min(deadlines, default=None)

    def close(self) -> None:
        """End all connections. The listening socket stays open."""
        self._selector.unregister(self._listening)
        for connection in list(self.connections):
            connection.close()

    def _accept(self) -> None:
        try:
            accepted, _address = self._listening.accept()
        except OSError:
            return  # the client has gone, or no descriptor is free: the next event tries again
        Connection(self, self._selector, accepted, self._answer)
        if len(self.connections) > self.kind.connections:
            self._give_up_one()

    def _give_up_one(self) -> None:
        """End the connection with the earliest deadline, or the oldest without one."""
        overdue = [each for each in self.connections if each.deadline is not None]
        first = min(overdue, key=lambda each: each.deadline or 0.0, default=None)
        (first or next(iter(self.connections))).close()


class Connection:
    """One client: any number of requests, one after the other.

    `deadline` is the monotonic time by which the present request must be complete, or the last
    answer read.
    """

    def __init__(
        self,
        server: Server,
        selector: Selector,
        connected: Socket,
        answer: Answer,
    ) -> None:
        self.kind = server.kind
        self.deadline = monotonic() + self.kind.deadline if self.kind.once else None
        self._server = server
        self._selector = selector
        self._socket = connected
        self._answer = answer
        self._received = b""
        self._uid = _user(connected) if self.kind.of_users else None
        self._descriptor = -1  # that came along with the present request
        self._head: http.Head | None = None  # of the present request, once it is complete
        self._silent = False  # the answer has no body (HEAD)
        self._unsent = b""
        self._last = False  # the connection ends after the answer that is being sent
        self._refused = False
        self._closed = False
        self.at_end: Callable[[], None] | None = None  # called before the connection ends
        self._interest = READ
        connected.setblocking(False)
        selector.register(connected, READ, self._ready)
        server.connections[self] = None

    def overdue(self) -> None:
        """Refuse a request that took too long; if it is refused already, end the connection."""
        if self._refused or self._last:
            self.close()
        else:
            limit = f"{self.kind.deadline:g} seconds"
            self._refuse(408, f"the request was not complete after {limit}")

    def close(self) -> None:
        """End the connection."""
        if self.at_end:
            at_end, self.at_end = self.at_end, None
            at_end()
        if not self._closed:
            self._closed = True
            self._drop_descriptor()
            del self._server.connections[self]
            self._selector.unregister(self._socket)
            self._socket.close()

    def end(self, content: bytes) -> None:
        """Send one more answer, if the client takes it at once, and end the connection."""
        self.at_end = None
        if not self._closed:
            with suppress(OSError):  # the client has gone already
                answer = http.answer(200, content, self.kind.content_type, keep=False)
                self._socket.send(answer)
            self.close()

    def _ready(self) -> None:
        if self._unsent:
            self._flush()
        else:
            self._receive()
        while not (self._closed or self._refused or self._unsent) and self._take():
            pass

    def _receive(self) -> None:
        try:
            received, passed, _flags, _address = self._socket.recvmsg(
                _RECEIVE_SIZE, _ANCILLARY, _socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            received, passed = b"", []
        for _level, _type, data in passed:
            self._drop_descriptor()
            self._descriptor = int.from_bytes(data, sys.byteorder)
        if not received:
            self.close()
        elif not self._refused:
            self._received += received

    def _take(self) -> bool:
        """Answer one request of the received bytes; whether there was a complete one."""
        try:
            head = self._head = self._head or self._begin()
        except HttpError as error:
            self._refuse(error.status, str(error))
            return False
        if head is None or len(self._received) < head.size + head.length:
            if self.deadline is None and self._received:
                self.deadline = monotonic() + self.kind.deadline
            return False
        body = self._received[head.size : head.size + head.length]
        self._received = self._received[head.size + head.length :]
        self._head = self.deadline = None
        self._last = self.kind.once or not head.keep
        if self.kind.once:
            self.deadline = monotonic() + self.kind.deadline
        sender = Sender(self._descriptor, self._uid, self)
        status, answered = self._answer(head.target, body, sender)
        self._drop_descriptor()
        self._send(http.answer(status, answered, self.kind.content_type, keep=not self._last))
        self._server.called = True
        return True

    def _drop_descriptor(self) -> None:
        if self._descriptor >= 0:
            posix.close(self._descriptor)
            self._descriptor = -1

    def _begin(self) -> http.Head | None:
        """The head of the next request, if it is complete. Raises HttpError."""
        head = http.read_head(self._received)
        if head is None:
            return None
        if head.method != self.kind.method:
            self._silent = head.method == "HEAD"
            raise HttpError(405, f"every request here is a {self.kind.method}")
        if head.length > self.kind.body:
            most = self.kind.body
            what = f"the body is larger than {most} bytes" if most else "a request has no body here"
            raise HttpError(413, what)
        if head.waits and len(self._received) == head.size:
            self._send(http.CONTINUE)
        return head

    def _refuse(self, status: int, text: str) -> None:
        """Answer a request with an error, and read no other from this client."""
        self._refused = True
        self.deadline = monotonic() + _FAREWELL
        body, kind = self.kind.refusal(text), self.kind.refusal_type
        self._send(http.answer(status, body, kind, keep=False, silent=self._silent))

    def _send(self, data: bytes) -> None:
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        """Send as much as the socket takes now; the rest when it is writable again."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        interest = WRITE if self._unsent else READ
        if interest != self._interest:
            self._interest = interest
            self._selector.modify(self._socket, interest, self._ready)
        if self._unsent:
            return
        if self._refused:
            with suppress(OSError):  # the client has gone already
                self._socket.shutdown(_socket.SHUT_WR)
        elif self._last:
            self.close()


def _user(connected: Socket) -> int:
    """The id of the user that the client had when it connected (SO_PEERCRED, unix(7))."""
    process_user_group = connected.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(process_user_group[4:8], sys.byteorder)
