"""The networks of the driver that was here before, from the file that it kept.

rustycan4docker writes its networks to one file, when it makes and removes them:

    {ID: {"device": "vcan", "canid": "0", "peer": "can"}}

docker-vxcan keeps no file; of its networks the engine's own list tells (`docker.engine`).

Rules:

- It is looked for under the ancestor's name only, and read when there is no state of ours; it is
  never written or deleted, so that there is a way back.
- It is checked in full. What is not right is reported and left out; the daemon starts all the same.
- This module is loaded only when it is needed.

Source: https://github.com/Nomadic-Drones/rustycan4docker, src/manager.rs (NETWORK_STATE_FILE).
"""

from __future__ import annotations

from canwharf import durable, jsontext
from canwharf.bus import events, naming
from canwharf.bus.events import Event, Report

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = {"rustyvxcan": "/var/lib/docker/network/files/rustycan4docker-networks.json"}
_OPTIONS = {"device": "vxcan.dev", "canid": "vxcan.id", "peer": "vxcan.peer"}


def networks(
    driver: str, report: Report, files: Mapping[str, str] = FILES
) -> dict[str, dict[str, object]]:
    """The options of each network that the driver of this name left behind, by id."""
    path = files.get(driver)
    if path is None:
        return {}
    try:
        content = _read(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        fields = {"file": path, "error": words}
        report(Event(events.MIGRATION_NOT_READ, fields))
        return {}
    found: dict[str, dict[str, object]] = {}
    for id, value in content.items():
        try:
            found[id] = _given(id, value)
        except ValueError as error:
            fields = {"network": id, "file": path, "error": str(error)}
            report(Event(events.NETWORK_NOT_ADOPTED, fields))
    fields = {"file": path, "networks": str(len(found))}
    report(Event(events.MIGRATION_READ, fields))
    return found


def _read(path: str) -> dict[str, object]:
    """The file's object. Raises OSError, ValueError."""
    content = jsontext.loads(durable.read(path))
    if not isinstance(content, dict):
        raise ValueError("it should be an object")  # noqa: TRY004 (the file's fault)
    return content


def _given(id: str, value: object) -> dict[str, object]:
    """The options of one network, as they would be given to us. Raises ValueError."""
    if not naming.is_id(id):
        raise ValueError("this is not a network's id")
    if not isinstance(value, dict):
        raise ValueError("it should be an object")  # noqa: TRY004 (the file's fault)
    given = {option: value.get(field) for field, option in _OPTIONS.items()}
    if not all(isinstance(each, str) for each in given.values()):
        raise ValueError(f"it should have strings for {', '.join(_OPTIONS)}")
    return given
