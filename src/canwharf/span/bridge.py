"""The bridge between one bus of this host and those of the other hosts of its span.

Theory of operation. Frames are read where they enter the bus, as for `canwharf dump`: each once,
with its sender. Frames from other hosts are sent at the bus's interface, by the very socket that
reads there. The kernel gives a socket nothing of what it sent itself, and gives it to everybody
else once: so nothing goes round in a circle, without any rule of ours.

Rules:

- Each host's frames are put on the bus in its order, as far as the bus takes them. An adapter that
  is busy gets them in the order of arbitration.
- No frame is put on the bus that is older than `max_age`, or twice.
- How old a frame is at its own host is by the clock, with which the kernel stamps it. If that was
  set, the frame is no older than the last look that left nothing to read.
- Error frames are an adapter's reports, and are not sent to other hosts.
- What is lost, too old or refused is counted, and said once a second at most; if there is much to
  say, once a minute.
- A bus whose adapter hangs on one wire with that of another host keeps apart (`wires`): it neither
  sends nor takes frames, but goes on telling what it sees.
- What this process did not read in time has no number, so only this host can count it.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence

from canwharf.bus.naming import Span
from canwharf.errors import KernelError, SpanError
from canwharf.frames.batch import Batch
from canwharf.frames.capture import Capture
from canwharf.frames.frame import Frame
from canwharf.frames.sockets import Listener
from canwharf.kernel import uapi
from canwharf.span import message
from canwharf.span.arbitration import Waiting
from canwharf.span.followers import Followers
from canwharf.span.freshness import Freshness, Skew
from canwharf.span.message import Message
from canwharf.span.pace import Pace
from canwharf.span.recovery import ASK, Recovery
from canwharf.span.report import HOSTS
from canwharf.span.sequence import Sequence as Numbers
from canwharf.span.state import Host
from canwharf.span.wires import ONE_WIRE, Wires

_MANY = 4  # frames; from here on, one system call for all of them is cheaper
FEW = 1000  # frames; a look that has fewer has left nothing in a socket
BEAT = 1_000_000_000  # nanoseconds without a frame until the other hosts are told the number
_TEND = 50_000_000  # nanoseconds between two looks at what is due seldom
_TELL = 1_000_000_000  # nanoseconds between two lines about one host
_MS = 1_000_000
_FOR_EVER = 1 << 62  # nanoseconds
_SLOW = (
    "{overrun} frames were not read in time, and may be missing at other hosts: a larger "
    "net.core.rmem_max gives {interface} more room"
)
_FULL = "of frames from other hosts, {expired} waited too long for {interface}, {shed} had no room"

Say = Callable[[str], None]


def uptime() -> int:
    """Nanoseconds since the boot, suspended or not: the clock of all ages."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class _Host:
    """What is known of another host."""

    def __init__(self) -> None:
        self.numbers = Numbers()
        self.freshness = Freshness()
        self.skew = Skew()
        self.heard = 0  # uptime
        self.framed: int | None = None  # uptime when its last frame came
        self.stale = 0  # frames
        self.silence = 0  # the longest time without a message that is not told yet, nanoseconds
        self.untold: Counter[str] = Counter()
        self.told = 0  # uptime
        self.pace = Pace()

    @property
    def last(self) -> tuple[int, int]:
        """Our uptime when it was heard last, and its epoch."""
        return self.heard, self.numbers.epoch or 0


class Bridge:
    """A bus and its span. `counts` are of frames: sent, received, lost, stale, and so on."""

    def __init__(
        self,
        interface: str,
        span: Span,
        capture: Capture,
        send: Callable[[bytes], None],
        say: Say,
    ) -> None:
        self.interface, self.span = interface, span
        self.capture = capture
        self.counts: Counter[str] = Counter()
        self.hosts: dict[str, _Host] = {}
        self.present: set[str] = set()  # the hosts whose token is seen
        self.waiting = Waiting()
        self.followers: Followers | None = None  # programs of this host that are told the frames
        self.recovery: Recovery | None = None  # of what was lost, for these
        self.wires = Wires()
        self.looked = uptime()  # when the last look began that left nothing
        self._batch = Batch()
        self._send = send
        self._say = say
        self._epoch = secrets.randbits(64)
        self._next = 0  # the number of the next frame
        self._published = 0  # uptime
        self._faults: set[str] = set()  # that were said
        self._tended = self._looked = 0  # uptimes
        self._paces = {_SLOW: Pace(), _FULL: Pace()}
        self._said: dict[str, tuple[int, ...]] = {}

    @property
    def busy(self) -> bool:
        """Whether something waits to go on, in a moment."""
        return bool(self.waiting) or bool(self.recovery and self.recovery.busy)

    def outward(self, looked: int | None = None) -> int:
        """Send the other hosts what came to the bus; how many frames that were.

        `looked`: our uptime when it was seen that something came. Raises CanwharfError.
        """
        read = self._dated(self.capture.read(0))
        if looked is not None and len(read) < FEW:
            self.looked = looked
        error = uapi.CAN_ERR_FLAG
        frames = [each for each in read if not each.can_id & error]
        self.wires.own(frames, uptime())
        for first in range(0, 0 if self.wires.apart else len(frames), message.MOST):
            self._publish(frames[first : first + message.MOST])
        if self.followers:
            self.followers.own(frames)
        return len(frames)

    def _dated(self, frames: list[Frame]) -> list[Frame]:
        """Frames, in their order; those from before the clock was set have a time of after it."""
        clock = time.time_ns()
        oldest = clock - (uptime() - self.looked)
        if not frames or frames[0].time >= oldest:
            return frames
        return [each if each.time >= oldest else each._replace(time=oldest) for each in frames]

    def inward(self, host: str, payload: bytes, received: int) -> None:
        """Put on the bus what another host sent; `received` is our uptime when it came."""
        try:
            told = message.decode(payload, self.span.name, host)
        except SpanError as error:
            self._unreadable(host, error)
            return
        other = self.hosts.get(host) or self._new(host)
        if other is None:
            return
        old, lost = other.numbers.take(told.epoch, told.sequence, len(told.frames))
        if told.epoch != other.numbers.epoch:
            self.counts["foreign"] += 1
            self._once(f"there are two hosts of the name {host}: one of them is not heard")
            return
        now = uptime()
        if lost:
            other.silence = max(other.silence, now - other.heard)
        delay = other.freshness.delay(told.epoch, told.uptime, received) + now - received
        stale = self._take(host, told, old, now - delay, now)
        if self.followers:
            if lost:
                self.followers.lost(host, lost)
                if self.recovery and self.followers.recovering:
                    first = told.sequence - lost
                    self.recovery.missed(host, told.epoch, first, told.sequence)
            behind = other.skew.take(told.uptime, told.clock) + other.freshness.least
            self.followers.other(host, behind, told.frames[old:], stale)
        other.heard = now
        if told.frames:
            other.framed = now
        if lost or old or stale:  # which is seldom
            self._count(other, {"lost": lost, "repeated": old, "stale": stale})
            self._tell(host, other, now)

    def _new(self, host: str) -> _Host | None:
        """One that was not heard before; None: there are too many."""
        if len(self.hosts) >= HOSTS:
            self.counts["unreadable"] += 1
            self._once(f"more than {HOSTS} hosts: {host} and others are not heard")
            return None
        self.hosts[host] = _Host()
        return self.hosts[host]

    def aside(self, host: str, topic: str, payload: bytes) -> None:
        """Take what another host said beside its live frames."""
        other = self.hosts.get(host)
        if self.recovery is None:
            return
        try:
            if topic == ASK:
                self.recovery.asked(host, payload, self._epoch, uptime())
            elif other and self.followers:
                told = message.decode(payload, self.span.name, host)
                frames = [told.frames[place] for place in self.recovery.came(host, told)]
                if frames:
                    behind = other.skew.of(told.uptime, told.clock) + other.freshness.least
                    self.followers.recovered(host, behind, frames)
        except SpanError as error:
            self._unreadable(host, error)

    def flush(self) -> None:
        """Put on the bus what waits for an adapter."""
        while frame := self.waiting.first(uptime()):
            if not self._put(frame, self.capture.listener(self.interface)):
                break
            self.waiting.pop()

    def beat(self) -> None:
        """Tell the other hosts our number if nothing was sent for a while; say what is untold."""
        now = uptime()
        if now - self._published >= BEAT:
            self._publish(())
        if now - self._tended >= _TEND or self._is_urgent():
            self._tended = now
            self._tend(now)

    def _is_urgent(self) -> bool:
        """Whether an answer goes on, or a program began to record: other hosts are to know."""
        recovery, followers = self.recovery, self.followers
        if recovery is None or followers is None:
            return False
        return recovery.busy or (followers.recovering and not recovery.announced)

    def _tend(self, now: int) -> None:
        if self.followers:
            self.followers.beat()
        if self.recovery:
            self._recover(self.recovery, now)
        if now - self._looked >= _TELL:
            self._looked = now
            self._look(now)
        for host, other in self.hosts.items():
            self._tell(host, other, now)

    def _recover(self, recovery: Recovery, now: int) -> None:
        """Ask and answer for what was lost; say what comes no more."""
        wanted = bool(self.followers and self.followers.recovering)
        recovery.work(now, lambda host: self.hosts[host].last, wanted=wanted)
        for host, number in recovery.given_up().items():
            self.counts["unrecovered"] += number
            self.hosts[host].untold["unrecovered"] += number

    def appear(self, host: str, there: bool) -> None:
        """Its token of presence came, or went."""
        if not there:
            self.present.discard(host)
        elif len(self.present) < HOSTS:
            self.present.add(host)
        if self.followers is not None:
            self.followers.appear(host, there=host in self.present)

    def known(self) -> dict[str, Host]:
        """What is known of the other hosts, HOSTS of them at most."""
        names = [*self.hosts, *sorted(self.present - self.hosts.keys())][:HOSTS]
        now = uptime()
        return {name: self._known(name, now) for name in names}

    def _known(self, name: str, now: int) -> Host:
        there = name in self.present
        if (other := self.hosts.get(name)) is None:
            return Host(there)
        numbers = other.numbers
        return Host(
            there,
            received=numbers.taken,
            lost=numbers.lost,
            repeated=numbers.repeated,
            stale=other.stale,
            foreign=numbers.foreign,
            age=None if other.framed is None else now - other.framed,
            silence=now - other.heard if other.heard else None,
        )

    def answered(self, host: str, least: int) -> None:
        """Our uptime less that of this host is so much or more, as its answer proves."""
        if other := self.hosts.get(host):
            other.freshness.measured(least, uptime())

    def crowded(self, host: str, messages: int) -> None:
        """So many messages of this host found no room in this process."""
        self.counts["crowded"] += messages
        self._once(f"{host} sends more than this host can take: some of it is lost")

    def _look(self, now: int) -> None:
        """Count what the kernel lost here, and what did not get onto the bus; say it."""
        counts = self.counts
        counts["overrun"] = sum(self.capture.losses.values())
        counts["expired"], counts["shed"] = self.waiting.stale, self.waiting.shed
        for words, names in ((_SLOW, ("overrun",)), (_FULL, ("expired", "shed"))):
            before = self._said.get(words, (0,) * len(names))
            numbers = tuple(counts[each] for each in names)
            if numbers == before or not self._paces[words].allows(now):
                continue
            self._paces[words].spend(now)
            self._said[words] = numbers
            more = [number - old for number, old in zip(numbers, before, strict=True)]
            told = dict(zip(names, more, strict=True))
            self._say(words.format(interface=self.interface, **told))

    def _publish(self, frames: Sequence[Frame]) -> None:
        self._published = uptime()
        told = Message(self._epoch, self._next, time.time_ns(), self._published, frames)
        self._next += len(frames)
        try:
            payload = message.encode(told)
            if self.recovery and frames:
                self.recovery.sent(told, payload)
            self._send(payload)
        except SpanError as error:
            self.counts["unsent"] += len(frames)
            self._once(str(error))
        self.counts["sent"] += len(frames)
        self.counts["messages"] += bool(frames)

    def _take(self, host: str, told: Message, old: int, sent: int, now: int) -> int:
        """Put the new frames on the bus; how many are too old. `sent` is when, by our uptime."""
        limit = self.span.max_age * _MS or _FOR_EVER
        new, left = told.frames[old:], sent + limit - now  # that a frame may have waited there
        oldest = told.clock - left
        fresh = [each for each in new if each[0] >= oldest] if left >= 0 else []
        if self.wires.other(host, new, now):
            self._once(ONE_WIRE.format(host=host))
        listener = self.capture.listener(self.interface)
        place = 0
        if listener and len(fresh) >= _MANY and not (self.waiting or self.wires.apart):
            place = listener.send_many(self._batch, fresh)
            self.counts["received"] += place
        for frame in fresh[place:]:
            if self.waiting or not self._put(frame, listener):
                self.waiting.put(frame, sent - max(0, told.clock - frame.time) + limit)
        return len(new) - len(fresh)

    def _put(self, frame: Frame, listener: Listener | None) -> bool:
        """Send a frame on the bus; false: it has no room now. What it refuses is done with."""
        if self.wires.apart:
            self.counts["apart"] += 1
            return True
        if listener is None:
            self._once(f"there is no {self.interface} now: frames from other hosts are left out")
        try:
            if listener and not listener.send(frame):
                self.counts["full"] += 1
                return False
        except KernelError as error:
            self._once(str(error))
            listener = None
        self.counts["received" if listener else "refused"] += 1
        return True

    def _count(self, other: _Host, numbers: dict[str, int]) -> None:
        other.stale += numbers["stale"]
        for name, number in numbers.items():
            if number:  # which it seldom is, and a message is small
                self.counts[name] += number
                other.untold[name] += number

    def _tell(self, host: str, other: _Host, now: int) -> None:
        """Say what was lost of a host, at most once a second."""
        if not other.untold or now - other.told < _TELL:
            return
        lost, stale, given_up = (other.untold[name] for name in ("lost", "stale", "unrecovered"))
        if not (lost or stale or given_up) or not other.pace.allows(now):
            return
        other.pace.spend(now)
        words = [f"{lost} frames were lost"] if lost else []
        words += [f"{stale} came too late"] if stale else []
        words += [f"{given_up} lost frames cannot be recovered for recordings"] * bool(given_up)
        gap = f", in a gap of {other.silence / 1e9:.1f} s" if lost else ""
        self._say(f"of {host}, {' and '.join(words)}{gap}")
        other.untold.clear()
        other.silence, other.told = 0, now

    def _unreadable(self, host: str, error: SpanError) -> None:
        self.counts["unreadable"] += 1
        self._once(f"{host} sends {error}", f"what {host} sends")

    def _once(self, words: str, about: str = "") -> None:
        """Say it, and not again; nor anything else `about` the same, where others choose words."""
        about = about or words
        if about not in self._faults and len(self._faults) < HOSTS:
            self._faults.add(about)
            self._say(words)
