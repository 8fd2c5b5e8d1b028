"""Names and signals as cantools itself decodes them; a file that cannot be used says why."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from random import Random

import cantools
import pytest

from canwharf.errors import CanwharfError
from canwharf.frames.dbc import Decoder
from canwharf.frames.frame import Frame

EFF, RTR = 0x80000000, 0x40000000
FILE = """VERSION ""
BO_ 291 Engine: 3 ECU1
 SG_ Speed : 0|16@1+ (0.5,0) [0|0] "rpm" X
 SG_ Gear : 16|8@1+ (1,0) [0|0] "" X
BO_ 2566844672 Diesel: 8 ECU2
 SG_ Kind M : 0|8@1+ (1,0) [0|0] "" X
 SG_ One m1 : 8|8@1+ (1,0) [0|0] "" X
VAL_ 291 Gear 1 "first" ;
"""


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> str:
    path = tmp_path / "vehicle.dbc"
    path.write_text(FILE)
    return str(path)


def frame(can_id: int, data: bytes) -> Frame:
    return Frame(0, "bus0", "ecu1", can_id, data)


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (frame(0x123, b"\x60\x09\x01"), "Engine(Speed=1200 rpm, Gear=first)"),
        (frame(0x123, b"\x61\x09\x02"), "Engine(Speed=1200.5 rpm, Gear=2)"),
        (frame(0x123, b"\x02\x00"), "Engine(Speed=1 rpm)"),
        (frame(0x18FEF100 | EFF, b"\1\7" + bytes(6)), "Diesel(Kind=1, One=7)"),
    ],
)
def test_a_message_in_a_line(path: str, shown: Frame, line: str) -> None:
    decoded = Decoder(path).decode(shown)
    assert str(decoded) == line
    database = cantools.database.load_file(path)
    assert isinstance(database, cantools.database.can.Database)
    assert decoded is not None
    assert decoded.signals == database.decode_message(shown.id, shown.data, allow_truncated=True)


def test_the_file_of_real_vehicles() -> None:
    """SAE J1939, as canmatrix ships it: 357 messages of trucks, with flaws that cantools refuses.

    Each is decoded as cantools decodes it, and a message that it cannot decode costs no other.
    """
    path = str(files("canmatrix") / "j1939.dbc")
    with pytest.raises(cantools.Error, match="does not fit"):
        cantools.database.load_file(path)
    theirs = cantools.database.load_file(path, strict=False)
    assert isinstance(theirs, cantools.database.can.Database)
    ours, random, faults = Decoder(path), Random(1), set()
    for message in theirs.messages:
        data = random.randbytes(message.length)
        decoded = ours.decode(frame(message.frame_id | EFF, data))
        assert decoded is not None
        wanted: object = {}
        try:
            wanted = message.decode(data, allow_truncated=True)
        except cantools.Error:
            faults.add(message.name)
        assert (decoded.name, decoded.signals) == (message.name, wanted)
        assert bool(decoded.fault) == (message.name in faults)
    assert len(theirs.messages) > 300
    assert "DISP1" in faults
    assert len(faults) < 30


def test_data_that_is_not_of_the_messages_form(path: str) -> None:
    decoded = Decoder(path).decode(frame(0x18FEF100 | EFF, b"\2" + bytes(7)))
    assert decoded is not None
    assert decoded.signals == {}
    assert "multiplexer" in str(decoded)


def test_what_is_not_in_the_file(path: str) -> None:
    """The same number with 29 bits is another id, and a remote frame has no data."""
    decoder = Decoder(path)
    others = [frame(0x124, b""), frame(0x123 | EFF, b"\1\2\3"), frame(0x123 | RTR, bytes(3))]
    assert [decoder.decode(each) for each in others] == [None, None, None]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("broken.dbc", b"garbage", 'DBC: "Invalid syntax at line 1'),
        ("empty.dbc", b"", "Invalid syntax"),
        ("binary.dbc", bytes(range(256)), "Invalid syntax"),
        ("other.txt", b"hallo", "cannot read"),
        ("folder.dbc", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used(
    tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CanwharfError, match=rf"^cannot read {path}: ") as caught:
        Decoder(str(path))
    assert why in str(caught.value)


def test_without_cantools(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: the sentence says how to get it."""
    real = builtins.__import__

    def without(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if name.startswith("cantools"):
            raise ImportError(name)
        return real(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CanwharfError, match=r"not installed: 'pip install \"canwharf\[frames\]\"'"):
        Decoder(path)
