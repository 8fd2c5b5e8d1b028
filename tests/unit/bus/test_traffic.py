"""Frames counted by the gateway's rules, told as those of a bus's interfaces."""

from __future__ import annotations

from canwharf.bus.traffic import Count, Traffic
from canwharf.kernel.gateway import CLASSIC, ERRORS, FD, Entry, Rule

HOST, A, B = 1, 2, 3


def entry(
    source: int, destination: int, handled: int = 0, dropped: int = 0, *, fd: bool = False
) -> Entry:
    return Entry(
        Rule(source, destination, FD if fd else CLASSIC),
        plain=True,
        handled=handled,
        dropped=dropped,
    )


def test_a_frame_that_two_others_get_was_sent_once() -> None:
    """Each of them received it."""
    traffic = Traffic()
    traffic.update([entry(HOST, A, 5), entry(HOST, B, 5), entry(A, HOST, 2), entry(A, B, 2)])
    assert traffic.counts == {
        HOST: Count(sent=5, received=2),
        A: Count(sent=2, received=5),
        B: Count(sent=0, received=7),
    }


def test_classic_and_fd_frames_are_frames() -> None:
    """And so are an adapter's error frames."""
    traffic = Traffic()
    errors = Entry(Rule(HOST, A, ERRORS), plain=True, handled=4)
    traffic.update([entry(HOST, A, 5), entry(HOST, A, 3, fd=True), errors])
    assert traffic.counts[HOST].sent == traffic.counts[A].received == 12


def test_who_came_later_does_not_make_the_sender_send_less() -> None:
    """The rules to it are younger."""
    traffic = Traffic()
    traffic.update([entry(HOST, A, 100), entry(HOST, B, 40)])
    assert traffic.counts[HOST].sent == 100


def test_a_count_never_goes_back_when_a_member_leaves() -> None:
    """Or Prometheus would take what is left for new frames."""
    traffic = Traffic()
    traffic.update([entry(HOST, A, 100), entry(HOST, B, 40), entry(A, HOST, 7), entry(B, HOST, 1)])
    traffic.update([entry(HOST, B, 45), entry(B, HOST, 2)])
    assert traffic.counts == {HOST: Count(105, 9), B: Count(2, 45)}


def test_a_rule_that_was_made_anew_counts_from_zero() -> None:
    """Between the same interfaces."""
    traffic = Traffic()
    traffic.update([entry(HOST, A, 100)])
    traffic.update([entry(HOST, A, 3)])
    assert traffic.counts[A].received == 103


def test_a_counter_that_has_come_round_goes_on() -> None:
    """32 bits last a busy bus for some days."""
    traffic = Traffic()
    traffic.update([entry(HOST, A, 2**32 - 10)])
    traffic.update([entry(HOST, A, 5)])
    assert traffic.counts[A].received == 2**32 + 5


def test_what_was_lost_was_lost_on_the_way_to_a_port() -> None:
    """An interface that is down gets nothing."""
    traffic = Traffic()
    traffic.update([entry(HOST, A, 3, dropped=2), entry(B, A, 0, dropped=1)])
    assert traffic.counts[A] == Count(received=3, dropped=3)
    assert traffic.counts[HOST] == Count(sent=3)


def test_rules_of_others_are_not_counted() -> None:
    """They may be anything: filters, modifications."""
    traffic = Traffic()
    traffic.update([Entry(Rule(HOST, A, CLASSIC), plain=False, handled=9), entry(HOST, A, 1)])
    assert traffic.counts[A].received == 1
    traffic.update([])
    assert traffic.counts == {}
