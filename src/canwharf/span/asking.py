"""What the other hosts of a span tell of themselves: each is asked, and this one answers.

Theory of operation. Every EVERY seconds one query goes to all hosts. Each answers in a thread of
zenoh's with what its service said last, and its clock and uptime at that moment. The round trip is
timed by this host's uptime, and the other clock is compared with this one's in the middle of it: so
the difference is exact to half a round trip.

Rules:

- To ask and to answer wait for nothing: frames go on meanwhile.
- Of each question a host has one answer, of limited size; the rest of them are left out.
- Answers are read a few at a time, beside the frames. One that is not of its form is as none.
- An answer that is KEPT old says nothing any more, nor does one of a host that is gone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from canwharf.errors import SpanError
from canwharf.record import NamedTuple
from canwharf.span import report
from canwharf.span.bridge import uptime
from canwharf.span.report import HOSTS, Report
from canwharf.span.session import Session

EVERY = 3_000_000_000  # nanoseconds
KEPT = 15_000_000_000  # nanoseconds
AT_ONCE = 4  # answers

Clock = Callable[[], int]  # nanoseconds


class Answer(NamedTuple):
    """A host's, `at` our uptime; the round trip, and how far its clock is before ours.

    All are in nanoseconds.
    """

    report: Report
    round_trip: int
    difference: int
    at: int


class _Came(NamedTuple):
    """An answer as it came: when it was asked for, when it came, and our clock then."""

    host: str
    payload: bytes
    asked: int
    at: int
    clock: int


class Asking:
    """The answers of the hosts of one span, by their names."""

    def __init__(
        self, session: Session, span: str, uptime: Clock = uptime, clock: Clock = time.time_ns
    ) -> None:
        """Answer, too. Raises SpanError."""
        self.answers: dict[str, Answer] = {}
        self._session, self._span = session, span
        self._uptime, self.clock = uptime, clock
        self._own = b""
        self._asked: int | None = None
        self._came: deque[_Came] = deque(maxlen=HOSTS)
        session.answer(span, self._answer)

    def tell(self, own: Report) -> None:
        """What this host answers from now on."""
        self._own = report.encode(own)

    def ask_soon(self) -> None:
        """At the next `look`: a host is new."""
        self._asked = None

    def forget(self, host: str) -> None:
        """It is gone: what it said of whom it hears is true no more."""
        self.answers.pop(host, None)

    def look(self) -> None:
        """Ask if it is due, and forget what is old. Raises SpanError."""
        now = self._uptime()
        if self._asked is None or now - self._asked >= EVERY:
            self._asked = now
            self._session.ask(self._span, self._taker())
        for host, each in list(self.answers.items()):
            if now - each.at > KEPT:
                del self.answers[host]

    def read(self) -> list[str]:
        """Read a few answers, if there are some; the hosts that gave them."""
        if not self._came:
            return []
        few = [self._came.popleft() for _answer in range(min(AT_ONCE, len(self._came)))]
        return [each.host for each in few if self._read(each)]

    def _answer(self) -> bytes | None:
        return report.answer(self._own, self.clock(), self._uptime()) if self._own else None

    def _taker(self) -> Callable[[str, bytes], None]:
        """What takes the answers to one question, in a thread of zenoh's."""
        asked = self._uptime()
        answered: set[str] = set()

        def take(host: str, payload: bytes) -> None:
            if host not in answered and len(answered) < HOSTS:
                answered.add(host)
                self._came.append(_Came(host, payload, asked, self._uptime(), self.clock()))

        return take

    def _read(self, came: _Came) -> bool:
        """Whether it is one."""
        try:
            told = report.decode(came.payload)
        except SpanError:
            self.answers.pop(came.host, None)
            return False
        if came.host not in self.answers and len(self.answers) >= HOSTS:
            return False
        round_trip = came.at - came.asked
        difference = told.clock - (came.clock - round_trip // 2)
        self.answers[came.host] = Answer(told, round_trip, difference, came.at)
        return True
