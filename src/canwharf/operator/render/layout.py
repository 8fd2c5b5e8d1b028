"""What a drawing of buses consists of: containers, buses, and who is plugged in where. Pure.

Rules:

- A container that is on several buses is one box with several plugs.
- A plug says that its container hears all others on the bus, and is heard by them. What is not so
  is said below the bus: a line for each member that hears nobody, and one for each pair beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from canwharf.bus.report import (
    BUS_OFF,
    DOWN,
    DUPLICATE_RULE,
    FAULTS,
    MISSING,
    NO_CARRIER,
    NOT_IN_CONTAINER,
    WRONG_NAMESPACE,
    BusReport,
    Gap,
    Member,
    is_virtual,
)
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.status import Status

_OF_HOST = {
    MISSING: "is missing",
    DOWN: "is down",
    BUS_OFF: "is BUS-OFF",
    NO_CARRIER: "has no carrier",
}
_OF_CONTAINER = {
    MISSING: "it has no interface; somebody deleted it, or it was never made",
    NOT_IN_CONTAINER: "its interface is on the host, and in no container",
    WRONG_NAMESPACE: "its interface was moved into another network namespace",
    DOWN: "{name} is down",
    NO_CARRIER: "{inside} is down in the container",
}


class Plug(NamedTuple):
    """A container (by its box's number) on a bus, and the name of its interface there."""

    box: int
    interface: str
    frames: str
    there: bool


class Line(NamedTuple):
    """A bus: what carries it, who is plugged in, what is wrong; the host is always on it.

    `networks` are the names by which Docker knows it.
    """

    interface: str
    about: str
    frames: str
    up: bool
    plugs: tuple[Plug, ...]
    troubles: tuple[str, ...]
    networks: tuple[str, ...] = ()


class Drawing(NamedTuple):
    """Containers by name, and buses."""

    boxes: tuple[str, ...]
    lines: tuple[Line, ...]


def draw(status: Status) -> Drawing:
    """All the buses of a status."""
    boxes = {
        sanitize(status.member(member)): None
        for report in status.reports
        for member in report.members
        if member.endpoint
    }
    numbers = {name: number for number, name in enumerate(boxes)}
    return Drawing(tuple(boxes), tuple(_line(status, each, numbers) for each in status.reports))


def _line(status: Status, report: BusReport, numbers: dict[str, int]) -> Line:
    plugs = tuple(
        Plug(
            numbers[sanitize(status.member(each))],
            _inside(report, each),
            _frames(each),
            not each.fault and not each.gone,
        )
        for each in report.members
        if each.endpoint
    )
    link = report.link
    host = next((_frames(each) for each in report.members if not each.endpoint), "")
    up = link is not None and link.up
    networks = tuple(sanitize(status.network(each.id)) for each in report.networks)
    wrong = tuple(troubles(status, report))
    return Line(report.interface, _about(report), host, up, plugs, wrong, networks)


def _about(report: BusReport) -> str:
    link = report.link
    if link is None:
        return "moved into its container" if report.moved else "missing"
    told = "virtual" if is_virtual(link) else "adapter"
    if link.controller and link.controller.bitrate:
        told += f", {link.controller.bitrate} bit/s"
    return told if link.up else f"{told}, down"


def _inside(report: BusReport, member: Member) -> str:
    if member.inside:
        return sanitize(member.inside.name)
    return report.interface if report.moved else "?" if _there(member) else "no interface"


def _there(member: Member) -> bool:
    return member.link is not None and member.link.peer_away


def _frames(member: Member) -> str:
    return f"sent {member.frames.sent}, received {member.frames.received}"


def troubles(status: Status, report: BusReport) -> Iterator[str]:
    """Who does not hear whom, or more than once: one line a member with a fault, one a pair."""
    labels = status.labels(report)
    for member in report.members:
        if member.fault:
            yield sanitize(ailing(member, labels[member.interface]))
    kinds: dict[str, dict[str, None]] = {}
    for gap in report.gaps:
        if gap.reason in FAULTS:
            continue  # said above, once
        kinds.setdefault(_gap(gap, labels), {})[gap.kind] = None
    for words, frames in kinds.items():
        yield sanitize(f"{words} ({', '.join(frames)})")


def _gap(gap: Gap, labels: dict[str, str]) -> str:
    source, destination = labels[gap.source], labels[gap.destination]
    surplus = gap.reason == DUPLICATE_RULE
    heard = f"hears {source} more than once" if surplus else f"does not hear {source}"
    return f"{destination} {heard}"


def ailing(member: Member, label: str) -> str:
    """What a member's fault is, in words."""
    name = member.interface
    if not member.endpoint:
        return f"nothing goes to or from {name}: it {_OF_HOST[member.fault]}"
    inside = member.inside.name if member.inside else "its interface"
    why = _OF_CONTAINER[member.fault].format(name=name, inside=inside)
    return f"{label} hears nobody and is not heard: {why}"
