"""What a recording tells of its buses: findings, as those of the machine. Pure.

Rules:

- A failure is what cannot work on a real bus: an id that two senders use.
- What the recording lacks, and what an adapter reported, is a warning: what there is can be used.
- A check has a finding also if that is all right. Where no sender is known, nothing is said of
  conflicts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from canwharf.frames.frame import Frame
from canwharf.frames.lines import id_text
from canwharf.frames.statistics import MOST, Statistics
from canwharf.frames.words import error_classes, is_overflow
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding

_SHOWN = 20  # ids with two senders


class Facts:
    """What was seen in all of its frames."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self.statistics = Statistics()
        self.count = 0
        self.first = self.last = 0  # nanoseconds
        self.backward = 0  # times that a frame is older than the one before
        self.overflows: Counter[str] = Counter()  # error frames by bus
        self.errors: dict[str, Counter[str]] = defaultdict(Counter)  # classes by bus
        for frame in frames:
            self._take(frame)

    @property
    def senders(self) -> set[str]:
        """All of them; the empty one is that of frames that have none."""
        return {row.sender for row in self.statistics.rows.values()}

    def _take(self, frame: Frame) -> None:
        self.statistics.take((frame,))
        self.backward += self.count > 0 and frame.time < self.last
        self.first = self.first if self.count else frame.time
        self.last = frame.time
        self.count += 1
        if frame.error:
            self.errors[frame.bus].update(error_classes(frame.id))
            self.overflows[frame.bus] += is_overflow(frame)


def examine(facts: Facts, cut: str) -> list[tuple[str, Finding]]:
    """All findings, each with the name of its check; `cut` is what is wrong with the end."""
    return [
        *(("frames", each) for each in _frames(facts, cut)),
        *(("senders", each) for each in _senders(facts)),
        *(("ids", each) for each in _ids(facts)),
        *(("errors", each) for each in _errors(facts)),
        *(("times", each) for each in _times(facts)),
    ]


def _frames(facts: Facts, cut: str) -> Iterator[Finding]:
    if cut:
        yield Finding(WARN, f"{cut}: there were more frames than these")
    buses = ", ".join(sorted({row.bus for row in facts.statistics.rows.values()} - {""}))
    where = f" on {buses}" if buses else ""
    seconds = max(0, facts.last - facts.first) / 1e9
    if facts.count:
        yield Finding(OK, f"{_count(facts.count)} in {seconds:.1f} s{where}")
    elif not cut:
        yield Finding(WARN, "there is no frame in it")


def _senders(facts: Facts) -> Iterator[Finding]:
    known = facts.senders - {""}
    if known:
        yield Finding(OK, f"the senders are {', '.join(sorted(known))}")
    if "" in facts.senders:
        what = "it does not say who sent " + ("all of them" if known else "them")
        yield Finding(WARN, f"{what}: play it with --nodes or --map")


def _ids(facts: Facts) -> Iterator[Finding]:
    by_id: dict[tuple[str, int], list[str]] = defaultdict(list)
    for row in facts.statistics.rows.values():
        if row.sender and facts.statistics.others(row):
            by_id[row.bus, row.can_id].append(f"{row.sender} ({_count(row.count)})")
    conflicts = {key: senders for key, senders in by_id.items() if len(senders) > 1}
    for (bus, can_id), senders in sorted(conflicts.items())[:_SHOWN]:
        yield Finding(
            FAILURE,
            f"{bus}: {' and '.join(senders)} send {id_text(can_id)}: on a real bus each id must "
            "have one sender, as two destroy each other's frames",
        )
    if (more := len(conflicts) - _SHOWN) > 0:
        yield Finding(FAILURE, f"so it is with {more} other ids")
    if facts.statistics.left_out:
        what = f"only the first {MOST} pairs of an id and a sender were compared"
        yield Finding(WARN, f"{what}: {_count(facts.statistics.left_out)} had others")
    elif not conflicts and facts.senders - {""}:
        yield Finding(OK, "each id has one sender")


def _errors(facts: Facts) -> Iterator[Finding]:
    for bus, count in facts.overflows.items():
        if count:
            yield Finding(
                WARN, f"{bus}: {_count(count, 'time')} the adapter reported that it lost frames"
            )
    for bus, classes in sorted(facts.errors.items()):
        told = ", ".join(f"{name} ({count})" for name, count in classes.most_common())
        number = _count(facts.statistics.error_frames(bus), "error frame")
        yield Finding(WARN, f"{bus}: {number}: {told}")
    if facts.count and not facts.errors:
        yield Finding(OK, "no error frames")


def _times(facts: Facts) -> Iterator[Finding]:
    if facts.backward:
        what = f"{_count(facts.backward, 'time')} a frame is older than the one before"
        yield Finding(WARN, f"{what}: the clock was set back, or files were joined")
    elif facts.count:
        yield Finding(OK, "the times are in order")


def _count(number: int, what: str = "frame") -> str:
    return f"{number} {what}" + "s" * (number != 1)
