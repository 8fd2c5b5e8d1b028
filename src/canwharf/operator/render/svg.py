"""A drawing as SVG: containers in rows, buses as lines below, a dot for each connection. Pure.

Theory of operation. Containers that do not fit into a row continue in the next row. Below each row
are the buses of its containers. A bus that is drawn again is labeled `the same bus`.

Rules:

- It is at most WIDEST wide. A longer text continues in the next line; none is cut.
- It is self-contained: no script, no font, a background. It is readable in black and white.
- Texts are not measured: each character of the monospaced font counts as WIDE units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from textwrap import wrap

from canwharf.operator.render.layout import Bus, Connection, Drawing
from canwharf.record import NamedTuple

WIDEST = 1600.0  # units: readable on a screen and on an A4 page in landscape
WIDE = 7.3  # units a character of 12 units' height takes at most
_MARGIN, _GAP = 20.0, 24.0
_TEXT = 15.0  # a line of text
_ABOVE, _BELOW = 26.0, 44.0  # a bus: space above its line, and below it
_ROOM = 28.0  # between two rows
_LABEL, _NAME = 34, 32  # characters of a line about a bus, and of one in a container's box
_GOOD, _BAD, _FAINT = "#1a7f37", "#c1121f", "#666"
# A white edge around each text, where a stem crosses it.
_STYLE = "text{font:12px monospace;fill:#111;stroke:#fff;stroke-width:3;paint-order:stroke}"
_STYLE += ".faint{fill:#666}.bad{fill:#c1121f}"


class _Label(NamedTuple):
    """A line of text beside a bus, and its CSS class."""

    text: str
    kind: str = ""


class _PlacedBus(NamedTuple):
    """A bus below one row: the y of its line, the labels beside it, the problems below it."""

    bus: Bus
    level: float
    labels: tuple[_Label, ...]
    problems: tuple[str, ...]


class _Row(NamedTuple):
    """A row of containers (left edges and widths by number), and the buses below it."""

    top: float
    deep: float
    starts: dict[int, float]
    widths: dict[int, float]
    buses: tuple[_PlacedBus, ...]
    end: float

    def center(self, box: int) -> float:
        return self.starts[box] + self.widths[box] / 2


def render(drawing: Drawing) -> str:
    """The SVG document."""
    labels = [_labels(bus) for bus in drawing.buses]
    widest = max((len(each.text) for label in labels for each in label), default=0)
    left = _MARGIN + WIDE * widest
    rows = list(_rows(drawing, labels, left))
    problems = [text for row in rows for placed in row.buses for text in placed.problems]
    ends = [start + row.widths[box] + _GAP for row in rows for box, start in row.starts.items()]
    ends += [_MARGIN + WIDE * len(text) for text in problems]
    wide = max([*ends, left + _GAP]) + _MARGIN
    size = f"{wide:.0f} {rows[-1].end + _MARGIN if rows else 2 * _MARGIN:.0f}"
    width, height = size.split()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    parts = [head + f'viewBox="0 0 {size}">', f"<style>{_STYLE}</style>"]
    parts.append('<rect width="100%" height="100%" fill="#fff"/>')
    for row in rows:
        parts += _row(drawing, row, left, wide - _MARGIN)
    return "\n".join([*parts, "</svg>"])


def _labels(bus: Bus) -> tuple[_Label, ...]:
    """The texts at the left of a bus."""
    networks = f"networks: {', '.join(bus.networks)}" if bus.networks else ""
    texts = (bus.interface, ""), (bus.about, "" if bus.up else "bad"), (networks, "")
    return tuple(
        _Label(part, kind)
        for text, kind in (*texts, (bus.frames, "faint"))
        for part in wrap(text, _LABEL, break_on_hyphens=False)
    )


def _rows(drawing: Drawing, labels: Sequence[tuple[_Label, ...]], left: float) -> Iterator[_Row]:
    """All rows, from top to bottom."""
    connections = [{each.box: each for each in bus.connections} for bus in drawing.buses]
    widths = [_width(drawing, box, connections) for box in range(len(drawing.boxes))]
    top, shown = _MARGIN, set[int]()
    for boxes in _split(widths, WIDEST - _MARGIN - left) or [[]]:
        deep = max((len(_parts(drawing.boxes[box])) for box in boxes), default=0)
        high = deep * _TEXT + 16 if boxes else 0.0
        level = top + high
        buses = []
        for number, bus in enumerate(drawing.buses):
            here = any(box in connections[number] for box in boxes)
            if not here and (connections[number] or number in shown):
                continue
            again = number in shown
            texts = (_Label(bus.interface), _Label("the same bus")) if again else labels[number]
            problems = () if again else tuple(_problems(bus))
            level += _ABOVE
            buses.append(_PlacedBus(bus, level, texts, problems))
            level += max(_BELOW, _TEXT * (len(texts) - 1)) + _TEXT * len(problems)
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
    """The containers of each row, at least one."""
    rows: list[list[int]] = []
    left = 0.0
    for box, width in enumerate(widths):
        if not rows or width + 2 * _GAP > left:
            rows.append([])
            left = room
        rows[-1].append(box)
        left -= width + _GAP
    return rows


def _width(drawing: Drawing, box: int, connections: Iterable[dict[int, Connection]]) -> float:
    texts = [*_parts(drawing.boxes[box])]
    for each in connections:
        if connection := each.get(box):
            # The name stands right of the center.
            texts += [2 * connection.interface, *_counts(connection)]
    return WIDE * max(map(len, texts)) + _GAP


def _parts(name: str) -> list[str]:
    """A container's name in lines that fit into its box."""
    return [name[place : place + _NAME] for place in range(0, len(name), _NAME)]


def _problems(bus: Bus) -> Iterator[str]:
    for each in bus.problems:
        yield from wrap(each, int((WIDEST - 2 * _MARGIN) / WIDE), break_on_hyphens=False)


def _row(drawing: Drawing, row: _Row, left: float, right: float) -> Iterator[str]:
    for box, start in row.starts.items():
        yield from _stem(box, row)  # first, as later elements cover it
        yield from _box(drawing.boxes[box], start, row.widths[box], row)
    for placed in row.buses:
        yield from _bus(placed, left, right)
        for connection in placed.bus.connections:
            if connection.box in row.starts:
                yield from _connection(connection, row.center(connection.box), placed.level)


def _stem(box: int, row: _Row) -> Iterator[str]:
    """From a container down to the last bus that it is on."""
    center = row.center(box)
    reached = [
        (placed.level, each.connected)
        for placed in row.buses
        for each in placed.bus.connections
        if each.box == box
    ]
    for level, connected in reached[-1:]:
        dashes = "" if connected else ' stroke-dasharray="4"'
        yield (
            f'<line x1="{center:.1f}" y1="{row.top:.1f}" x2="{center:.1f}" y2="{level:.1f}" '
            f'stroke="{_FAINT}" stroke-width="1.5"{dashes}/>'
        )


def _box(name: str, start: float, width: float, row: _Row) -> Iterator[str]:
    yield (
        f'<rect x="{start:.1f}" y="{row.top:.1f}" width="{width:.1f}" height="{row.deep:.1f}" '
        f'rx="4" fill="#eef4ff" stroke="#333"/>'
    )
    for number, part in enumerate(_parts(name)):
        yield _text(part, start + width / 2, row.top + 20 + _TEXT * number, anchor="middle")


def _bus(placed: _PlacedBus, left: float, right: float) -> Iterator[str]:
    bus, level = placed.bus, placed.level
    color = _GOOD if bus.up else _BAD
    dashes = "" if bus.up else ' stroke-dasharray="8"'
    yield (
        f'<line x1="{left + 6:.1f}" y1="{level:.1f}" x2="{right:.1f}" y2="{level:.1f}" '
        f'stroke="{color}" stroke-width="4"{dashes}/>'
    )
    for number, label in enumerate(placed.labels):
        yield _text(label.text, _MARGIN, level - 10 + _TEXT * number, label.kind)
    below = level + max(_BELOW, _TEXT * (len(placed.labels) - 1)) + 4
    for number, problem in enumerate(placed.problems):
        yield _text(problem, _MARGIN, below + _TEXT * number, "bad")


def _connection(connection: Connection, center: float, level: float) -> Iterator[str]:
    fill = "#111" if connection.connected else "#fff"
    yield f'<circle cx="{center:.1f}" cy="{level:.1f}" r="5" fill="{fill}" stroke="#111"/>'
    yield _text(connection.interface, center + 8, level - 8)
    for number, part in enumerate(_counts(connection)):
        yield _text(part, center, level + 20 + _TEXT * number, "faint", "middle")


def _counts(connection: Connection) -> list[str]:
    return connection.frames.split(", ") if connection.connected else []


def _text(words: str, x: float, y: float, kind: str = "", anchor: str = "") -> str:
    more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(words)}</text>'
