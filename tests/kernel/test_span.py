"""Two buses of one kernel as those of two hosts: each frame of one is on the other, once."""

from __future__ import annotations

import socket
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import pytest

from canwharf.bus.naming import Span
from canwharf.frames.capture import Capture
from canwharf.frames.sources import Sources
from canwharf.span import bridge, wanted
from canwharf.span.bridge import Bridge, uptime
from canwharf.span.message import decode
from tests.kernel.seen import M, N, send
from tests.kernel.site import DRIVER, Site
from tests.kernel.test_shapes import make_mesh
from tests.kernel.wired import NAME, Plug, make
from tests.world.frames import exchange
from tests.world.host import LIMIT, run, wait_until
from tests.world.member import Member, raw_socket

SPAN = Span("x")
SHAPES = pytest.mark.parametrize("shape", ["linear", "mesh"])


class Pair:
    """The bridges of two buses, and the way between them, on which messages can wait or vanish."""

    def __init__(self, stack: ExitStack, *interfaces: str, span: Span = SPAN) -> None:
        self.said: list[str] = []
        self.way: deque[tuple[int, str, bytes]] = deque()
        self.bridges = [
            self._bridge(stack, place, interface, span)
            for place, interface in enumerate(interfaces)
        ]

    def _bridge(self, stack: ExitStack, place: int, interface: str, span: Span) -> Bridge:
        state = wanted.state_of(DRIVER, interface)
        sources = Sources(DRIVER, "", buses=(interface,), load=lambda: state)
        capture = stack.enter_context(Capture(sources, grace=0))
        return Bridge(
            interface,
            span,
            capture,
            lambda payload: self.way.append((1 - place, "ab"[place], payload)),
            self.said.append,
        )

    def step(self) -> None:
        """Let each send what came, and the other one have it."""
        for each in self.bridges:
            each.outward()
        self.deliver()

    def deliver(self) -> None:
        while self.way:
            to, host, payload = self.way.popleft()
            self.bridges[to].inward(host, payload, uptime())
        for each in self.bridges:
            each.flush()

    @contextmanager
    def running(self) -> Iterator[None]:
        """In a thread of its own."""
        ended = Event()

        def loop() -> None:
            while not ended.is_set():
                self.step()

        thread = Thread(target=loop)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def two_buses(site: Site, shape: str) -> list[Member]:
    """Two containers on one, one on the other; all members of both."""
    site.network(N)
    site.start(N, "e1", "e2")
    if shape == "mesh":
        make_mesh(site.ports())
    site.network(M, "vcan1")
    site.start(M, "f1")
    return [*site.members(), *site.members("vcan1")]


@SHAPES
def test_each_frame_of_each_member_reaches_all_others_once(
    site: Site, stack: ExitStack, shape: str
) -> None:
    """Standard, extended, remote, FD; of containers and of the hosts. Nothing goes in a circle."""
    members = two_buses(site, shape)
    pair = Pair(stack, "vcan0", "vcan1")
    with pair.running():
        report = exchange(members, frames=16, limit=LIMIT)
    assert report.faults == []
    first, second = (each.counts for each in pair.bridges)
    assert (first["sent"], second["sent"]) == (second["received"], first["received"])
    assert pair.said == []


def test_an_adapter_and_the_bus_of_another_host(site: Site, stack: ExitStack, plug: Plug) -> None:
    """What the wire sends is heard there, and what is sent there goes onto the wire once."""
    adapter = plug()
    make(site)
    site.network(M, "vcan1")
    site.start(N, "e1")
    site.start(M, "f1")
    pair = Pair(stack, NAME, "vcan1")
    host, one = site.members(NAME)
    far = site.members("vcan1")[1]
    with ExitStack() as sockets:
        heard = [sockets.enter_context(raw_socket(each)) for each in (host, one, far)]
        with pair.running():
            adapter.send("t1231AA")
            send(far, 0x456, b"\xbb")
            assert {frame(heard[0]), frame(heard[0])} == {0x123, 0x456}
            assert {frame(heard[1]), frame(heard[1])} == {0x123, 0x456}
            assert {frame(heard[2]), frame(heard[2])} == {0x123, 0x456}
            adapter.wait_for("t4561BB")
        assert nothing_more(heard)


def frame(opened: socket.socket) -> int:
    """The id of the next frame."""
    opened.settimeout(LIMIT)
    return int.from_bytes(opened.recv(72)[:4], sys.byteorder) & 0x1FFFFFFF


def nothing_more(opened: list[socket.socket]) -> bool:
    for each in opened:
        each.setblocking(False)
        try:
            each.recv(72)
        except BlockingIOError:
            continue
        return False
    return True


def test_the_message_names_the_sender(site: Site, stack: ExitStack) -> None:
    two_buses(site, "linear")
    pair = Pair(stack, "vcan0", "vcan1")
    for member in site.members():
        send(member, 0x123)
    senders: list[str] = []
    wait_until(lambda: sent(pair, senders) == 3)
    assert senders == ["a/host", "a/endpoint e1", "a/endpoint e2"]


def sent(pair: Pair, senders: list[str]) -> int:
    pair.bridges[0].outward()
    while pair.way:
        senders += [each.sender for each in decode(pair.way.popleft()[2], "x", "a").frames]
    return len(senders)


def test_what_the_way_lost_or_kept_too_long_is_counted_and_said(
    site: Site, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = two_buses(site, "linear")
    pair = Pair(stack, "vcan0", "vcan1", span=Span("x", 60_000))
    near, far = pair.bridges
    say_one(pair, members[0], 0x100)
    pair.deliver()
    say_one(pair, members[0], 0x101)
    pair.way.clear()  # lost
    say_one(pair, members[0], 0x102)
    kept = pair.way.popleft()
    pair.way.append(kept)
    monkeypatch.setattr(bridge, "uptime", lambda: uptime() + 61_000_000_000)
    pair.deliver()
    assert far.counts["received"] == 1
    assert (far.counts["lost"], far.counts["stale"]) == (1, 1)
    (words,) = pair.said
    assert words.startswith("of a, 1 frames were lost and 1 came too late, in a gap of ")
    pair.way.append(kept)
    pair.deliver()
    assert (far.counts["repeated"], far.counts["received"]) == (1, 1)
    assert near.counts["received"] == 0


def say_one(pair: Pair, member: Member, can_id: int) -> None:
    send(member, can_id)
    wait_until(lambda: pair.bridges[0].outward() > 0)


def test_an_adapter_that_is_busy_gets_the_low_ids_first_and_has_room_for_its_own(
    site: Site, stack: ExitStack, plug: Plug
) -> None:
    """Some six frames are in its queue, and all others wait before it."""
    adapter = plug()
    make(site)
    site.network(M, "vcan1")
    run("tc", *f"qdisc add dev {NAME} root tbf rate 10kbit burst 100 limit 100000".split())
    pair = Pair(stack, NAME, "vcan1", span=Span("x", 0))
    far = site.members("vcan1")[0]
    for number in range(100):
        send(far, 0x7FF - number)
    wait_until(lambda: sum(each.outward() for each in reversed(pair.bridges)) > 0)
    pair.deliver()
    near = pair.bridges[0]
    assert 80 < len(near.waiting) < 100
    with pair.running():
        wait_until(lambda: near.counts["received"] == 100)
        wait_until(lambda: len(adapter.written()) == 100)
    late = [int(line[1:4], 16) for line in adapter.written()[20:]]
    assert late == sorted(late)
    assert near.waiting.shed == near.counts["refused"] == 0
