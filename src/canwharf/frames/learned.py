"""The ids that one container sends and hears, as sets: what a policy has to let pass. Pure.

Rules:

- What a container hears is what all others send on its bus, as far as its own policy lets it pass.
- A set has the ids that were seen and no others: neighbours are a range only if each was seen.
- Data and remote frames count by their id. Error frames have none.
- More than MOST different ids of one direction, those of each sender for themselves, are not told
  apart: no policy has room for them.
"""

from __future__ import annotations

from collections import Counter

from canwharf.bus import ids
from canwharf.kernel import ematch
from canwharf.kernel.uapi import CAN_ERR_FLAG, CAN_RTR_FLAG
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from canwharf.bus.ids import IdSet
    from canwharf.frames.frame import Frame

MOST = 20_000  # different ids, or pairs of a sender and an id
_ID = ~CAN_RTR_FLAG


class Direction(NamedTuple):
    """The frames of one direction, and how many ids they have.

    `words` is the shortest text of these ids; empty if the kernel has no room for them.
    """

    frames: int
    ids: int
    words: str


class Learned:
    """What one container sent and heard so far; it hears what `hears` lets pass."""

    def __init__(self, hears: IdSet) -> None:
        self._hears = hears
        self._sent: Counter[int] = Counter()
        self._others: Counter[tuple[str, int]] = Counter()  # by sender

    def add(self, frames: Iterable[Frame], senders: Collection[str]) -> None:
        """Count these frames; the container is each of these senders."""
        for frame in frames:
            if frame.can_id & CAN_ERR_FLAG:
                continue
            id = frame.can_id & _ID
            if frame.sender in senders:
                if id in self._sent or len(self._sent) < MOST:
                    self._sent[id] += 1
            elif (key := (frame.sender, id)) in self._others or len(self._others) < MOST:
                self._others[key] += 1

    @property
    def sent(self) -> Direction:
        """What it sent."""
        return _direction(self._sent, whole=len(self._sent) < MOST)

    @property
    def heard(self) -> Direction:
        """What it heard."""
        found: Counter[int] = Counter()
        for (_sender, id), count in self._others.items():
            if self._hears.passes(id):
                found[id] += count
        return _direction(found, whole=self._whole)

    @property
    def heard_from(self) -> dict[str, Direction]:
        """The same by sender, in the order of their names."""
        found: dict[str, dict[int, int]] = {}
        for (sender, id), count in self._others.items():
            if self._hears.passes(id):
                found.setdefault(sender, {})[id] = count
        return {
            sender: _direction(counted, whole=self._whole)
            for sender, counted in sorted(found.items())
        }

    @property
    def counts(self) -> tuple[int, int]:
        """How many different ids it sent, and each other one did, added up: quick to tell."""
        return len(self._sent), len(self._others)

    @property
    def _whole(self) -> bool:
        """Whether there was room for all that it heard."""
        return len(self._others) < MOST


def _direction(counted: Mapping[int, int], *, whole: bool) -> Direction:
    found = ids.of(counted)
    fits = whole and found.lists.size <= ematch.MOST
    return Direction(sum(counted.values()), len(counted), str(found) if fits else "")
