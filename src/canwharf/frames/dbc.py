"""Names and signals of frames, by a DBC file (or another kind that cantools reads).

cantools is imported here, where a file is opened, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from canwharf.errors import CanwharfError
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import CAN_EFF_FLAG, CAN_EFF_MASK, CAN_SFF_MASK
from canwharf.record import NamedTuple

EXTRA = "'pip install \"canwharf[frames]\"', or 'apt install python3-can python3-cantools'"


class Decoded(NamedTuple):
    """A message's name, and its signals: a number, a word of the file's, and their units.

    `fault` says why the data cannot be decoded; or empty.
    """

    name: str
    signals: dict[str, Any]
    units: dict[str, str]
    fault: str = ""

    def __str__(self) -> str:
        """In one line: `Engine(Speed=1200 rpm, Gear=first)`."""
        if self.fault:
            return f"{self.name}({self.fault})"
        shown = (
            f"{name}={value:g}{unit}" if isinstance(value, float) else f"{name}={value}{unit}"
            for name, value in self.signals.items()
            for unit in [f" {self.units[name]}" if self.units[name] else ""]
        )
        return f"{self.name}({', '.join(shown)})"


class Decoder:
    """The messages of a file, by their id."""

    def __init__(self, path: str) -> None:
        """Raises CanwharfError: no such file, not of its form, or no cantools."""
        try:
            import cantools.database  # noqa: PLC0415 (an extra)
        except ImportError as error:
            reason = f"cantools, which reads it, is not installed: {EXTRA}"
            raise CanwharfError(f"cannot read {path}: {reason}") from error
        try:
            # Not strict: one signal that does not fit its message would make all others useless.
            loaded = cantools.database.load_file(path, strict=False)
        except (OSError, ValueError, cantools.Error) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise CanwharfError(f"cannot read {path}: {reason}") from error
        if not isinstance(loaded, cantools.database.can.Database):
            raise CanwharfError(f"cannot read {path}: it describes no CAN messages")
        self.database = loaded
        self._messages = {(each.frame_id, each.is_extended_frame): each for each in loaded.messages}
        self._failures = cantools.Error, ValueError, KeyError

    def name_of(self, can_id: int) -> str:
        """The name of the message with this id (linux/can.h); empty if the file has none."""
        extended = bool(can_id & CAN_EFF_FLAG)
        mask = CAN_EFF_MASK if extended else CAN_SFF_MASK
        message = self._messages.get((can_id & mask, extended))
        return message.name if message else ""

    def decode(self, frame: Frame) -> Decoded | None:
        """What it says; None for a message that the file does not have, and one without data."""
        message = self._messages.get((frame.id, frame.extended))
        if message is None or frame.remote or frame.error:
            return None
        units = {each.name: each.unit or "" for each in message.signals}
        try:
            signals = message.decode(frame.data, allow_truncated=True)
        except self._failures as error:
            return Decoded(message.name, {}, units, str(error))
        if not isinstance(signals, dict):
            return Decoded(message.name, {}, units, "a container message")
        return Decoded(message.name, signals, units)
