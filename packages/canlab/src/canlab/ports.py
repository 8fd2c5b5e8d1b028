"""TCP ports of this machine's 127.0.0.1 that are there inside, too: `--ports 5432`.

The guest listens on the same port; for each connection the front makes one on the machine, and both
are relayed as a stream of the line. It takes no right, as it is this process that connects.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from canlab import wire
from canlab.errors import UsageError
from canlab.mux import Mux

HOST = "127.0.0.1"
LIMIT = 10.0  # seconds until a port that does not answer is refused
_FIRST = 16  # streams below are the command's own


def parse(text: str) -> list[int]:
    """What `--ports` says. Raises UsageError."""
    words = [word for word in text.replace(" ", "").split(",") if word]
    for word in words:
        if not (word.isascii() and word.isdigit() and 0 < int(word) < 1 << 16):
            raise UsageError(f"--ports {text}: must be numbers of TCP ports, as 5432,8080")
    return sorted({int(word) for word in words})


class Listening:
    """The guest's end."""

    def __init__(self, mux: Mux, ports: list[int]) -> None:
        self._mux = mux
        self._streams = _FIRST
        for port in ports:
            self._listen(port)

    def _listen(self, port: int) -> None:
        server = socket.create_server((HOST, port))
        self._mux.watch(server.fileno(), lambda: self._accept(server, port))

    def _accept(self, server: socket.socket, port: int) -> None:
        connection, _ = server.accept()
        self._streams += 1
        self._mux.send(wire.encode_number(wire.OPEN, port, self._streams))
        _join(self._mux, self._streams, connection)


def connect(mux: Mux, stream: int, port: int) -> None:
    """The front's end of a stream that the guest has opened; one that fails is closed there."""
    try:
        connection = socket.create_connection((HOST, port), LIMIT)
    except OSError:
        mux.send(wire.encode(wire.BROKEN, stream))
        mux.send(wire.encode(wire.END, stream))
        return
    _join(mux, stream, connection)


def _join(mux: Mux, stream: int, connection: socket.socket) -> None:
    connection.setblocking(False)
    fd = connection.detach()
    mux.source(stream, fd)
    mux.sink(stream, os.dup(fd), _end_writing)


def _end_writing(fd: int) -> None:
    """The peer reads the end; what it still has to say is read."""
    with socket.socket(fileno=fd) as connection, suppress(OSError):  # it may be gone
        connection.shutdown(socket.SHUT_WR)
