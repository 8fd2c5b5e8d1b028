"""`canwharf watch`: the buses on a live screen; or who sends what, as a document.

Rules:

- It works while the daemon is stopped; it neither calls nor starts it.
- The screen needs textual and a terminal. The document needs neither.
- A file that exists is not overwritten. That is looked at before anything is read.
- A signal ends the look at a bus as it was meant to end: the document is written, and the status
  is 0. It ends the screen, too, and closes what was recorded there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic

from canwharf.cli import duration, listening, selection
from canwharf.cli.listening import LOOK, ending, say
from canwharf.cli.options import Option
from canwharf.errors import CanwharfError, RecordingError, UsageError
from canwharf.frames.buses import Buses
from canwharf.frames.dbc import Decoder
from canwharf.frames.formats import FORMATS, Recording
from canwharf.frames.frame import Frame
from canwharf.frames.matrix import Matrix, Node, matrix
from canwharf.frames.statistics import Statistics
from canwharf.operator.render import matrix as render
from canwharf.operator.render.matrix_html import page
from canwharf.operator.render.terminal import sanitize
from canwharf.operator.watch.reading import Reading

DESCRIPTION = (
    "Watch the buses: who is on them, with rates and load, and each id with its sender, period, "
    "jitter and data. r records from there, q ends it. With --report it writes who sends what, the "
    "communication matrix, as text, CSV or a page with a picture, from the live bus until Ctrl-C "
    "or after --for, or from a recording. It works while the daemon is stopped. Run it as root."
)
EXAMPLE = "sudo canwharf watch bus0 --dbc vehicle.dbc"
_RENDERERS: Mapping[str, Callable[[Matrix], str]] = {
    ".txt": render.text,
    ".csv": render.table,
    ".html": page,
}
OPTIONS = (
    listening.BUS,
    Option("report", "", f"write who sends what into this file: {', '.join(_RENDERERS)}", "FILE"),
    Option("for", "", "with --report, end after this time: 500ms, 30s, 5m, 2h", "TIME"),
    Option(
        *("read", "", f"with --report, read a recording: {', '.join(FORMATS)}", "FILE"),
        short="r",
    ),
    Option("dbc", "", "show messages and signals by this file (DBC, KCD, SYM, ARXML)", "FILE"),
    Option("serve", "", "show the screen in a browser of this machine: 8000", "PORT"),
    *selection.WHICH,
)
_UNKNOWN = "(unknown)"  # a bus or a sender that a recording does not tell
_LOOK = 1.0  # seconds between two looks at which nodes there are


def run(options: Mapping[str, str]) -> int:
    """Show the screen, or write the document. Raises CanwharfError."""
    if options["report"] and options["serve"]:
        raise UsageError("--report and --serve contradict each other: leave one of them out")
    if options["report"]:
        return _report(options)
    if given := [name for name in ("for", "read") if options[name]]:
        raise UsageError(f"--{given[0]} is for a document: say its file by --report matrix.html")
    return _serve(options) if options["serve"] else _watch(options)


def _serve(options: Mapping[str, str]) -> int:
    """The screen in a browser, until a signal ends it. Raises CanwharfError."""
    with _extra("textual-serve"):
        from canwharf.operator.watch import serving  # noqa: PLC0415 (an extra)
    address = serving.parse(options["serve"])
    with listening.capture(selection.of(options).instance, options["bus"], _unsaid):
        pass  # what each tab's command could not do is told here
    serving.serve(
        _same(options), address, lambda url: print(f"{url}  (Ctrl-C ends it)", flush=True)
    )
    return 0


def _same(options: Mapping[str, str]) -> list[str]:
    """This command, without --serve."""
    program = [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:])]]
    words = [
        f"--{row.name}={options[row.name]}"
        for row in OPTIONS
        if isinstance(row, Option) and row.name != "serve" and options[row.name] != row.default
    ]
    return [*program, "watch", *words, "--", *options["bus"].splitlines()]


def _watch(options: Mapping[str, str]) -> int:
    """The screen, until its user ends it. Raises CanwharfError."""
    if not _has_terminal():
        raise CanwharfError(
            "the screen needs a terminal: 'canwharf dump' shows frames in a pipe or a file, "
            "'canwharf watch --report FILE' writes who sends what"
        )
    with _extra("textual"):
        from canwharf.operator.watch.screen import show  # noqa: PLC0415 (an extra)
    which = selection.announced(options).instance
    decoder = Decoder(options["dbc"]) if options["dbc"] else None
    with (
        ending() as ended,
        listening.capture(which, options["bus"], _unsaid) as capture,
        Buses(which.name, which.state_dir) as buses,
    ):
        reading = Reading(capture, lambda: buses.read(capture.sources), decoder)
        status = show(reading, ended)
    return 128 + ended[0] if ended else status


def _unsaid(_words: str) -> None:
    """A line on standard error would be on the screen, which says it in its last line."""


@contextmanager
def _extra(library: str) -> Iterator[None]:
    """What needs this library may be imported within. Raises CanwharfError without it."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0].startswith("canwharf"):
            raise
        raise CanwharfError(
            f"the screen needs {library}, which is not installed: "
            "'pip install \"canwharf[watch]\"'; 'canwharf dump' shows frames without it"
        ) from error


def _has_terminal() -> bool:
    """Whether a screen can be shown; a browser's (`--serve`) is no terminal."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return "TEXTUAL_DRIVER" in os.environ or (
        all(each.isatty() for each in streams) and os.environ.get("TERM") != "dumb"
    )


def _report(options: Mapping[str, str]) -> int:
    """The document. Raises CanwharfError."""
    path = options["report"]
    rendered = _renderer(path)
    decoder = Decoder(options["dbc"]) if options["dbc"] else None
    name_of = decoder.name_of if decoder else lambda _can_id: ""
    made = _recorded(options, name_of) if options["read"] else _live(options, name_of)
    _write(path, rendered(made))
    print(f"{sanitize(path)}: {render.about(made)}")
    if made.lost:
        say(f"{made.lost} frames were lost here: they came too fast")
    if made.left_out:
        say(f"{made.left_out} frames are left out: there were too many ids")
    return 0


def _renderer(path: str) -> Callable[[Matrix], str]:
    """Raises UsageError, RecordingError."""
    if not (found := _RENDERERS.get(os.path.splitext(path)[1].lower())):
        raise UsageError(f"--report {path}: its ending must be one of {', '.join(_RENDERERS)}")
    if os.path.lexists(path):
        raise RecordingError("write", path, "it exists, and is not overwritten")
    _write(path, "")  # what cannot be written is told now, and not after an hour on the bus
    os.unlink(path)
    return found


def _live(options: Mapping[str, str], name_of: Callable[[int], str]) -> Matrix:
    """Of what is sent from now on, until a signal or the end of the time."""
    which = selection.announced(options).instance
    length = duration.seconds("--for", options["for"]) if options["for"] else float("inf")
    statistics = Statistics()
    nodes: dict[tuple[str, str], Node] = {}
    remarks: list[str] = []

    def tell(words: str) -> None:
        remarks.append(words)
        say(words)

    with (
        ending() as ended,
        listening.capture(which, options["bus"], tell) as capture,
        Buses(which.name, which.state_dir) as buses,
    ):
        if not capture.sources:
            say("there is no bus yet; it waits for one")
        end, look = monotonic() + length, 0.0
        while not ended and (now := monotonic()) < end:
            if now >= look:  # a node that has gone by the end was there, too
                look = now + _LOOK
                for facts in buses.read(capture.sources).values():
                    nodes.update({(each.bus, each.name): each for each in facts.nodes})
            statistics.take(capture.read(min(LOOK, end - now)))
        statistics.take(capture.rest())
        lost = sum(capture.losses.values())
        listening.say_hosts(capture)
        remarks += listening.missed(capture)
    origin = " and ".join(options["bus"].splitlines()) or "all buses"
    made = matrix(origin, statistics, nodes.values(), name_of)
    return made._replace(lost=lost, remarks=tuple(f"{each}." for each in dict.fromkeys(remarks)))


def _recorded(options: Mapping[str, str], name_of: Callable[[int], str]) -> Matrix:
    """Of a recording. Raises CanwharfError."""
    if options["for"]:
        raise UsageError("--for is for a live bus: leave it out, a recording has its end")
    wanted = options["bus"].splitlines()
    if filtered := [each for each in wanted if "," in each]:
        raise UsageError(f"{filtered[0]}: filters are for a live bus, name only the bus")
    recording = Recording(options["read"])
    statistics, found = Statistics(), set[str]()

    def meant() -> Iterator[Frame]:
        for frame in recording:
            found.add(frame.bus)
            if not wanted or frame.bus in wanted:
                known = frame.bus and frame.sender
                yield (
                    frame
                    if known
                    else frame._replace(bus=frame.bus or _UNKNOWN, sender=frame.sender or _UNKNOWN)
                )

    statistics.take(meant())
    if missing := [each for each in wanted if each not in found]:
        there = ", ".join(sorted(each or _UNKNOWN for each in found)) or "none"
        reason = f"nothing was recorded on {missing[0]}; there are: {there}"
        raise RecordingError("read", recording.path, reason)
    if recording.cut:
        say(f"{recording.path}: {recording.cut}")
    remark = "A recording has only the nodes that sent something: there may have been others."
    return matrix(recording.path, statistics, (), name_of)._replace(remarks=(remark,))


def _write(path: str, content: str) -> None:
    """Raises RecordingError; what was written of it by then is removed."""
    made = False
    try:
        with open(path, "x", encoding="utf-8") as file:
            made = True
            file.write(content)
    except OSError as error:
        if made:
            os.unlink(path)
        raise RecordingError("write", path, error.strerror or str(error)) from error
