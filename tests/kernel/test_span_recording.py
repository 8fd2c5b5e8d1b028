"""`dump` and `record` on a bus across hosts: each frame once, with the sender of its own host."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple, Self

import pytest

from canwharf.daemon.instance import Instance
from canwharf.frames.formats import Recording
from canwharf.span import local
from canwharf.span.follow import OtherHosts
from tests.kernel.seen import N, end, raw_listeners, send, start
from tests.kernel.site import DRIVER, Site
from tests.kernel.test_span import two_buses
from tests.kernel.test_span_processes import (  # noqa: F401 (a fixture)
    Started,
    directory,
    heard,
    publish,
    span,
    until,
)
from tests.world.host import LIMIT, wait_until
from tests.world.member import Member, raw_socket


class Cable:
    """A way to this port that can be cut: then what is sent stays where it is."""

    def __init__(self, port: int) -> None:
        self._whole = Event()
        self._whole.set()
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._opened: list[socket.socket] = [self._listening]

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._whole.set()
        for each in self._opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def _accept(self) -> None:
        with suppress(OSError):  # the end of the test
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._to))
                self._opened += [near, far]
                for pair in ((near, far), (far, near)):
                    Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, one: socket.socket, two: socket.socket) -> None:
        with suppress(OSError):
            while share := one.recv(1 << 16):
                self._whole.wait()
                two.sendall(share)
            self._whole.wait()
            two.shutdown(socket.SHUT_WR)


WHERE = "tcp/127.0.0.1:7447"
SILENT = 4_000_000_000  # nanoseconds: twice what ends a connection


@pytest.fixture
def own() -> Iterator[Path]:
    """The file of spans where the verbs look for it: that of this host, whose bus is vcan0."""
    path = Path(Instance(DRIVER, "", "").spans)
    path.parent.mkdir(exist_ok=True)
    yield publish(path.parent, path.name, "vcan0")
    path.unlink()


class Pair(NamedTuple):
    """This host's bus with two containers, another one's with one, and this host's bridge."""

    near: list[Member]
    far: list[Member]
    bridge: Started


@pytest.fixture
def pair(
    site: Site,
    stack: ExitStack,
    directory: Path,  # noqa: F811
    own: Path,
) -> Pair:
    """They are connected."""
    found = two_buses(site, "linear")
    first = bridge(stack, own)
    other = publish(directory, "other", "vcan1")
    second = span(stack, other, "--name", "b", "--connect", WHERE)
    until(second, "a is there")
    until(first, "b is there")
    wait_until(lambda: heard(found[0], found[3]) and heard(found[3], found[0]))
    return Pair(found[:3], found[3:], first)


def bridge(stack: ExitStack, own: Path) -> Started:
    process = span(stack, own, "--name", "a", "--listen", WHERE)
    until(process, "vcan0 is in the span x")
    return process


def verb(site: Site, stack: ExitStack, *words: str) -> subprocess.Popen[str]:
    """The command, when it takes from its socket at the bus only what the bridge does not tell."""
    last, bus = site.port(N, "e2"), raw_listeners("vcan0")
    there = raw_listeners(last)
    process = start(site, stack, *words)
    wait_until(
        lambda: (
            (raw_listeners(last) > there and raw_listeners("vcan0") == bus + 1)
            or process.poll() is not None
        )
    )
    return process


def say(pair: Pair) -> Counter[str]:
    """What each member sends, by sender; each id says the place of its member."""
    for number in range(8):
        for place, member in enumerate([*pair.near, *pair.far]):
            send(member, 0x100 + place, bytes((number,)))
    return Counter(host=8, ecu1=8, ecu2=8, **{"b/host": 8, "b/gate": 8})


def test_each_frame_is_shown_once_with_the_sender_of_its_host(
    site: Site, stack: ExitStack, pair: Pair
) -> None:
    process = verb(site, stack, "dump", "--json", "bus0,100:7F8,#FFFFFFFF")
    said = say(pair)
    assert process.stdout
    shown = [json.loads(process.stdout.readline()) for _each in range(said.total())]
    status, out, err = end(process)
    assert (status, out) == (128 + signal.SIGINT, "")
    assert Counter(each["sender"] for each in shown) == said
    assert {each["bus"] for each in shown} == {"bus0"}
    for far in (True, False):  # what is late, on a busy machine, is shown behind the other host's
        times = [each["time"] for each in shown if each["sender"].startswith("b/") == far]
        assert times == sorted(times)
    for place in range(5):
        data = [each["data"] for each in shown if each["id"] == 0x100 + place]
        assert data == [f"{number:02X}" for number in range(8)]
    assert "bus0: the clock of b is 0.0" in err


def test_one_file_has_what_both_hosts_sent(
    site: Site, stack: ExitStack, pair: Pair, tmp_path: Path
) -> None:
    """Up to the moment of its end."""
    path = tmp_path / "drive.log"
    process = verb(site, stack, "record", "bus0", "-o", str(path), "--json")
    said = say(pair)
    wait_until(lambda: arrived(pair))
    status, out, err = end(process)
    told = json.loads(out)
    (host,) = told["hosts"]
    assert (status, told["lost"], host["host"]) == (0, [], "b")
    assert (host["late"], host["lost"]) == (0, 0)
    assert err == ""
    frames = list(Recording(str(path)))
    assert Counter(each.sender for each in frames if each.id < 0x700) == said
    assert [each.time for each in frames] == sorted(each.time for each in frames)


def arrived(pair: Pair) -> bool:
    """Whether the last of the other host has: a frame that it sends now does."""
    return heard(pair.far[1], pair.near[1])


def test_what_a_cut_lost_is_in_the_file_and_never_on_the_bus(
    site: Site,
    stack: ExitStack,
    directory: Path,  # noqa: F811
    own: Path,
    tmp_path: Path,
) -> None:
    """In order by time: the recording waits for it. A container hears nothing old."""
    members = two_buses(site, "linear")
    cable = stack.enter_context(Cable(7447))
    first = bridge(stack, own)
    other = publish(directory, "other", "vcan1")
    second = span(stack, other, "--name", "b", "--connect", f"tcp/127.0.0.1:{cable.port}")
    until(second, "a is there")
    until(first, "b is there")
    wait_until(lambda: heard(members[0], members[3]) and heard(members[3], members[0]))
    path = tmp_path / "drive.log"
    process = verb(site, stack, "record", "bus0", "-o", str(path), "--json", "--recover", "1m")
    told: list[str] = []
    others = OtherHosts(str(own), DRIVER, told.append, recover=True)
    stack.callback(others.close)
    others.begin(lambda: {"vcan0"})
    for _turn in range(2):  # the bridge tells the other host that one records, before the second
        wait_until(lambda: heard(members[0], members[3]))
    container = stack.enter_context(raw_socket(members[1]))
    container.settimeout(LIMIT)
    sent = iter(range(0x100, 0x200))
    numbers = [next(sent) for _each in range(8)]
    for number in numbers:
        send(members[4], number)
    while int.from_bytes(container.recv(72)[:4], sys.byteorder) != numbers[-1]:
        pass
    cable.cut()
    wait_until(is_lost)
    lost = [next(sent) for _each in range(64)]
    before = local.ask("vcan1").counts["sent"]
    for number in lost:
        send(members[4], number)
    wait_until(lambda: local.ask("vcan1").counts["sent"] == before + len(lost))  # into the cut
    cable.mend()
    wait_until(lambda: local.ask("vcan0").hosts["b"].there)
    wait_until(lambda: others.read() is not None and recovered(others) >= len(lost))
    wait_until(lambda: heard(members[4], members[1]))
    status, out, _err = end(process)
    assert status == 0
    (host,) = json.loads(out)["hosts"]
    assert (host["lost"], host["recovered"]) == (len(lost), len(lost))
    frames = [each for each in Recording(str(path)) if each.sender == "b/gate"]
    assert [each.id for each in frames if each.id < 0x200] == numbers + lost
    container.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            assert int.from_bytes(container.recv(72)[:4], sys.byteorder) not in lost
    assert told == []


def is_lost() -> bool:
    """Whether the connection to the other host has ended, and does not only stand still."""
    host = local.ask("vcan0").hosts["b"]
    return not host.there and host.silence is not None and host.silence > SILENT


def recovered(others: OtherHosts) -> int:
    return sum(each.recovered for each in others.hosts.values())


def test_without_the_service_its_own_frames_go_on(
    site: Site, stack: ExitStack, pair: Pair, own: Path
) -> None:
    """It says so; and has the names again when the service is back."""
    process = verb(site, stack, "dump", "--json", "--from", "host", "--from", "b/gate", "bus0")
    assert process.stdout
    assert process.stderr
    send(pair.far[1], 0x100)
    assert json.loads(process.stdout.readline())["sender"] == "b/gate"
    pair.bridge.kill()
    assert "'canwharf span', which connects it to other hosts," in process.stderr.readline()
    wait_until(lambda: raw_listeners("vcan0") == 2)  # for frames, and for error frames
    send(pair.near[0], 0x101)
    assert json.loads(process.stdout.readline())["id"] == 0x101
    until(bridge(stack, own), "b is there")
    for line in process.stderr:
        if "'canwharf span' runs: frames of other hosts have names" in line:
            break
    wait_until(lambda: heard(pair.far[1], pair.near[1]))
    send(pair.near[0], 0x102)
    senders = []
    while (shown := json.loads(process.stdout.readline()))["id"] != 0x102:
        senders.append(shown["sender"])
    assert senders
    assert set(senders) == {"b/gate"}
    assert shown["sender"] == "host"
