"""Two adapters on one wire are found by what both hear; two wires never are."""

from __future__ import annotations

import sys
from contextlib import closing
from itertools import count
from time import time_ns

import pytest

from canwharf.bus.naming import Span
from canwharf.frames.frame import Frame
from canwharf.span import bridge as bridge_module
from canwharf.span import wires
from canwharf.span.bridge import Bridge, uptime
from canwharf.span.wires import NEAR, PATIENCE, WINDOW, WINDOWS, Wires
from tests.unit.testing.fakes import FakeCapture

MS = 1_000_000
ENOUGH = WINDOW * WINDOWS


def frame(sender: str, number: int, can_id: int = 0x100) -> Frame:
    return Frame(0, "x", sender, can_id, number.to_bytes(4, "little"))


def apart_after(here: str, there: str, frames: int = ENOUGH, apart: int = MS) -> int:
    """After how many frames of one wire this host keeps apart from that one; 0: it does not.

    They come `apart` nanoseconds after each other.
    """
    found = Wires(here)
    for number in range(frames):
        now = number * apart
        found.own([frame("wire", number)], now)
        if found.other(there, [frame(f"{there}/wire", number)], now + 5 * MS):
            return number + 1
    return 0


def test_of_two_hosts_on_one_wire_the_later_one_keeps_apart() -> None:
    """A frame goes round some hundred times until then, which takes a second at most."""
    assert apart_after("bench-2", "bench-1") == ENOUGH
    assert apart_after("bench-1", "bench-2") == 0


def test_the_other_one_does_so_if_that_does_not_help() -> None:
    """The later one has an older canwharf, say."""
    frames = apart_after("bench-1", "bench-2", frames=10_000)
    assert frames * MS >= PATIENCE


def test_it_takes_no_load_to_be_seen() -> None:
    assert apart_after("bench-2", "bench-1", apart=1000 * MS) == ENOUGH


@pytest.mark.parametrize(
    ("own", "other", "later"),
    [
        ("wire", "bench-1/ecu1", 0),  # the other host has no adapter
        ("host", "bench-1/wire", 0),  # this one has none
        ("ecu1", "bench-1/wire", 0),  # a node on the other wire that sends each frame back
        ("wire", "bench-1/container/wire", 0),  # a container of that name
        ("wire", "bench-1/wire", NEAR + 1),  # a recording of one is played on the other
    ],
)
def test_what_is_the_same_for_another_reason_is_none(own: str, other: str, later: int) -> None:
    found = Wires("bench-2")
    for number in range(10 * ENOUGH):
        now = number * MS
        found.own([frame(own, number)], now)
        assert not found.other("bench-1", [frame(other, number)], now + later)


def test_the_other_one_goes_on_when_the_later_one_is_started_again() -> None:
    """Hours later, with the same cable: else the bus would be cut off from all hosts."""
    found = Wires("bench-1")
    for start in (0, 1000 * PATIENCE):
        for number in range(ENOUGH):
            now = start + number * MS
            found.own([frame("wire", number)], now)
            assert not found.other("bench-2", [frame("bench-2/wire", number)], now)


def test_two_wires_that_have_some_frames_in_common_are_two() -> None:
    """As both have a tester that asks all nodes, or a master's SYNC."""
    found = Wires("bench-2")
    for number in range(10 * ENOUGH):
        common = number % 2 == 0
        ids = (0x80, 0x80) if common else (0x100, 0x200)
        value = 0 if common else number
        found.own([frame("wire", value, ids[0])], number * MS)
        assert not found.other("bench-1", [frame("bench-1/wire", value, ids[1])], number * MS + MS)


def test_a_window_that_is_not_the_same_begins_anew() -> None:
    found = Wires("bench-2")
    for number in range(10 * ENOUGH):
        same = number // WINDOW % WINDOWS != 0
        there = frame("bench-1/wire", number if same else 1_000_000)
        found.own([frame("wire", number)], number * MS)
        assert not found.other("bench-1", [there], number * MS)


def test_what_is_kept_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "MOST", 10)
    found = Wires("bench-2")
    found.own([frame("wire", number) for number in range(100)], 0)
    assert len(found._heard) == 10


class OnWire(FakeCapture):
    """An adapter: what is sent there is heard by all others on its wire, and not by itself."""

    def __init__(self, wire: list[OnWire]) -> None:
        super().__init__()
        self.wire = wire
        wire.append(self)

    def listener(self, _interface: str) -> OnWire:  # type: ignore[override]
        return self

    def send(self, sent: Frame) -> bool:
        for each in self.wire:
            if each is not self:
                each.give(sent._replace(time=time_ns(), sender="wire"))
        return True

    def send_many(self, _batch: object, frames: list[Frame]) -> int:
        return sum(map(self.send, frames))


class Hosts:
    """Three of them, with an adapter each, and the messages between them."""

    def __init__(self, *wires: list[OnWire]) -> None:
        self.said: list[str] = []
        self.captures = [OnWire(wire) for wire in wires]
        self.bridges = [self._bridge(place) for place in range(len(wires))]
        self.way: list[tuple[int, bytes]] = []

    def _bridge(self, place: int) -> Bridge:
        def send(payload: bytes) -> None:
            self.way.append((place, payload))

        made = Bridge("can0", Span("x"), self.captures[place], send, self.said.append)
        made.wires = Wires("abc"[place])
        return made

    def node(self, place: int, number: int) -> None:
        """A node on this host's wire sends a frame."""
        for each in self.captures[place].wire:
            each.give(Frame(time_ns(), "x", "wire", 0x100, number.to_bytes(4, "little")))

    def speak(self, place: int, can_id: int) -> None:
        """A container of this host sends a frame, which goes onto its wire, too."""
        self.captures[place].give(Frame(time_ns(), "x", "ecu", can_id, b""))
        self.captures[place].send(Frame(0, "x", "ecu", can_id, b""))

    def step(self) -> None:
        """Each sends what came, and the others hear it."""
        for bridge in self.bridges:
            bridge.outward()
        came, self.way = self.way, []
        for place, payload in came:
            for other in {0, 1, 2} - {place}:
                self.bridges[other].inward("abc"[place], payload, uptime())

    def settle(self, rounds: int) -> None:
        """Go on until nothing comes any more."""
        for _round in range(rounds):
            self.step()
            if not (self.way or any(each._coming for each in self.captures)):
                return
        raise AssertionError("frames go round without end")

    def close(self) -> None:
        for each in self.captures:
            each.close()


@pytest.mark.parametrize("one_wire", [True, False])
def test_what_would_go_round_without_end_ends(one_wire: bool) -> None:
    """The third host, with a wire of its own, still hears all, each frame once."""
    first: list[OnWire] = []
    hosts = Hosts(first, first if one_wire else [], [])
    with closing(hosts):
        for number in range(3):
            hosts.speak(0, 0x100 + number)
        hosts.settle(1000)
        assert [each.wires.apart for each in hosts.bridges] == ["", "a" if one_wire else "", ""]
        assert len(hosts.said) == one_wire
        before = hosts.bridges[2].counts["received"]
        hosts.speak(0, 0x200)
        hosts.speak(1, 0x201)
        hosts.settle(10)
        assert hosts.bridges[2].counts["received"] - before == 2


def tick(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """From now on, so many nanoseconds pass from one look at the clock to the next."""
    passed = count(step=step)
    for module in (bridge_module, sys.modules[__name__]):
        monkeypatch.setattr(module, "uptime", lambda: next(passed))


@pytest.mark.parametrize("alone", [0, 1, 2])
@pytest.mark.parametrize("constant", [True, False])
def test_a_host_with_a_wire_of_its_own_goes_on(
    alone: int, constant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its wire sends goes round on the wire of the other two, and comes back as theirs."""
    tick(monkeypatch, MS // 100)
    shared: list[OnWire] = []
    hosts = Hosts(*([] if place == alone else shared for place in range(3)))
    with closing(hosts):
        for number in range(60):
            hosts.node(alone, 0 if constant else number)
            hosts.step()
        hosts.settle(1000)
        apart = [place for place in range(3) if hosts.bridges[place].wires.apart]
        assert apart == [1 if alone == 2 else 2]


def test_of_three_hosts_on_one_wire_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle one waits for the last one to end it, and then ends it itself."""
    tick(monkeypatch, MS)
    shared: list[OnWire] = []
    hosts = Hosts(shared, shared, shared)
    with closing(hosts):
        hosts.node(0, 0)
        hosts.settle(100_000)
        assert [bool(each.wires.apart) for each in hosts.bridges] == [False, True, True]


@pytest.mark.parametrize("deaf", ["bench-1", "bench-2"])
def test_an_adapter_that_only_listens_is_found_too(deaf: str) -> None:
    """It hears what the other one puts on the wire, again and again, which hears it once."""
    found = {name: Wires(name) for name in ("bench-1", "bench-2")}
    (loud,) = found.keys() - {deaf}
    found[deaf].own([frame("wire", 0)], 0)
    found[loud].own([frame("wire", 0)], 0)
    now = 0
    while not found[loud].other(deaf, [frame(f"{deaf}/wire", 0)], now):
        now += MS
        found[deaf].own([frame("wire", 0)], now)
        assert now < NEAR  # later, it is not known any more
