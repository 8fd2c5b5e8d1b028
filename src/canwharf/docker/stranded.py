"""Containers that should run and do not, as canwharf was not there when Docker started them.

Rules:

- Docker starts a container of a restart policy once, when it starts itself. One whose network was
  refused then stays as it is until a person starts it.
- One that a person stopped is none of them: Docker keeps the error of its last start, which a
  container that was started has not.
- A container that never ran did not exist at the last boot: its user has seen the error.
- What else keeps it from starting is not ours to try again: a port that is taken, a missing GPU.
- An engine that does not answer is no error: nothing is known then.

Source: https://docs.docker.com/reference/api/engine/ (ContainerList, ContainerInspect).
"""

from __future__ import annotations

import json
import re
from time import monotonic
from urllib.parse import quote, unquote

from canwharf.docker import engine, names
from canwharf.errors import NOT_KNOWN

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

TIME_LIMIT = 3.0  # seconds, in all
_ASLEEP = quote(json.dumps({"status": ["exited", "dead"]}))
_POLICIES = ("always", "unless-stopped", "on-failure")
_NEVER = "0001-"  # the year in which Docker started what it never started
# What is said for us while we do not start, by our units; and by us, before we know a network.
_REFUSAL = re.compile(rf"canwharf\S*\.service does not start|{re.escape(NOT_KNOWN)}")
# What Docker says of a driver that it does not find, or that does not answer at its socket.
_MISSING = r'plugin "?{driver}(?![\w./-])|/{driver}\.sock'


def stranded(
    driver: str,
    networks: Collection[str],
    limit: float = TIME_LIMIT,
    path: str = engine.SOCKET,
) -> dict[str, str]:
    """The error of each such container on these networks (ids) of the driver, by its name.

    `limit` is in seconds.
    """
    end = monotonic() + limit
    listed = names.get(f"/containers/json?all=1&filters={_ASLEEP}", end, path)
    found: dict[str, str] = {}
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and not set(_networks(each)).isdisjoint(networks):
            told = names.get(f"/containers/{each.get('Id')}/json", end, path)
            container = told if isinstance(told, dict) else {}
            if error := _error(container, driver):
                found[str(container.get("Name", "")).lstrip("/")] = error
    return found


def _networks(container: Mapping[str, object]) -> Iterator[object]:
    """The ids of its networks."""
    for each in _object(_object(container, "NetworkSettings"), "Networks").values():
        if isinstance(each, dict):
            yield each.get("NetworkID")


def _error(container: Mapping[str, object], driver: str) -> str:
    """Why Docker could not start it, if it should run and the driver's absence was the reason."""
    policy = _object(_object(container, "HostConfig"), "RestartPolicy").get("Name")
    state = _object(container, "State")
    if policy not in _POLICIES or str(state.get("StartedAt", _NEVER)).startswith(_NEVER):
        return ""
    error = str(state.get("Error", ""))
    missing = _MISSING.format(driver=re.escape(driver))
    # The socket's path is a part of an address there: %2Frun%2Fdocker%2Fplugins%2F…
    return error if _REFUSAL.search(error) or re.search(missing, unquote(error)) else ""


def _object(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}
