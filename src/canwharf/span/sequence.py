"""What of a host's messages is new: nothing twice, in its order, losses counted. Pure.

Rules:

- Frames are numbered from 0 on in each epoch, which is one run of the sending process. Numbers of
  two epochs are never compared: after a restart nothing is known of what was lost between.
- An epoch that was replaced is never believed again, so a late message of it cannot bring old
  frames back. Epochs are random and have no order: a host's clock may be set back.
- A message that comes late was counted as lost, and is left out: the order is the sender's.
- A gap is GAP frames at most, whatever another host claims: no host sends so many in months, and a
  count has to fit where it is told.
- Two hosts of one name replace each other's epoch. The second one's is refused from then on, and
  `foreign` counts its messages.
"""

from __future__ import annotations

from collections import deque

GAP = 1 << 32  # frames
_ENDED = 64  # epochs that are remembered


class Sequence:
    """The frames of one host. Counts so far: `taken`, `lost`, `repeated` frames.

    `restarts` counts epochs after the first, `foreign` messages of an epoch that was replaced.
    """

    def __init__(self) -> None:
        self.taken = self.lost = self.repeated = self.restarts = self.foreign = 0
        self._epoch: int | None = None
        self._next = 0
        self._ended: deque[int] = deque(maxlen=_ENDED)

    @property
    def epoch(self) -> int | None:
        """The one that is believed; None before the first message."""
        return self._epoch

    def take(self, epoch: int, first: int, count: int) -> tuple[int, int]:
        """A message with so many frames: how many of its first are not new, how many were lost.

        The lost ones are those between the last message and this one.
        """
        if epoch != self._epoch:
            if epoch in self._ended:
                self.foreign += 1
                self.repeated += count
                return count, 0
            self._begin(epoch, first)
        lost = min(max(0, first - self._next), GAP)
        old = min(count, max(0, self._next - first))
        self._next = max(self._next, first + count)
        self.lost += lost
        self.repeated += old
        self.taken += count - old
        return old, lost

    def _begin(self, epoch: int, first: int) -> None:
        if self._epoch is not None:
            self._ended.append(self._epoch)
            self.restarts += 1
        self._epoch, self._next = epoch, first
