"""What the verbs that read frames have in common: their bus words, a number, how they end.

Rules:

- What they say of themselves is for standard error, a line each.
- A signal ends them as it ends candump, and what has come by then is not lost.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from canwharf.cli.options import Argument
from canwharf.cli.signals import ENDING, end_by
from canwharf.daemon.instance import Instance
from canwharf.docker import names
from canwharf.errors import UsageError
from canwharf.frames.capture import FAR, Capture
from canwharf.frames.elsewhere import HostFacts
from canwharf.frames.filters import Filter, parse
from canwharf.frames.sources import Sources
from canwharf.operator.render.terminal import sanitize
from canwharf.span.follow import OtherHosts

BUS = Argument(
    "bus",
    "only this bus: its host interface, or a network's name or id, and filters behind it; "
    "there may be several",
    "BUS[,FILTER…]",
    many=True,
)
LOOK = 0.1  # seconds until a signal is noticed where no frame comes
_ANY = "any"  # candump's word for all interfaces
_NAMES_LIMIT = 1.0  # seconds for the engine to tell names


def capture(
    which: Instance, words: str, tell: Callable[[str], None] | None = None, recover: float = 0
) -> Capture:
    """What these bus words say, a line each; all buses without one. Raises CanwharfError.

    `tell` is for what changes how frames of other hosts are shown; else it is said. With `recover`,
    frames are held back for so many seconds, and those that a cut lost between hosts come, too.
    """
    filters: dict[str, Filter] = {}
    for bus, each in map(parse, words.splitlines()):
        if filters.setdefault(bus, each) != each:
            raise UsageError(f"{bus} is there with other filters, too: put all behind one {bus}")
    sources = _sources(which, () if _ANY in filters else filters)
    others = OtherHosts(which.spans, which.name, tell or say, recover=recover > 0)
    far = recover or FAR
    return Capture(sources, _filters(filters, sources.wanted), feed=others, far=far)


def of_bus(which: Instance, interface: str) -> Capture:
    """All that is on the bus of this host interface: without what is too late for it.

    Raises CanwharfError.
    """
    others = OtherHosts(which.spans, which.name, say, late=False)
    return Capture(_sources(which, (interface,)), feed=others)


def interface_of(which: Instance, bus: str) -> str:
    """The host interface of a bus. Raises CanwharfError."""
    sources = _sources(which, (bus,))
    sources.close()
    return sources.wanted[bus]


def _sources(which: Instance, buses: Iterable[str]) -> Sources:
    return Sources(which.name, which.state_dir, lambda: names.ask(which.name, _NAMES_LIMIT), buses)


def say_hosts(capture: Capture) -> None:
    """Say of each other host how its clock differs, and what is not there of it."""
    for (bus, host), facts in sorted(capture.hosts.items()):
        way = "ahead of" if facts.ahead >= 0 else "behind"
        differs = f"is {abs(facts.ahead) / 1e9:.3f} s {way} this host's"
        say(f"{bus}: the clock of {host} {differs}; times are by this host's")
    for words in missed(capture):
        say(words)


def missed(capture: Capture) -> list[str]:
    """What is not there of each other host, as sentences."""
    return [
        f"{bus}: {words}"
        for (bus, host), facts in sorted(capture.hosts.items())
        for words in _missed(host, facts)
    ]


def _missed(host: str, facts: HostFacts) -> Iterator[str]:
    if facts.late:
        yield f"{facts.late} frames of {host} came too late to be on this host's bus"
    if facts.lost:
        got = f"; {facts.recovered} of them came afterwards" if facts.recovered else ""
        yield f"{facts.lost} frames of {host} were lost between the hosts{got}"
    if not facts.there:
        yield f"{host} is not connected now: what it sent last is not here"


def hosts(capture: Capture) -> list[dict[str, object]]:
    """The same for a machine, and how their clocks differ."""
    return [
        {
            "bus": bus,
            "host": host,
            "clock_ahead_seconds": facts.ahead / 1e9,
            "late": facts.late,
            "lost": facts.lost,
            "recovered": facts.recovered,
        }
        for (bus, host), facts in capture.hosts.items()
    ]


def say(words: str) -> None:
    """Say it on standard error."""
    print(f"canwharf: {sanitize(words)}", file=sys.stderr, flush=True)


def count(text: str) -> float:
    """How many frames are meant. Raises UsageError."""
    if not text:
        return float("inf")
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise UsageError(f"--count {text}: must be a number from 1 on, as in -n 10")
    return int(text)


@contextmanager
def ending() -> Iterator[list[int]]:
    """A list that gets the number of the signal that ends it; a later one ends it at once."""
    ended: list[int] = []

    def end(number: int) -> None:
        if ended:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        ended.append(number)

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.getsignal(each) for each in ENDING}
    end_by(end)
    try:
        yield ended
    finally:
        restore()


def _filters(words: Mapping[str, Filter], interfaces: Mapping[str, str]) -> dict[str, Filter]:
    """The filters by the bus's interface. Raises UsageError where a bus has two."""
    if _ANY in words and len(words) > 1:
        raise UsageError("any is every bus: name no other beside it")
    found: dict[str, Filter] = {}
    for word, each in words.items():
        if word == _ANY:
            found[""] = each
            continue
        interface = interfaces[word]
        if found.setdefault(interface, each) != each:
            raise UsageError(f"{word} is the bus {interface}, which has other filters: give one")
    return found
