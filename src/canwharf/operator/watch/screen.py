"""The screen: a tree of the buses, a table of the ids, signals, and a line about the reading.

Theory of operation. Nothing is drawn when a frame comes. Five times a second the lines of the table
that can be seen are drawn anew, once a second the rates, and the order where it may have changed.

Rules:

- It works from 40 columns on: below WIDE the tree stands above the table, which has fewer columns.
- What is wrong is said in words, and not only by a color.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Input, OptionList, Static, Tree
from textual.widgets.tree import TreeNode

from canwharf.errors import RecordingError
from canwharf.frames.lines import id_text
from canwharf.frames.statistics import MOST, Key, Row
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.watch.plot import plot
from canwharf.operator.watch.reading import Reading
from canwharf.operator.watch.table import Table
from canwharf.operator.watch.tree import BAD, CONDITION, ERRORS, FAINT, labels
from canwharf.operator.watch.view import Choice, fit

WIDE = 80  # columns
REFRESH = 0.2  # seconds between two drawings of the table
_SLOW = 5  # of these until rates and order are new
_CSS = """
#top { height: 1fr; }
#buses { width: 28; height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0; }
#frames { width: 1fr; height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
#bottom { height: 9; border-top: solid $primary; display: none; }
#bottom.there { display: block; }
#signals { width: 40%; height: 1fr; border: none; padding: 0; }
#plot { width: 1fr; height: 1fr; margin-left: 1; }
#filter { display: none; height: 1; }
#filter.open { display: block; }
#about { height: auto; max-height: 3; background: $panel; }
.narrow #top { layout: vertical; }
.narrow #buses { width: 1fr; height: 7; border-bottom: solid $primary; }
"""


class Watch(App[None]):
    """The live screen of a reading."""

    CSS = _CSS
    TITLE = "canwharf watch"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("p,space", "pause", "pause"),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter"),
        Binding("m", "mark", "mark"),
        Binding("r", "record", "record"),
        Binding("escape", "all", "show all", show=False),
    ]

    def __init__(self, reading: Reading, ended: Sequence[int] = ()) -> None:
        """It ends when a signal is among those that `ended` has."""
        super().__init__()
        self._reading = reading
        self._ended = ended
        self._choice = Choice()
        self._frozen: dict[Key, Row] | None = None  # what is shown while it is paused
        self._beats = 0
        self._known = 0  # rows at the last ordering
        self._said = "", Style()  # of the last recording
        # Kept, and not looked for: a beat may come when they are no more on the screen.
        self._tree: Tree[tuple[str, str]] = Tree("all buses", data=("", ""), id="buses")
        self._table = Table(reading, id="frames")
        self._signals = OptionList(id="signals", markup=False)
        self._plotted = Static(id="plot", markup=False)
        self._input = Input(placeholder="id, message, sender or bus; Enter", compact=True)
        self._about = Static(id="about", markup=False)
        self._branches: dict[tuple[str, str], TreeNode[tuple[str, str]]] = {}

    def compose(self) -> ComposeResult:
        """The widgets."""
        self._tree.guide_depth = 2
        self._tree.root.expand()
        with Horizontal(id="top"):
            yield self._tree
            yield self._table
        with Horizontal(id="bottom"):
            yield self._signals
            yield self._plotted
        with Vertical(id="filter"):
            yield self._input
        yield self._about
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin."""
        self.query_one("#bottom").set_class(self._reading.decoder is not None, "there")
        self._table.focus()
        self.set_interval(REFRESH, self.beat)
        self.beat()

    def on_resize(self, event: events.Resize) -> None:
        """Another layout for a narrow terminal."""
        self.screen.set_class(event.size.width < WIDE, "narrow")

    def beat(self) -> None:
        """Draw what is new."""
        if self._ended or self._reading.failure:
            self.exit()
            return
        slow = self._beats % _SLOW == 0
        self._beats += 1
        if self._frozen is None:
            rows = self._reading.rows()
            if slow or len(rows) != self._known:
                self._known = len(rows)
                self._arrange(rows.values())
            if slow:
                self._fill_tree()
            self._table.refresh()
            self._fill_signals()
            self._plot()
        self._about.update(self._words())

    def _arrange(self, rows: Iterable[Row] | None = None) -> None:
        if rows is None:
            rows = (self._reading.rows() if self._frozen is None else self._frozen).values()
        self._table.show(self._choice.order(rows, self._table.name_of), self._choice)

    # The tree.

    def _fill_tree(self) -> None:
        wanted = labels(self._reading)
        self._tree.root.set_label("all buses" if wanted else "there is no bus yet")
        for key in [key for key in reversed(self._branches) if key not in wanted]:
            self._branches.pop(key).remove()  # what is on a bus before the bus
        for key, label in wanted.items():
            if not key[1] and key not in self._branches:
                self._branches[key] = self._tree.root.add(label, data=key, expand=True)
        behind: TreeNode[tuple[str, str]] | None = None  # the leaf below on the same bus
        for key, label in reversed(wanted.items()):
            if not (known := self._branches.get(key)):
                parent = self._branches[key[0], ""]
                known = self._branches[key] = parent.add_leaf(label, data=key, before=behind)
            elif str(known.label) != str(label):
                known.set_label(label)
            behind = known if key[1] else None

    def on_tree_node_selected(self, event: Tree.NodeSelected[tuple[str, str]]) -> None:
        """Show only this bus, or this sender."""
        bus, sender = event.node.data or ("", "")
        self._choice = self._choice._replace(bus=bus, sender=sender.rstrip(CONDITION + ERRORS))
        self._arrange()

    # Signals.

    def _fill_signals(self) -> None:
        row = self._table.selected
        options = self._signals
        decoded = self._reading.decoded(row) if row else None
        signals, units = (decoded.signals, decoded.units) if decoded else ({}, {})
        lines = [
            f"{name} = {_value(value)} {units.get(name, '')}".rstrip()
            for name, value in signals.items()
        ]
        if options.option_count != len(lines):
            options.clear_options()
            options.add_options([Text(sanitize(each)) for each in lines])
            return
        for place, line in enumerate(lines):
            if str(options.get_option_at_index(place).prompt) != line:
                options.replace_option_prompt_at_index(place, Text(sanitize(line)))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Plot this signal of the selected row."""
        row = self._table.selected
        decoded = self._reading.decoded(row) if row else None
        if row and decoded and event.option_index < len(decoded.signals):
            self._reading.plot((row.key, list(decoded.signals)[event.option_index]))
            self._plot()

    def _plot(self) -> None:
        shown = self._plotted
        if not (signal := self._reading.signal):
            shown.update("Tab to the signals, Enter plots one" if self._reading.decoder else "")
            return
        (_bus, can_id, sender), name = signal
        samples = self._reading.samples()
        seconds = (samples[-1][0] - samples[0][0]) / 1e9 if samples else 0.0
        title = fit(f"{name} of {id_text(can_id)} from {sender}, {seconds:.1f} s", shown.size.width)
        lines = plot(samples, shown.size.width, shown.size.height - 1)
        shown.update(Text("\n".join([title, *lines]), no_wrap=True))

    # Keys.

    def action_pause(self) -> None:
        """Keep what is shown; it is read and counted all the same."""
        if self._frozen is None:
            copies = self._reading.copies(list(self._reading.rows().values()))
            self._frozen = {row.key: row for row, _others in copies}
        else:
            self._frozen = None
        self._table.frozen = self._frozen is not None
        self._arrange()
        self._about.update(self._words())

    def action_sort(self) -> None:
        """The next order."""
        self._choice = self._choice.next_sort()
        self._arrange()

    def action_mark(self) -> None:
        """Mark the selected row, which then stands above."""
        if row := self._table.selected:
            self._choice = self._choice.toggle(row.key)
            self._arrange()

    def action_filter(self) -> None:
        """Ask for words."""
        self.query_one("#filter").add_class("open")
        self._input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show only rows with these words."""
        self._choice = self._choice._replace(words=event.value)
        self._arrange()

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        """The words stay; they are in the line below."""
        self._close_filter()

    def action_all(self) -> None:
        """Show all rows again."""
        self._input.value = ""
        self._close_filter()
        self._choice = self._choice._replace(words="", bus="", sender="")
        self._arrange()

    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("open")
        self._table.focus()

    def action_record(self) -> None:
        """Begin a recording, or end it."""
        reading = self._reading
        try:
            path = reading.stop_recording() if reading.recording else reading.start_recording()
            done = "" if reading.recording else f"{path} is complete"
            self._said = done, Style(bold=True)
        except RecordingError as error:
            self._said = str(error), BAD
        self._about.update(self._words())

    # The line below.

    def _words(self) -> Text:
        reading, choice = self._reading, self._choice
        frames = sum(rate.frames for rate in reading.rates.values())
        lost = sum(reading.losses.values())
        parts: list[tuple[str, Style]] = [(f"{frames:.0f} frames/s", Style())]
        parts.append((f"{lost} lost", BAD if lost else FAINT))
        parts += [(words, BAD) for words in reading.troubles]
        if self._frozen is not None:
            parts.append(("paused", Style(reverse=True)))
        if reading.left_out:
            parts.append((f"more than {MOST} ids: {reading.left_out} frames not shown", BAD))
        if recording := reading.recording:
            parts.append(
                (f"recording {recording[0]} {recording[1] / 1e6:.1f} MB", Style(bold=True))
            )
        elif reading.trouble:
            parts.append((str(reading.trouble), BAD))
        elif self._said[0]:
            parts.append(self._said)
        if row := self._table.selected:
            ((_row, others),) = reading.copies([row])
            if others:
                words = f"{id_text(row.can_id)} is also sent by {' and '.join(others)}"
                parts.append((words, BAD))
        if chosen := " ".join(each for each in (choice.bus, choice.sender, choice.words) if each):
            parts.append((f"only {chosen}, Esc shows all", FAINT))
        shown = Text()
        for place, (words, style) in enumerate(parts):
            shown.append("  " if place else "").append(sanitize(words), style)
        return shown


def show(reading: Reading, ended: Sequence[int]) -> int:
    """Read and show until its user or a signal ends it; 1 if textual told a fault, 0 else.

    Raises CanwharfError.
    """
    app = Watch(reading, ended)
    reading.start()
    try:
        app.run()
    finally:
        reading.stop()
    if reading.failure:
        raise reading.failure
    return app.return_code or 0


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
