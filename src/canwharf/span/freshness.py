"""How old a frame is, where two hosts have no common clock. Pure.

Theory of operation. A message says its sender's uptime when it was sent. What the receiver's uptime
has more than that is the difference of both, which is unknown, and the time on the way. The
smallest value so far came with the fastest message: it is taken for the difference. What a message
has more than it, that long it waited on the way. To this comes how long a frame was at the sender.

Rules:

- Uptimes are never set, so a clock that is set on either side makes nothing old.
- Uptimes drift against each other: the smallest value rises by DRIFT.
- An epoch has a difference of its own: after a reboot the sender's uptime begins anew.
- A machine that was paused, as a virtual one is, may have an uptime that was paused, too: all that
  it sends would look late by the pause. An answer to a question proves a least difference: it was
  written after the question was.
- The fastest message's own time on the way is unknown, and missing in each age.
"""

from __future__ import annotations

JUMP = 1_000_000_000  # nanoseconds; by more than that, a clock was set
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

    def measured(self, least: int, now: int) -> None:
        """The difference is this or more, at this uptime of the receiver."""
        if least > self._least + int((now - self._at) * DRIFT):
            self._least, self._at = least, now

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


class Skew:
    """How far a host's uptime is ahead of its clock; nanoseconds.

    A message has both, but its sender may have waited for a processor between the two, so that the
    clock was read late. The largest difference so far is the nearest; it drifts, and may be set.
    """

    def __init__(self) -> None:
        self._most: int | None = None
        self._at = 0  # uptime of the sender

    def take(self, uptime: int, clock: int) -> int:
        """It, with what a message says."""
        difference = uptime - clock
        most = self.of(uptime, clock)
        if most != difference:
            most -= int(max(0, uptime - self._at) * DRIFT)
            most = max(most, difference)
        self._most, self._at = most, uptime
        return most

    def of(self, uptime: int, clock: int) -> int:
        """It, for a message of before."""
        difference = uptime - clock
        if self._most is None or abs(self._most - difference) > JUMP:
            return difference
        return max(self._most, difference)
