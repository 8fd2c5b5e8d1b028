"""`canwharf doctor --recording`: what would fail on a real bus is a failure, with status 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canwharf.cli import main
from canwharf.frames import formats
from canwharf.frames.frame import Frame
from canwharf.kernel.uapi import CAN_ERR_FLAG, CAN_RTR_FLAG
from canwharf.operator.doctor import recording

START = 1_700_000_000_000_000_000  # nanoseconds
FAILURE = (
    "bus0: ecu1 (2 frames) and ecu2 (1 frame) send 123: on a real bus each id must have one "
    "sender, as two destroy each other's frames"
)


def sent(sender: str, can_id: int, at: float = 0, bus: str = "bus0", data: bytes = b"") -> Frame:
    return Frame(START + int(at * 1e9), bus, sender, can_id, data)


GOOD = [sent("ecu1", 0x123), sent("ecu2", 0x124, 1), sent("ecu1", 0x123, 2.5)]


def found(*frames: Frame, cut: str = "") -> dict[str, list[tuple[str, str]]]:
    """Level and message by check."""
    told: dict[str, list[tuple[str, str]]] = {}
    for check, each in recording.examine(recording.Facts(frames), cut):
        told.setdefault(check, []).append((each.level, each.message))
    return told


def test_all_is_well() -> None:
    """A line for each check."""
    assert found(*GOOD) == {
        "frames": [("ok", "3 frames in 2.5 s on bus0")],
        "senders": [("ok", "the senders are ecu1, ecu2")],
        "ids": [("ok", "each id has one sender")],
        "errors": [("ok", "no error frames")],
        "times": [("ok", "the times are in order")],
    }


def test_two_senders_of_an_id() -> None:
    """On one bus, and of data frames: one that asks for data has the id of the answer."""
    assert found(*GOOD, sent("ecu2", 0x123, 3))["ids"] == [("failure", FAILURE)]
    others = sent("ecu2", 0x123, 3, "bus1"), sent("ecu2", 0x123 | CAN_RTR_FLAG, 3)
    assert found(*GOOD, *others)["ids"] == [("ok", "each id has one sender")]


def test_more_ids_than_are_shown_or_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording of random ids fills neither the screen nor the memory."""
    both = [sent(who, can_id) for can_id in range(30) for who in ("ecu1", "ecu2")]
    told = found(*both)["ids"]
    assert len(told) == 21
    assert told[-1] == ("failure", "so it is with 10 other ids")
    monkeypatch.setattr("canwharf.frames.statistics.MOST", 3)
    monkeypatch.setattr(recording, "MOST", 3)
    few = [sent("ecu1", can_id) for can_id in range(5)]
    message = "only the first 3 pairs of an id and a sender were compared: 2 frames had others"
    assert found(*few)["ids"] == [("warning", message)]


def test_what_is_missing() -> None:
    """The end, and senders: of a frame without one no conflict is made up."""
    told = found(*GOOD, sent("", 0x123, 3), cut="line 7 is not complete")
    assert told["frames"][0] == (
        "warning",
        "line 7 is not complete: there were more frames than these",
    )
    assert told["senders"][1][0] == "warning"
    assert told["ids"] == [("ok", "each id has one sender")]
    assert "ids" not in found(sent("", 0x123), sent("", 0x124))
    assert found() == {"frames": [("warning", "there is no frame in it")]}


def test_what_an_adapter_reported_and_a_clock_that_was_set() -> None:
    """Overflows are losses; of an asc's error frames nothing more is known."""
    overflow = sent("wire", CAN_ERR_FLAG | 0x4, 1, data=bytes([0, 1, 0, 0, 0, 0, 0, 0]))
    off, unknown = sent("wire", CAN_ERR_FLAG | 0x40, 2), sent("wire", CAN_ERR_FLAG, 0.5)
    told = found(GOOD[0], overflow, overflow, off, unknown)
    assert told["errors"] == [
        ("warning", "bus0: 2 times the adapter reported that it lost frames"),
        ("warning", "bus0: 4 error frames: controller (2), bus-off (1), unknown error (1)"),
    ]
    assert told["times"][0][0] == "warning"


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "drive.log"
    writer = formats.create(str(path))
    writer.write([*GOOD, sent("ecu2", 0x123, 3)])
    writer.close()
    return path


def test_the_command(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines, its JSON and its status are those of the doctor."""
    assert main(["doctor", "--recording", str(path)]) == 1
    assert f"failure  ids:          {FAILURE}\n" in capsys.readouterr().out
    assert main(["doctor", "--recording", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert [each["check"] for each in told["findings"]] == [
        *("frames", "senders", "ids", "errors", "times")
    ]
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["doctor", "--recording", str(path)]) == 0
    assert "warning  frames:       line 4 is not complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["none.log"], 1, "cannot read none.log: No such file"),
        (["none.xyz"], 1, "no format"),
        (["none.log", "--fix"], 2, "leave --fix, --forget and"),
        (["none.log", "--driver-name", "other"], 2, "the options that say which daemon out"),
    ],
)
def test_what_cannot_be_is_refused(
    words: list[str], status: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--recording", *words]) == status
    assert reason in capsys.readouterr().err
