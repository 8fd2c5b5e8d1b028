"""Whether this host's adapter hangs on one wire with that of another host. Pure.

Theory of operation. Such two buses are connected already. A span between them makes each frame go
round without end: what one host puts on the wire, the other one hears there, and sends back as new.
Old frames would fill a real wire, and no frame says that it is one of them.

What shows it is that both adapters hear the same frames. Two wires do not: on one bus, which a span
makes of them, an id has one sender. An adapter does not hear what its own host puts on its wire. So
a node that answers each frame with the same one is heard by one adapter only, and is no reason.

Rules:

- A frame of another host's wire is the same if this host's adapter heard it within NEAR.
- Only if most of WINDOW frames are the same, in WINDOWS windows one after another, it is one wire.
- One of the two hosts keeps apart then, and the other one goes on for all: it is the one whose name
  comes later. The other one does so, too, if that has not helped after PATIENCE: then the later one
  cannot know (it has an older canwharf), or cannot keep up.
- What goes round on one wire of two other hosts may have come from this host's own wire. But then
  its adapter heard less than they tell, and half of NEAR is enough for them to end it. If they do
  not, it is this host that puts it onto the wire of one that only listens.
- A host that was silent for PATIENCE is counted anew: it kept apart, and has been restarted.
- Only frames that a wire sent are looked at: where there is no adapter, this costs nothing.
"""

from __future__ import annotations

from canwharf.frames.frame import WIRE

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from canwharf.frames.frame import Frame

NEAR = 1_000_000_000  # nanoseconds
WINDOW = 64  # frames
SAME = 48  # of these
WINDOWS = 3
PATIENCE = 3_000_000_000  # nanoseconds
MOST = 16_384  # frames that are kept: more than a full CAN FD wire has in NEAR

ONE_WIRE = (
    "the adapter and that of {host} hang on one wire: each frame would go round without end. It is "
    "kept apart from the span until this is restarted; give one of the two buses no can.span"
)

_Content: TypeAlias = "tuple[int, bytes, int | None]"


class _Tally:
    """The frames of one other host's wire, in windows that were the same one after another."""

    def __init__(self, now: int, heard: int) -> None:
        """`heard`: how many frames this host's adapter had heard until then."""
        self.since, self.heard = now, heard
        self.last = now
        self.seen = self.same = 0  # in this window
        self.windows = 0


class Wires:
    """What the adapter of the host of this name hears. All times are uptimes, in nanoseconds.

    `apart` is the host from which this one keeps apart; empty: none.
    """

    def __init__(self, host: str = "") -> None:
        self.apart = ""
        self._host = host
        self._total = 0  # frames that were heard
        self._heard: dict[_Content, int] = {}  # the oldest first
        self._tallies: dict[str, _Tally] = {}

    def own(self, frames: Iterable[Frame], now: int) -> None:
        """These came to this host's bus."""
        heard = self._heard
        for frame in frames:
            if frame.sender == WIRE:
                content = frame.can_id, frame.data, frame.fd
                self._total += 1
                heard.pop(content, None)
                heard[content] = now
        while len(heard) > MOST:
            del heard[next(iter(heard))]

    def other(self, host: str, frames: Iterable[Frame], now: int) -> bool:
        """These came from another host; true: this one has to keep apart from it, from now on."""
        if self.apart or not self._heard:
            return False
        wire = f"{host}/{WIRE}"
        for frame in frames:
            if frame.sender == wire:
                at = self._heard.get((frame.can_id, frame.data, frame.fd))
                if self._count(host, at is not None and now - at <= NEAR, now):
                    self.apart = host
        return bool(self.apart)

    def _count(self, host: str, same: bool, now: int) -> bool:
        tally = self._tallies.get(host)
        if tally is None or now - tally.last > PATIENCE:
            tally = self._tallies[host] = _Tally(now, self._total)
        tally.last = now
        tally.seen += 1
        tally.same += same
        if tally.seen < WINDOW:
            return False
        if tally.same < SAME:
            del self._tallies[host]
            return False
        tally.windows += 1
        tally.seen = tally.same = 0
        few = self._total - tally.heard < tally.windows * SAME
        waits = NEAR // 2 if few else PATIENCE if self._is_earlier(now) else 0
        return tally.windows >= WINDOWS and now - tally.since >= waits

    def _is_earlier(self, now: int) -> bool:
        """Whether a host with a later name seems to hang on this wire, too."""
        return any(
            self._host < host and each.windows and now - each.last <= 2 * NEAR
            for host, each in self._tallies.items()
        )
