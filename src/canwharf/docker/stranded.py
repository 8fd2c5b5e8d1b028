"""Containers that should run and do not, as Docker could not join them to one of our networks.

Rules:

- Docker starts a container of a restart policy once, when it starts itself. One whose network was
  refused then stays as it is until a person starts it.
- One that a person stopped is none of them: Docker keeps the error of its last start, which a
  container that was started has not.
- An engine that does not answer is no error: nothing is known then.

Source: https://docs.docker.com/reference/api/engine/ (ContainerList, ContainerInspect).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from time import monotonic
from urllib.parse import quote

from canwharf.docker import engine, names

TIME_LIMIT = 3.0  # seconds, in all
_ASLEEP = quote(json.dumps({"status": ["created", "exited", "dead"]}))
_POLICIES = ("always", "unless-stopped", "on-failure")
_OURS = ("endpoint", "plugin", "driver")  # Docker's words for what a network driver refused


def stranded(
    networks: Collection[str], limit: float = TIME_LIMIT, path: str = engine.SOCKET
) -> dict[str, str]:
    """The error of each such container on these networks (ids), by its name.

    `limit` is in seconds.
    """
    end = monotonic() + limit
    listed = names.get(f"/containers/json?all=1&filters={_ASLEEP}", end, path)
    found: dict[str, str] = {}
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and not set(_networks(each)).isdisjoint(networks):
            told = names.get(f"/containers/{each.get('Id')}/json", end, path)
            container = told if isinstance(told, dict) else {}
            if error := _error(container):
                found[str(container.get("Name", "")).lstrip("/")] = error
    return found


def _networks(container: Mapping[str, object]) -> Iterator[object]:
    """The ids of its networks."""
    for each in _object(_object(container, "NetworkSettings"), "Networks").values():
        if isinstance(each, dict):
            yield each.get("NetworkID")


def _error(container: Mapping[str, object]) -> str:
    """Why Docker could not start it, if it should run and a driver was the reason."""
    policy = _object(_object(container, "HostConfig"), "RestartPolicy").get("Name")
    error = str(_object(container, "State").get("Error", ""))
    return error if policy in _POLICIES and any(word in error for word in _OURS) else ""


def _object(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}
