"""A frame as a line: for people, as candump's log, as JSON. Pure.

Rules:

- The line for people has candump's columns, and the sender between the bus and the id.
- The log is candump's own (`-L`), which has no column for the sender: every tool of the field reads
  it.
- A name has no character that would end or colour a line: the caller sanitizes it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from canwharf.frames.frame import BRS, ESI, Frame
from canwharf.kernel import uapi

_SECOND = 1_000_000_000  # nanoseconds
_LONG = uapi.CAN_EFF_FLAG | uapi.CAN_ERR_FLAG
_DATA_COLUMNS = 8 * 3  # of a classic frame, so that what follows is in one column


def id_text(can_id: int) -> str:
    """An id as candump has it: three digits for 11 bits, eight for 29 and for error frames."""
    if can_id & _LONG:
        return f"{can_id & (uapi.CAN_EFF_MASK | uapi.CAN_ERR_FLAG):08X}"
    return f"{can_id & uapi.CAN_SFF_MASK:03X}"


def seconds(time: int) -> str:
    """Nanoseconds as seconds with six digits behind the point, at least ten characters."""
    return f"{time // _SECOND:03}.{time % _SECOND // 1000:06}"


def body(frame: Frame, *, ascii: bool = False, flags: bool = False) -> str:
    """The id, the length and the data: `123   [2]  11 22`, as candump has them."""
    _time, _bus, _sender, can_id, data, fd = frame
    number = f"[{len(data)}]" if fd is None else f"[{len(data):02}]"
    shown = "remote request" if can_id & uapi.CAN_RTR_FLAG else data.hex(" ").upper()
    text = f"{id_text(can_id):>8}  "
    if flags:
        text += f"{'B' if fd and fd & BRS else '-'} {'E' if fd and fd & ESI else '-'}  "
    text += f"{number:>4}  {shown}"
    if ascii and not can_id & uapi.CAN_RTR_FLAG:
        text = text.ljust(len(text) - len(shown) + _DATA_COLUMNS)
        text += f"  '{''.join(chr(each) if 32 <= each < 127 else '.' for each in data)}'"
    return text


def log_line(frame: Frame, bus: str) -> str:
    """As `candump -L` writes it: `(1700000000.123456) bus0 123#1122`."""
    time, _bus, _sender, can_id, data, fd = frame
    if fd is not None:
        text = f"##{fd:X}{data.hex().upper()}"
    elif can_id & uapi.CAN_RTR_FLAG:
        text = f"#R{len(data) or ''}"
    else:
        text = f"#{data.hex().upper()}"
    return f"({time // _SECOND:010}.{time % _SECOND // 1000:06}) {bus} {id_text(can_id)}{text}"


def to_dict(frame: Frame, others: Collection[str] = ()) -> dict[str, Any]:
    """As JSON; `others` are further senders of this id, which is a fault in CAN.

    `time` is in nanoseconds since the epoch. `data` are hexadecimal digits; a remote frame has
    none, and `length` is what it asks for.
    """
    fd = frame.fd or 0
    return {
        "time": frame.time,
        "bus": frame.bus,
        "sender": frame.sender,
        "id": frame.id,
        "extended": frame.extended,
        "remote": frame.remote,
        "error": frame.error,
        "fd": frame.fd is not None,
        "brs": bool(fd & BRS),
        "esi": bool(fd & ESI),
        "length": len(frame.data),
        "data": "" if frame.remote else frame.data.hex().upper(),
        "also_sent_by": list(others),
    }
