"""The table of the ids, of which only the lines that can be seen are ever made.

A widget of textual's own for tables keeps each cell; with 20,000 rows that change, that would be
most of the work.
"""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from canwharf.frames.statistics import Key, Row
from canwharf.operator.watch.reading import Reading
from canwharf.operator.watch.view import (
    DATA,
    MESSAGE,
    Changes,
    Choice,
    Column,
    cell,
    columns,
    data,
    heading,
)

_HEADING = Style(bold=True, reverse=True)
_PLAIN, _FAULT, _MARKED = Style(), Style(color="red", bold=True), Style(bold=True)
_BRIGHT, _SELECTED = Style(color="yellow", bold=True), Style(bgcolor="grey30")


class Table(ScrollView, can_focus=True):
    """Rows, one of which is selected. It says nothing: its owner asks for `selected`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "end(-1)", show=False),
        Binding("end", "end(1)", show=False),
    ]

    def __init__(self, reading: Reading, id: str) -> None:
        super().__init__(id=id)
        self.frozen = False  # what is shown are copies
        self._reading = reading
        self._rows: list[Row] = []
        self._choice = Choice()
        self._selected: Key | None = None
        self._place = 0  # of the selected row
        self._changes = Changes()
        self._bright: dict[Key, set[int]] = {}
        self._columns: list[Column] = []
        self._lines: dict[Key, tuple[Row, list[str]]] = {}
        self._names: dict[int, str] = {}

    def name_of(self, can_id: int) -> str:
        """The message's name by the DBC file; or empty."""
        if self._reading.decoder is None:
            return ""
        if can_id not in self._names:
            self._names[can_id] = self._reading.decoder.name_of(can_id)
        return self._names[can_id]

    @property
    def selected(self) -> Row | None:
        """The selected row; None while there is none."""
        return self._rows[self._place] if self._place < len(self._rows) else None

    def show(self, rows: list[Row], choice: Choice) -> None:
        """Show these, in this order. What is selected stays so."""
        self._rows, self._choice = rows, choice
        keys = (place for place, row in enumerate(rows) if row.key == self._selected)
        self._select(next(keys, min(self._place, max(0, len(rows) - 1))), move=False)
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        self.refresh()

    def refresh(self, *regions: Region, **how: bool) -> Table:
        """Take what the lines that can be seen have now."""
        if self.frozen:
            self._lines = {}
        else:
            first = int(self.scroll_offset.y)
            seen = self._rows[first : first + self.size.height]
            copies = self._reading.copies(seen)
            self._lines = {row.key: (row, others) for row, others in copies}
            now = monotonic()
            self._changes.keep(self._lines.keys())
            self._bright = {row.key: self._changes.of(row, now) for row, _others in copies}
        super().refresh(*regions, **how)
        return self

    def render_line(self, y: int) -> Strip:
        """One line of the terminal: the heading, or a row."""
        width = self.size.width
        buses = len({bus for bus, _sender in self._reading.rates} | self._reading.buses.keys())
        messages = self._reading.decoder is not None
        shown = columns(width, buses=buses, messages=messages)
        if y == 0:
            text = " ".join(heading(each, self._choice.sort) for each in shown)
            return Strip([Segment(f"{text:<{width}}"[:width], _HEADING)], width)
        place = int(self.scroll_offset.y) + y - 1
        if place >= len(self._rows):
            return Strip.blank(width)
        live = self._rows[place]
        row, others = self._lines.get(live.key) or self._reading.copies([live])[0]
        marked = row.key in self._choice.marked
        style = _FAULT if others else _MARKED if marked else _PLAIN
        segments: list[Segment] = []
        for each in shown:
            if each.name == DATA:
                bright = self._bright.get(row.key, ())
                pieces = data(row, bright, each.width)
                segments += [Segment(text, _BRIGHT if new else _PLAIN) for text, new in pieces]
                continue
            message = self.name_of(row.can_id) if each.name == MESSAGE else ""
            text = cell(each, row, others, marked, message)
            segments.append(Segment(f"{text} ", style))
        strip = Strip(segments).adjust_cell_length(width)
        return strip.apply_style(_SELECTED) if place == self._place else strip

    def on_click(self, event: events.Click) -> None:
        """Select the row."""
        if event.y > 0:
            self._select(int(self.scroll_offset.y) + event.y - 1)

    def action_move(self, step: int) -> None:
        """To another row."""
        self._select(self._place + step)

    def action_page(self, direction: int) -> None:
        """A screen further."""
        self._select(self._place + direction * max(1, self.size.height - 2))

    def action_end(self, direction: int) -> None:
        """To the first or the last row."""
        self._select(len(self._rows) if direction > 0 else 0)

    def _select(self, place: int, *, move: bool = True) -> None:
        self._place = max(0, min(place, len(self._rows) - 1))
        row = self.selected
        self._selected = row.key if row else None
        if move:
            top, height = int(self.scroll_offset.y), self.size.height - 1
            if self._place < top:
                self.scroll_to(y=self._place, animate=False)
            elif self._place >= top + height:
                self.scroll_to(y=self._place - height + 1, animate=False)
            self.refresh()
