"""What gateway rules there are and what there should be, in the words of cangw.

A rule of the right form has the flag -i and hop limit 1. It echoes (-e) towards a bus interface,
which is the first of a bus's ports.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from canwharf.bus import naming

EVERY_ERROR = "000:3FFFFFFF"
ECHO = " with echo"

# source, destination, kind of frames; how often it is there
Rules = Counter[tuple[str, str, str]]


def parse(lines: Iterable[str]) -> tuple[Rules, list[str]]:
    """The rules of our form in what `cangw -L` prints, and all other rules."""
    ours: Rules = Counter()
    others: list[str] = []
    for line in lines:
        rule = line.split("#")[0].strip()
        if not rule.startswith("cangw -A"):
            continue
        if found := _ours(shlex.split(rule)[2:]):
            ours[found] += 1
        else:
            others.append(rule)
    return ours, others


def _ours(words: Sequence[str]) -> tuple[str, str, str] | None:
    options: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("-"):
            name = word
            options[name] = ""
        else:
            options[name] += word
    source, destination = options.pop("-s"), options.pop("-d")
    echo = ECHO if options.pop("-e", None) is not None else ""
    match sorted(options.items()):
        case [("-i", ""), ("-l", "1")]:
            return source, destination, "classic" + echo
        case [("-X", ""), ("-i", ""), ("-l", "1")]:
            return source, destination, "FD" + echo
        case [("-f", value), ("-i", ""), ("-l", "1")] if value == EVERY_ERROR:
            return source, destination, "error" + echo
    return None


def linear(
    ports: Sequence[str],
    classic_only: Sequence[str] = (),
    errors_from: Sequence[str] | None = None,
    driver: str = "canwharf",
) -> Rules:
    """The rules that should be there on a linear bus; the first port is the bus interface.

    `errors_from` says whose error frames are forwarded (all).
    """
    if not ports:
        return Counter()
    bus, *containers = ports
    entry, leaving = (naming.hub_end(driver, bus, end) for end in ("in", "out"))
    ways = [
        way
        for port in containers
        for way in ((port, bus), (bus, port), (port, entry), (leaving, port))
    ]
    return _rules(ways, bus, classic_only, errors_from)


def mesh(
    ports: Sequence[str],
    classic_only: Sequence[str] = (),
    errors_from: Sequence[str] | None = None,
) -> Rules:
    """The same where the kernel lacks what a linear bus needs."""
    ways = [(one, other) for one in ports for other in ports if one != other]
    return _rules(ways, ports[0], classic_only, errors_from)


def adapters(ports: Sequence[str]) -> Rules:
    """The linear bus of a classic adapter: error frames come from it alone."""
    return linear(ports, ports[:1], ports[:1])


def _rules(
    ways: Iterable[tuple[str, str]],
    bus: str,
    classic_only: Sequence[str],
    errors_from: Sequence[str] | None,
) -> Rules:
    return Counter(
        (source, destination, kind + (ECHO if destination == bus else ""))
        for source, destination in ways
        for kind in ("classic", "FD", "error")
        if kind != "FD" or not {source, destination} & set(classic_only)
        if kind != "error" or errors_from is None or source in errors_from
    )
