"""Vector's asc and blf, PEAK's trc and ASAM's mf4, by python-can's writers and readers.

Rules:

- asc and trc have the table of channels as comments; for blf and mf4 it is in FILE.senders.csv.
- What python-can leaves out of a format is counted: trc has no room for CAN FD, remote frames and
  error frames. asc keeps of an error frame only that there was one.
- The start of asc and trc is in a comment, too: their own dates are milliseconds, or a fraction of
  a day.

Sources: python-can, can/io/.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from urllib.parse import quote, unquote

from canwharf.errors import RecordingError
from canwharf.frames.dbc import EXTRA
from canwharf.frames.formats.csv import BESIDE, Rows, table
from canwharf.frames.formats.writer import (
    MICROSECOND,
    Channel,
    Frames,
    Writer,
    can_id,
    nanoseconds,
    seconds,
)
from canwharf.frames.frame import BRS, ESI, Frame
from canwharf.kernel.uapi import (
    CAN_EFF_FLAG,
    CAN_ERR_FLAG,
    CAN_RTR_FLAG,
)

_SENDERS = ("channel", "bus", "sender")
_NAMED = re.compile(r"\W+canwharf channel (\d+): (\S+)(?: (\S+))?\s*")
_STARTED = re.compile(r"\W+canwharf start: (\d+)\.(\d{6})\s*")
_BLF_HEADER = 144  # bytes
_CONTAINER = 32 * 1024  # bytes of a block of blf: what a power cut can cost


def library(operation: str, path: str) -> ModuleType:
    """python-can. Raises RecordingError where it is not installed."""
    try:
        import can  # noqa: PLC0415 (an extra, and half a second)
    except ImportError as error:
        reason = f"this format needs python-can: {EXTRA}; .log, .csv and .db need nothing"
        raise RecordingError(operation, path, reason) from error
    return can


class _LibraryWriter(Writer):
    """Frames as python-can's messages; `_stop` is after its writer was made."""

    _library: Any

    def _add(self, frame: Frame, channel: int) -> bool:
        self._library.on_message_received(_message(frame, channel - 1))
        return True

    def _finish(self) -> None:
        self._library.stop()


class TextWriter(_LibraryWriter):
    """asc and trc: lines, and comments about the channels among them."""

    def __init__(self, path: str, kind: str, comment: str, without: int, fd: bool) -> None:
        """`comment` begins one; frames with a flag of `without`, and those of FD, do not fit."""
        super().__init__(path)
        can = library("write", path)
        self._text = io.TextIOWrapper(self._open(path), encoding="utf-8", newline="\n")
        self._library = getattr(can, kind)(self._text)
        self._comment = comment
        self._without, self._fd = without, fd
        self._started = False
        self._waiting: list[str] = []

    def _name(self, channel: int, of: Channel) -> None:
        names = " ".join(map(quote, of))
        self._waiting.append(f"{self._comment} canwharf channel {channel}: {names}\n")

    def _add(self, frame: Frame, channel: int) -> bool:
        if frame.can_id & self._without or (frame.fd is not None and not self._fd):
            return False
        if not self._started:
            self._started = True
            # python-can writes its header with the first message
            self._waiting.insert(0, f"{self._comment} canwharf start: {seconds(frame.time)}\n")
        super()._add(frame, channel)
        # A comment after the frame is as good, and not before a header.
        self._text.write("".join(self._waiting))
        self._waiting.clear()
        return True

    def _flush(self) -> None:
        self._text.flush()


class BinaryWriter(_LibraryWriter):
    """blf and mf4: the channels are in a file beside.

    asammdf collects an mf4 in a temporary file of its own, for which there may be no room.
    """

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path)
        can = library("write", path)
        self._rows = Rows()
        self._beside = self._open(path + BESIDE)
        self._beside.write(self._rows.line(_SENDERS))
        try:
            self._library = getattr(can, kind)(self._open(path), max_container_size=_CONTAINER)
        except NotImplementedError as error:  # python-can says so where asammdf is missing
            self._unmake()
            raise RecordingError("write", path, _NO_ASAMMDF) from error

    def _name(self, channel: int, of: Channel) -> None:
        self._beside.write(self._rows.line((str(channel), *of)))
        self._beside.commit()

    def _add(self, frame: Frame, channel: int) -> bool:
        try:
            return super()._add(frame, channel)
        except OSError as error:  # no output of ours raises one
            raise self._failed(error) from error

    def _finish(self) -> None:
        try:
            super()._finish()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> RecordingError:
        reason = f"the library's temporary file: {error.strerror or error}"
        return RecordingError("write", self.path, reason)


_NO_ASAMMDF = "this format needs asammdf: pip install asammdf; blf is as small and needs it not"


def _message(frame: Frame, channel: int) -> Any:  # noqa: ANN401 (python-can's, an extra)
    can = library("write", "")
    id, fd = frame.can_id, frame.fd
    remote = bool(id & CAN_RTR_FLAG)
    return can.Message(
        timestamp=frame.time // MICROSECOND / 1_000_000,
        arbitration_id=frame.id,
        is_extended_id=bool(id & CAN_EFF_FLAG),
        is_remote_frame=remote,
        is_error_frame=bool(id & CAN_ERR_FLAG),
        is_fd=fd is not None,
        bitrate_switch=bool((fd or 0) & BRS),
        error_state_indicator=bool((fd or 0) & ESI),
        dlc=len(frame.data),
        data=None if remote else frame.data,
        channel=channel,
    )


def _frame(message: Any, time: int, of: Channel) -> Frame:  # noqa: ANN401 (as above)
    fd = None
    remote = message.is_remote_frame
    if message.is_fd:
        fd = BRS * message.bitrate_switch | ESI * message.error_state_indicator
        remote = False  # python-can reads an empty frame of FD in an asc as a remote frame
    id = can_id(
        message.arbitration_id,
        extended=message.is_extended_id and not message.is_error_frame,
        remote=remote,
        error=message.is_error_frame,
    )
    return Frame(time, *of, id, bytes(message.dlc) if remote else bytes(message.data), fd)


class _Lines(io.TextIOWrapper):
    """The complete lines of a file; what its comments say of channels and the start."""

    def __init__(self, path: str) -> None:
        super().__init__(io.FileIO(path), encoding="utf-8", errors="replace", newline="\n")
        self.number = 0
        self.cut = False
        self.channels: dict[int, Channel] = {}
        self.start: int | None = None

    def __next__(self) -> str:  # type: ignore[override]  # as TextIOWrapper's own
        each = super().__next__()
        self.number += 1
        if not each.endswith("\n"):
            self.cut = True
            raise StopIteration
        if "canwharf" in each:
            self._comment(each)
        return each

    def _comment(self, each: str) -> None:
        if found := _NAMED.fullmatch(each):
            self.channels[int(found[1])] = Channel(unquote(found[2]), unquote(found[3] or ""))
        elif found := _STARTED.fullmatch(each):
            self.start = (int(found[1]) * 1_000_000 + int(found[2])) * MICROSECOND


def read_text(path: str, kind: str, first: int, **options: Any) -> Frames:  # noqa: ANN401 (its own)
    """The frames of asc or trc, whose reader numbers its channels from `first`.

    Raises RecordingError.
    """
    can = library("read", path)
    # A channel is named after its first frame, and the start after the first of all.
    named = _comments(path)
    with _Lines(path) as lines:
        shift: int | None = None
        for message in _messages(path, getattr(can, kind)(lines, **options), ""):
            time = nanoseconds(message.timestamp)
            if shift is None:
                shift = 0 if named.start is None else named.start - time
            channel = (message.channel or 0) + 1 - first
            of = named.channels.get(channel, Channel(str(channel), ""))
            yield _frame(message, time + shift, of)
        return f"line {lines.number} is not complete" if lines.cut else ""


def _comments(path: str) -> _Lines:
    with _Lines(path) as lines:
        for _each in lines:
            pass
        return lines


def read_blf(path: str) -> Frames:
    """The frames of a blf. Raises RecordingError."""
    can = library("read", path)
    length = os.path.getsize(path)
    if length < _BLF_HEADER:
        return "it is shorter than a header"
    with open(path, "rb") as file:
        try:
            reader = can.BLFReader(file)
        except Exception as error:
            raise RecordingError("read", path, f"python-can: {error}") from error
        cut = "" if reader.file_size == length else "it was not closed, or is not complete"
        yield from _numbered(path, reader, cut)
    return cut


def read_mf4(path: str) -> Frames:
    """The frames of an mf4. Raises RecordingError."""
    can = library("read", path)
    if not os.path.getsize(path):
        return "it was not closed, and is empty"
    try:
        reader = can.MF4Reader(path)
    except NotImplementedError as error:
        raise RecordingError("read", path, _NO_ASAMMDF) from error
    except Exception as error:
        reason = f"it is no mf4, or not complete (asammdf: {error})"
        raise RecordingError("read", path, reason) from error
    with reader:
        yield from _numbered(path, reader, "")
    return ""


def _numbered(path: str, reader: Any, cut: str) -> Iterator[Frame]:  # noqa: ANN401 (python-can's)
    """The frames of a reader whose channels stand in the file beside."""
    named = {int(number): Channel(bus, sender) for number, bus, sender in table(path, _SENDERS)}
    for message in _messages(path, reader, cut):
        channel = (message.channel or 0) + 1
        of = named.get(channel, Channel(str(channel), ""))
        yield _frame(message, nanoseconds(message.timestamp), of)


def _messages(path: str, reader: Any, cut: str) -> Iterator[Any]:  # noqa: ANN401 (python-can's)
    """What it reads. What its readers raise differs by format; at a cut it is the end."""
    messages = iter(reader)
    while True:
        try:
            yield next(messages)
        except StopIteration:
            return
        except Exception as error:
            if cut:
                return
            raise RecordingError("read", path, f"python-can: {error}") from error
