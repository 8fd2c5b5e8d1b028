"""The communication matrix as text and as CSV. Pure.

Rules:

- A name from outside is sanitized: a recording may have any.
- In CSV, a cell that a spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from canwharf.frames.lines import id_text
from canwharf.frames.matrix import Line, Matrix
from canwharf.kernel.uapi import CAN_EFF_FLAG
from canwharf.operator.render.terminal import sanitize

COLUMNS = (
    *("id", "message", "sender", "receivers", "period", "jitter", "length", "kind", "frames"),
    "also sent by",
)
RECEIVERS = (
    "CAN does not tell which node read a frame: receivers are the other nodes on the bus that may "
    "receive the id (can.receive), as far as they are known. A program on the host can always read "
    "along; host is listed only where it sent something."
)
CONFLICT = (
    "On a real bus each id must have one sender, as two destroy each other's frames: see the "
    "lines with 'also sent by'."
)
_FIELDS = (
    *("bus", "id", "extended", "message", "sender", "receivers", "frames", "period_ms"),
    *("jitter_ms", "length_min", "length_max", "kind", "also_sent_by"),
)
_FORMULA = ("=", "+", "-", "@")


def text(matrix: Matrix) -> str:
    """As columns, a table for each bus."""
    shown = ["Who sends what", about(matrix), ""]
    for bus in matrix.nodes:
        shown += [sanitize(bus), *_table(line for line in matrix.lines if line.bus == bus), ""]
    return "\n".join([*shown, *remarks(matrix)]) + "\n"


def table(matrix: Matrix) -> str:
    """As CSV with a line for each id and sender; receivers have a semicolon between them."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_FIELDS)
    for each in matrix.lines:
        extended = "yes" if each.can_id & CAN_EFF_FLAG else "no"
        names = (each.message, each.sender, ";".join(each.receivers))
        periods = (f"{value:.3f}" if value is not None else "" for value in each[6:8])
        rows.writerow(
            [
                *(_cell(each.bus), id_text(each.can_id), extended, *map(_cell, names)),
                *(each.frames, *periods, each.shortest, each.longest, each.kind),
                _cell(";".join(each.others)),
            ]
        )
    return out.getvalue()


def about(matrix: Matrix) -> str:
    """One line: what it was made from."""
    senders = len({(line.bus, line.sender) for line in matrix.lines})
    ids = len({(line.bus, line.can_id) for line in matrix.lines})
    made = f"made from {sanitize(matrix.origin)}"
    if not matrix.lines:
        return f"{made}: no frames"
    begun = datetime.fromtimestamp(matrix.begun / 1e9, UTC)
    return (
        f"{made}, {matrix.seconds:.1f} s from {begun:%Y-%m-%d %H:%M:%S} UTC on: "
        f"{ids} ids of {senders} senders, {matrix.frames} frames"
    )


def remarks(matrix: Matrix) -> list[str]:
    """What its reader must know, a sentence or two each."""
    told = [RECEIVERS, *matrix.remarks]
    if any(line.others for line in matrix.lines):
        told.append(CONFLICT)
    told += [f"{sanitize(bus)} had {frames} error frames." for bus, frames in matrix.errors.items()]
    if matrix.lost:
        told.append(f"{matrix.lost} frames came too fast and are missing here.")
    if matrix.left_out:
        told.append(f"{matrix.left_out} frames are missing here: there were too many ids.")
    return told


def cells(line: Line) -> tuple[str, ...]:
    """What stands in COLUMNS."""
    lengths = dict.fromkeys((line.shortest, line.longest))
    shown = (
        *(id_text(line.can_id), line.message, line.sender, ", ".join(line.receivers)),
        *(_milliseconds(line.period), _milliseconds(line.jitter), "-".join(map(str, lengths))),
        *(line.kind, str(line.frames), ", ".join(line.others)),
    )
    return tuple(map(sanitize, shown))


def _table(lines: Iterable[Line]) -> list[str]:
    rows: Sequence[tuple[str, ...]] = [COLUMNS, *map(cells, lines)]
    if len(rows) == 1:
        return ["  no frames"]
    used = [place for place in range(len(COLUMNS)) if any(row[place] for row in rows[1:])]
    widths = {place: max(len(row[place]) for row in rows) for place in used}
    return [
        "  " + "  ".join(f"{row[place]:<{widths[place]}}" for place in used).rstrip()
        for row in rows
    ]


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.{1 if value >= 10 else 3}f} ms"


def _cell(text: str) -> str:
    shown = sanitize(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
