"""What the rest of the vehicle relies on."""

from pathlib import Path

import pytest

from canwharf.testing import Bus

SPEED, QUESTION, ANSWER = 0x0C9, 0x7E0, 0x7E8


def test_it_says_its_speed(bus: Bus, engine: str) -> None:
    """Again and again, with a counter."""
    first = bus.expect(id=SPEED, sender=engine)
    second = bus.expect(id=SPEED, sender=engine, after=first)
    assert second.data[0] == (first.data[0] + 1) % 256


def test_it_answers_a_tester(bus: Bus, engine: str) -> None:
    """Once, and with the right number."""
    question = bus.send(QUESTION, bytes([2, 0x01, 0x0C]))
    answer = bus.expect(id=ANSWER, sender=engine, after=question)
    assert answer.data[:3] == bytes([4, 0x41, 0x0C])
    bus.expect(id=SPEED, after=answer)  # by then a second answer would have come
    assert [frame.id for frame in bus.frames].count(ANSWER) == 1


def test_it_does_not_answer_another_question(bus: Bus, engine: str) -> None:
    """Neither with this id nor with another."""
    question = bus.send(QUESTION, bytes([2, 0x01, 0x0D]))
    for _turn in range(3):
        bus.expect(id=SPEED, sender=engine, after=question)
    assert {frame.id for frame in bus.frames if frame.sender == engine} == {SPEED}


@pytest.mark.can_bus(options={"can.bandwidth": "125000", "can.delay": "5ms"})
def test_a_slow_bus_is_enough(bus: Bus, engine: str) -> None:
    """As in a body network of 125 kbit/s."""
    question = bus.send(QUESTION, bytes([2, 0x01, 0x0C]))
    bus.expect(id=ANSWER, sender=engine, after=question)


def test_a_drive_is_recorded(bus: Bus, engine: str, tmp_path: Path) -> None:
    """With the senders, for `canwharf play`."""
    with bus.record(tmp_path / "drive.log"):
        question = bus.send(QUESTION, bytes([2, 0x01, 0x0C]))
        bus.expect(id=ANSWER, sender=engine, after=question)
    drive = (tmp_path / "drive.log").read_text()
    assert "bus/host 7E0#02010C" in drive
    assert "bus/engine 7E8#04410C" in drive
