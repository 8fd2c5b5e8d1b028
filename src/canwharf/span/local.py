"""What a bridge tells the programs of its own host: one socket for each bus.

Theory of operation. The socket is abstract, in the network namespace of the bus, and named after
its interface. It ends with the process, however that ends: so it is also what makes a bridge the
only one of its bus. A program sends one line of JSON, like `{"ask": "state"}`, and gets what it
asked for and the end of the stream; or `{"error": "…"}`. A second bridge sends `{"ask": "place"}`
each time that it does not get the name: so the first one can tell of it.

Rules:

- The service never waits for a program. There are at most CLIENTS of them at once, OF_USER of one
  user, so that none shuts out the others; and a question has QUESTION bytes at most. What a program
  does not read is held back, and no more is.
- A program that has not asked and read all within PATIENCE has to make room for another one.
- A program checks what it gets as if it came from a stranger: any process of the host may have
  taken the name. It waits for DEADLINE at most.
- The daemon asks nothing here: a slow bridge costs it nothing.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from errno import EADDRINUSE
from time import monotonic

from canwharf import jsontext
from canwharf.bus.span import LOCK
from canwharf.errors import SpanError
from canwharf.span import state
from canwharf.span.followers import Followers
from canwharf.span.state import State

CLIENTS, OF_USER = 8, 6
PATIENCE = 5.0  # seconds
DEADLINE = 2.0  # seconds
QUESTION = 256  # bytes

_SHARE = 1 << 16  # bytes that are read at once
_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid


def address(interface: str) -> str:
    """The name of a bus's socket."""
    return f"\0{LOCK}{interface}"


class Local:
    """The socket of a bus's bridge: for an epoll, `work` is due when it is readable."""

    def __init__(self, interface: str, told: Callable[[], State]) -> None:
        """Take the name. Raises SpanError: another process has it."""
        self.followers = Followers()
        self._told = told
        self._clients: dict[int, _Client] = {}  # by descriptor, the oldest first
        self._rival: tuple[int, float] | None = None  # a second bridge, and when it asked
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._listening.bind(address(interface))
        except OSError as error:
            self._listening.close()
            if error.errno == EADDRINUSE:
                _ask_for_place(interface)
                raise SpanError("another process connects this bus to other hosts") from error
            raise SpanError(f"cannot reserve {interface}: {error.strerror}") from error
        self._listening.listen(CLIENTS)
        self._epoll = select.epoll()
        self._epoll.register(self._listening, select.EPOLLIN)
        self._epoll.register(self.followers.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """The descriptor: readable when there is something to do."""
        return self._epoll.fileno()

    @property
    def rival(self) -> int | None:
        """The number of a second process that would connect this bus; None: there was none lately.

        0: it is in a container.
        """
        there = self._rival is not None and monotonic() - self._rival[1] < PATIENCE
        return self._rival[0] if there and self._rival else None

    def work(self) -> None:
        """Take questions, and send what is asked for, as far as it goes without waiting."""
        for descriptor, _events in self._epoll.poll(0):
            if client := self._clients.get(descriptor):
                self._serve(client)
            elif descriptor == self.followers.fileno():
                self.followers.work()
            else:
                self._accept()

    def close(self) -> None:
        """Give the name back, and end all clients."""
        for each in list(self._clients.values()):
            self._end(each)
        self.followers.close()
        self._epoll.close()
        self._listening.close()

    def _accept(self) -> None:
        try:
            accepted, _address = self._listening.accept()
        except OSError:  # it has gone; or no descriptor is free, and it is tried again
            return
        client = _Client(accepted)
        if not self._has_room(client.user):
            self._make_room()
        if not self._has_room(client.user):
            with suppress(OSError), accepted:
                accepted.send(_error("other programs ask already, too many of them"))
            return
        self._clients[client.fileno()] = client
        self._epoll.register(client, select.EPOLLIN)

    def _has_room(self, user: int) -> bool:
        own = sum(each.user == user for each in self._clients.values())
        return own < OF_USER and len(self._clients) < CLIENTS

    def _make_room(self) -> None:
        limit = monotonic() - PATIENCE
        for each in list(self._clients.values()):
            if each.since < limit:
                self._end(each)

    def _serve(self, client: _Client) -> None:
        try:
            if not client.unsent:
                if not client.read():
                    return
                client.unsent = self._answer(client)
                if not client.unsent and self._follow(client):
                    return
                self._epoll.modify(client, select.EPOLLOUT)
            client.write()
        except BlockingIOError:
            return
        except OSError:  # it has gone
            client.unsent = b""
        if not client.unsent:
            self._end(client)

    def _follow(self, client: _Client) -> bool:
        """Let it follow the frames; false: there are too many, which it will be told."""
        self._epoll.unregister(client)
        if self.followers.add(client.socket, client.user, recovers=client.recovers):
            del self._clients[client.fileno()]
            return True
        self._epoll.register(client, select.EPOLLOUT)
        client.unsent = _error("other programs read the frames already")
        return False

    def _answer(self, client: _Client) -> bytes:
        """The answer; empty for one that is to follow."""
        try:
            question = jsontext.loads_object(client.asked.partition(b"\n")[0], "a question")
        except (ValueError, RecursionError):
            return _error("a question must be a line of JSON")
        asked = question.get("ask")
        if asked == "frames":
            client.recovers = question.get("recover") is True
            return b""
        if asked == "place":
            self._rival = client.process, monotonic()
            return _error("this bus is connected to other hosts already")
        if asked != "state":
            return _error("this canwharf does not know what is asked for")
        return state.encode(self._told())

    def _end(self, client: _Client) -> None:
        del self._clients[client.fileno()]
        self._epoll.unregister(client)
        client.close()


class _Client:
    """A program that asks."""

    def __init__(self, connected: socket.socket) -> None:
        self.asked = b""
        self.unsent = b""
        self.recovers = False
        self.since = monotonic()
        self.socket = connected
        self.socket.setblocking(False)
        self.process, self.user = _peer(connected)

    def fileno(self) -> int:
        return self.socket.fileno()

    def read(self) -> bool:
        """Read of the question what came; whether it is whole. Raises OSError."""
        received = self.socket.recv(QUESTION)
        if not received:
            raise ConnectionResetError
        self.asked += received
        return b"\n" in self.asked or len(self.asked) > QUESTION

    def write(self) -> None:
        """Send what it takes now. Raises OSError."""
        sent = self.socket.send(self.unsent)
        self.unsent = self.unsent[sent:]

    def close(self) -> None:
        self.socket.close()


def _peer(connected: socket.socket) -> tuple[int, int]:
    """The number of the process that connected, at that time, and its user's."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    process, user, _group = _UCRED.unpack(credentials)
    return process, user


def _error(words: str) -> bytes:
    return json.dumps({"error": words}).encode()


def _ask_for_place(interface: str) -> None:
    """Let the process that has the name know that there is a second one; without waiting for it."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        asking.connect(address(interface))
        asking.send(json.dumps({"ask": "place"}).encode() + b"\n")


def ask(interface: str) -> State:
    """The state of the bridge of this bus. Raises SpanError, where none answers in time, too."""
    try:
        told = state.decode(_asked(interface, {"ask": "state"}))
    except TimeoutError as error:
        raise SpanError(f"'canwharf span' does not answer within {DEADLINE:g} s") from error
    except ConnectionRefusedError as error:  # one that does not listen has the name only
        raise SpanError("no 'canwharf span' answers, or one that is older than this") from error
    except OSError as error:
        raise SpanError(f"cannot ask 'canwharf span': {error.strerror}") from error
    if told.interface != interface:
        raise SpanError(f"what answers for {interface} is of {told.interface}")
    return told


def _asked(interface: str, question: object) -> bytes:
    """Raises OSError, SpanError."""
    end = monotonic() + DEADLINE
    received = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(DEADLINE)
        asking.connect(address(interface))
        # One that refuses does not read the question, and ends: what it said is there all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            asking.sendall(json.dumps(question).encode() + b"\n")
        with suppress(ConnectionResetError):
            while share := asking.recv(_SHARE):
                received += share
                if len(received) > state.LARGEST:
                    raise SpanError("what came is too much for the state of a bridge")
                asking.settimeout(max(0.001, end - monotonic()))
    return bytes(received)
