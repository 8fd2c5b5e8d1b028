"""How long a bridge lets frames gather for one message. Pure.

A message costs the same whether it has one frame or many, at each host that hears it. And each
message may have to wait for a host that is frozen.

Rules:

- A frame that comes alone is sent at once, and the answer to it is not held up.
- Under load, which is several frames at once or one within LOAD after another one, frames gather
  for PACE.
- So there are fewer than 1,000 messages a second, however many frames there are in them.
"""

from __future__ import annotations

LOAD, PACE = 0.001, 0.002  # seconds


class Gathering:
    """The frames of all buses that one thread sends. Times are in seconds, of a steady clock."""

    def __init__(self) -> None:
        self._sent = float("-inf")

    def after(self, frames: int, now: float) -> float:
        """How long to wait for more, when so many frames were sent now."""
        if not frames:
            return 0.0
        loaded = frames > 1 or now - self._sent < LOAD
        self._sent = now
        return PACE if loaded else 0.0
