"""What gateway rules there are and what there should be, in the words of cangw.

A rule of the right form has the flag -i and hop limit 1. It echoes (-e) towards a bus interface,
which is the first of a bus's ports.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

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


def full_mesh(
    ports: Sequence[str],
    classic_only: Sequence[str] = (),
    errors_from: Sequence[str] | None = None,
) -> Rules:
    """The rules that should be there between these interfaces; the first is the bus interface.

    `errors_from` says whose error frames are forwarded (all).
    """
    telling = ports if errors_from is None else errors_from
    return Counter(
        (source, destination, kind + (ECHO if destination == ports[0] else ""))
        for source in ports
        for destination in ports
        for kind in ("classic", "FD", "error")
        if source != destination
        if kind != "FD" or not {source, destination} & set(classic_only)
        if kind != "error" or source in telling
    )


def adapter_mesh(ports: Sequence[str]) -> Rules:
    """The same where the bus interface is a classic adapter: error frames come from it alone."""
    return full_mesh(ports, ports[:1], ports[:1])
