"""What Docker calls containers, as far as this process can know: from its helper, or from Docker.

Theory of operation. It is asked in a thread, as the answer may be slow; what it tells is for the
next question. The helper is `container_names`. Without one, Docker is asked, which a `canwharf
span` that root started may do. A sender without a name is `endpoint` and the digits of its id.

Rule: an answer costs a process. While answers bring nothing new, as for a container that Docker
does not know, the time between two questions doubles.
"""

from __future__ import annotations

from threading import Thread
from time import monotonic

from canwharf.bus.report import Names
from canwharf.docker import names
from canwharf.errors import SpanError
from canwharf.span import container_names

FIRST, LONGEST = 1.0, 30.0  # seconds between two questions


class EngineNames:
    """The names of a driver's containers. `helper` is the path of the helper's socket."""

    def __init__(self, driver: str, helper: str = "") -> None:
        self.fault = ""  # why the last question had no answer
        self._driver, self._helper = driver, helper
        self._told: Names | None = None
        self._asking = False
        self._pause = FIRST
        self._due = 0.0  # monotonic seconds

    def __call__(self) -> Names | None:
        """What it told the last time; it is asked again for the next time, if that is due."""
        now = monotonic()
        if not self._asking and now >= self._due:
            if now - self._due > LONGEST:  # another container's
                self._pause = FIRST
            self._asking = True
            Thread(target=self._ask, daemon=True).start()
        return self._told

    def _ask(self) -> None:
        try:
            answer = self._answer()
            self.fault = "" if answer else "Docker does not answer, or may not be asked"
        except (SpanError, OSError) as error:  # of the latter: no descriptor is free
            answer, self.fault = None, str(error)
        news = answer is not None and answer != self._told
        self._told = answer or self._told
        self._pause = FIRST if news else min(2 * self._pause, LONGEST)
        self._due = monotonic() + self._pause
        self._asking = False

    def _answer(self) -> Names | None:
        told = container_names.ask(self._helper) if self._helper else None
        return names.ask(self._driver) if told is None else Names({}, told)
