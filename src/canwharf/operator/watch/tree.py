"""What stands in the tree: buses, how each is, and its senders, with what they send now.

Rules:

- Another host of a span is a leaf `HOST/`, above its senders `HOST/NAME`: with all that they send.
- What is known of a bus or a host has a leaf of its own, as the tree is narrow.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.style import Style
from rich.text import Text

from canwharf.frames.buses import BusFacts
from canwharf.frames.elsewhere import HostFacts, is_among
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.watch.meter import Rate
from canwharf.operator.watch.reading import Reading

CONDITION, ERRORS = "\0", "\1"  # leaves about a bus or a host, behind its name
BAD, FAINT = Style(color="red", bold=True), Style(dim=True)
Key = tuple[str, str]  # bus, sender


def labels(reading: Reading) -> dict[Key, Text]:
    """By bus and sender, which is empty for the bus itself; a bus before its leaves."""
    names = sorted({bus for bus, _sender in reading.rates} | reading.buses.keys())
    return {(bus, name): label for bus in names for name, label in _of_bus(reading, bus)}


def _of_bus(reading: Reading, bus: str) -> Iterator[tuple[str, Text]]:
    facts = reading.buses.get(bus, BusFacts(bus, condition="gone"))
    rates = {sender: rate for (at, sender), rate in reading.rates.items() if at == bus}
    hosts = {f"{host}/": each for (at, host), each in reading.hosts.items() if at == bus}
    yield "", Text(f"{sanitize(bus)}  {_amount(sum(rates.values(), Rate()), facts)}")
    yield CONDITION, _condition(facts)
    if errors := reading.errors(bus):
        yield ERRORS, Text(f"{errors} error frames", BAD)
    for name in sorted({each.name for each in facts.nodes} | rates.keys() | hosts.keys()):
        rate = rates.get(name, Rate())
        if name in hosts:
            rate = sum((each for who, each in rates.items() if is_among(who, (name,))), Rate())
        label = Text(f"{sanitize(name)}  {_amount(rate, facts)}")
        if name not in hosts:
            yield name, label
            continue
        known = hosts[name]
        yield name, label if known.there else label.append("  gone", BAD)
        ahead = round(known.ahead / 1e9, 3) + 0.0  # no -0.000
        yield name + CONDITION, Text(f"clock {ahead:+.3f} s", FAINT)
        if missed := _missed(known):
            yield name + ERRORS, Text(missed, BAD)


def _amount(rate: Rate, facts: BusFacts) -> str:
    """`500/s 23 %`; without a bit rate there is no load."""
    load = rate.load(facts.bitrate, facts.dbitrate)
    return f"{rate.frames:.0f}/s" + ("" if load is None else f" {load:.0f} %")


def _missed(known: HostFacts) -> str:
    """`3 lost, 2 late`: frames of another host that this host's bus has not got."""
    numbers = ((known.lost, "lost"), (known.late, "late"))
    return ", ".join(f"{number} {word}" for number, word in numbers if number)


def _condition(facts: BusFacts) -> Text:
    """How a bus is: `error-active, 500 kbit/s`."""
    shown = Text(facts.condition, BAD if facts.ill else FAINT)
    return shown.append(f", {_bit_rate(facts.bitrate)}", FAINT) if facts.bitrate else shown


def _bit_rate(rate: int) -> str:
    return f"{rate / 1e6:g} Mbit/s" if rate >= 1_000_000 else f"{rate / 1e3:g} kbit/s"
