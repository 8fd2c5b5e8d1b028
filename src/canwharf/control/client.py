"""The command line's calls to the running daemon, on the driver's socket.

Rules:

- Each call has a time limit.
- If there is no socket at the path, a managed plugin's is used, which Docker puts into a directory
  named by the plugin's id.
- An error has the daemon's own text.
"""

from __future__ import annotations

import json
import os
import select
import socket
from contextlib import suppress
from glob import glob
from http.client import HTTPConnection, HTTPException

from canwharf.errors import CallError

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

TIME_LIMIT = 30.0  # seconds without a word from the daemon


class Held:
    """A call whose connection stays open: what it has begun lasts no longer than that."""

    def __init__(self, path: str, name: str, content: Mapping[str, object]) -> None:
        """Make the call; `answer` is the first answer. Raises CallError."""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self.answer = _exchange(self._socket, path, name, content, TIME_LIMIT)
        except CallError:
            self._socket.close()
            raise

    def wait(self, seconds: float) -> dict[str, object] | None:
        """The last answer, with which the daemon ends it; empty without one; None: not yet."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return None
        said = b""
        try:
            while received := self._socket.recv(1 << 16):
                said += received
            last = json.loads(said.partition(b"\r\n\r\n")[2] or b"{}")
        except (OSError, ValueError):
            last = {}
        return last if isinstance(last, dict) else {}

    def end(self) -> dict[str, object]:
        """End it, and wait until the daemon has done so; the last answer."""
        with suppress(OSError):  # the daemon has ended it already
            self._socket.shutdown(socket.SHUT_WR)
        return self.wait(TIME_LIMIT) or {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()


def call(
    path: str, name: str, content: Mapping[str, object] = {}, limit: float = TIME_LIMIT
) -> dict[str, object]:
    """The answer to one call. `limit` is in seconds. Raises CallError."""
    with socket.socket(socket.AF_UNIX) as connected:
        return _exchange(connected, path, name, content, limit)


def _exchange(
    connected: socket.socket, path: str, name: str, content: Mapping[str, object], limit: float
) -> dict[str, object]:
    """Connect and make a call. Raises CallError."""
    connection = HTTPConnection("canwharf")
    try:
        connected.settimeout(limit)
        connected.connect(_place(path))
        connection.sock = connected
        connection.request("POST", f"/{name}", json.dumps(content))
        answer = json.loads(connection.getresponse().read())
    except TimeoutError as error:
        raise CallError(name, path, f"no answer within {limit:g} seconds") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        words = f"{error.strerror}; the daemon does not run: 'canwharf doctor' says how to start it"
        raise CallError(name, path, words) from error
    except OSError as error:
        raise CallError(name, path, error.strerror or str(error)) from error
    except (HTTPException, ValueError, RecursionError) as error:
        raise CallError(name, path, f"it speaks another protocol: {error!r}") from error
    if not isinstance(answer, dict):
        raise CallError(name, path, f"it answers {answer!r}")
    if "Err" in answer:
        raise CallError(name, path, str(answer["Err"]))
    return answer


def _place(path: str) -> str:
    """Where the daemon of this path listens; the path itself if it is not to be found."""
    if os.path.exists(path):
        return path
    folder, name = os.path.split(path)
    return next(iter(glob(os.path.join(folder, "[0-9a-f]" * 64, name))), path)
