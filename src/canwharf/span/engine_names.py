"""What Docker calls containers, where this process may ask it.

It is asked in a thread, as it may be slow. A sender without a name is `endpoint` and the digits of
its id.
"""

from __future__ import annotations

from threading import Thread

from canwharf.bus.report import Names
from canwharf.docker import names


class EngineNames:
    """The names of a driver's containers."""

    def __init__(self, driver: str) -> None:
        self._driver = driver
        self._told: Names | None = None
        self._asking = False

    def __call__(self) -> Names | None:
        """What it told the last time; it is asked again for the next time."""
        if not self._asking:
            self._asking = True
            Thread(target=self._ask, daemon=True).start()
        return self._told

    def _ask(self) -> None:
        self._told = names.ask(self._driver) or self._told
        self._asking = False
