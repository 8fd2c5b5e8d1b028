"""A bus as a picture of characters: who is on it, who hears whom, what differs. Pure.

Rules:

- One member a line, below its bus; the host (and an adapter's wire) first.
- Where the terminal is narrower than that, a member's cells go on in the next line, each whole.
- Whoever does not hear somebody is named; where all hear each other, that is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.bus.report import BusReport, Member, is_virtual
from canwharf.kernel.can import Controller
from canwharf.operator.render.layout import troubles
from canwharf.operator.render.terminal import (
    BAD,
    DOUBTFUL,
    FAINT,
    GLUE,
    GOOD,
    STRONG,
    Color,
    fold,
    sanitize,
)
from canwharf.operator.status import Status

_BRANCH = 4  # columns before a row, beside the two of each gap between cells
_WELL = ("ERROR-ACTIVE",)
_ASCII = str.maketrans({"├": "|", "└": "`", "─": "-", "│": "|"})


def ascii_only(words: str) -> str:
    """The same for a terminal that knows no lines."""
    return words.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def render(status: Status, paint: Color, columns: int = 0) -> str:
    """The whole status, in lines of so many columns at most (0: of any length)."""
    parts = ["\n".join([_head(status, paint), *status.parameters.notes])]
    parts += ["\n".join(_bus(status, each, paint, columns)) for each in status.reports]
    if status.changes or status.faults:
        parts.append("\n".join(_differences(status, paint)))
    whole = "\n\n".join(parts)
    return fold(whole, columns) if columns else whole


def _head(status: Status, paint: Color) -> str:
    daemon = (
        paint(f"the daemon runs (process {status.process})", GOOD)
        if status.process
        else paint("the daemon does not run", BAD)
    )
    docker = "" if status.names else paint("; Docker does not answer, so ids are shown", DOUBTFUL)
    blind = paint("; root sees the names in the containers", DOUBTFUL) if status.blind else ""
    buses = "" if status.reports else "; there is no bus"
    if not status.stored:
        buses = "; no network was ever kept here"
    head = f"{status.driver}: {daemon}{docker}{blind}{buses}"
    return f"{head}\n{paint(sanitize(status.write_fault), BAD)}" if status.write_fault else head


def _bus(status: Status, report: BusReport, paint: Color, columns: int) -> Iterator[str]:
    networks = ", ".join(map(status.network, (each.id for each in report.networks)))
    yield f"{paint(report.interface, STRONG)}  {_interface(status, report, paint)}"
    yield f"  {paint(sanitize(f'networks: {networks}'), FAINT)}"
    rows = [[*map(sanitize, _member(status, report, each))] for each in report.members]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if columns and sum(widths) + 2 * len(widths) + _BRANCH > columns:  # no table, but whole cells
        rows = [[cell.replace(" ", GLUE) for cell in row] for row in rows]
        widths = [0] * len(widths)
    for place, row in enumerate(rows):
        branch = "└──" if place == len(rows) - 1 else "├──"
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = "  ".join(cell for cell in cells if cell).rstrip()
        member = report.members[place]
        doubtful = bool(member.fault) or member.gone
        yield f"  {branch} {paint(line, DOUBTFUL) if doubtful else line}"
    if report.problem:
        yield f"  {paint(sanitize(report.problem), BAD)}"
    yield from _hearing(status, report, paint)
    for source, destination, within in dict.fromkeys(each[:3] for each in report.others):
        words = f"a gateway rule of somebody else: {source} -> {destination}"
        yield f"  {paint(sanitize(words), BAD if within else DOUBTFUL)}"


def _interface(status: Status, report: BusReport, paint: Color) -> str:
    """What carries the bus, and how it is."""
    link = report.link
    if link is None:
        moved = report.moved and any(each.endpoint for each in report.members)
        words = "adapter, moved into a container" if moved else "missing"
        return paint(words, DOUBTFUL if moved else BAD)
    if is_virtual(link):
        what = "virtual" if report.ours else f"virtual, not made by {status.driver}"
    else:
        driver, device = status.hardware.get(report.interface, ("", ""))
        what = f"adapter, {driver or 'driver unknown'}" + (f" at {device}" if device else "")
    up = paint("up", GOOD) if link.up else paint("down", BAD)
    frames = "CAN FD" if link.fd else "classic CAN"
    return ", ".join((what, up, frames, *_controller(link.controller, paint)))


def _controller(controller: Controller | None, paint: Color) -> Iterator[str]:
    if controller is None:
        return
    rate = f"{controller.bitrate} bit/s" if controller.bitrate else "no bit rate"
    yield rate + (f", data {controller.dbitrate} bit/s" if controller.dbitrate else "")
    name = controller.state_name
    yield paint(name, GOOD if name in _WELL else BAD)
    if controller.errors:
        sending, receiving = controller.errors
        yield f"errors: sending {sending}, receiving {receiving}"


def _member(status: Status, report: BusReport, member: Member) -> list[str]:
    """A member's cells: name, interface inside, host-side interface, counters."""
    counted = [f"{name} {value}" for name, value in member.frames._asdict().items()]
    if not member.endpoint:
        return ["host", member.interface, "", *counted]
    if report.moved:
        has = "not taken" if member.fault else "has the adapter"
        return [status.member(member), has, "", "", "", ""]
    if member.link is None:
        what = "has ended" if member.gone else "no interface"
        return [status.member(member), what, member.interface, "", "", ""]
    inside = member.inside.name if member.inside else "?" if member.link.peer_away else "not taken"
    if member.inside and not member.inside.up:
        inside += " (down)"
    return [status.member(member), inside, member.interface, *counted]


def _hearing(status: Status, report: BusReport, paint: Color) -> Iterator[str]:
    there = [each for each in report.members if each.link is not None]
    if report.whole and len(there) > 1:
        yield f"  {paint('all hear each other', GOOD)}"
    for words in troubles(status, report):
        yield f"  {paint(words, BAD)}"


def _differences(status: Status, paint: Color) -> Iterator[str]:
    words = f"differs from what should be; 'canwharf sync{status.where}' would:"
    yield paint(words, DOUBTFUL)
    for change in status.changes:
        yield f"  {sanitize(change.line)}"
    for line in map(sanitize, status.faults):
        yield f"  {paint(f'fail: {line}', BAD)}"
