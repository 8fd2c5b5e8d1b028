"""What a bridge knows of the other hosts, and what it tells of its own: to them, and to programs.

Rules:

- Once a second (`look`) this host's report is made anew: of what it hears, and of its interface.
- A host of which frames were too old is asked at once: maybe its machine was paused.
- A host counts as one that has this host's name for TWIN after the last message of it.
"""

from __future__ import annotations

from collections.abc import Collection

from canwharf import __version__
from canwharf.bus.report import is_virtual
from canwharf.kernel import link
from canwharf.kernel.request import Requests
from canwharf.span import message
from canwharf.span.asking import Asking
from canwharf.span.bridge import Bridge, uptime
from canwharf.span.report import HOSTS, Heard, Report
from canwharf.span.session import Session
from canwharf.span.state import Host, State, Told

TWIN = 10_000_000_000  # nanoseconds


class Outlook:
    """That of one bridge, whose host has this name and certificate (its end, as in a report)."""

    def __init__(
        self, session: Session, bridge: Bridge, requests: Requests, host: str, end: int | None
    ) -> None:
        """Raises SpanError."""
        self._bridge, self._requests = bridge, requests
        self._host, self._end = host, end
        self._asking = Asking(session, bridge.span.name)
        self._linked: Collection[str] = ()
        self._stale = 0  # frames
        self._report = Report(__version__, message.VERSION, certificate=end)

    def look(self, linked: Collection[str], twin: int | None) -> None:
        """Make the report anew, and ask the others if it is time. Raises CanwharfError.

        `twin` is our uptime when another host had our name.
        """
        self._linked = linked
        self._report = Report(
            __version__,
            message.VERSION,
            *_interface(self._requests, self._bridge.interface),
            certificate=self._end,
            twin=twin is not None and uptime() - twin < TWIN,
            apart=self._bridge.wires.apart,
        )
        hears = {
            name: Heard(each.received, each.lost, each.stale, each.silence)
            for name, each in self._bridge.known().items()
            if each.silence is not None
        }
        self._asking.tell(self._report._replace(hears=hears))
        if (stale := self._bridge.counts["stale"]) != self._stale:
            self._stale = stale
            self._asking.ask_soon()
        self._asking.look()

    def appeared(self, host: str, there: bool) -> None:
        """A host came, and is asked at the next look; or it is gone, with what it told."""
        if there:
            self._asking.ask_soon()
        else:
            self._asking.forget(host)

    def read(self) -> None:
        """Take what hosts answered."""
        for host in self._asking.read():
            answer = self._asking.answers[host]
            self._bridge.answered(host, answer.at - answer.round_trip - answer.report.uptime)

    def state(self) -> State:
        """What a local program is told."""
        known, answers = self._bridge.known(), self._asking.answers
        names = {*known, *answers, *self._linked} - {self._host}
        hosts = {name: self._of(name, known.get(name, Host())) for name in sorted(names)[:HOSTS]}
        span, interface = self._bridge.span.name, self._bridge.interface
        own = self._report._replace(clock=self._asking.clock(), uptime=uptime())
        return State(self._host, span, interface, own, dict(self._bridge.counts), hosts)

    def _of(self, name: str, host: Host) -> Host:
        """What is known of it, with what it told."""
        host = host._replace(linked=name in self._linked)
        if (answer := self._asking.answers.get(name)) is None:
            return host
        hears = {each: heard for each, heard in answer.report.hears.items() if each == self._host}
        report = answer.report._replace(hears=hears)
        age = uptime() - answer.at
        return host._replace(told=Told(answer.round_trip, answer.difference, age, report))


def _interface(requests: Requests, name: str) -> tuple[str, int, int, bool]:
    """Its kind, bit rates, and whether it takes CAN FD frames. Raises KernelError."""
    for answer in requests.batch([link.get(name)]):
        found = link.parse(answer)
        kind = "virtual" if is_virtual(found) else "adapter"
        controller = found.controller
        rates = (controller.bitrate, controller.dbitrate) if controller else (0, 0)
        return kind, *rates, found.fd
    return "", 0, 0, False
