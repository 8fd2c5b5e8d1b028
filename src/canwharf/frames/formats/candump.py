"""The log of candump -L and canplayer (.log); the channel is the bus, a slash and the sender.

    (1700000000.123456) vcan0/ecu1 123#1122334455667788

A character of a name that would end it there is written as in a URL.

Sources: can-utils, candump.c, lib.c (snprintf_canframe, parse_canframe).
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from canwharf.errors import RecordingError
from canwharf.frames.formats.writer import Frames, Writer
from canwharf.frames.frame import BRS, ESI, Frame
from canwharf.frames.lines import log_line
from canwharf.kernel.uapi import (
    CAN_EFF_FLAG,
    CAN_ERR_FLAG,
    CAN_RTR_FLAG,
)

_LINE = re.compile(
    r"\((\d+)\.(\d{1,9})\) (\S+) ([0-7][0-9A-F]{2}|[0-3][0-9A-F]{7})#"
    r"(?:(R)([0-8])?|#([0-9A-F])((?:[0-9A-F]{2}){0,64})|((?:[0-9A-F]{2}){0,8}))"
    r"(?:_[9A-F])?(?: [RT])?\s*",
    re.IGNORECASE,
)


class CandumpWriter(Writer):
    """One line a frame."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._output = self._open(path)

    def _add(self, frame: Frame, _channel: int) -> bool:
        channel = "/".join(map(_quoted, (frame.bus, frame.sender))).rstrip("/")
        self._output.write(f"{log_line(frame, channel)}\n".encode())
        return True


def _quoted(name: str) -> str:
    return quote(name, safe="@:+,=")


def read(path: str) -> Frames:
    """The frames. Raises RecordingError where a line is none of candump's."""
    with open(path, encoding="utf-8", errors="replace", newline="\n") as lines:
        for number, each in enumerate(lines, 1):
            if not each.endswith("\n"):
                return f"line {number} is not complete"
            if not each.strip():
                continue
            found = _LINE.fullmatch(each)
            if not found:
                raise RecordingError("read", path, f"line {number} is not one of candump -L")
            yield _frame(found)
    return ""


def _frame(found: re.Match[str]) -> Frame:
    whole, part, channel, name, remote, length, flags, fd_data, data = found.groups()
    bus, _, sender = map(unquote, channel.partition("/"))
    id = int(name, 16)
    if len(name) == 8 and not id & CAN_ERR_FLAG:
        id |= CAN_EFF_FLAG
    if remote:
        id |= CAN_RTR_FLAG
        content = bytes(int(length or 0))
    else:
        content = bytes.fromhex(fd_data or data or "")
    time = int(whole) * 1_000_000_000 + int(part.ljust(9, "0"))
    return Frame(time, bus, sender, id, content, int(flags, 16) & (BRS | ESI) if flags else None)
