"""What a drawing consists of: containers, buses and the connections between them. Pure.

Rules:

- A container on several buses is one box with several connections.
- A connection means that frames go to and from all other members of the bus. Exceptions are
  `problems` of the bus: a line for each member that is not connected, and one for each direction
  in which frames are lost or duplicated.
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.bus.delivery import (
    ALL,
    BUS_OFF,
    DOWN,
    DUPLICATE_RULE,
    FAULTS,
    MISSING,
    NO_CARRIER,
    NO_HUB,
    NO_IFB,
    NOT_IN_CONTAINER,
    OWN_FRAMES,
    WRONG_NAMESPACE,
    DeliveryError,
    Member,
)
from canwharf.bus.options import impairment_texts
from canwharf.bus.report import BusReport, is_virtual
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.status import Status
from canwharf.record import NamedTuple

_OF_HOST = {
    MISSING: "is missing",
    DOWN: "is down",
    BUS_OFF: "is BUS-OFF",
    NO_CARRIER: "has no carrier",
}
_OF_CONTAINER = {
    MISSING: "it has no interface; it was deleted, or never made",
    NOT_IN_CONTAINER: "its interface is on the host, and in no container",
    WRONG_NAMESPACE: "its interface is in another network namespace",
    DOWN: "{name} is down",
    NO_CARRIER: "{inside} is down in the container",
}


class Connection(NamedTuple):
    """A container (by the number of its box) on a bus, and the name of its interface there."""

    box: int
    interface: str
    frames: str
    connected: bool


class Bus(NamedTuple):
    """A bus: its host interface, connections and problems. The host is always a member.

    `networks` are Docker's names of its networks.
    """

    interface: str
    about: str
    frames: str
    up: bool
    connections: tuple[Connection, ...]
    problems: tuple[str, ...]
    networks: tuple[str, ...] = ()


class Drawing(NamedTuple):
    """Containers by name, and buses."""

    boxes: tuple[str, ...]
    buses: tuple[Bus, ...]


def draw(status: Status) -> Drawing:
    """All the buses of a status."""
    boxes = {
        sanitize(status.member(member)): None
        for report in status.reports
        for member in report.members
        if member.endpoint
    }
    numbers = {name: number for number, name in enumerate(boxes)}
    return Drawing(tuple(boxes), tuple(_bus(status, each, numbers) for each in status.reports))


def _bus(status: Status, report: BusReport, numbers: dict[str, int]) -> Bus:
    connections = tuple(
        Connection(
            numbers[sanitize(status.member(each))],
            _inside(report, each),
            _frames(each),
            not each.reason and not each.orphaned,
        )
        for each in report.members
        if each.endpoint
    )
    link = report.link
    host = next((_frames(each) for each in report.members if not each.endpoint), "")
    up = link is not None and link.up
    networks = tuple(sanitize(status.network(each.id)) for each in report.networks)
    wrong = tuple(problems(status, report))
    return Bus(report.interface, _about(report), host, up, connections, wrong, networks)


def _about(report: BusReport) -> str:
    link = report.link
    if link is None:
        return "moved into its container" if report.moved else "missing"
    text = "virtual" if is_virtual(link) else "adapter"
    if link.controller and link.controller.bitrate:
        text += f", {link.controller.bitrate} bit/s"
    if report.impairment.any:
        text += ", trouble on purpose"
    return text if link.up else f"{text}, down"


def trouble(report: BusReport) -> str:
    """What a bus does to frames on purpose, and what it has done so far; empty: nothing."""
    texts = impairment_texts(report.impairment).items()
    told = ", ".join(f"{option.removeprefix('can.')} {text}" for option, text in texts)
    lost = f"{report.impaired.lost} frames lost on purpose" if report.impairment.loss else ""
    over = f"{report.impaired.overflowed} more than the bandwidth took"
    counts = filter(None, (lost, over if report.impairment.bandwidth else ""))
    return "; ".join((f"trouble on purpose: {told}", *counts)) if told else ""


def _inside(report: BusReport, member: Member) -> str:
    if member.container_link:
        return sanitize(member.container_link.name)
    return report.interface if report.moved else "?" if _in_container(member) else "no interface"


def _in_container(member: Member) -> bool:
    return member.link is not None and member.link.peer_away


def _frames(member: Member) -> str:
    return f"sent {member.frames.sent}, received {member.frames.received}"


def problems(status: Status, report: BusReport) -> Iterator[str]:
    """A line for each member with a fault, and for each other direction with delivery errors."""
    labels = status.labels(report)
    for member in report.members:
        if member.reason:
            yield sanitize(member_problem(member, labels[member.interface]))
    kinds: dict[str, dict[str, None]] = {}
    for error in report.delivery_errors:
        if error.reason in FAULTS:
            continue  # has its line above
        kinds.setdefault(error_problem(error, labels), {})[error.kind] = None
    for words, frames in kinds.items():
        yield sanitize(f"{words} ({', '.join(frames)})")


def error_problem(error: DeliveryError, labels: dict[str, str]) -> str:
    """A sentence about a delivery error; `labels` are the members' names by their interface."""
    labels = {**labels, ALL: "the other containers"}
    source, destination = labels[error.source], labels[error.destination]
    if error.reason == NO_HUB:
        return "containers receive nothing from each other: their hub is missing or down"
    if error.reason == NO_IFB:
        return f"what {source} sends is lost: the ifb of its bus is missing or down"
    if error.reason == OWN_FRAMES:
        return f"{destination} receives its own frames"
    if error.reason == DUPLICATE_RULE:
        return f"frames from {source} reach {destination} more than once"
    return f"no frames from {source} reach {destination}"


def member_problem(member: Member, label: str) -> str:
    """A sentence that says why this member is not connected."""
    name = member.interface
    if not member.endpoint:
        return f"nothing goes to or from {name}: it {_OF_HOST[member.reason]}"
    inside = member.container_link.name if member.container_link else "its interface"
    why = _OF_CONTAINER[member.reason].format(name=name, inside=inside)
    return f"{label} is not connected: {why}"
