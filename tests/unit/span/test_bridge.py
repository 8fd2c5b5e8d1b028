"""What a bridge says of other hosts. What it does with frames is in tests/kernel/test_span.py."""

from __future__ import annotations

import socket
from contextlib import closing
from struct import pack

import pytest

from canwharf.bus.naming import Span
from canwharf.frames.frame import Frame
from canwharf.span import feed, message
from canwharf.span.bridge import Bridge
from canwharf.span.feed import Reader
from canwharf.span.followers import Followers
from canwharf.span.message import Message
from canwharf.span.recovery import Recovery
from canwharf.span.report import HOSTS
from canwharf.span.sequence import GAP
from tests.unit.testing.fakes import FakeCapture

SECOND = 10**9
HOUR = 3600 * SECOND


def test_garbage_of_one_host_does_not_hide_what_another_one_does() -> None:
    """Each message is another fault: it would fill the log, and use up what is said at all."""
    said: list[str] = []
    with closing(FakeCapture()) as capture:
        bridge = Bridge("can0", Span("x"), capture, lambda _payload: None, said.append)
        for number in range(HOSTS + 1):
            bridge.inward("bench-2", pack("<BBH", 1, 1, number) + bytes(33), 0)
        bridge.inward("bench-3", b"\x02", 0)
    assert len(said) == 2
    assert said[0].startswith("bench-2 sends a message with flags 1")
    assert said[1].startswith("bench-3 sends a message of version 2")
    assert bridge.counts["unreadable"] == HOSTS + 2


def test_what_this_host_did_not_read_in_time_is_said_with_what_helps() -> None:
    """It has no number, so no other host can miss it."""
    said: list[str] = []
    with closing(FakeCapture()) as capture:
        bridge = Bridge("can0", Span("x"), capture, lambda _payload: None, said.append)
        capture.lost = {("can0", "ecu1"): 5, ("can0", "wire"): 2}
        bridge.beat()
    assert bridge.counts["overrun"] == 7
    (words,) = said
    assert words.startswith("7 frames were not read in time, and may be missing at other hosts: ")
    assert "net.core.rmem_max" in words


def test_a_host_that_has_no_room_is_named_once() -> None:
    said: list[str] = []
    with closing(FakeCapture()) as capture:
        bridge = Bridge("can0", Span("x"), capture, lambda _payload: None, said.append)
        bridge.crowded("bench-2", 3)
        bridge.crowded("bench-2", 4)
    assert bridge.counts["crowded"] == 7
    assert said == ["bench-2 sends more than this host can take: some of it is lost"]


def test_numbers_that_cannot_be_end_no_bridge_that_is_recorded() -> None:
    """A host with a certificate may say any number of 64 bits."""
    most = (1 << 64) - 1
    near, far = socket.socketpair()
    with closing(FakeCapture()) as capture, closing(Followers()) as followers, near:
        bridge = Bridge("can0", Span("x"), capture, lambda _payload: None, lambda _words: None)
        bridge.followers = followers
        bridge.recovery = Recovery("bench-1", lambda _topic, _payload: None)
        followers.add(far, recovers=True)
        for told in ((1, 0, 0, 0), (1, most, most, most), (2, most, 0, most)):
            bridge.inward("bench-2", message.encode(Message(*told)), 0)
            bridge.beat()
        records = list(Reader("can0").read(near.recv(1 << 16)))
    assert [each.number for each in records if each.kind == feed.LOST] == [GAP]
    assert bridge.known()["bench-2"].lost == GAP


@pytest.mark.parametrize("set_by", [HOUR, -HOUR])
def test_a_clock_that_is_set_makes_no_frame_old(
    monkeypatch: pytest.MonkeyPatch, set_by: int
) -> None:
    """The kernel has stamped those that wait to be read with the old time."""
    up, ahead = 100 * SECOND, 10**18
    monkeypatch.setattr("canwharf.span.bridge.uptime", lambda: up)
    monkeypatch.setattr("canwharf.span.bridge.time.time_ns", lambda: up + ahead)
    sent: list[bytes] = []
    with closing(FakeCapture()) as capture:
        bridge = Bridge("can0", Span("x"), capture, sent.append, lambda _words: None)
        up += SECOND // 10
        before = Frame(up + ahead, "can0", "ecu1", 1, b"")
        ahead += set_by
        up += SECOND // 10
        capture.give(*sorted((before, before._replace(time=up + ahead))))
        assert bridge.outward() == 2
    told = message.decode(sent[0], "x", "a")
    ages = [told.clock - each.time for each in told.frames]
    assert max(ages) <= SECOND // 5
    assert sum(age > 0 for age in ages) == (set_by > 0)


def test_frames_of_a_machine_that_was_paused_are_taken_again_once_it_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its uptime stood still: without that, they would be too old until it starts again."""
    now = 100 * SECOND
    monkeypatch.setattr("canwharf.span.bridge.uptime", lambda: now)
    with closing(FakeCapture()) as capture:
        bridge = Bridge("can0", Span("x"), capture, lambda _payload: None, lambda _words: None)

        def stale_after_one_more(number: int, uptime: int) -> int:
            told = Message(1, number, 0, uptime, [Frame(0, "", "ecu1", 1, b"")])
            bridge.inward("bench-2", message.encode(told), now)
            return bridge.counts["stale"]

        assert stale_after_one_more(0, now) == 0
        now += HOUR
        assert stale_after_one_more(1, now - HOUR) == 1
        bridge.answered("bench-2", HOUR - SECOND // 100)
        assert stale_after_one_more(2, now - HOUR) == 1
        now += 2 * SECOND
        assert stale_after_one_more(3, now - HOUR - SECOND) == 2


def test_lost_frames_that_never_come_are_said_once_and_not_while_their_host_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a second cut, the bridge of this host asks on: what the other one kept comes later."""
    said: list[str] = []
    now = 100 * SECOND
    monkeypatch.setattr("canwharf.span.bridge.uptime", lambda: now)
    near, far = socket.socketpair()
    with closing(FakeCapture()) as capture, closing(Followers()) as followers, near:
        bridge = Bridge("can0", Span("x"), capture, lambda _payload: None, said.append)
        bridge.followers = followers
        bridge.recovery = Recovery("bench-1", lambda _topic, _payload: None)
        followers.add(far, recovers=True)
        for first in (0, 30):
            bridge.inward("bench-2", message.encode(Message(1, first, now, now)), now)
        for _second in range(60):
            now += SECOND
            bridge.beat()
        assert said == ["of bench-2, 30 frames were lost, in a gap of 0.0 s"]
        for _second in range(20):
            now += SECOND
            bridge.inward("bench-2", message.encode(Message(1, 30, now, now)), now)
            bridge.beat()
    assert said[1:] == ["of bench-2, 30 lost frames cannot be recovered for recordings"]
    assert bridge.counts["unrecovered"] == 30
