"""How much each sender sends now, in frames a second and in percent of the bus. Pure.

Theory of operation. Counts only grow. A look compares them with those of the last one.
"""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.frames.bits import Bits, load
from canwharf.record import NamedTuple

Key = tuple[str, str]  # bus, sender
Sums = Mapping[Key, tuple[int, Bits]]  # frames, bits


class Rate(NamedTuple):
    """Frames a second, and the bits a second at the bit rate and at the data bit rate."""

    frames: float = 0.0
    bits: Bits = (0.0, 0.0)

    def __add__(self, other: object) -> Rate:
        """The sum of two; it is no concatenation."""
        assert isinstance(other, Rate)
        bits = self.bits[0] + other.bits[0], self.bits[1] + other.bits[1]
        return Rate(self.frames + other.frames, bits)

    def load(self, bitrate: int, dbitrate: int) -> float | None:
        """Percent of a bus with these rates in bit/s; None if it has no limit."""
        return load(self.bits, 1.0, bitrate, dbitrate) if bitrate else None


class Meter:
    """Remembers the last look."""

    def __init__(self) -> None:
        self._before: Sums = {}
        self._at: float | None = None

    def rates(self, sums: Sums, now: float) -> dict[Key, Rate]:
        """The rates since the last look, at `now` in seconds; none at the first one."""
        before, since = self._before, self._at
        self._before, self._at = sums, now
        if since is None or now <= since:
            return {}
        passed = now - since
        found = {}
        for key, (frames, bits) in sums.items():
            old, old_bits = before.get(key, (0, (0.0, 0.0)))
            grown = (bits[0] - old_bits[0]) / passed, (bits[1] - old_bits[1]) / passed
            found[key] = Rate((frames - old) / passed, grown)
        return found
