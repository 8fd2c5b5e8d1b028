"""Asks the Docker engine what it knows: only when our own memory is lost.

Rules:

- With a time limit, as Docker may be waiting for us. While it starts its containers at a boot it
  accepts connections and does not answer: then it is left alone for a while (`Patient`), so that
  a boot is not held up by each container.
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
import socket
from collections.abc import Callable, Mapping
from time import monotonic

SOCKET = "/var/run/docker.sock"
PLUGIN = "canwharf"  # the name of our socket in the managed plugin (packaging/plugin)
TIME_LIMIT = 2.0  # seconds, in all
CALL_LIMIT = 1.0  # seconds, where a call of the engine's waits meanwhile
PAUSE = 10.0  # seconds in which one that did not answer is not asked again
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
            content = json.loads(get("/networks", connected, limit))
    except (OSError, ValueError, RecursionError):
        return None
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
    """The engine's networks for who has them asked often: not again soon if it did not answer."""

    def __init__(
        self,
        ask: Callable[[], Mapping[str, Mapping[str, object]] | None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._not_before = clock()

    def __call__(self) -> Mapping[str, Mapping[str, object]] | None:
        """See `networks`."""
        if self._clock() < self._not_before:
            return None
        told = self._ask()
        if told is None:
            self._not_before = self._clock() + PAUSE
        return told


def is_ours(name: object, driver: str) -> bool:
    """Whether the engine means this driver: for a plugin, `host:5000/team/canwharf:1.0` too."""
    if name == driver:
        return True
    bare = name.rpartition("/")[2].partition(":")[0] if isinstance(name, str) else ""
    return bare == driver == PLUGIN


def get(target: str, connected: socket.socket, limit: float) -> bytes:
    """The body of a successful answer; `limit` is in seconds. Raises OSError."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 (see above)

    end = monotonic() + limit  # the import's time is not the engine's
    body = b""
    connection = HTTPConnection("docker")
    connection.sock = connected
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        if response.status != 200:
            raise OSError(f"the engine answers {response.status}")
        while part := response.read1(_RECEIVE_SIZE):
            body += part
            if monotonic() > end or len(body) > _SIZE_LIMIT:
                raise TimeoutError("the engine does not come to an end")
    except HTTPException as error:
        raise OSError(f"the engine speaks no HTTP: {error!r}") from error
    return body
