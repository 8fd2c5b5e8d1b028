"""Three hosts with Docker, two of which reach the third one only: it is their relay, over TLS.

What it does to frames is tested in one guest too (tests/kernel/test_span_processes.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lab.machine import REPOSITORY
from lab.pair import machines
from tests.system.hosts import Side, Stream, missing, prepared, settle, until
from tests.world.board import UP


@pytest.fixture(scope="module")
def sides(suite: str) -> Iterator[tuple[Side, Side, Side]]:
    """The relay, and the two others."""
    build = REPOSITORY / "build"
    build.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=build) as name, machines("abc", suite) as (a, b, c):
        here = Path(name)
        here.chmod(0o755)
        b.run(f"ip route add blackhole {c.address}")
        words = "init --name a --relay a --listen", f"tls/{a.address}:7447"
        one = Side(a, prepared(here / "a", *words))
        for host in (b, c):
            prepared(here / "a", f"invite {host.name}")
        two, three = (
            Side(host, prepared(here / host.name, f"join {host.name}.join")) for host in (b, c)
        )
        for side, other in permutations((one, two, three), 2):
            side.span.wait_for(f"{other.host.name} is there", UP)
        settle(two, three)
        yield one, two, three


def seen(side: Side) -> dict[str, bool]:
    """The other hosts by their names, and whether they are there and hear this one."""
    (bus,) = json.loads(side.board.sh("python3 -m canwharf status --json"))["buses"]
    hosts = bus["span"]["hosts"]
    return {each["name"]: each["there"] and each["hears_this_host"] is True for each in hosts}


def test_each_host_hears_each_other_one_and_says_so(sides: tuple[Side, Side, Side]) -> None:
    for side in sides:
        others = {each.host.name: True for each in sides if each is not side}
        until(side, lambda side=side, others=others: seen(side) == others)  # type: ignore[misc]


def test_what_a_cut_lost_comes_afterwards_to_a_recording(sides: tuple[Side, Side, Side]) -> None:
    """It is asked for by way of the relay."""
    _relay, two, three = sides
    recording = three.host.start(
        "exec python3 -m canwharf record vcan0 -o /tmp/cut.log --recover 10s --json"
    )
    three.board.sh("timeout 30 sh -c 'until [ -e /tmp/cut.log ]; do sleep 0.1; done'")
    stream = Stream(two, three)
    three.host.link.cut()
    three.board.sh("sleep 5")
    three.host.link.fix()
    stream.wait_for_more()
    heard = stream.end()
    lost = missing(heard)
    assert lost
    everything = set(range(heard[0], heard[-1] + 1))
    until(three, lambda: everything <= set(recorded(three)))
    assert len(recorded(three)) == len(set(recorded(three)))
    three.board.sh("pkill -INT -f '[c]anwharf record'")
    recording.wait(UP)
    (host,) = json.loads(recording.stdout)["hosts"]
    assert host["host"] == "b"
    assert host["lost"] == host["recovered"] >= lost


def recorded(side: Side) -> list[int]:
    """The numbers that a recording has of the stream from the host b."""
    lines = side.board.sh("cat /tmp/cut.log")
    found = re.findall(r"/b%2F\S+ 123#([0-9A-F]{16})$", lines, re.MULTILINE)
    return [int.from_bytes(bytes.fromhex(each), "little") for each in found]


def test_while_the_relay_is_down_no_host_hears_another(sides: tuple[Side, Side, Side]) -> None:
    relay, two, three = sides
    relay.end_span("TERM")
    gone = {"a": False, "c": False}
    until(two, lambda: seen(two) == gone)
    relay.start_span()
    settle(two, three)
    until(two, lambda: seen(two) == dict.fromkeys(gone, True))
