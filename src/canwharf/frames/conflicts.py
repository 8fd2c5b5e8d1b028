"""Ids that two senders use on one bus, which is a fault in CAN. Pure.

Theory of operation. Arbitration relies on it that each id has one sender: where two begin with the
same id at the same moment, both go on, and destroy each other's frame. A virtual bus carries both;
on a real one there would be bus errors.

Rules:

- Data frames only. A remote frame bears the id of the answer, which another one sends, and an error
  frame is no message.
"""

from __future__ import annotations

from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import CAN_ERR_FLAG, CAN_RTR_FLAG

_NO_DATA = CAN_RTR_FLAG | CAN_ERR_FLAG


class Conflicts:
    """Who sent which id so far."""

    def __init__(self) -> None:
        self._senders: dict[tuple[str, int], list[str]] = {}

    def others(self, frame: Frame) -> list[str]:
        """The other senders of this id so far; empty, as it should be, for nearly all frames."""
        can_id = frame.can_id
        if can_id & _NO_DATA:
            return []
        senders = self._senders.get((frame.bus, can_id))
        if senders is None:
            self._senders[frame.bus, can_id] = [frame.sender]
            return []
        if senders == [frame.sender]:
            return []
        if frame.sender not in senders:
            senders.append(frame.sender)
        return [each for each in senders if each != frame.sender]
