"""Asks the Docker engine what it knows: only when our own memory is lost.

Rules:

- With a time limit, as Docker may be waiting for us. While it starts its containers at a boot
  it accepts connections and does not answer (seen with 20.10): it is waited for once (`Patient`),
  and not by each container.
- An engine that does not answer is no error: it may not have started yet.
- Our managed plugin is not told what Docker calls it: `canwharf:latest`, another tag, or with the
  registry that it came from. So the engine is asked for all networks and not for one driver's, of
  which it would know none; those are taken whose driver has our name, but for these parts.
- The HTTP client is loaded only when somebody is there to talk to: that takes longer than all the
  rest of the daemon's start.

Source: https://docs.docker.com/reference/api/engine/ (NetworkList).
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Mapping
from time import monotonic

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    from http.client import HTTPConnection

SOCKET = "/var/run/docker.sock"
PLUGIN = "canwharf"  # the name of our socket in the managed plugin (packaging/plugin)
TIME_LIMIT = 2.0  # seconds, in all
CALL_LIMIT = 3.0  # seconds, where a call of the engine's waits meanwhile: a small board is slow
_FRESH = 10.0  # seconds after which an answer may tell of networks that are gone, or lack new ones
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes
_RECEIVE_SIZE = 64 * 1024  # bytes


def networks(
    driver: str, limit: float = TIME_LIMIT, path: str = SOCKET
) -> dict[str, Mapping[str, object]] | None:
    """The options of each network of this driver, by id; None if the engine does not tell.

    `limit` is in seconds.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(limit)
            connected.connect(path)
            return _of(driver, json.loads(get("/networks", connected, limit)))
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
        self._asked: HTTPConnection | None = None
        self._asked_at = 0.0

    def __call__(self) -> Mapping[str, Mapping[str, object]] | None:
        """See `networks`."""
        if self._asked is not None and self._is_stale(self._asked):
            self._asked.close()
            self._asked = None
        if self._asked is not None:
            known = self._take(self._asked, 0.0)
            if known is not None or self._asked is not None:
                return known
        try:
            connected = socket.socket(socket.AF_UNIX)
            connected.settimeout(self._limit)
            connected.connect(self._path)
            self._asked = ask("/networks", connected)
            self._asked_at = monotonic()
        except OSError:
            connected.close()
            return None
        return self._take(self._asked, self._limit)

    def _is_stale(self, asked: HTTPConnection) -> bool:
        """Whether there is an answer, and to a question of long ago."""
        return monotonic() - self._asked_at > _FRESH and _speaks(asked, 0.0)

    def _take(
        self, asked: HTTPConnection, patience: float
    ) -> Mapping[str, Mapping[str, object]] | None:
        """The answer, if it comes in so many seconds; one that is no answer is forgotten."""
        if not _speaks(asked, patience):
            return None
        self._asked = None
        try:
            return _of(self._driver, json.loads(answer(asked, self._limit)))
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            asked.close()


def _speaks(asked: HTTPConnection, patience: float) -> bool:
    """Whether something comes in so many seconds, be it the end."""
    return bool(select.select([asked.sock], [], [], patience)[0])


def is_ours(name: object, driver: str) -> bool:
    """Whether the engine means this driver: for a plugin, `host:5000/team/canwharf:1.0` too."""
    if name == driver:
        return True
    bare = name.rpartition("/")[2].partition(":")[0] if isinstance(name, str) else ""
    return bare == driver == PLUGIN


def get(target: str, connected: socket.socket, limit: float) -> bytes:
    """The body of a successful answer; `limit` is in seconds. Raises OSError."""
    return answer(ask(target, connected), limit)


def ask(target: str, connected: socket.socket) -> HTTPConnection:
    """Send the question; `answer` takes what comes. Raises OSError."""
    from http.client import HTTPConnection  # noqa: PLC0415 (see above)

    connection = HTTPConnection("docker")
    connection.sock = connected
    connection.request("GET", target)
    return connection


def answer(asked: HTTPConnection, limit: float) -> bytes:
    """The body of a successful answer; `limit` is in seconds. Raises OSError."""
    from http.client import HTTPException  # noqa: PLC0415 (see above)

    end = monotonic() + limit
    body = b""
    try:
        response = asked.getresponse()
        if response.status != 200:
            raise OSError(f"the engine answers {response.status}")
        while part := response.read1(_RECEIVE_SIZE):
            body += part
            if monotonic() > end or len(body) > _SIZE_LIMIT:
                raise TimeoutError("the engine does not come to an end")
    except HTTPException as error:
        raise OSError(f"the engine speaks no HTTP: {error!r}") from error
    return body
