"""The lab's other ways to boot: what a machine falls back on is tried on each machine that can."""

from __future__ import annotations

import pytest

from lab.boot import choose
from lab.errors import GuestDied
from lab.guest import Guest
from tests.world.board import Board

FALLBACK = choose.BOOTS["uml-sid"]


@pytest.mark.skipif(bool(FALLBACK.obstacle()), reason=f"no fallback here: {FALLBACK.obstacle()}")
def test_a_processor_that_the_suites_kernel_cannot_run_on_gets_sids(suite: str) -> None:
    """The suite's Docker and Python, sid's kernel: a bus, and a power cut."""
    with Guest(suite, boot=FALLBACK.name) as guest:
        board = Board(guest)
        board.start()
        board.network()
        board.container("ecu1", more="--restart always")
        board.assert_exactly_once("host:vcan0", board.member("ecu1"))
        board.reboot_after_power_cut()
        board.assert_exactly_once("host:vcan0", board.member("ecu1"))


def test_a_guest_that_dies_as_it_boots_says_of_what_and_others_are_not_tried(suite: str) -> None:
    """Too little memory for its kernel: the console's own words, and what helps."""
    told: list[str] = []
    with pytest.raises(GuestDied) as caught:
        Guest(suite, mem="4M", report=told.append).__enter__()
    assert "died before it was up: give the guest more memory (--mem 2G): Too few" in str(
        caught.value
    )
    assert [line for line in told if "trying" in line] == []
