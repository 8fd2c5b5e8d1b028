"""Who sent a frame, by its id: for recordings of other tools, and of a real bus, which do not say.

    Senders(["engine=100-1FF", "engine=7E8"], "vehicle.dbc").of(frame)

Rules:

- What is mapped by hand comes first, then the senders of the DBC file's messages, then what the
  recording says.
- An id that two of them send says nothing of its sender: it is refused. So is one that is mapped by
  hand to two; there a message that the file gives to several, or to none, can be mapped to one.
- A remote frame has the id of its answer, which another sends: only the recording says its sender.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from canwharf.bus import ids
from canwharf.bus.ids import IdSet
from canwharf.errors import CanwharfError, UsageError
from canwharf.frames.dbc import Decoder
from canwharf.frames.frame import Frame
from canwharf.frames.lines import id_text
from canwharf.kernel.uapi import CAN_EFF_FLAG


class Senders:
    """A map of ids, and the nodes of a DBC file; both may be empty."""

    def __init__(self, maps: Iterable[str], path: str) -> None:
        """Raises CanwharfError: a map that is none, a file that cannot be read."""
        self._maps: dict[str, list[IdSet]] = defaultdict(list)
        for each in maps:
            name, equals, text = each.partition("=")
            if not (name and equals):
                raise UsageError(f"--map {each}: must be a name and its ids, as in ecu1=100-1FF")
            self._maps[name].append(ids.read(f"--map {name}", text))
        self._path = path
        self._messages: dict[int, tuple[str, list[str]]] = {}  # by can_id
        if path:
            self._load(path)
        self._known: dict[int, str] = {}  # by can_id; empty where there is none

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._maps or self._path)

    def of(self, frame: Frame) -> str:
        """The sender; empty where nothing says it. Raises CanwharfError where two are said."""
        if frame.remote or frame.error:
            return frame.sender
        found = self._known.get(frame.can_id)
        if found is None:
            found = self._known[frame.can_id] = self._find(frame.can_id)
        return found or frame.sender

    def _load(self, path: str) -> None:
        for each in Decoder(path).database.messages:
            can_id = each.frame_id | (CAN_EFF_FLAG if each.is_extended_frame else 0)
            self._messages[can_id] = each.name, each.senders

    def _find(self, can_id: int) -> str:
        mapped = [
            name for name, sets in self._maps.items() if any(each.passes(can_id) for each in sets)
        ]
        message, senders = self._messages.get(can_id, ("", []))
        if len(found := mapped or senders) < 2:
            return found[0] if found else ""
        by = "by --map" if mapped else f"in {self._path} (message {message})"
        raise CanwharfError(
            f"the id {id_text(can_id)} has the senders {', '.join(found)} {by}: each id has one on "
            f"a bus; say which one it was, as in --map {found[0]}={id_text(can_id)}"
        )
