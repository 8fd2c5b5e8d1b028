"""The frame counters of ports, from the gateway's counters of rules. Pure.

Theory of operation. A rule counts the frames that it forwarded from one port to another. What a
port received is the sum of all rules to it, without its own frames, which the filters of a linear
bus end there. What it sent was forwarded once by each of its rules (to each of the others, or to
the hub), so it is the largest count of the rules from it: other ports may have joined later.

Rules:

- Counts never decrease. A rule's counter goes with its interfaces, so the increases from one dump
  to the next are added up; what a rule forwarded between the last dump and its deletion is not
  counted.
- The kernel counts in 32 bits. A busy bus fills these in days, so a counter that went back from its
  upper half has wrapped around; one that went back otherwise belongs to a new rule.
"""

from __future__ import annotations

from collections import Counter

from canwharf.kernel.firewall import Firewall
from canwharf.kernel.gateway import Entry, Rule
from canwharf.kernel.traffic_control import Marks
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ROUND = 1 << 32


class Count(NamedTuple):
    """Frames from a port to the others, from the others to it, and lost on the way to it."""

    sent: int = 0
    received: int = 0
    dropped: int = 0

    def plus(self, more: Count) -> Count:
        """The sums of both."""
        return Count(
            self.sent + more.sent, self.received + more.received, self.dropped + more.dropped
        )


class Traffic:
    """The counts of ports by interface index; the first dump counts in full."""

    def __init__(self) -> None:
        self.counts: Mapping[int, Count] = {}
        self._seen: dict[Rule, tuple[int, int]] = {}  # handled, dropped
        self._ended: Mapping[int, int] = {}  # a container's own frames, by its port
        self._kept: Mapping[int, int] = {}  # those that it may not receive

    def update(
        self,
        entries: Iterable[Entry],
        marks: Mapping[int, Marks] = {},
        firewalls: Mapping[int, Firewall] = {},
    ) -> None:
        """Add the increases since the last dump: those of rules, but for what filters ended."""
        now: dict[Rule, tuple[int, int]] = {}
        for entry in entries:
            if entry.plain:
                old = now.get(entry.rule, (0, 0))
                now[entry.rule] = old[0] + entry.handled, old[1] + entry.dropped
        sent: dict[int, Counter[int]] = {}  # source -> destination -> frames
        received: Counter[int] = Counter()
        lost: Counter[int] = Counter()
        for rule, counted in now.items():  # a bus of 100 has 30000
            source, destination = rule.source, rule.destination
            before = self._seen.get(rule, (0, 0))
            grown = _grown(before[0], counted[0])
            to = sent.get(source) or sent.setdefault(source, Counter())
            to[destination] += grown
            received[destination] += grown
            if counted[1] != before[1]:
                lost[destination] += _grown(before[1], counted[1])
        for before_now in (
            (self._ended, ended := {port: each.ended for port, each in marks.items()}),
            (self._kept, kept := {port: each.receive.ended for port, each in firewalls.items()}),
        ):
            for port, number in before_now[1].items():
                received[port] -= _grown(before_now[0].get(port, 0), number)
        most = {source: max(to.values()) for source, to in sent.items()}
        self.counts = {
            port: self.counts.get(port, Count()).plus(
                Count(most.get(port, 0), max(0, received[port]), lost[port])
            )
            for port in most.keys() | received.keys()
        }
        self._seen, self._ended, self._kept = now, ended, kept


def _grown(before: int, now: int) -> int:
    """The increase of a counter."""
    if now >= before:
        return now - before
    return now - before + _ROUND if before >= _ROUND // 2 else now
