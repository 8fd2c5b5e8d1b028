"""Asks the Docker engine what it knows: only when our own memory is lost.

Rules:

- With a time limit, and never while Docker may be waiting for us: it holds locks while it does.
- An engine that does not answer is no error: it may not have started yet.

Source: https://docs.docker.com/reference/api/engine/ (NetworkList).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from time import monotonic

import h11

SOCKET = "/var/run/docker.sock"
TIME_LIMIT = 2.0  # seconds, in all
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes
_RECEIVE_SIZE = 64 * 1024  # bytes


def networks(driver: str, path: str = SOCKET) -> dict[str, Mapping[str, object]] | None:
    """The options of each network of this driver, by id; None if the engine does not tell."""
    # {"driver":["NAME"]}, of whose characters none needs quoting in a name of ours
    target = f"/networks?filters=%7B%22driver%22%3A%5B%22{driver}%22%5D%7D"
    try:
        content = json.loads(_get(target, path))
    except (OSError, ValueError, RecursionError, h11.ProtocolError):
        return None
    if not isinstance(content, list):
        return None
    found: dict[str, Mapping[str, object]] = {}
    for network in content:
        if isinstance(network, dict) and isinstance(network.get("Id"), str):
            options = network.get("Options")
            found[network["Id"]] = options if isinstance(options, dict) else {}
    return found


def _get(target: str, path: str) -> bytes:
    """The body of a successful answer. Raises OSError, h11.ProtocolError."""
    body = b""
    end = monotonic() + TIME_LIMIT
    http = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=target, headers=[("Host", "docker")])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIME_LIMIT)
        connection.connect(path)
        connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        while True:
            event = http.next_event()
            if monotonic() > end or len(body) > _SIZE_LIMIT:
                raise TimeoutError("the engine does not come to an end")
            if event is h11.NEED_DATA:
                http.receive_data(connection.recv(_RECEIVE_SIZE))
            elif isinstance(event, h11.Response) and event.status_code != 200:
                raise OSError(f"the engine answers {event.status_code}")
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return body
