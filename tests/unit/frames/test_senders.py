"""Who sent a frame, by its id: by hand, by a DBC file; what is not clear is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.errors import CanwharfError, OptionError, UsageError
from canwharf.frames.frame import Frame
from canwharf.frames.senders import Senders
from canwharf.kernel.uapi import CAN_EFF_FLAG, CAN_ERR_FLAG, CAN_RTR_FLAG

DBC = """VERSION ""
BU_: Engine Brakes Doors
BO_ 291 Speed: 2 Engine
 SG_ Speed : 0|16@1+ (1,0) [0|0] "" Brakes
BO_ 2566844672 Rpm: 2 Engine
BO_ 292 Wheels: 2 Brakes
BO_ 293 Shared: 2 Engine
BO_ 294 Nobody: 2 Vector__XXX
BO_TX_BU_ 293 : Engine,Doors;
"""


@pytest.fixture(name="dbc")
def _dbc(tmp_path: Path) -> str:
    path = tmp_path / "vehicle.dbc"
    path.write_text(DBC)
    return str(path)


def of(senders: Senders, can_id: int, recorded: str = "") -> str:
    return senders.of(Frame(0, "bus0", recorded, can_id, b""))


def test_by_hand() -> None:
    """Ids of both lengths, of several maps; the rest is as it was recorded."""
    senders = Senders(["ecu1=100-1FF", "ecu2=18FEF100", "ecu1=7E8"], "")
    assert [of(senders, each) for each in (0x123, 0x7E8, 0x18FEF100 | CAN_EFF_FLAG)] == [
        "ecu1",
        "ecu1",
        "ecu2",
    ]
    assert of(senders, 0x123 | CAN_EFF_FLAG) == ""
    assert of(senders, 0x300, "host") == "host"
    assert of(senders, 0x123, "wire") == "ecu1"
    assert senders
    assert not Senders([], "")


def test_the_source_address_of_j1939() -> None:
    """Any priority and parameter group, from one address."""
    senders = Senders(["engine=00000000:000000FF"], "")
    assert of(senders, 0x18FEF100 | CAN_EFF_FLAG) == "engine"
    assert of(senders, 0x18FEF103 | CAN_EFF_FLAG) == ""


def test_more_ids_than_a_filter_of_the_kernel_takes() -> None:
    """They are compared here."""
    text = "+".join(f"{each:08X}" for each in range(0, 40_000, 2))
    assert of(Senders([f"ecu1={text}"], ""), 20_000 | CAN_EFF_FLAG) == "ecu1"


def test_by_the_nodes_of_a_dbc_file(dbc: str) -> None:
    senders = Senders([], dbc)
    assert of(senders, 0x123) == of(senders, 0x18FEF100 | CAN_EFF_FLAG, "wire") == "Engine"
    assert of(senders, 0x124) == "Brakes"
    assert of(senders, 0x126, "ecu1") == "ecu1"  # a message without a sender
    assert of(senders, 0x700) == ""


def test_two_senders_of_an_id_are_refused_until_one_is_named(dbc: str) -> None:
    with pytest.raises(CanwharfError, match=r"125 has the senders Engine, Doors in .* --map"):
        of(Senders([], dbc), 0x125)
    assert of(Senders(["Doors=125"], dbc), 0x125) == "Doors"
    both = Senders(["a=100-1FF", "b=180-2FF"], dbc)
    assert of(both, 0x17F) == "a"
    with pytest.raises(CanwharfError, match=r"180 has the senders a, b by --map"):
        of(both, 0x180)


@pytest.mark.parametrize("flag", [CAN_RTR_FLAG, CAN_ERR_FLAG])
def test_what_asks_for_data_is_not_of_the_one_that_answers(flag: int, dbc: str) -> None:
    assert of(Senders(["ecu1=123"], dbc), 0x123 | flag, "host") == "host"


@pytest.mark.parametrize("text", ["ecu1", "=123", "ecu1="])
def test_a_map_that_is_none(text: str) -> None:
    with pytest.raises((UsageError, OptionError), match="--map"):
        Senders([text], "")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CanwharfError, match=r"none\.dbc: No such file"):
        Senders([], str(tmp_path / "none.dbc"))
