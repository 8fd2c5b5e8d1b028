"""Members of a bus that talk all the while, and what is wrong with what they heard.

    python3 -m tests.faults.chatter STOP host:vcan0 PID:can0 PID:can0

Each member sends a numbered frame every few milliseconds, classic and FD in turn, until the file
STOP is there. A second program of each member listens: it hears every frame once, its own member's
too, as two programs on one interface do. Prints, as JSON, how many frames each sent, and for each
listener and sender how many are `missing` and how many arrived `more` often, where there are any.

Runs in the guest as root.
"""

from __future__ import annotations

import json
import select
import struct
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from tests.world.frames import BRS, CANFD_MTU, EFF, FDF
from tests.world.member import Member, raw_socket

PAUSE = 0.003  # seconds between two rounds of frames
LAST = 2.0  # seconds in which the last frames arrive
# An id is the sender's place and the frame's number; those of `tests.world.frames` are smaller.
PLACE, NUMBER = 20, (1 << 20) - 1


class Chatter:
    """Two programs of each member: one that sends, and one that counts what it hears."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._speakers = [raw_socket(member) for member in members]
        self._listeners = {opened.fileno(): opened for opened in map(raw_socket, members)}
        self._heard = {descriptor: Counter[tuple[int, int]]() for descriptor in self._listeners}
        self._poll = select.poll()
        for descriptor in self._listeners:
            self._poll.register(descriptor, select.POLLIN)
        self._sent = 0

    def send(self) -> None:
        """A frame of each member."""
        for sender, speaker in enumerate(self._speakers):
            speaker.send(_frame(sender, self._sent))
        self._sent += 1

    def listen(self, seconds: float) -> None:
        """Count what arrives within this time."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            for descriptor, _event in self._poll.poll(left * 1000):
                with suppress(BlockingIOError):
                    while True:
                        data = self._listeners[descriptor].recv(CANFD_MTU)
                        id = struct.unpack_from("=I", data)[0] & ~EFF
                        self._heard[descriptor][(id >> PLACE) - 1, id & NUMBER] += 1

    def report(self) -> dict[str, object]:
        """What was sent, and what is wrong with what was heard."""
        told: dict[str, object] = {"sent": self._sent}
        for receiver, found in zip(self._members, self._heard.values(), strict=True):
            for sender, member in enumerate(self._members):
                counts = [found[sender, number] for number in range(self._sent)]
                missing, more = counts.count(0), sum(count > 1 for count in counts)
                if missing or more:
                    told[f"{member} -> {receiver}"] = {"missing": missing, "more": more}
        return told


def _frame(sender: int, number: int) -> bytes:
    id = EFF | (sender + 1) << PLACE | number
    if number % 2:
        return struct.pack("=IBBBB64x", id, 64, BRS | FDF, 0, 0)
    return struct.pack("=IBBBB8x", id, 8, 0, 0, 0)


def main(stop: Path, members: Sequence[Member]) -> None:
    """Talk until the file is there."""
    chatter = Chatter(members)
    print("talking", file=sys.stderr, flush=True)  # noqa: T201
    while not stop.exists():
        chatter.send()
        chatter.listen(PAUSE)
    chatter.listen(LAST)
    json.dump(chatter.report(), sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [*map(Member.parse, sys.argv[2:])])
