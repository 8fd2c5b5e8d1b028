"""The names of containers in Docker, requested without waiting for the answer.

Theory of operation. Docker may be waiting for canwharf with its locks held, so the daemon never
waits for Docker. The request is sent on a socket of the daemon's own loop. The names are replaced
when the answer is complete. One list of all containers is enough, and Docker makes it without those
locks.

Rules:

- If Docker does not answer, or answers with something else, the names stay as they were.
- There is one request at a time, and at most one in PAUSE seconds.

Source: https://docs.docker.com/reference/api/engine/ (ContainerList).
"""

from __future__ import annotations

import _socket

from canwharf import jsontext
from canwharf.docker import engine
from canwharf.lean import READ, Selector, Socket
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAUSE = 10.0  # seconds between two questions; an answer that takes longer is given up
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes
_RECEIVE_SIZE = 64 * 1024  # bytes
# To HTTP/1.0 the answer comes in one piece, and the connection ends with it.
_QUESTION = b"GET /containers/json HTTP/1.0\r\nHost: docker\r\n\r\n"


class ContainerName(NamedTuple):
    """Whose an endpoint is: the names of its container and its network."""

    container: str = ""
    network: str = ""


class Containers:
    """The names by endpoint, as last told; on a selector whose keys' data are called."""

    def __init__(self, selector: Selector, path: str = engine.SOCKET) -> None:
        self.container_names: Mapping[str, ContainerName] = {}
        self._selector = selector
        self._path = path
        self._asked_at = -PAUSE
        self._socket: Socket | None = None
        self._received = b""

    def ask(self, now: float) -> None:
        """Ask, if it is time to (monotonic seconds)."""
        if now < self._asked_at + PAUSE:
            return
        self._asked_at = now
        self.close()
        asking = Socket(_socket.AF_UNIX)
        asking.setblocking(False)
        try:
            asking.connect(self._path)
            asking.send(_QUESTION)
        except OSError:  # no such socket, or no process listens
            asking.close()
            return
        self._socket, self._received = asking, b""
        self._selector.register(asking, READ, self._receive)

    def close(self) -> None:
        """Give up a question that has no answer yet."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            part = self._socket.recv(_RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError:
            part, self._received = b"", b""
        self._received += part
        if part and len(self._received) <= _SIZE_LIMIT:
            return
        self.close()
        head, _end, body = self._received.partition(b"\r\n\r\n")
        self._received = b""
        try:
            if head.split(b" ", 2)[1:2] == [b"200"]:
                self.container_names = dict(_places(jsontext.loads(body)))
        except (ValueError, RecursionError):
            return


def _places(content: object) -> Iterator[tuple[str, ContainerName]]:
    for each in content if isinstance(content, list) else ():
        names = each.get("Names") if isinstance(each, dict) else None
        name = str(names[0]).removeprefix("/") if isinstance(names, list) and names else ""
        settings = each.get("NetworkSettings") if isinstance(each, dict) else None
        networks = settings.get("Networks") if isinstance(settings, dict) else None
        for network, told in (networks if isinstance(networks, dict) else {}).items():
            endpoint = told.get("EndpointID") if isinstance(told, dict) else None
            if isinstance(endpoint, str) and endpoint:
                yield endpoint, ContainerName(name, str(network))
