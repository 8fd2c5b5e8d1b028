"""What a container sent and heard, as the list that lets this pass: nothing more, nothing less."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from canwharf.bus import ids
from canwharf.frames import learned
from canwharf.frames.frame import HOST, Frame
from canwharf.frames.learned import Learned

EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000
ECU = "ecu1"


def frame(sender: str, can_id: int) -> Frame:
    return Frame(0, "bus0", sender, can_id, b"")


def lesson(frames: Iterable[tuple[str, int]], hears: str = "all") -> Learned:
    found = Learned(ids.parse("can.receive", hears))
    found.add([frame(*each) for each in frames], {ECU, "endpoint e1"})
    return found


def test_each_direction_has_its_list() -> None:
    """By any name of the container; others are what it hears."""
    found = lesson(
        [(ECU, 0x100), ("endpoint e1", 0x101), (ECU, 0x100), (HOST, 0x7DF), ("ecu2", 0x100 | EFF)]
    )
    assert found.sent == (3, 2, "100-101")
    assert found.heard == (2, 2, "7DF+00000100")
    assert found.counts == (2, 2)
    assert found.heard_from == {"ecu2": (1, 1, "00000100"), HOST: (1, 1, "7DF")}


def test_a_namesake_on_another_host_is_another_container() -> None:
    """Of a bus across hosts; both may send the same id, which counts once in the list."""
    found = lesson([("b/ecu1", 0x100), ("b/ecu1", 0x200), ("ecu2", 0x100), (ECU, 0x300)])
    assert found.sent == (1, 1, "300")
    assert found.heard == (3, 2, "100+200")
    assert found.heard_from == {"b/ecu1": (2, 2, "100+200"), "ecu2": (1, 1, "100")}


def test_a_remote_frame_counts_by_its_id_and_an_error_frame_has_none() -> None:
    found = lesson([(ECU, 0x100 | RTR), (ECU, 0x100), (ECU, 0x4 | ERR)])
    assert found.sent == (2, 1, "100")


def test_what_its_policy_kept_from_it_was_not_heard() -> None:
    found = lesson([("ecu2", 0x100), ("ecu2", 0x200)], hears="~200")
    assert found.heard == (1, 1, "100")
    assert found.heard_from == {"ecu2": (1, 1, "100")}


def test_who_sent_and_heard_nothing_needs_nothing() -> None:
    found = lesson([])
    assert (found.sent.words, found.heard.words) == ("none", "none")


@pytest.mark.parametrize("number", [500, 501])
def test_a_list_for_which_the_kernel_has_no_room_is_not_proposed(number: int) -> None:
    """It would be refused; what is proposed never is."""
    sent = lesson((ECU, 16 * each | EFF) for each in range(number)).sent
    assert sent.ids == number
    assert bool(sent.words) == (number == 500)
    if sent.words:
        assert ids.parse("can.send", sent.words).lists.size == 500


def test_endless_new_ids_take_no_endless_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender of random ids for a week."""
    monkeypatch.setattr(learned, "MOST", 5)
    found = lesson((ECU, each) for each in (*range(8), 0))
    assert found.sent == (6, 5, "")
    found = lesson((f"b/{each}", 0x100) for each in range(8))  # or of random names
    assert found.heard == (5, 1, "")
    assert len(found.heard_from) == 5
