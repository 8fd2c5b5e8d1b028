"""`canwharf dump`: the frames on the buses, and who sent each.

Rules:

- It works while the daemon is stopped; it neither calls nor starts it.
- Frames are for standard output, all else for standard error: losses when they happen and at the
  end, and, once for each, an id that two senders use.
- What has come when a signal ends it is shown, and its status is that of the signal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from time import localtime, monotonic, strftime

from canwharf.cli import listening, selection
from canwharf.cli.listening import LOOK, ending, say
from canwharf.cli.options import JSON, Flag, Option
from canwharf.errors import UsageError
from canwharf.frames import lines
from canwharf.frames.capture import Capture
from canwharf.frames.conflicts import Conflicts
from canwharf.frames.dbc import Decoder
from canwharf.frames.elsewhere import is_among
from canwharf.frames.frame import HOST, WIRE, Frame
from canwharf.frames.words import error_words
from canwharf.operator.render.terminal import colored, plain, sanitize

DESCRIPTION = (
    "Show the frames on the buses, and who sent each: a container by its name, 'host' for a "
    "program on the host, 'wire' for what comes from a real adapter's bus; HOST/NAME is a sender "
    "on another host of a span. Options and filters are "
    "candump's: BUS,id:mask shows only some ids, BUS,id~mask all others, BUS,#mask error frames, "
    "in hexadecimal digits; the BUS any is every bus. It works while the daemon is stopped. Run it "
    "as root."
)
EXAMPLE = "sudo canwharf dump -t a bus0,100:700 --from ecu1"
OPTIONS = (
    listening.BUS,
    Option(
        *("from", "", "only this sender, or HOST/ for all of a host; may be given several times"),
        "NAME",
        many=True,
    ),
    Option(
        "time",
        "",
        "a time stamp: absolute, delta to the last frame, since zero (the first), absolute with "
        "the date",
        choices=("a", "d", "z", "A"),
        short="t",
    ),
    Flag("ascii", "the data as ASCII, too", short="a"),
    Flag("color", "each sender in a color of its own", short="c"),
    Flag("error-words", "error frames in words", short="e"),
    Flag("flags", "the flags of CAN FD frames: B (bit rate switch), E (error state)", short="x"),
    Flag("log", "candump's log format, which has no sender", short="L"),
    Option("count", "", "end after so many frames", "COUNT", short="n"),
    Option("dbc", "", "show messages and signals by this file (DBC, KCD, SYM, ARXML)", "FILE"),
    Flag("json", f"{JSON.help}, one object a line"),
    *selection.WHICH,
)
_TELL = 1.0  # seconds between two messages about losses
_OF_LINES = ("time", "ascii", "color", "error-words", "flags")
_WITHOUT = {"log": ("json", "dbc", *_OF_LINES), "json": _OF_LINES}  # what would have no effect
_COLORS = ("31", "32", "33", "34", "35", "36", "91", "92", "93", "94", "95", "96")  # ECMA-48

_Line = Callable[[Frame, list[str]], str]


def run(options: Mapping[str, str]) -> int:
    """Show them until interrupted. Raises CanwharfError."""
    which = selection.announced(options).instance
    left = listening.count(options["count"])
    for form, others in _WITHOUT.items():
        for each in others if options[form] else ():
            if options[each]:
                raise UsageError(f"--{form} and --{each} contradict each other: leave one out")
    decoder = Decoder(options["dbc"]) if options["dbc"] else None
    wanted = frozenset(options["from"].splitlines())
    with ending() as ended, listening.capture(which, options["bus"]) as capture:
        _note(capture, wanted)
        show = _line(options, capture, decoder)
        told = _Told()
        while left and not ended:
            frames = capture.read(LOOK)
            left -= _print(frames, wanted, left, show, told.conflicts)
            told.losses(capture)
        if left:
            _print(capture.rest(), wanted, left, show, told.conflicts)
        told.end(capture)
    return 128 + ended[0] if ended else 0


def _print(
    frames: Iterable[Frame], wanted: frozenset[str], most: float, show: _Line, conflicts: Conflicts
) -> int:
    """Print those that are wanted, at most so many; how many they were."""
    shown = []
    for frame in frames:
        others = conflicts.others(frame)
        if wanted and not is_among(frame.sender, wanted):
            continue
        shown.append(show(frame, others))
        if len(shown) == most:
            break
    if shown:
        print("\n".join(shown), flush=True)
    return len(shown)


class _Told:
    """What was said on standard error so far."""

    def __init__(self) -> None:
        self.conflicts = _Loud()
        self._lost = 0
        self._next = monotonic() + _TELL

    def losses(self, capture: Capture) -> None:
        """Say what was lost since the last time, once a second."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + _TELL
        lost = sum(capture.losses.values())
        if lost > self._lost:
            say(f"{lost - self._lost} frames were lost here just now, {lost} in all")
            self._lost = lost

    @staticmethod
    def end(capture: Capture) -> None:
        """Say what was lost in all."""
        for (bus, sender), lost in capture.losses.items():
            say(f"{lost} frames of {sender} on {bus} were lost here: they came too fast to show")
        listening.say_hosts(capture)


class _Loud(Conflicts):
    """Says each id that has several senders, once for each of these."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[tuple[str, int, int]] = set()

    def others(self, frame: Frame) -> list[str]:
        others = super().others(frame)
        if others and (key := (frame.bus, frame.can_id, len(others))) not in self._said:
            self._said.add(key)
            senders = " and ".join([*others, frame.sender])
            say(
                f"{frame.bus}: {senders} send {lines.id_text(frame.can_id)}: on a real bus each id "
                "must have one sender, as two destroy each other's frames"
            )
        return others


def _line(options: Mapping[str, str], capture: Capture, decoder: Decoder | None) -> _Line:
    """How a frame is shown."""
    if options["json"]:
        return lambda frame, others: json.dumps(_dict(frame, others, decoder), default=str)
    if options["log"]:
        return lambda frame, _others: lines.log_line(frame, sanitize(frame.bus))
    return _Columns(options, capture, decoder)


def _dict(frame: Frame, others: list[str], decoder: Decoder | None) -> dict[str, object]:
    shown = lines.to_dict(frame, others)
    if frame.error:
        shown["error_words"] = error_words(frame)
    if decoder:
        decoded = decoder.decode(frame)
        shown["message"] = decoded.name if decoded else None
        signals = decoded.signals if decoded else {}
        shown["signals"] = {
            name: value if _is_json(value) else None for name, value in signals.items()
        }
        shown["fault"] = decoded.fault if decoded else ""
    return shown


def _is_json(value: object) -> bool:
    """JSON has no infinite number, and none for what is no number."""
    return not isinstance(value, float) or isfinite(value)


class _Columns:
    """Lines for people, with columns as wide as the names so far."""

    def __init__(
        self, options: Mapping[str, str], capture: Capture, decoder: Decoder | None
    ) -> None:
        self._time = options["time"]
        self._how = {"ascii": bool(options["ascii"]), "flags": bool(options["flags"])}
        self._words = bool(options["error-words"])
        self._color = colored if options["color"] else plain
        self._decoder = decoder
        self._names: dict[str, str] = {}
        self._colors: dict[str, str] = {}
        self._last = 0  # nanoseconds
        there = capture.sources
        self._bus = max((len(sanitize(each.bus)) for each in there), default=4)
        self._sender = max((len(sanitize(each.sender)) for each in there), default=4)

    def __call__(self, frame: Frame, others: list[str]) -> str:
        bus, sender = self._name(frame.bus), self._name(frame.sender)
        self._bus, self._sender = max(self._bus, len(bus)), max(self._sender, len(sender))
        text = f"{bus:<{self._bus}}  {sender:<{self._sender}}  {lines.body(frame, **self._how)}"
        if frame.error:
            text += f"  {error_words(frame)}" if self._words else "  ERRORFRAME"
        if others:
            text += f"  (also sent by {', '.join(map(self._name, others))})"
        if self._decoder and (decoded := self._decoder.decode(frame)):
            text += f"  {sanitize(str(decoded))}"
        color = self._colors.setdefault(sender, _COLORS[len(self._colors) % len(_COLORS)])
        return f" {self._stamp(frame.time)}{self._color(text, color)}"

    def _name(self, name: str) -> str:
        return self._names.get(name) or self._names.setdefault(name, sanitize(name))

    def _stamp(self, time: int) -> str:
        if not self._time:
            return ""
        if self._time == "a":
            return f"({lines.seconds(time)})  "
        if self._time == "A":
            date = strftime("%Y-%m-%d %H:%M:%S", localtime(time // 1_000_000_000))
            return f"({date}.{time % 1_000_000_000 // 1000:06})  "
        before = self._last or time
        if self._time == "d" or not self._last:
            self._last = time
        return f"({lines.seconds(max(0, time - before))})  "


def _note(capture: Capture, wanted: frozenset[str]) -> None:
    """Say why nothing, or not all, may be shown."""
    there = capture.sources
    if not there:
        say("there is no bus yet; it waits for one")
    if any(not each.named for each in there):
        say("Docker tells no name for some containers: they are shown by their endpoint's id")
    senders = {each.sender for each in there} | {HOST, WIRE}
    elsewhere = {each for each in wanted if "/" in each and each.partition("/")[0] != "container"}
    for missing in sorted(wanted - senders - elsewhere):
        on_it = ", ".join(sorted(each.sender for each in there if each.endpoint)) or "none"
        say(f"no container {missing} is there now; there are: {on_it}")
    if elsewhere and not (capture.feed and capture.feed.since):
        names = " and ".join(sorted(elsewhere))
        say(
            f"no bus here is connected to other hosts now: nothing is shown as {names} until one is"
        )
