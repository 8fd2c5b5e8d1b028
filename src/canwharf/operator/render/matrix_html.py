"""The communication matrix as a page with a picture. Pure.

Theory of operation. The picture is what teams draw by hand: a row for each id, a column for each
node; a disc where the node sends the id, a ring where it may receive it. Below it are all lines as
a table.

Rules:

- It is self-contained and has no script; its policy lets a browser load nothing. All text from
  outside is escaped.
- It is readable in black and white: a fault is also said in words.
- A picture has at most MOST rows; the table has all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from canwharf.frames.lines import id_text
from canwharf.frames.matrix import Line, Matrix
from canwharf.operator.render.matrix import COLUMNS, about, cells, remarks
from canwharf.operator.render.terminal import sanitize

MOST = 200  # rows of a picture
_ROW, _COLUMN, _WIDE = 18.0, 30.0, 7.3  # units; the last one is what a character takes at most
_LONGEST = 40  # characters of a name in a picture
_BAR = 120.0  # units: the longest bar
_SENDS, _FAULT, _MAY = "#1a5fb4", "#c1121f", "#888"
_STYLE = """
body{font:14px/1.5 sans-serif;color:#111;background:#fff;margin:2em}
table{border-collapse:collapse;font:12px monospace}
th,td{border:1px solid #ccc;padding:2px 8px;text-align:left;vertical-align:top}
td{white-space:nowrap}td:nth-child(4){white-space:normal}
th{background:#eee}tr.bad td{background:#fde7e9}
text{font:12px monospace;fill:#111}.bad{fill:#c1121f}.faint{fill:#666}
"""
_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Who sends what</title><style>{style}</style></head><body>
<h1>Who sends what</h1>"""


def page(matrix: Matrix) -> str:
    """The HTML document."""
    parts = [_HEAD.format(style=_STYLE), f"<p>{escape(about(matrix))}</p>"]
    for bus, nodes in matrix.nodes.items():
        lines = [line for line in matrix.lines if line.bus == bus]
        parts.append(f"<h2>{_escaped(bus)}</h2>")
        if not lines:
            parts.append("<p>no frames</p>")
            continue
        parts.append(picture(nodes, lines))
        if len({line.can_id for line in lines}) > MOST:
            parts.append(f"<p>The picture has the first {MOST} ids, the table has all.</p>")
        parts += _table(lines)
    parts += [f"<p>{escape(each)}</p>" for each in remarks(matrix)]
    return "\n".join([*parts, "</body></html>\n"])


def picture(nodes: Sequence[str], lines: Sequence[Line]) -> str:
    """The picture of one bus, as SVG."""
    by_id: dict[int, list[Line]] = {}
    for line in lines:
        by_id.setdefault(line.can_id, []).append(line)
    rows = list(by_id.values())[:MOST]
    labels = [_shortened(f"{id_text(row[0].can_id)} {row[0].message}".strip()) for row in rows]
    left = 10 + _WIDE * max(len("frames/s"), *map(len, labels))
    top = 20 + _WIDE * max(len(_shortened(each)) for each in nodes)
    bars = left + _COLUMN * len(nodes) + 20
    wide = bars + _BAR + 10 * _WIDE
    high = top + _ROW * len(rows) + 2.5 * _ROW
    most = max(sum(line.rate for line in row) for row in rows)
    size = f"{wide:.0f} {high:.0f}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}"'
    parts = [f'{head} viewBox="0 0 {size}" role="img" aria-label="who sends which id">']
    for place, node in enumerate(nodes):
        at = left + _COLUMN * (place + 0.5)
        parts.append(
            f'<text x="{at + 4:.1f}" y="{top - 8:.1f}" transform="rotate(-90 {at + 4:.1f} '
            f'{top - 8:.1f})">{escape(_shortened(node))}</text>'
            f'<line x1="{at:.1f}" y1="{top:.1f}" x2="{at:.1f}" '
            f'y2="{top + _ROW * len(rows):.1f}" stroke="#ddd"/>'
        )
    parts.append(_text("frames/s", bars, top - 8, "faint"))
    for place, (row, label) in enumerate(zip(rows, labels, strict=True)):
        level = top + _ROW * (place + 0.5)
        parts += _row(row, label, nodes, left, level)
        rate = sum(line.rate for line in row)
        width = _BAR * rate / most if most else 0.0
        parts.append(
            f'<rect x="{bars:.1f}" y="{level - 5:.1f}" width="{width:.1f}" height="10" '
            f'fill="#9ec1ea"/>{_text(f"{rate:.1f}", bars + width + 4, level + 4, "faint")}'
        )
    parts += _legend(left, top + _ROW * (len(rows) + 1.5))
    return "\n".join([*parts, "</svg>"])


def _row(
    row: Sequence[Line], label: str, nodes: Sequence[str], left: float, level: float
) -> Iterator[str]:
    fault = len({line.sender for line in row if line.others}) > 1
    yield _text(label, 4, level + 4, "bad" if fault else "")
    yield (
        f'<line x1="{left:.1f}" y1="{level:.1f}" x2="{left + _COLUMN * len(nodes):.1f}" '
        f'y2="{level:.1f}" stroke="#ddd"/>'
    )
    senders = {line.sender for line in row}
    for place, node in enumerate(nodes):
        at = f'<circle cx="{left + _COLUMN * (place + 0.5):.1f}" cy="{level:.1f}"'
        if node in senders:
            yield f'{at} r="6" fill="{_FAULT if fault else _SENDS}"/>'
        elif any(node in line.receivers for line in row):
            yield f'{at} r="4" fill="#fff" stroke="{_MAY}"/>'


def _legend(left: float, level: float) -> Iterator[str]:
    marks = (
        (f'r="6" fill="{_SENDS}"', "sends"),
        (f'r="4" fill="#fff" stroke="{_MAY}"', "may receive"),
        (f'r="6" fill="{_FAULT}"', "two senders"),
    )
    at = left
    for mark, words in marks:
        yield f'<circle cx="{at:.1f}" cy="{level:.1f}" {mark}/>{_text(words, at + 10, level + 4)}'
        at += 30 + _WIDE * len(words)


def _table(lines: Sequence[Line]) -> Iterator[str]:
    yield "<table><tr>" + "".join(f"<th>{name}</th>" for name in COLUMNS) + "</tr>"
    for line in lines:
        kind = ' class="bad"' if line.others else ""
        yield f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells(line)) + "</tr>"
    yield "</table>"


def _shortened(name: str) -> str:
    shown = sanitize(name)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _escaped(words: str) -> str:
    return escape(sanitize(words))


def _text(words: str, x: float, y: float, kind: str = "") -> str:
    of = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{of}>{escape(words)}</text>'
