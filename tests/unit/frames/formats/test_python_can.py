"""python-can reads each kind of frame from each format, as any tool that is built on it does."""

from __future__ import annotations

from pathlib import Path

import can
import pytest

from canwharf.frames import formats
from canwharf.frames.frame import BRS, ESI, Frame
from canwharf.kernel.uapi import CAN_EFF_FLAG, CAN_EFF_MASK, CAN_ERR_FLAG, CAN_RTR_FLAG
from tests.unit.frames.formats.test_formats import START, read, write

KINDS = {
    "data": (0x123, b"\x01\x02", None),
    "no data": (0x124, b"", None),
    "29 bits": (0x18FEF100 | CAN_EFF_FLAG, bytes(range(8)), None),
    "29 bits, and small": (0x7 | CAN_EFF_FLAG, b"\x03", None),
    "remote": (0x125 | CAN_RTR_FLAG, bytes(4), None),
    "remote of 29 bits": (0x18FEF101 | CAN_EFF_FLAG | CAN_RTR_FLAG, bytes(2), None),
    "error": (0x4 | CAN_ERR_FLAG, bytes([0, 0x20, 0, 0, 0, 0, 130, 0]), None),
    "FD": (0x126, bytes(range(12)), 0),
    "FD, short": (0x127, bytes(range(8)), 0),
    "FD with BRS": (0x128, bytes(range(64)), BRS),
    "FD with ESI, of 29 bits": (0x18FEF102 | CAN_EFF_FLAG, bytes(range(48)), BRS | ESI),
}
# What a format, or python-can's reader of it, does not have. A loss at writing is counted.
WITHOUT = {
    ".trc": {each for each in KINDS if each.startswith(("remote", "error", "FD"))},
}
NO_FD = {".csv", ".db"}  # their columns have no flag for it; our own file beside, or table, has
NO_CLASSES = {".asc"}  # of an error frame, only that there was one
# python-can takes an error frame of candump's log for one only if its class is "bus error".
NO_ERRORS = {".log"}
FRAMES = [
    Frame(START + number * 1000, "bus0", f"ecu{number % 3}", *what)
    for number, what in enumerate(KINDS.values())
]


def fields(message: can.Message) -> tuple[object, ...]:
    """What a program sees of a message."""
    flags = message.is_fd, message.bitrate_switch, message.error_state_indicator
    kinds = message.is_extended_id, message.is_remote_frame, message.is_error_frame
    if message.is_error_frame:  # an error has no length of the id, which readers tell differently
        kinds = False, *kinds[1:]
    return message.arbitration_id, kinds, flags, message.dlc, bytes(message.data)


def wanted(frame: Frame, ending: str) -> tuple[object, ...]:
    """The same of what was written."""
    fd = 0 if frame.fd is None or ending in NO_FD else frame.fd
    bare = frame.error and ending in NO_CLASSES
    return (
        0 if bare else frame.can_id & CAN_EFF_MASK,
        (frame.extended, frame.remote, frame.error),
        (frame.fd is not None and ending not in NO_FD, bool(fd & BRS), bool(fd & ESI)),
        0 if bare else len(frame.data),
        b"" if bare or frame.remote else frame.data,
    )


@pytest.mark.parametrize("ending", formats.FORMATS)
def test_each_kind_of_frame_is_read_by_python_can(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"drive{ending}"
    kept = [
        frame
        for name, frame in zip(KINDS, FRAMES, strict=True)
        if name not in WITHOUT.get(ending, ())
    ]
    assert write(path, FRAMES).left_out == len(FRAMES) - len(kept)
    with can.LogReader(path) as messages:
        found = list(messages)
    compared = [
        (fields(theirs), wanted(ours, ending))
        for theirs, ours in zip(found, kept, strict=True)
        if not (ours.error and ending in NO_ERRORS)
    ]
    assert [theirs for theirs, _ours in compared] == [ours for _theirs, ours in compared]
    assert [round((each.timestamp - found[0].timestamp) * 1e6) for each in found] == [
        (each.time - kept[0].time) // 1000 for each in kept
    ]
    assert [each.sender for each in read(path)] == [each.sender for each in kept]
