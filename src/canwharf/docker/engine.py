"""Asks the Docker engine what it knows: only when our own memory is lost.

Rules:

- With a time limit, and never while Docker may be waiting for us: it holds locks while it does.
- An engine that does not answer is no error: it may not have started yet.

Source: https://docs.docker.com/reference/api/engine/ (NetworkList).
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from urllib.parse import quote

SOCKET = "/var/run/docker.sock"
TIME_LIMIT = 2.0  # seconds


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=TIME_LIMIT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIME_LIMIT)
        self.sock.connect(self._path)


def networks(driver: str, path: str = SOCKET) -> dict[str, Mapping[str, object]] | None:
    """The options of each network of this driver, by id; None if the engine does not tell."""
    filters = quote(json.dumps({"driver": [driver]}))
    connection = _Connection(path)
    try:
        connection.request("GET", f"/networks?filters={filters}")
        response = connection.getresponse()
        content = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if response.status != http.client.OK or not isinstance(content, list):
        return None
    return {
        network["Id"]: network.get("Options") or {}
        for network in content
        if isinstance(network, dict) and isinstance(network.get("Id"), str)
    }
