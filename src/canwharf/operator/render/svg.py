"""A drawing as SVG: containers in rows, buses as lines below, a dot where one is plugged in. Pure.

Theory of operation. Containers that do not fit beside each other go on in the next row. Below each
row are the buses that somebody in it is on; a bus that comes once more is the same bus, as it says.

Rules:

- It is no wider than WIDEST, whatever the names: what is longer goes on in the next line, and
  nothing is left out.
- It stands for itself: no script, no font of its own, a background, legible in black and white.
- Nothing is measured: a character of the monospaced font is taken for WIDE units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

from canwharf.operator.render.layout import Drawing, Line, Plug

WIDEST = 1600.0  # units: an A4 page on its side, and a screen, show it legibly
WIDE = 7.3  # units a character of 12 units' height takes at most
_MARGIN, _GAP = 20.0, 24.0
_TEXT = 15.0  # a line of text
_ABOVE, _BELOW = 26.0, 44.0  # a bus: from what is above to its line, and from there to the next
_ROOM = 28.0  # between two rows
_LABEL, _NAME = 34, 32  # characters of a line about a bus, and of one in a container's box
_GOOD, _BAD, _FAINT = "#1a7f37", "#c1121f", "#666"
# A text keeps a white edge around it, where a stem crosses.
_STYLE = "text{font:12px monospace;fill:#111;stroke:#fff;stroke-width:3;paint-order:stroke}"
_STYLE += ".faint{fill:#666}.bad{fill:#c1121f}"


class _Label(NamedTuple):
    """A line of text at a bus, and its class."""

    text: str
    kind: str = ""


class _Bus(NamedTuple):
    """A bus below one row: the height of its line, and what stands beside and below it."""

    line: Line
    level: float
    labels: tuple[_Label, ...]
    troubles: tuple[str, ...]


class _Row(NamedTuple):
    """Containers beside each other: their left edges and widths, by number; and their buses."""

    top: float
    deep: float
    starts: dict[int, float]
    widths: dict[int, float]
    buses: tuple[_Bus, ...]
    end: float

    def centre(self, box: int) -> float:
        return self.starts[box] + self.widths[box] / 2


def render(drawing: Drawing) -> str:
    """The whole document."""
    labels = [_labels(line) for line in drawing.lines]
    widest = max((len(each.text) for label in labels for each in label), default=0)
    left = _MARGIN + WIDE * widest
    rows = list(_rows(drawing, labels, left))
    troubles = [text for row in rows for bus in row.buses for text in bus.troubles]
    ends = [start + row.widths[box] + _GAP for row in rows for box, start in row.starts.items()]
    ends += [_MARGIN + WIDE * len(text) for text in troubles]
    wide = max([*ends, left + _GAP]) + _MARGIN
    size = f"{wide:.0f} {rows[-1].end + _MARGIN if rows else 2 * _MARGIN:.0f}"
    width, height = size.split()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    parts = [head + f'viewBox="0 0 {size}">', f"<style>{_STYLE}</style>"]
    parts.append('<rect width="100%" height="100%" fill="#fff"/>')
    for row in rows:
        parts += _row(drawing, row, left, wide - _MARGIN)
    return "\n".join([*parts, "</svg>"])


def _labels(line: Line) -> tuple[_Label, ...]:
    """What stands at the left of a bus."""
    networks = f"networks: {', '.join(line.networks)}" if line.networks else ""
    texts = (line.interface, ""), (line.about, "" if line.up else "bad"), (networks, "")
    return tuple(
        _Label(part, kind)
        for text, kind in (*texts, (line.frames, "faint"))
        for part in wrap(text, _LABEL, break_on_hyphens=False)
    )


def _rows(drawing: Drawing, labels: Sequence[tuple[_Label, ...]], left: float) -> Iterator[_Row]:
    """All rows, from top to bottom."""
    plugs = [{plug.box: plug for plug in line.plugs} for line in drawing.lines]
    widths = [_width(drawing, box, plugs) for box in range(len(drawing.boxes))]
    top, shown = _MARGIN, set[int]()
    for boxes in _split(widths, WIDEST - _MARGIN - left) or [[]]:
        deep = max((len(_parts(drawing.boxes[box])) for box in boxes), default=0)
        high = deep * _TEXT + 16 if boxes else 0.0
        level = top + high
        buses = []
        for number, line in enumerate(drawing.lines):
            here = any(box in plugs[number] for box in boxes)
            if not here and (plugs[number] or number in shown):
                continue
            again = number in shown
            texts = (_Label(line.interface), _Label("the same bus")) if again else labels[number]
            troubles = () if again else tuple(_troubles(line))
            level += _ABOVE
            buses.append(_Bus(line, level, texts, troubles))
            level += max(_BELOW, _TEXT * (len(texts) - 1)) + _TEXT * len(troubles)
            shown.add(number)
        starts: dict[int, float] = {}
        at = left + _GAP
        for box in boxes:
            starts[box] = at
            at += widths[box] + _GAP
        sizes = {box: widths[box] for box in boxes}
        yield _Row(top, high, starts, sizes, tuple(buses), level)
        top = level + _ROOM


def _split(widths: Sequence[float], room: float) -> list[list[int]]:
    """The containers of each row; one at least."""
    rows: list[list[int]] = []
    left = 0.0
    for box, width in enumerate(widths):
        if not rows or width + 2 * _GAP > left:
            rows.append([])
            left = room
        rows[-1].append(box)
        left -= width + _GAP
    return rows


def _width(drawing: Drawing, box: int, plugs: Iterable[dict[int, Plug]]) -> float:
    texts = [*_parts(drawing.boxes[box])]
    for each in plugs:
        if plug := each.get(box):
            texts += [2 * plug.interface, *_counts(plug)]  # the name stands right of the centre
    return WIDE * max(map(len, texts)) + _GAP


def _parts(name: str) -> list[str]:
    """A container's name in lines that fit into its box."""
    return [name[place : place + _NAME] for place in range(0, len(name), _NAME)]


def _troubles(line: Line) -> Iterator[str]:
    for each in line.troubles:
        yield from wrap(each, int((WIDEST - 2 * _MARGIN) / WIDE), break_on_hyphens=False)


def _row(drawing: Drawing, row: _Row, left: float, right: float) -> Iterator[str]:
    for box, start in row.starts.items():
        yield from _stem(box, row)  # what follows lies on it
        yield from _box(drawing.boxes[box], start, row.widths[box], row)
    for bus in row.buses:
        yield from _bus(bus, left, right)
        for plug in bus.line.plugs:
            if plug.box in row.starts:
                yield from _plug(plug, row.centre(plug.box), bus.level)


def _stem(box: int, row: _Row) -> Iterator[str]:
    """From a container down to the last bus that it is on."""
    centre = row.centre(box)
    reached = [
        (bus.level, plug.there) for bus in row.buses for plug in bus.line.plugs if plug.box == box
    ]
    for level, there in reached[-1:]:
        dashes = "" if there else ' stroke-dasharray="4"'
        yield (
            f'<line x1="{centre:.1f}" y1="{row.top:.1f}" x2="{centre:.1f}" y2="{level:.1f}" '
            f'stroke="{_FAINT}" stroke-width="1.5"{dashes}/>'
        )


def _box(name: str, start: float, width: float, row: _Row) -> Iterator[str]:
    yield (
        f'<rect x="{start:.1f}" y="{row.top:.1f}" width="{width:.1f}" height="{row.deep:.1f}" '
        f'rx="4" fill="#eef4ff" stroke="#333"/>'
    )
    for number, part in enumerate(_parts(name)):
        yield _text(part, start + width / 2, row.top + 20 + _TEXT * number, anchor="middle")


def _bus(bus: _Bus, left: float, right: float) -> Iterator[str]:
    line, level = bus.line, bus.level
    colour = _GOOD if line.up else _BAD
    dashes = "" if line.up else ' stroke-dasharray="8"'
    yield (
        f'<line x1="{left + 6:.1f}" y1="{level:.1f}" x2="{right:.1f}" y2="{level:.1f}" '
        f'stroke="{colour}" stroke-width="4"{dashes}/>'
    )
    for number, label in enumerate(bus.labels):
        yield _text(label.text, _MARGIN, level - 10 + _TEXT * number, label.kind)
    below = level + max(_BELOW, _TEXT * (len(bus.labels) - 1)) + 4
    for number, trouble in enumerate(bus.troubles):
        yield _text(trouble, _MARGIN, below + _TEXT * number, "bad")


def _plug(plug: Plug, centre: float, level: float) -> Iterator[str]:
    fill = "#111" if plug.there else "#fff"
    yield f'<circle cx="{centre:.1f}" cy="{level:.1f}" r="5" fill="{fill}" stroke="#111"/>'
    yield _text(plug.interface, centre + 8, level - 8)
    for number, part in enumerate(_counts(plug)):
        yield _text(part, centre, level + 20 + _TEXT * number, "faint", "middle")


def _counts(plug: Plug) -> list[str]:
    return plug.frames.split(", ") if plug.there else []


def _text(words: str, x: float, y: float, kind: str = "", anchor: str = "") -> str:
    more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(words)}</text>'
