"""`canwharf filter --learn`: from what a container sends and hears to the options for it.

Rules:

- As `dump`, it works while the daemon is stopped; it neither calls nor starts it, and changes
  nothing.
- A container that starts again meanwhile stays the same, by its name: what it sends at a start is
  to be learnt, too.
- A signal ends it early, with what was learnt until then, and status 0.
- On a bus across hosts, what another host sends is heard, under its sender there; but not what was
  too late for the bus. A container's namesake on another host is another container.
- What makes the proposal incomplete is said: frames that were lost here or between the hosts, a
  policy in force.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from time import monotonic

from canwharf.bus import ids
from canwharf.bus.delivery import Member
from canwharf.bus.model import OPEN, UNKNOWN, Endpoint, Policy
from canwharf.bus.policy import NO_LIMIT
from canwharf.bus.report import BusReport
from canwharf.cli import duration, listening, paste
from canwharf.cli.listening import LOOK, say
from canwharf.cli.selection import Selection
from canwharf.errors import CanwharfError
from canwharf.frames.capture import Capture
from canwharf.frames.learned import Direction, Learned
from canwharf.kernel import ematch
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.status import Status

_TELL = 1.0  # seconds between two lines of progress
_ALL = "all"
_VERBS = {"send": "sent", "receive": "heard"}
_SHOWN = 20  # senders; with --json, all


def learn(
    which: Selection, status: Status, report: BusReport, member: Member, options: Mapping[str, str]
) -> int:
    """Listen as long as `--learn` says, and print what to paste. Raises CanwharfError."""
    length = duration.seconds("--learn", options["learn"])
    network = next(each for each in report.networks if each.id == member.network)
    policy = network.policy_of(member.endpoint) or UNKNOWN
    learned = Learned(ids.parse("can.receive", _known(policy.receive)))
    with listening.ending() as ended, listening.of_bus(which.instance, report.interface) as capture:
        told = _Listener(capture, member, learned)
        _warn(status.member(member), policy)
        while not ended and told.seconds < length:
            told.take(min(LOOK, length - told.seconds))
        told.rest()
        lost = sum(capture.losses.values())
        hosts = listening.hosts(capture)
    found = {"send": learned.sent, "receive": learned.heard}
    words = {word: each.words for word, each in found.items()}
    own = network.endpoints.get(member.endpoint, Endpoint())
    given = paste.options_of(own, (own.policy or OPEN)._replace(**words))
    if options["json"]:
        shown = {
            "bus": report.interface,
            "container": status.member(member),
            "seconds": round(told.seconds, 1),
            "sent": found["send"]._asdict(),
            "heard": found["receive"]._asdict(),
            "heard_from": {name: each._asdict() for name, each in learned.heard_from.items()},
            "options": given,
            "policy": policy._asdict(),
            "lost": lost,
            "hosts": hosts,
        }
        print(json.dumps(shown, indent=1))
    else:
        container, bus = sanitize(status.member(member)), sanitize(report.interface)
        print(f"{container} on the bus {bus}, in {told.seconds:.0f} s")
        _print(found, learned.heard_from)
        if given:
            print("options that let this pass, and no other id:")
            print("\n".join(paste.lines(status, member, given)))
        again = " ".join(f"--{word} {each}" for word, each in words.items() if each)
        if again:
            print(f"at once: {paste.command(which.where, options)} {again}")
    _complain(found)
    for each in listening.missed(capture):
        say(each)
    if lost:
        say(f"{lost} frames were lost here, as they came too fast")
    if lost or any(known["lost"] for known in hosts):
        say("frames were lost, so ids may be missing")
    return 0


class _Listener:
    """The capture of a bus, as far as it is about one container."""

    def __init__(self, capture: Capture, member: Member, learned: Learned) -> None:
        """Raises CanwharfError if its frames cannot be told from others'."""
        self._capture = capture
        self._learned = learned
        self._begun = monotonic()
        self._next = self._begun + _TELL
        self._terminal = sys.stderr if sys.stderr.isatty() else None
        here = [each for each in capture.sources if each.endpoint == member.endpoint]
        if not here:
            raise CanwharfError("the container is not connected to the bus: see 'canwharf status'")
        self._senders = {each.sender for each in here}
        self._endpoint = member.endpoint
        same = [each for each in capture.sources if each.sender in self._senders]
        if len(same) > 1:
            raise CanwharfError(
                f"{len(same)} interfaces on the bus are those of a container {here[0].sender}: "
                "which of them sends what cannot be told"
            )

    @property
    def seconds(self) -> float:
        """Since it began."""
        return monotonic() - self._begun

    def take(self, wait: float) -> None:
        """Learn from what comes within so many seconds. Raises CanwharfError."""
        frames = self._capture.read(wait)
        # The engine may tell its name only now.
        self._senders.update(
            each.sender for each in self._capture.sources if each.endpoint == self._endpoint
        )
        self._learned.add(frames, self._senders)
        if self._terminal and monotonic() >= self._next:
            self._next = monotonic() + _TELL
            sent, others = self._learned.counts
            text = f"\r{self.seconds:.0f} s  it sent {sent} ids, others {others} "
            print(text, end="", file=self._terminal, flush=True)

    def rest(self) -> None:
        """Learn from what has come until now."""
        self._learned.add(self._capture.rest(), self._senders)
        if self._terminal:
            print(file=self._terminal)


def _known(words: str) -> str:
    """A word of a policy; of one whose record is lost nothing is known."""
    return _ALL if words in ("", UNKNOWN.receive) else words


def _warn(container: str, policy: Policy) -> None:
    """Say what a policy in force hides."""
    hiding = {f"can.{word}": getattr(policy, word) for word in ("send", "receive")}
    hidden = [f"{option}={value}" for option, value in hiding.items() if value not in ("", _ALL)]
    hidden += [f"can.rate={policy.rate}"] * (policy.rate not in ("", NO_LIMIT))
    if hidden:
        say(
            f"{container} has {' '.join(hidden)}: what this keeps back is not learnt. With --send "
            "all --receive all --rate off it is open until it starts again"
        )


def _complain(found: Mapping[str, Direction]) -> None:
    """Say why the options may not be all that is needed."""
    for word, each in found.items():
        verb = _VERBS[word]
        if not each.words:
            say(
                f"what it {verb} has too many ids for a list ({each.ids} or more), as the kernel "
                f"takes {ematch.MOST} entries: write can.{word} by hand, with ranges or pgn:"
            )
        elif not each.ids:
            say(f"it {verb} nothing: was it at work?")


def _print(found: Mapping[str, Direction], heard_from: Mapping[str, Direction]) -> None:
    for word, each in found.items():
        print(f"  {_VERBS[word]:<6} {each.ids} ids, {each.frames} frames")
    senders = [(sanitize(name), each) for name, each in heard_from.items()][:_SHOWN]
    width = max((len(name) for name, _each in senders), default=0)
    for name, each in senders:
        print(f"    {name:<{width}}  {each.words or f'{each.ids} ids'}")
    if (more := len(heard_from) - len(senders)) > 0:
        print(f"    and from {more} other senders")
