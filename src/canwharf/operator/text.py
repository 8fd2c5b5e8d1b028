"""A bus as a picture of characters: who is on it, who hears whom, what differs. Pure.

Rules:

- One member a line, below its bus; the host (and an adapter's wire) first.
- Where the terminal is narrower than that, a member's cells go on in the next line, each whole.
- Whoever does not hear somebody is named; where all hear each other, that is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.bus.survey import Member, Picture, is_virtual
from canwharf.kernel.can import Controller
from canwharf.operator.drawing import troubles
from canwharf.operator.paint import BAD, DOUBTFUL, FAINT, GLUE, GOOD, STRONG, Paint, fold, legible
from canwharf.operator.sight import Sight

_BRANCH = 4  # columns before a row, beside the two of each gap between cells
_WELL = ("ERROR-ACTIVE",)
_ASCII = str.maketrans({"├": "|", "└": "`", "─": "-", "│": "|"})


def ascii_only(words: str) -> str:
    """The same for a terminal that knows no lines."""
    return words.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def render(sight: Sight, paint: Paint, columns: int = 0) -> str:
    """The whole sight, in lines of so many columns at most (0: of any length)."""
    parts = ["\n".join([_head(sight, paint), *sight.parameters.notes])]
    parts += ["\n".join(_bus(sight, each, paint, columns)) for each in sight.pictures]
    if sight.changes or sight.faults:
        parts.append("\n".join(_differences(sight, paint)))
    whole = "\n\n".join(parts)
    return fold(whole, columns) if columns else whole


def _head(sight: Sight, paint: Paint) -> str:
    daemon = (
        paint(f"the daemon runs (process {sight.process})", GOOD)
        if sight.process
        else paint("the daemon does not run", BAD)
    )
    docker = "" if sight.names else paint("; Docker does not answer, so ids are shown", DOUBTFUL)
    blind = paint("; root sees the names in the containers", DOUBTFUL) if sight.blind else ""
    buses = "" if sight.pictures else "; there is no bus"
    if not sight.stored:
        buses = "; no network was ever kept here"
    head = f"{sight.driver}: {daemon}{docker}{blind}{buses}"
    return f"{head}\n{paint(legible(sight.write_fault), BAD)}" if sight.write_fault else head


def _bus(sight: Sight, picture: Picture, paint: Paint, columns: int) -> Iterator[str]:
    networks = ", ".join(map(sight.network, (each.id for each in picture.networks)))
    yield f"{paint(picture.interface, STRONG)}  {_interface(sight, picture, paint)}"
    yield f"  {paint(legible(f'networks: {networks}'), FAINT)}"
    rows = [[*map(legible, _member(sight, picture, each))] for each in picture.members]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if columns and sum(widths) + 2 * len(widths) + _BRANCH > columns:  # no table, but whole cells
        rows = [[cell.replace(" ", GLUE) for cell in row] for row in rows]
        widths = [0] * len(widths)
    for place, row in enumerate(rows):
        branch = "└──" if place == len(rows) - 1 else "├──"
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = "  ".join(cell for cell in cells if cell).rstrip()
        member = picture.members[place]
        doubtful = bool(member.fault) or member.gone
        yield f"  {branch} {paint(line, DOUBTFUL) if doubtful else line}"
    if picture.problem:
        yield f"  {paint(legible(picture.problem), BAD)}"
    yield from _hearing(sight, picture, paint)
    for source, destination, within in dict.fromkeys(each[:3] for each in picture.others):
        words = f"a gateway rule of somebody else: {source} -> {destination}"
        yield f"  {paint(legible(words), BAD if within else DOUBTFUL)}"


def _interface(sight: Sight, picture: Picture, paint: Paint) -> str:
    """What carries the bus, and how it is."""
    link = picture.link
    if link is None:
        lent = picture.moved and any(each.endpoint for each in picture.members)
        words = "adapter, lent to a container" if lent else "missing"
        return paint(words, DOUBTFUL if lent else BAD)
    if is_virtual(link):
        what = "virtual" if picture.ours else f"virtual, not made by {sight.driver}"
    else:
        driver, device = sight.hardware.get(picture.interface, ("", ""))
        what = f"adapter, {driver or 'driver unknown'}" + (f" at {device}" if device else "")
    up = paint("up", GOOD) if link.up else paint("down", BAD)
    frames = "CAN FD" if link.fd else "classic CAN"
    return ", ".join((what, up, frames, *_controller(link.controller, paint)))


def _controller(controller: Controller | None, paint: Paint) -> Iterator[str]:
    if controller is None:
        return
    rate = f"{controller.bitrate} bit/s" if controller.bitrate else "no bit rate"
    yield rate + (f", data {controller.dbitrate} bit/s" if controller.dbitrate else "")
    name = controller.state_name
    yield paint(name, GOOD if name in _WELL else BAD)
    if controller.errors:
        sending, receiving = controller.errors
        yield f"errors: sending {sending}, receiving {receiving}"


def _member(sight: Sight, picture: Picture, member: Member) -> list[str]:
    """A member's cells: name, interface inside, host-side interface, counters."""
    counted = [f"{name} {value}" for name, value in member.frames._asdict().items()]
    if not member.endpoint:
        return ["host", member.interface, "", *counted]
    if picture.moved:
        has = "not taken" if member.fault else "has the adapter"
        return [sight.member(member), has, "", "", "", ""]
    if member.link is None:
        what = "has ended" if member.gone else "no interface"
        return [sight.member(member), what, member.interface, "", "", ""]
    inside = member.inside.name if member.inside else "?" if member.link.peer_away else "not taken"
    if member.inside and not member.inside.up:
        inside += " (down)"
    return [sight.member(member), inside, member.interface, *counted]


def _hearing(sight: Sight, picture: Picture, paint: Paint) -> Iterator[str]:
    there = [each for each in picture.members if each.link is not None]
    if picture.whole and len(there) > 1:
        yield f"  {paint('all hear each other', GOOD)}"
    for words in troubles(sight, picture):
        yield f"  {paint(words, BAD)}"


def _differences(sight: Sight, paint: Paint) -> Iterator[str]:
    words = f"differs from what should be; 'canwharf sync{sight.where}' would:"
    yield paint(words, DOUBTFUL)
    for line in map(legible, sight.changes):
        yield f"  {line}"
    for line in map(legible, sight.faults):
        yield f"  {paint(f'fail: {line}', BAD)}"
