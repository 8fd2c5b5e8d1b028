"""Two buses of two containers each, where a test file has no `busy` of its own."""

from __future__ import annotations

from tests.unit.bus.two_buses import busy

__all__ = ["busy"]
