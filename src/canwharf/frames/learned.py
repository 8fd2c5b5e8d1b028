"""The ids that one container sends and hears, as sets: what a policy has to let pass. Pure.

Rules:

- What a container hears is what all others send on its bus, as far as its own policy lets it pass.
- A set has the ids that were seen and no others: neighbours are a range only if each was seen.
- Data and remote frames count by their id. Error frames have none.
- More than MOST different ids of one direction are not told apart: no policy has room for them.
"""

from __future__ import annotations

from collections import Counter

from canwharf.bus import ids
from canwharf.kernel import ematch
from canwharf.kernel.uapi import CAN_ERR_FLAG, CAN_RTR_FLAG
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from canwharf.bus.ids import IdSet
    from canwharf.frames.frame import Frame

MOST = 10_000  # different ids
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
        self._others: Counter[int] = Counter()

    def add(self, frames: Iterable[Frame], senders: Collection[str]) -> None:
        """Count these frames; the container is each of these senders."""
        for frame in frames:
            if not frame.can_id & CAN_ERR_FLAG:
                counted = self._sent if frame.sender in senders else self._others
                id = frame.can_id & _ID
                if id in counted or len(counted) < MOST:
                    counted[id] += 1

    @property
    def sent(self) -> Direction:
        """What it sent."""
        return _direction(self._sent)

    @property
    def heard(self) -> Direction:
        """What it heard."""
        passes = self._hears.passes
        return _direction({id: count for id, count in self._others.items() if passes(id)})

    @property
    def counts(self) -> tuple[int, int]:
        """How many different ids it sent, and all others did: quick to tell."""
        return len(self._sent), len(self._others)


def _direction(counted: dict[int, int]) -> Direction:
    found = ids.of(counted)
    fits = len(counted) < MOST and found.lists.size <= ematch.MOST
    return Direction(sum(counted.values()), len(counted), str(found) if fits else "")
