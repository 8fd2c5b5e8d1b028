"""A drawing as SVG: containers in a row, buses as lines below, a dot where one is plugged in. Pure.

Rules:

- It stands for itself: no script, no font of its own, a background, legible in black and white.
- Nothing is measured: a character of the monospaced font is taken for WIDE units.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from canwharf.operator.drawing import Drawing, Line, Plug

WIDE = 7.3  # units a character of 12 units' height takes at most
_MARGIN, _GAP = 20.0, 24.0
_BOX, _BUS, _TROUBLE = 34.0, 74.0, 18.0  # heights: a container, a bus, a line about it
_GOOD, _BAD, _FAINT = "#1a7f37", "#c1121f", "#666"
# A text keeps a white edge around it, where a stem crosses.
_STYLE = "text{font:12px monospace;fill:#111;stroke:#fff;stroke-width:3;paint-order:stroke}"
_STYLE += ".faint{fill:#666}.bad{fill:#c1121f}"


class _Layout(NamedTuple):
    """Where things are: a container's left edge and width, a bus's height, by their number."""

    left: float
    starts: list[float]
    widths: list[float]
    levels: list[float]
    wide: float
    high: float

    def centre(self, box: int) -> float:
        return self.starts[box] + self.widths[box] / 2


def render(drawing: Drawing) -> str:
    """The whole document."""
    layout = _lay_out(drawing)
    size = f"{layout.wide:.0f} {layout.high:.0f}"
    width, height = size.split()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    parts = [head + f'viewBox="0 0 {size}">', f"<style>{_STYLE}</style>"]
    parts.append('<rect width="100%" height="100%" fill="#fff"/>')
    for number, name in enumerate(drawing.boxes):
        parts += _stem(drawing, number, layout)  # what follows lies on it
        parts += _box(name, layout.starts[number], layout.widths[number])
    for line, level in zip(drawing.lines, layout.levels, strict=True):
        parts += _bus(line, level, layout)
        for plug in line.plugs:
            parts += _plug(plug, layout.centre(plug.box), level)
    return "\n".join([*parts, "</svg>"])


def _lay_out(drawing: Drawing) -> _Layout:
    names = [text for each in drawing.lines for text in (each.interface, each.about, each.frames)]
    left = _MARGIN + WIDE * max(map(len, names), default=0)
    widths = [_width(drawing, number) for number in range(len(drawing.boxes))]
    starts = [left + _GAP * (number + 1) + sum(widths[:number]) for number in range(len(widths))]
    right = left + _GAP * (len(widths) + 1) + sum(widths)
    troubles = [WIDE * len(text) + _MARGIN for each in drawing.lines for text in each.troubles]
    heights = [_BUS + _TROUBLE * len(each.troubles) for each in drawing.lines]
    top = _MARGIN + _BOX
    levels = [top + sum(heights[:number]) + _BUS / 2 + 6 for number in range(len(heights))]
    wide = max([right, *troubles]) + _MARGIN
    return _Layout(left, starts, widths, levels, wide, top + sum(heights) + _MARGIN)


def _width(drawing: Drawing, number: int) -> float:
    texts = [drawing.boxes[number]]
    for line in drawing.lines:
        for plug in line.plugs:
            if plug.box == number:
                texts += [plug.interface, plug.frames if plug.there else ""]
    return WIDE * max(map(len, texts)) + _GAP


def _stem(drawing: Drawing, number: int, layout: _Layout) -> Iterator[str]:
    """From a container down to the last bus that it is on."""
    centre = layout.centre(number)
    reached = [
        (level, plug.there)
        for line, level in zip(drawing.lines, layout.levels, strict=True)
        for plug in line.plugs
        if plug.box == number
    ]
    for level, there in reached[-1:]:
        dashes = "" if there else ' stroke-dasharray="4"'
        yield (
            f'<line x1="{centre:.1f}" y1="{_MARGIN}" x2="{centre:.1f}" y2="{level:.1f}" '
            f'stroke="{_FAINT}" stroke-width="1.5"{dashes}/>'
        )


def _box(name: str, start: float, width: float) -> Iterator[str]:
    yield (
        f'<rect x="{start:.1f}" y="{_MARGIN}" width="{width:.1f}" height="{_BOX}" rx="4" '
        f'fill="#eef4ff" stroke="#333"/>'
    )
    yield _text(name, start + width / 2, _MARGIN + 21, anchor="middle")


def _bus(line: Line, level: float, layout: _Layout) -> Iterator[str]:
    left, right = layout.left, layout.wide - _MARGIN
    colour = _GOOD if line.up else _BAD
    dashes = "" if line.up else ' stroke-dasharray="8"'
    yield (
        f'<line x1="{left + 6:.1f}" y1="{level:.1f}" x2="{right:.1f}" y2="{level:.1f}" '
        f'stroke="{colour}" stroke-width="4"{dashes}/>'
    )
    yield _text(line.interface, _MARGIN, level - 10)
    yield _text(line.about, _MARGIN, level + 5, "" if line.up else "bad")
    yield _text(line.frames, _MARGIN, level + 20, "faint")
    for number, trouble in enumerate(line.troubles):
        yield _text(trouble, _MARGIN, level + 38 + _TROUBLE * number, "bad")


def _plug(plug: Plug, centre: float, level: float) -> Iterator[str]:
    fill = "#111" if plug.there else "#fff"
    yield f'<circle cx="{centre:.1f}" cy="{level:.1f}" r="5" fill="{fill}" stroke="#111"/>'
    yield _text(plug.interface, centre + 8, level - 8)
    if plug.there:
        yield _text(plug.frames, centre, level + 20, "faint", "middle")


def _text(words: str, x: float, y: float, kind: str = "", anchor: str = "") -> str:
    more = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(words)}</text>'
