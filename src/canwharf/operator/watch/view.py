"""Which rows are shown, in which order, and what stands in their cells. Pure.

Rules:

- Rows that are marked stand above all others.
- A filter's words must all be found: each in the id, the message, the sender or the bus.
- A byte is marked as changed for CHANGED seconds. Only what is shown is compared.
- A name has no character that would end or color a line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf

from canwharf.frames.elsewhere import is_among
from canwharf.frames.lines import id_text
from canwharf.frames.statistics import Key, Row, changed
from canwharf.kernel.uapi import CAN_RTR_FLAG
from canwharf.operator.render.terminal import sanitize
from canwharf.record import NamedTuple

CHANGED = 1.0  # seconds
_LEAST_DATA = 8  # characters; with less room there is no column of the data


class Column(NamedTuple):
    """A column of the table: its width, and the width of a table from which on it is there."""

    name: str
    width: int
    least: int = 0


MARK, ID, MESSAGE, BUS, SENDER = "", "id", "message", "bus", "sender"
COUNT, PERIOD, JITTER, DATA = "count", "period", "jitter", "data"
_COLUMNS = (
    *(Column(MARK, 2), Column(ID, 8), Column(MESSAGE, 16, 96), Column(BUS, 8, 60)),
    *(Column(SENDER, 10), Column(COUNT, 8, 56), Column(PERIOD, 7), Column(JITTER, 7, 76)),
)
_RIGHT = (ID, COUNT, PERIOD, JITTER)
SORTS: Mapping[str, Callable[[Row], object]] = {
    ID: lambda row: (row.can_id, row.bus, row.sender),
    SENDER: lambda row: (row.sender, row.bus, row.can_id),
    COUNT: lambda row: (-row.count, row.can_id, row.bus, row.sender),
    PERIOD: lambda row: (row.period or inf, row.can_id, row.bus, row.sender),
}


class Choice(NamedTuple):
    """What its user chose to see. `bus` and `sender` are empty for all; `HOST/` are a host's."""

    sort: str = ID
    words: str = ""
    bus: str = ""
    sender: str = ""
    marked: frozenset[Key] = frozenset()

    def next_sort(self) -> Choice:
        """The same in the next order."""
        names = list(SORTS)
        return self._replace(sort=names[(names.index(self.sort) + 1) % len(names)])

    def toggle(self, key: Key) -> Choice:
        """The same with this row marked, or not any more."""
        return self._replace(marked=self.marked ^ {key})

    def order(self, rows: Iterable[Row], name_of: Callable[[int], str]) -> list[Row]:
        """The rows that are shown, from the top."""
        words = self.words.lower().split()
        sort = SORTS[self.sort]
        kept = [row for row in rows if self._is_shown(row, words, name_of)]
        return sorted(kept, key=lambda row: (row.key not in self.marked, sort(row)))

    def _is_shown(self, row: Row, words: Collection[str], name_of: Callable[[int], str]) -> bool:
        if self.bus and row.bus != self.bus:
            return False
        if self.sender and not is_among(row.sender, (self.sender,)):
            return False
        if not words:
            return True
        text = f"{id_text(row.can_id)} {name_of(row.can_id)} {row.sender} {row.bus}".lower()
        return all(word in text for word in words)


def columns(width: int, *, buses: int, messages: bool) -> list[Column]:
    """The columns of a table of this width, with a space between them; the data has the rest."""
    left_out = {BUS: buses < 2, MESSAGE: not messages}
    found = [each for each in _COLUMNS if width >= each.least and not left_out.get(each.name)]
    rest = width - sum(each.width + 1 for each in found)
    return [*found, Column(DATA, rest)] if rest >= _LEAST_DATA else found


def cell(column: Column, row: Row, others: Collection[str], marked: bool, message: str) -> str:
    """The text of a cell but for the data, cut and padded to its width."""
    texts: Mapping[str, Callable[[], str]] = {
        MARK: lambda: ("*" if marked else "") + ("!" if others else ""),
        ID: lambda: id_text(row.can_id),
        MESSAGE: lambda: message,
        BUS: lambda: row.bus,
        SENDER: lambda: row.sender,
        COUNT: lambda: str(row.count),
        PERIOD: lambda: milliseconds(row.period),
        JITTER: lambda: milliseconds(row.jitter),
    }
    return fit(texts[column.name](), column.width, right=column.name in _RIGHT)


def heading(column: Column, sort: str) -> str:
    """Its name; that by which the rows are sorted has a sign."""
    name = f"{column.name}▾" if column.name == sort else column.name
    return fit(name, column.width, right=column.name in _RIGHT)


def data(row: Row, bright: Collection[int], width: int) -> list[tuple[str, bool]]:
    """The data in pieces, each with whether it changed; cut to this width."""
    if row.can_id & CAN_RTR_FLAG:
        return [(fit("remote request", width), False)]
    whole = 3 * len(row.data) - 1 <= width
    shown = len(row.data) if whole else max(0, (width - 1) // 3)
    pieces = [
        piece
        for place, byte in enumerate(row.data[:shown])
        for piece in ((f"{byte:02X}", place in bright), (" ", False))
    ]
    return [*pieces, ("" if whole else "…"[:width], False)]


class Changes:
    """Which bytes of the rows that are shown changed a moment ago."""

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[bytes, dict[int, float]]] = {}

    def of(self, row: Row, now: float) -> set[int]:
        """The places of these bytes; `now` in seconds."""
        before, places = self._seen.get(row.key, (row.data, {}))
        places.update(dict.fromkeys(changed(before, row.data), now))
        self._seen[row.key] = row.data, places
        return {place for place, at in places.items() if now - at < CHANGED}

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all other rows."""
        self._seen = {key: value for key, value in self._seen.items() if key in keys}


def milliseconds(nanoseconds: float | None) -> str:
    """A period: `9.98 ms` would be too wide, the unit is in the title."""
    if nanoseconds is None:
        return ""
    value = nanoseconds / 1e6
    return f"{value:.2f}" if value < 1000 else f"{value:.0f}"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly so many characters."""
    shown = sanitize(text)
    if len(shown) > width:
        shown = shown[: max(0, width - 1)] + "…"[:width]
    return f"{shown:>{width}}" if right else f"{shown:<{width}}"
