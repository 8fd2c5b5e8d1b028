"""Two buses of one kernel as those of two hosts: each frame of one is on the other, once."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from canwharf.bus.naming import Span
from canwharf.frames.capture import Capture
from canwharf.frames.sources import Sources
from canwharf.span import bridge, wanted
from canwharf.span.bridge import Bridge, uptime
from canwharf.span.message import decode
from canwharf.span.session import Session
from canwharf.span.settings import Settings
from tests.kernel.seen import NAMES, PACKAGES, M, N, raw_listeners, send
from tests.kernel.site import DRIVER, Site
from tests.kernel.test_shapes import make_mesh
from tests.kernel.wired import NAME, Plug, make
from tests.world.frames import exchange
from tests.world.host import LIMIT, run, wait_until
from tests.world.member import Member, raw_socket

NOBODY = 65534
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
    wait_until(pair.bridges[0].outward)


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


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One that everybody may read."""
    for each in (tmp_path, *tmp_path.parents):
        os.chmod(each, 0o755)
    return tmp_path


Started = subprocess.Popen[str]


def span(stack: ExitStack, path: Path, *words: str) -> Started:
    """`canwharf span` without any right, for the buses of this file."""
    code = (
        "import sys; from canwharf.daemon.instance import Instance; from canwharf.cli import main; "
        "from canwharf.bus.report import Names; from canwharf.docker import names; "
        f"names.ask = lambda *_any: {NAMES!r}; Instance.spans = {str(path)!r}; "
        "sys.exit(main(['span', *sys.argv[1:]]))"
    )
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env={"PYTHONPATH": ":".join(["/repo/src", *PACKAGES])},
            text=True,
            stderr=subprocess.PIPE,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )
    )
    stack.callback(process.kill)
    return process


def until(process: Started, words: str) -> list[str]:
    """What it says until it says this."""
    said = []
    assert process.stderr
    for line in process.stderr:
        said.append(line)
        if words in line:
            return said
    raise AssertionError(f"it ended without {words!r}: {said}")


def publish(directory: Path, name: str, interface: str) -> Path:
    path = directory / name
    buses = {interface: {"name": "x", "max_age": 5000}}
    path.write_text(json.dumps({"version": 1, "driver": DRIVER, "buses": buses}))
    return path


def test_two_processes_without_rights_join_two_buses(
    site: Site, stack: ExitStack, directory: Path
) -> None:
    """With zenoh between them, as two hosts would; one is killed, and comes back."""
    members = two_buses(site, "linear")
    where = "tcp/127.0.0.1:7447"
    one, two = (publish(directory, *each) for each in (("one", "vcan0"), ("two", "vcan1")))
    first = span(stack, one, "--name", "a", "--listen", where)
    until(first, "vcan0 is in the span x")
    for _turn in range(3):
        second = span(stack, two, "--name", "b", "--connect", where)
        until(second, "a is there")
        until(first, "b is there")
        wait_until(lambda: heard(members[0], members[3]) and heard(members[3], members[0]))
        assert exchange(members, frames=4, limit=LIMIT).faults == []
        second.kill()
        second.wait()
        until(first, "b is gone")
    first.send_signal(signal.SIGTERM)
    assert first.wait(LIMIT) == 128 + signal.SIGTERM


def test_three_hosts_of_which_one_is_frozen(site: Site, stack: ExitStack, directory: Path) -> None:
    """Each is connected to each. What a frozen one lacks, the others do not wait for."""
    sites = {"a": "vcan0", "b": "vcan1", "c": "vcan2"}
    listen = [f"tcp/127.0.0.1:{7447 + place}" for place in range(2)]
    words = {
        "a": ["--listen", listen[0]],
        "b": ["--listen", listen[1], "--connect", listen[0]],
        "c": ["--connect", listen[0], "--connect", listen[1]],
    }
    hosts: dict[str, Started] = {}
    members: dict[str, list[Member]] = {}
    for place, (name, interface) in enumerate(sites.items()):
        network = chr(ord("k") + place) * 64
        site.network(network, interface)
        site.start(network, f"e{place}")
        members[name] = site.members(interface)
        path = publish(directory, name, interface)
        hosts[name] = span(stack, path, "--name", name, *words[name])
        until(hosts[name], f"{interface} is in the span x")
    meet(members)
    everybody = [each for those in members.values() for each in those]
    assert exchange(everybody, frames=4, limit=LIMIT).faults == []
    hosts["b"].send_signal(signal.SIGSTOP)
    awake = [*members["a"], *members["c"]]
    assert exchange(awake, frames=16, limit=LIMIT).faults == []
    until(hosts["a"], "b is gone")
    until(hosts["c"], "b is gone")
    assert exchange(awake, frames=4, limit=LIMIT).faults == []
    hosts["b"].send_signal(signal.SIGCONT)
    until(hosts["a"], "b is there")
    until(hosts["c"], "b is there")
    meet(members)
    assert exchange(everybody, frames=4, limit=LIMIT).faults == []


def meet(members: dict[str, list[Member]]) -> None:
    """Until each of these buses hears each other one."""
    for one, (first, *_more) in members.items():
        for other, (_first, second) in members.items():
            if one != other:
                wait_until(lambda first=first, second=second: heard(first, second))  # type: ignore[misc]


def heard(sender: Member, receiver: Member) -> bool:
    """Whether a frame arrives at once: each side learns of the other's subscription."""
    with raw_socket(receiver) as opened:
        send(sender, 0x7E0)
        opened.settimeout(0.2)
        try:
            opened.recv(72)
        except TimeoutError:
            return False
    return True


def test_other_hosts_are_told_a_containers_name(
    site: Site, stack: ExitStack, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the process may ask Docker, which is asked beside all else."""
    monkeypatch.setattr(sys, "path", [*sys.path, *PACKAGES])
    two_buses(site, "linear")
    where = ("tcp/127.0.0.1:7447",)
    told: queue.Queue[bytes] = queue.Queue()
    listener = stack.enter_context(Session(Settings("b", listen=where)))
    listener.subscribe("x", lambda _host, payload: told.put(payload), lambda _host, _there: None)
    process = span(stack, publish(directory, "one", "vcan0"), "--name", "a", "--connect", *where)
    until(process, "vcan0 is in the span x")
    senders: set[str] = set()

    def named() -> bool:
        send(site.members()[1], 0x123)
        with suppress(queue.Empty):
            message = decode(told.get(timeout=0.2), "x", "a")
            senders.update(each.sender for each in message.frames)
        return "a/ecu1" in senders

    wait_until(named)
    assert senders <= {"a/ecu1", "a/endpoint e1"}


def test_a_bus_has_one_bridge_and_a_change_is_followed(
    site: Site, stack: ExitStack, directory: Path
) -> None:
    two_buses(site, "linear")
    path = publish(directory, "one", "vcan0")
    third = ("--name", "c", "--connect", "tcp/127.0.0.1:7447")
    first = span(stack, path, "--name", "a", "--listen", "tcp/127.0.0.1:7447")
    until(first, "vcan0 is in the span x")
    second = span(stack, path, "--name", "b", "--connect", "tcp/127.0.0.1:7447")
    until(second, "vcan0: another process connects this bus")
    publish(directory, "one", "vcan1")
    until(first, "vcan0 has left the span x")
    until(first, "vcan1 is in the span x")
    path.write_text("{")
    until(first, "it is no file of spans")
    path.unlink()
    until(first, "vcan1 has left the span x")
    assert "it waits for one" in "".join(until(span(stack, path, *third), "no bus"))
    wait_until(lambda: raw_listeners("vcan1") == 0)


def test_two_hosts_of_one_name_are_told(site: Site, stack: ExitStack, directory: Path) -> None:
    two_buses(site, "linear")
    where = "tcp/127.0.0.1:7447"
    one, two = (publish(directory, *each) for each in (("one", "vcan0"), ("two", "vcan1")))
    first = span(stack, one, "--name", "a", "--listen", where)
    until(first, "vcan0 is in the span x")
    span(stack, two, "--name", "a", "--connect", where)
    until(first, "another host is called a, too")
