"""How old a frame is, where two hosts have no common clock. Pure.

Theory of operation. A message says its sender's uptime when it was sent. What the receiver's uptime
has more than that is the difference of both, which is unknown, and the time on the way. The
smallest value so far came with the fastest message: it is taken for the difference. What a message
has more than it, that long it waited on the way. To this comes how long a frame was at the sender.

Rules:

- Uptimes are never set, so a clock that is set on either side makes nothing old.
- Uptimes drift against each other: the smallest value rises by DRIFT.
- An epoch has a difference of its own: after a reboot the sender's uptime begins anew.
- The fastest message's own time on the way is unknown, and missing in each age.
"""

from __future__ import annotations

DRIFT = 0.001  # of the time; a clock that is slewed drifts by 0.0005 (adjtimex)


class Freshness:
    """The ages of what one host sends. All times are in nanoseconds."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._least = 0
        self._at = 0  # the receiver's uptime when that was

    @property
    def least(self) -> int:
        """The receiver's uptime less the sender's, with the time on the way of the fastest."""
        return self._least

    def delay(self, epoch: int, sent: int, received: int) -> int:
        """How long a message waited on the way: the uptimes of the sender and of the receiver."""
        difference = received - sent
        if epoch != self._epoch:
            self._epoch, self._least, self._at = epoch, difference, received
            return 0
        least = self._least + int((received - self._at) * DRIFT)
        if difference <= least:
            self._least, self._at = difference, received
            return 0
        return difference - least
