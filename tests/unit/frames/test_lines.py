"""Lines are candump's, so that eyes and tools that know these need not learn others."""

from __future__ import annotations

import json

import pytest

from canwharf.frames.frame import BRS, ESI, Frame
from canwharf.frames.lines import body, log_line, seconds, to_dict

EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000
TIME = 1_700_000_000_123_456_789


def frame(can_id: int, data: bytes = b"", fd: int | None = None) -> Frame:
    return Frame(TIME, "bus0", "ecu1", can_id, data, fd)


@pytest.mark.parametrize(
    ("shown", "line", "log"),
    [
        (frame(0x123, b"\x11\x22"), "     123   [2]  11 22", "123#1122"),
        (frame(0x7FF | EFF), "000007FF   [0]  ", "000007FF#"),
        (frame(0x42 | RTR, bytes(4)), "     042   [4]  remote request", "042#R4"),
        (frame(0x42 | RTR), "     042   [0]  remote request", "042#R"),
        (frame(0x4 | ERR, b"\1"), "20000004   [1]  01", "20000004#01"),
        (frame(0x1, b"A" * 12, BRS | ESI), f"     001  [12]  {'41 ' * 11}41", "001##3" + "41" * 12),
        (frame(0x1, b"", 0), "     001  [00]  ", "001##0"),
    ],
)
def test_each_kind_of_frame(shown: Frame, line: str, log: str) -> None:
    assert body(shown) == line
    assert log_line(shown, "bus0") == f"(1700000000.123456) bus0 {log}"


def test_ascii_stands_in_one_column_and_shows_no_control_character() -> None:
    assert body(frame(1, b"\x1b[H"), ascii=True).endswith(f"1B 5B 48{' ' * 18}'.[H'")
    assert "'" not in body(frame(1 | RTR, bytes(2)), ascii=True)


def test_the_flags_of_can_fd() -> None:
    shown = [body(frame(1, b"", fd), flags=True)[10:13] for fd in (None, 0, BRS, ESI, BRS | ESI)]
    assert shown == ["- -", "- -", "B -", "- E", "B E"]


def test_seconds_sort_as_text() -> None:
    assert [seconds(each) for each in (0, 1_999, TIME)] == [
        "000.000000",
        "000.000001",
        "1700000000.123456",
    ]


def test_json_says_all_of_a_frame() -> None:
    told = json.loads(json.dumps(to_dict(frame(0x18FEF100 | EFF, b"\xab", BRS), ["ecu2"])))
    assert told == {
        "time": TIME,
        "bus": "bus0",
        "sender": "ecu1",
        "id": 0x18FEF100,
        "extended": True,
        "remote": False,
        "error": False,
        "fd": True,
        "brs": True,
        "esi": False,
        "length": 1,
        "data": "AB",
        "also_sent_by": ["ecu2"],
    }
