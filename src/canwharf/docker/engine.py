"""Read networks from the Docker engine, only when canwharf's own state is lost.

Rules:

- With a time limit, as Docker may be waiting for us. While it starts its containers at a boot
  it accepts connections and does not answer (seen with 20.10): it is waited for once (`Patient`),
  and not by each container.
- An engine that does not answer is no error: it may not have started yet.
- Our managed plugin is not told what Docker calls it: `canwharf:latest`, another tag, or with the
  registry that it came from. So the engine is asked for all networks and not for one driver's, of
  which it would know none; those are taken whose driver has our name, but for these parts.
- The HTTP client is imported only if the engine's socket exists: the import takes longer than the
  rest of the daemon's start.

Source: https://docs.docker.com/reference/api/engine/ (NetworkList).
"""

from __future__ import annotations

import _socket
import io
import select
from time import monotonic

from canwharf import jsontext
from canwharf.lean import Socket

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from _typeshed import WriteableBuffer

SOCKET = "/var/run/docker.sock"
PLUGIN = "canwharf"  # the name of our socket in the managed plugin (packaging/plugin)
TIME_LIMIT = 2.0  # seconds, in all
CALL_LIMIT = 3.0  # seconds, where a call of the engine's waits meanwhile: a small board is slow
_FRESH = 10.0  # seconds after which an answer may tell of networks that are gone, or lack new ones
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes
_RECEIVE_SIZE = 64 * 1024  # bytes


class Connection:
    """To the engine, which has until one moment for all that it says.

    A socket's own time limit begins anew with each byte: an answer that drips would never be late.
    """

    def __init__(self, path: str, limit: float) -> None:
        """`limit` is in seconds, from now on. Raises OSError."""
        self._socket = Socket(_socket.AF_UNIX)
        self.allow(limit)
        try:
            self._socket.connect(path)
        except OSError:
            self.close()
            raise

    def allow(self, limit: float) -> None:
        """Give it so many seconds from now on."""
        self._end = monotonic() + limit
        self._socket.settimeout(limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of this. Raises OSError."""
        self._socket.sendall(data)

    def receive(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with what has come. Raises TimeoutError."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError("the engine does not come to an end")
        self._socket.settimeout(left)
        return self._socket.recv_into(buffer)

    def get(self, target: str) -> bytes:
        """The body of a successful answer. Raises OSError."""
        self.ask(target)
        return self.answer()

    def ask(self, target: str) -> None:
        """Send the question; `answer` takes what comes. Raises OSError."""
        from http.client import HTTPConnection  # noqa: PLC0415 (see above)

        self._asked = HTTPConnection("docker")
        self._asked.sock = _Lent(self)
        self._asked.request("GET", target)

    def answer(self) -> bytes:
        """The body of a successful answer. Raises OSError."""
        from http.client import HTTPException  # noqa: PLC0415 (see above)

        body = b""
        try:
            response = self._asked.getresponse()
            if response.status != 200:
                raise OSError(f"the engine answers {response.status}")
            while part := response.read1(_RECEIVE_SIZE):
                body += part
                if len(body) > _SIZE_LIMIT:
                    raise OSError("the engine does not come to an end")
        except HTTPException as error:
            raise OSError(f"the engine speaks no HTTP: {error!r}") from error
        return body

    def speaks(self, patience: float) -> bool:
        """Whether something comes in so many seconds, be it the end."""
        return bool(select.select([self._socket], [], [], patience)[0])


class _Lent(io.RawIOBase):
    """A connection as http.client takes a socket. It stays open: its owner closes it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sendall(self, data: bytes) -> None:
        self._connection.send(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._connection.receive(buffer)

    def close(self) -> None:
        pass


def networks(
    driver: str, limit: float = TIME_LIMIT, path: str = SOCKET
) -> dict[str, Mapping[str, object]] | None:
    """The options of each network of this driver, by id; None if the engine does not tell.

    `limit` is in seconds.
    """
    try:
        with Connection(path, limit) as connected:
            return _of(driver, jsontext.loads(connected.get("/networks")))
    except (OSError, ValueError, RecursionError):
        return None


def _of(driver: str, content: object) -> dict[str, Mapping[str, object]] | None:
    """The networks of this driver among all; None if the engine did not tell them."""
    if not isinstance(content, list):
        return None
    found: dict[str, Mapping[str, object]] = {}
    for network in content:
        if isinstance(network, dict) and isinstance(network.get("Id"), str):
            if not is_ours(network.get("Driver"), driver):
                continue
            options = network.get("Options")
            found[network["Id"]] = options if isinstance(options, dict) else {}
    return found


class Patient:
    """The engine's networks in the middle of a call of its own, which it may wait for itself.

    It is waited for once. An answer that comes later is taken when the next one asks, who does not
    wait at all, so that a boot is not held up by each container that it starts. One to a question
    of long ago is not believed, and the engine, which answers now, is asked anew.
    """

    def __init__(self, driver: str, path: str = SOCKET, limit: float = CALL_LIMIT) -> None:
        """`limit` is in seconds."""
        self._driver = driver
        self._path = path
        self._limit = limit
        self._asked: Connection | None = None
        self._asked_at = 0.0

    def __call__(self) -> Mapping[str, Mapping[str, object]] | None:
        """See `networks`."""
        if self._asked is not None and self._is_stale(self._asked):
            self._asked.close()
            self._asked = None
        if self._asked is not None:
            self._asked.allow(self._limit)
            known = self._take(self._asked, 0.0)
            if known is not None or self._asked is not None:
                return known
        try:
            asked = Connection(self._path, self._limit)
        except OSError:
            return None
        try:
            asked.ask("/networks")
        except OSError:
            asked.close()
            return None
        self._asked, self._asked_at = asked, monotonic()
        return self._take(asked, self._limit)

    def _is_stale(self, asked: Connection) -> bool:
        """Whether there is an answer, and to a question of long ago."""
        return monotonic() - self._asked_at > _FRESH and asked.speaks(0.0)

    def _take(
        self, asked: Connection, patience: float
    ) -> Mapping[str, Mapping[str, object]] | None:
        """The answer, if it comes in so many seconds; one that is no answer is forgotten."""
        if not asked.speaks(patience):
            return None
        self._asked = None
        try:
            return _of(self._driver, jsontext.loads(asked.answer()))
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            asked.close()


def is_ours(name: object, driver: str) -> bool:
    """Whether the engine means this driver: for a plugin, `host:5000/team/canwharf:1.0` too."""
    if name == driver:
        return True
    bare = name.rpartition("/")[2].partition(":")[0] if isinstance(name, str) else ""
    return bare == driver == PLUGIN
