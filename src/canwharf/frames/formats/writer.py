"""What all formats of a recording have in common, for writing and for reading.

Rules:

- Each sender on each bus is a channel. Channels are numbered from 1, as they come.
- A format writes frames one by one and says which it has no room for; nothing is left out unsaid.
- A format reads frames one by one, and says at the end what is wrong with the end of the file. What
  was complete has been read then.
- Times are written in whole microseconds: not all formats have more.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from typing import TypeAlias

from canwharf.errors import RecordingError
from canwharf.frames.formats.output import BATCH, Output
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import CAN_EFF_FLAG, CAN_EFF_MASK, CAN_ERR_FLAG, CAN_RTR_FLAG
from canwharf.record import NamedTuple

MICROSECOND = 1000  # nanoseconds
_OFTEN = 64  # frames, some BATCH bytes
Frames: TypeAlias = Generator[Frame, None, str]


class Channel(NamedTuple):
    """A sender on a bus; what is not known is empty."""

    bus: str
    sender: str


class Writer:
    """A recording that is written. A format says how, in `_name`, `_add` and `_flush`."""

    def __init__(self, path: str) -> None:
        """Make the file. Raises RecordingError, also where it exists."""
        self.path = path
        self.files = [path]  # those with the frames
        self.channels: dict[Channel, int] = {}
        self.left_out = 0  # frames that the format has no room for
        self._outputs: list[Output] = []

    def write(self, frames: Iterable[Frame]) -> None:
        """Write these frames. Raises RecordingError, as for a full disk."""
        for number, frame in enumerate(frames, 1):
            key = Channel(frame.bus, frame.sender)
            channel = self.channels.get(key)
            if channel is None:
                channel = self.channels[key] = len(self.channels) + 1
                self._name(channel, key)
            if not self._add(frame, channel):
                self.left_out += 1
            if number % _OFTEN == 0:  # on a full disk, what fits before is kept
                self.commit(BATCH)
        self.commit(BATCH)

    def commit(self, least: int = 0) -> None:
        """Bring to the disk what waits in memory, if it is at least this many bytes.

        Raises RecordingError.
        """
        self._flush()
        if sum(output.waiting for output in self._outputs) >= least:
            self._commit()
        self._check()

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return sum(output.size for output in self._outputs)

    def close(self) -> None:
        """Finish the file, also one that could not be written any more. Raises RecordingError."""
        self._flush()
        self._commit()  # in their order, before a library closes its own
        self._finish()
        self._commit()
        for output in self._outputs:
            output.close()
        self._check()

    def _open(self, path: str) -> Output:
        try:
            output = Output(path)
        except FileExistsError:
            self._unmake()
            reason = "it exists, and a recording does not overwrite; give another name"
            raise RecordingError("write", path, reason) from None
        except OSError as error:
            self._unmake()
            raise RecordingError("write", path, error.strerror or str(error)) from error
        self._outputs.append(output)
        return output

    def _unmake(self) -> None:
        """Remove what was made of a recording that cannot be: it would be taken for another's."""
        for output in self._outputs:
            output.close()
            os.unlink(output.name)
        self._outputs.clear()

    def _commit(self) -> None:
        """All files in their order; one that is full ends the others, so that they fit together."""
        for output in self._outputs:
            output.commit()
            if output.error is not None:
                for each in self._outputs:
                    each.end(output.error)

    def _check(self) -> None:
        for output in self._outputs:
            if output.error is not None:
                reason = output.error.strerror or str(output.error)
                raise RecordingError("write", output.name, reason) from output.error

    def _name(self, channel: int, of: Channel) -> None:
        """A new channel."""

    def _add(self, frame: Frame, channel: int) -> bool:
        """A frame; whether the format has room for it."""
        raise NotImplementedError

    def _flush(self) -> None:
        """Give to the outputs what a library keeps in memory."""

    def _finish(self) -> None:
        """Write what the format has at its end."""


def seconds(time: int) -> str:
    """Nanoseconds as seconds with six digits."""
    whole, rest = divmod(time // MICROSECOND, 1_000_000)
    return f"{whole}.{rest:06}"


def nanoseconds(seconds: float) -> int:
    """The nearest microsecond, in nanoseconds: a float of today's time has no more."""
    return round(seconds * 1_000_000) * MICROSECOND


def can_id(id: int, *, extended: object, remote: object, error: object) -> int:
    """An id with the flags of linux/can.h. Raises ValueError."""
    if not 0 <= id <= CAN_EFF_MASK:
        raise ValueError(f"{id:X} is no id")
    kinds = ((CAN_EFF_FLAG, extended), (CAN_RTR_FLAG, remote), (CAN_ERR_FLAG, error))
    for flag, is_set in kinds:
        if is_set:
            id |= flag
    return id
