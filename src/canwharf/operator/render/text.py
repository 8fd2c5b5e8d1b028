"""A status as text: each bus with its members, its problems, and what `sync` would change. Pure.

Rules:

- One member a line, below its bus; the host (with an adapter's wire) is the first.
- In a narrow terminal a member's line is broken between cells.
- Each member that is not connected is named. Where all are connected, a line says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.bus.delivery import Member
from canwharf.bus.fault import digests
from canwharf.bus.policy import NO_LIMIT
from canwharf.bus.report import BusReport, is_virtual
from canwharf.kernel.can import Controller
from canwharf.operator.render import spans
from canwharf.operator.render.layout import problems, trouble
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
    """The same text for a terminal without Unicode."""
    return words.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def render(status: Status, color: Color, columns: int = 0) -> str:
    """The whole status, in lines of at most `columns` characters (0: no limit)."""
    parts = ["\n".join([_head(status, color), *status.parameters.notes])]
    parts += ["\n".join(_bus(status, each, color, columns)) for each in status.reports]
    if status.changes or status.faults:
        parts.append("\n".join(_differences(status, color)))
    whole = "\n\n".join(parts)
    return fold(whole, columns) if columns else whole


def _head(status: Status, color: Color) -> str:
    daemon = (
        color(f"the daemon runs (process {status.process})", GOOD)
        if status.process
        else color("the daemon does not run", BAD)
    )
    docker = "" if status.names else color("; Docker does not answer, so ids are shown", DOUBTFUL)
    hidden = (
        color("; root sees the names in the containers", DOUBTFUL) if status.names_hidden else ""
    )
    buses = "" if status.reports else "; there is no bus"
    if not status.stored:
        buses = "; no network was ever created here"
        if status.unseen:
            buses = f"; there is no state in {status.state_dir}; {status.unseen}"
    head = f"{status.driver}: {daemon}{docker}{hidden}{buses}"
    faults = [color(sanitize(each), BAD) for each in (status.conflict, status.write_fault) if each]
    return "\n".join((head, *faults))


def _bus(status: Status, report: BusReport, color: Color, columns: int) -> Iterator[str]:
    networks = ", ".join(map(status.network, (each.id for each in report.networks)))
    yield f"{color(report.interface, STRONG)}  {_interface(status, report, color)}"
    yield f"  {color(sanitize(f'networks: {networks}'), FAINT)}"
    if not (report.linear or report.moved):
        lacks = f"lacks {', '.join(report.lacking)}" if report.lacking else "refuses tc filters"
        words = f"a mesh, as the kernel {lacks}: 'canwharf doctor' says what to do"
        yield f"  {color(words, DOUBTFUL)}"
    if report.impairment.any:
        yield f"  {color(trouble(report), BAD)}"
    if report.span.name:
        yield from spans.lines(report.span.name, status.spanned.get(report.interface), color)
    rows = [[*map(sanitize, _member(status, report, each))] for each in report.members]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if (
        columns and sum(widths) + 2 * len(widths) + _BRANCH > columns
    ):  # too wide for a table: break between cells
        rows = [[cell.replace(" ", GLUE) for cell in row] for row in rows]
        widths = [0] * len(widths)
    for place, row in enumerate(rows):
        branch = "└──" if place == len(rows) - 1 else "├──"
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = "  ".join(cell for cell in cells if cell).rstrip()
        member = report.members[place]
        doubtful = bool(member.reason) or member.orphaned
        yield f"  {branch} {color(line, DOUBTFUL) if doubtful else line}"
    if report.warning:
        yield f"  {color(sanitize(report.warning), BAD)}"
    yield from _problems(status, report, color)
    for source, destination, within in dict.fromkeys(each[:3] for each in report.foreign_rules):
        words = f"a foreign gateway rule: {source} -> {destination}"
        yield f"  {color(sanitize(words), BAD if within else DOUBTFUL)}"


def _interface(status: Status, report: BusReport, color: Color) -> str:
    """The host interface, and its condition."""
    link = report.link
    if link is None:
        moved = report.moved and any(each.endpoint for each in report.members)
        words = "adapter, moved into a container" if moved else "missing"
        return color(words, DOUBTFUL if moved else BAD)
    if is_virtual(link):
        what = "virtual" if report.owned else f"virtual, not made by {status.driver}"
    else:
        driver, device = status.hardware.get(report.interface, ("", ""))
        what = f"adapter, {driver or 'driver unknown'}" + (f" at {device}" if device else "")
    up = color("up", GOOD) if link.up else color("down", BAD)
    frames = "CAN FD" if link.fd else "classic CAN"
    return ", ".join((what, up, frames, *_controller(link.controller, color)))


def _controller(controller: Controller | None, color: Color) -> Iterator[str]:
    if controller is None:
        return
    rate = f"{controller.bitrate} bit/s" if controller.bitrate else "no bit rate"
    yield rate + (f", data {controller.dbitrate} bit/s" if controller.dbitrate else "")
    name = controller.state_name
    yield color(name, GOOD if name in _WELL else BAD)
    if controller.errors:
        sending, receiving = controller.errors
        yield f"errors: sending {sending}, receiving {receiving}"


def _member(status: Status, report: BusReport, member: Member) -> list[str]:
    """A member's cells: name, interface inside, host-side interface, counters, policy."""
    counted = [f"{name} {value}" for name, value in member.frames._asdict().items()]
    if not member.endpoint:
        return ["host", member.interface, "", *counted, ""]
    if report.moved:
        has = "not in container" if member.reason else "has the adapter"
        return [status.member(member), has, "", "", "", "", ""]
    if member.link is None:
        what = "has ended" if member.orphaned else "no interface"
        return [status.member(member), what, member.interface, "", "", "", ""]
    inside = (
        member.container_link.name
        if member.container_link
        else "?"
        if member.link.peer_away
        else "not in container"
    )
    if member.container_link and not member.container_link.up:
        inside += " (down)"
    return [status.member(member), inside, member.interface, *counted, _policy(member)]


def _policy(member: Member) -> str:
    """What it may send and receive; empty where that is everything."""
    kept = member.firewall.kept
    return ", ".join(
        f"may {word} {words} ({kept[word]} kept back)" if word in kept else f"at most {words}/s"
        for word, words in member.policy._asdict().items()
        if words and words != NO_LIMIT
    )


def _problems(status: Status, report: BusReport, color: Color) -> Iterator[str]:
    there = [each for each in report.members if each.link is not None]
    if report.healthy and len(there) > 1:
        yield f"  {color('all members are connected', GOOD)}"
    for member in report.members:
        for words in _faults(status, member):
            yield f"  {color(sanitize(words), BAD)}"
    for words in problems(status, report):
        yield f"  {color(words, BAD)}"


def _faults(status: Status, member: Member) -> Iterator[str]:
    """The faults on purpose in what it sends, and filters that belong to none."""
    for fault in member.faults:
        frames = fault.frames(member.injected).items()
        counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in frames)
        yield f"a fault on purpose: {status.member(member)}: {fault} (frames: {counts})"
    if member.injected.keys() - digests(member.faults).keys():
        yield f"a fault that is left over: {status.member(member)}: 'canwharf sync' ends it"


def _differences(status: Status, color: Color) -> Iterator[str]:
    words = f"differs from what should be; 'canwharf sync{status.where}' would:"
    yield color(words, DOUBTFUL)
    for change in status.changes:
        yield f"  {sanitize(change.line)}"
    for line in map(sanitize, status.faults):
        yield f"  {color(f'fail: {line}', BAD)}"
