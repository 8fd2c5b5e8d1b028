"""Two senders of one id are a fault that a virtual bus hides; it is marked, and nothing else is."""

from __future__ import annotations

from canwharf.frames.conflicts import Conflicts
from canwharf.frames.frame import Frame

EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000


def frame(sender: str, can_id: int, bus: str = "bus0") -> Frame:
    return Frame(0, bus, sender, can_id, b"")


def test_two_senders_of_one_id() -> None:
    seen = Conflicts()
    assert seen.others(frame("ecu1", 0x123)) == []
    assert seen.others(frame("ecu1", 0x123)) == []
    assert seen.others(frame("ecu2", 0x123)) == ["ecu1"]
    assert seen.others(frame("ecu1", 0x123)) == ["ecu2"]
    assert seen.others(frame("host", 0x123)) == ["ecu1", "ecu2"]


def test_what_is_no_fault() -> None:
    """Another bus, 11 and 29 bits, a request for the frame, an error report."""
    seen = Conflicts()
    seen.others(frame("ecu1", 0x123))
    others = [
        frame("ecu2", 0x123, "bus1"),
        frame("ecu3", 0x123 | EFF),
        frame("ecu4", 0x123 | RTR),
        frame("ecu5", 0x123 | ERR),
    ]
    assert [seen.others(each) for each in others] == [[], [], [], []]
