"""What Docker calls networks and endpoints: for people's eyes only.

Rules:

- Never asked by the daemon: Docker may be waiting for it. With one time limit for all questions.
- An engine that does not answer, or does not know an id, is no error: the id is shown instead.

Source: https://docs.docker.com/reference/api/engine/ (NetworkList, NetworkInspect).
"""

from __future__ import annotations

import json
from time import monotonic

from canwharf.bus.report import Names
from canwharf.docker import engine

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TIME_LIMIT = 2.0  # seconds, in all


def ask(driver: str, limit: float = TIME_LIMIT, path: str = engine.SOCKET) -> Names | None:
    """The names of this driver's networks and their containers; None if the engine does not tell.

    `limit` is in seconds.
    """
    end = monotonic() + limit
    listed = get("/networks", end, path)
    if not isinstance(listed, list):
        return None
    objects = [each for each in listed if isinstance(each, dict)]
    networks = {
        each["Id"]: str(each.get("Name", ""))
        for each in objects
        if isinstance(each.get("Id"), str) and engine.is_ours(each.get("Driver"), driver)
    }
    containers: dict[str, str] = {}
    members: dict[str, Collection[str]] = {}
    ids: dict[str, str] = {}
    for network in networks:
        told = get(f"/networks/{network}", end, path)
        found = told.get("Containers") if isinstance(told, dict) else None
        if not isinstance(found, dict):
            continue
        on_it: set[str] = set()
        for id, each in found.items():
            if isinstance(each, dict) and isinstance(each.get("EndpointID"), str):
                endpoint = each["EndpointID"]
                on_it.add(endpoint)
                containers[endpoint] = str(each.get("Name", ""))
                ids[endpoint] = id
        members[network] = frozenset(on_it)
    return Names(networks, containers, members, ids)


def sandboxes(
    ids: Mapping[str, str], limit: float = TIME_LIMIT, path: str = engine.SOCKET
) -> dict[str, str]:
    """The paths of the network namespaces of these containers, by endpoint, as far as it tells.

    `limit` is in seconds.
    """
    end = monotonic() + limit
    found: dict[str, str] = {}
    for id in set(ids.values()):
        told = get(f"/containers/{id}/json", end, path) if id.isalnum() else None
        settings = told.get("NetworkSettings") if isinstance(told, dict) else None
        key = settings.get("SandboxKey") if isinstance(settings, dict) else None
        if isinstance(key, str) and key.startswith("/"):
            found |= {endpoint: key for endpoint, each in ids.items() if each == id}
    return found


def get(target: str, end: float, path: str = engine.SOCKET) -> object:
    """What the engine says, by this monotonic time; None if it does not."""
    left = end - monotonic()
    if left <= 0:
        return None
    try:
        with engine.Connection(path, left) as connected:
            answer: object = json.loads(connected.get(target))
    except (OSError, ValueError, RecursionError):
        return None
    return answer
