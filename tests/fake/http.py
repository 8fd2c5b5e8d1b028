"""A server without its daemon, and its callers: the test is the loop and the clock."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import h11

from canwharf.daemon.calls import KIND
from canwharf.daemon.server import Kind, Sender, Server
from canwharf.lean import READ, Selector, Socket


class Loop:
    """A server, its selector, and the calls that it answered."""

    def __init__(self, path: Path, kind: Kind = KIND) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.passed: list[os.stat_result] = []  # what the descriptors were that came along
        self.users: list[int | None] = []
        self.refusals: list[int] = []  # the status of the next calls
        self.status, self.answer = 200, b'{"ok": true}'
        self._path = str(path)
        self._selector = Selector()
        self._listening = Socket(socket.AF_UNIX)
        self._listening.bind(self._path)
        self._listening.listen()
        self.server = Server(self._selector, self._listening, self._answer, kind)
        self._callers: list[Caller] = []

    def _answer(self, path: str, body: bytes, sender: Sender) -> tuple[int, bytes]:
        self.calls.append((path, body))
        self.users.append(sender.uid)
        if sender.descriptor >= 0:
            self.passed.append(os.fstat(sender.descriptor))
        return self.refusals.pop(0) if self.refusals else self.status, self.answer

    def step(self) -> None:
        """Do all that can be done without anybody's help."""
        while ready := self._selector.select(0):
            for key, _events in ready:
                key.data()

    def serve_until(self, process: subprocess.Popen[bytes]) -> None:
        """Serve until another process ends."""
        with open(os.pidfd_open(process.pid), "rb", buffering=0) as ended:
            self._selector.register(ended, READ, lambda: None)
            while process.poll() is None:
                for key, _events in self._selector.select():
                    key.data()
            self._selector.unregister(ended)

    def caller(self) -> Caller:
        """Somebody who connects."""
        caller = Caller(self, self._path)
        self._callers.append(caller)
        self.step()
        return caller

    def end(self) -> None:
        for caller in self._callers:
            caller.close()
        self.server.close()
        self._listening.close()


class Caller:
    """A client that reads with an HTTP parser of its own."""

    def __init__(self, loop: Loop, path: str) -> None:
        self._loop = loop
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._socket.setblocking(False)
        self._http = h11.Connection(h11.CLIENT)

    def shrink(self) -> None:
        """Take only little at once (the server's own buffer counts on a unix socket)."""
        for connection in self._loop.server.connections:
            connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def send(self, data: bytes) -> None:
        """Send all of it, as fast as the server takes it."""
        stuck = 0
        while data:
            assert stuck < 100, "the server takes nothing more"
            try:
                data, stuck = data[self._socket.send(data) :], 0
            except BlockingIOError:
                self._loop.step()
                stuck += 1
        self._loop.step()

    def close(self) -> None:
        self._socket.close()

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)
        self._loop.step()

    def read_all(self) -> bytes:
        """What is there until nothing more comes, or the end."""
        found = b""
        while True:
            self._loop.step()
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return found
            if not data:
                return found
            found += data

    def ended(self) -> bool:
        """Whether the server has ended the connection; all before that has been read."""
        self._loop.step()
        try:
            return self._socket.recv(1) == b""
        except BlockingIOError:
            return False

    def answers(self, method: bytes = b"POST") -> list[tuple[int, bytes]]:
        """The answers that are there, whole ones."""
        data, found = self.read_all(), []
        while data:
            http = h11.Connection(h11.CLIENT)
            http.send(h11.Request(method=method, target="/", headers=[("Host", "d")]))
            http.send(h11.EndOfMessage())
            http.receive_data(data)
            response, body = http.next_event(), b""
            assert isinstance(response, h11.Response)
            while isinstance(event := http.next_event(), h11.Data):
                body += bytes(event.data)
            assert isinstance(event, h11.EndOfMessage), "the answer is not whole"
            found.append((response.status_code, body))
            data = http.trailing_data[0]
        return found

    def refused(self, status: int) -> str:
        """The Err of the one answer, and the connection has ended."""
        ((told, body),) = self.answers()
        assert told == status
        return str(json.loads(body)["Err"])
