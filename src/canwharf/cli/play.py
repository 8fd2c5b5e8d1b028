"""`canwharf play`: a recording onto a bus, all of it or without some of its senders.

Rules:

- The recording is read once before anything is sent: who must be left out is known to be in it, and
  no frame's sender is unknown where senders are chosen.
- A frame is due at a time that is computed from the beginning, so delays do not add up.
- Frames enter the bus at its host interface: containers and the wire receive them, each once.
- An adapter whose queue is full is waited for; no frame is left out for it. Error frames are an
  adapter's reports, and not sent.
"""

from __future__ import annotations

import json
import select
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Self

from canwharf.bus import ids
from canwharf.cli import listening, selection
from canwharf.cli.listening import LOOK, ending, say
from canwharf.cli.options import Argument, Flag, Option
from canwharf.errors import CanwharfError, RecordingError, UsageError
from canwharf.frames.elsewhere import is_among
from canwharf.frames.formats import FORMATS, Recording
from canwharf.frames.frame import Frame
from canwharf.frames.senders import Senders
from canwharf.frames.transmit import Transmitter

DESCRIPTION = (
    "Send a recording onto a bus, as it was recorded: with its times, and in its order. --without "
    "leaves out what one sender sent, so that the real one can take its place (rest-bus "
    "simulation). Of a recording without senders, --nodes and --map say who sends which ids. The "
    f"file's ending says its format: {', '.join(FORMATS)}. Run it as root."
)
EXAMPLE = "sudo canwharf play drive.log --bus bus0 --without ecu2"
OPTIONS = (
    Argument("file", "the recording", "FILE"),
    Option("bus", "", "the bus: its host interface, or a network's name or id", "BUS"),
    Option(
        *("without", "", "leave out this sender, or HOST/ for all of a host; may be given several"),
        "NAME",
        many=True,
    ),
    Option(
        *("from", "", "only this sender, or HOST/ for all of a host; may be given several times"),
        "NAME",
        many=True,
    ),
    Option("nodes", "", "the senders are those of the messages in this DBC file", "FILE"),
    Option(
        "map",
        "",
        "the sender of these ids is NAME, as in ecu1=100-1FF+7DF; may be given several times",
        "NAME=IDS",
        many=True,
    ),
    Option("recorded", "", "only what was recorded on this bus, where there are several", "BUS"),
    Option("speed", "1", "so many times as fast as recorded", "FACTOR"),
    Flag("loop", "from the beginning again, until it is interrupted"),
    Flag("json", "print at the end what was sent as JSON"),
    *selection.WHICH,
)
_FULL = 0.001  # seconds until an adapter's full queue is tried again
_BETWEEN = 0.01  # seconds between the last frame and the first one of the next loop


def run(options: Mapping[str, str]) -> int:
    """Send it. Raises CanwharfError."""
    if not options["file"] or not options["bus"]:
        raise UsageError("say the file and the bus: canwharf play drive.log --bus bus0")
    speed = _speed(options["speed"])
    which = selection.announced(options).instance
    recording = Recording(options["file"])
    chosen = _Chosen(recording, options)
    interface = listening.interface_of(which, options["bus"])
    with ending() as ended, _Player(interface, speed) as player:
        try:
            for frame in chosen.frames(again=bool(options["loop"])):
                if not player.send(frame, ended):
                    break
        except CanwharfError:
            say(f"sent {player.sent} frames on {interface}, and then no more")
            raise
    if recording.cut:
        say(f"{recording.path}: {recording.cut}")
    told = {"file": recording.path, "interface": interface, "frames": player.sent}
    if options["json"]:
        print(json.dumps({**told, "left_out": chosen.left_out, "waited": player.waited}))
    else:
        print(f"sent {player.sent} frames on {interface}")
    return 128 + ended[0] if ended else 0


class _Chosen:
    """The frames of a recording that are meant. Raises CanwharfError where that is not clear."""

    def __init__(self, recording: Recording, options: Mapping[str, str]) -> None:
        self._recording = recording
        self._without = frozenset(options["without"].splitlines())
        self._only = frozenset(options["from"].splitlines())
        self._senders = Senders(options["map"].splitlines(), options["nodes"])
        if self._senders and not self._without | self._only:
            raise UsageError("--map and --nodes say who sent what: say whom by --without or --from")
        self._bus = options["recorded"]
        self.left_out = 0  # of the last time through
        buses = {frame.bus for frame in recording if not frame.error}
        if not buses:
            self._refuse(f"it has no frame to send{': ' * bool(recording.cut)}{recording.cut}")
        if self._bus and self._bus not in buses:
            self._refuse(f"nothing was recorded on {self._bus}; there are: {_names(buses)}")
        if not self._bus and len(buses) > 1:
            self._refuse(f"it has several buses, say one by --recorded: {_names(buses)}")
        self._check_names()

    def _check_names(self) -> None:
        """Raise if it is not known which frames are those of the senders that were named."""
        named = self._without | self._only
        if not named:
            return
        senders: set[str] = set()
        unknown: set[int] = set()
        for frame in self._recording:
            if not self._is_here(frame):
                continue
            if sender := self._senders.of(frame):
                senders.add(sender)
            elif not (self._senders and frame.remote):  # no id says who sent one
                unknown.add(frame.can_id)
        if unknown:
            text = ids.of(unknown)
            self._refuse(f"nothing says who sent {text}; say it, as in --map other={text}")
        missing = {name for name in named if not any(is_among(each, {name}) for each in senders)}
        if missing:
            self._refuse(f"{_names(missing)} sent nothing in it; there are: {_names(senders)}")
        if not any(map(self._is_chosen, senders)):
            self._refuse("all that it has is left out by --without")

    def frames(self, *, again: bool) -> Iterator[tuple[int, Frame]]:
        """They, with the nanoseconds since the first; from the beginning again if that is meant."""
        offset = 0
        while True:
            first = None
            end = offset
            self.left_out = 0
            for frame in self._recording:
                first = frame.time if first is None else first
                due = frame.time - first + offset
                end = max(end, due)  # the times of a file of two recorders may go back
                if self._is_meant(frame):
                    yield due, frame
                else:
                    self.left_out += 1
            if first is None or not again:
                return
            offset = end + int(_BETWEEN * 1e9)

    def _is_meant(self, frame: Frame) -> bool:
        if not self._is_here(frame):
            return False
        return self._is_chosen(self._senders.of(frame))

    def _is_chosen(self, sender: str) -> bool:
        if is_among(sender, self._without):
            return False
        return not self._only or is_among(sender, self._only)

    def _is_here(self, frame: Frame) -> bool:
        return not frame.error and (not self._bus or frame.bus == self._bus)

    def _refuse(self, reason: str) -> None:
        raise RecordingError("play", self._recording.path, reason)


class _Player:
    """A socket on a bus's interface."""

    def __init__(self, interface: str, speed: float) -> None:
        """Raises KernelError."""
        self.sent = self.waited = 0
        self._speed = speed
        self._begun = monotonic()
        self._transmitter = Transmitter(interface)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._transmitter.close()

    def send(self, what: tuple[int, Frame], ended: list[int]) -> bool:
        """Send it when it is due; false if a signal came before. Raises KernelError."""
        due, frame = what
        at = self._begun + due / 1e9 / self._speed
        while not ended:
            if (left := at - monotonic()) > 0:
                select.select((), (), (), min(left, LOOK))
                continue
            if not self._transmitter.send(frame):
                self.waited += 1
                at = monotonic() + _FULL
                continue
            self.sent += 1
            return True
        return False


def _speed(text: str) -> float:
    """How many times as fast. Raises UsageError."""
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1000:  # also what is no number
        raise UsageError(f"--speed {text}: must be a number from 0.001 to 1000, like 0.5 or 2")
    return speed


def _names(words: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(word or "(no name)" for word in words)) or "none"
