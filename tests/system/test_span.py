"""Two hosts with Docker, and one bus across them: each frame once, whatever becomes of a host.

All tests have the same two hosts, whose clocks are an hour apart after the power cut.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from canwharf.span import authority
from canwharf.span.authority import Signed
from lab.channel import Process
from lab.machine import REPOSITORY
from tests.system.hosts import (
    LIBRARY,
    Side,
    Stream,
    frames,
    joined,
    missing,
    prepared,
    settle,
    until,
    values,
)
from tests.world.board import UP

EXAMPLE = "/repo/examples/span"
PYTHON_CAN = ("can", "wrapt", "packaging", "typing_extensions.py")
FRAMES = 100
KILLS = 25
SHORT, LONG = 3, 10  # seconds of a cut
GONE = 'python3 -m canwharf status | grep -q "^ *a  *gone "'
NAME = "motor"  # of an adapter


@pytest.fixture(scope="module")
def hosts(suite: str) -> Iterator[tuple[Side, Side, Path]]:
    """With the directory of their certificates."""
    with joined(suite) as made:
        yield made


@pytest.fixture
def sides(hosts: tuple[Side, Side, Path]) -> tuple[Side, Side]:
    return hosts[:2]


def say(side: Side, name: str, can_id: str) -> list[str]:
    """Let a container send frames of each kind, each of them another; which they are."""
    side.send(name, f"cangen can0 -n {FRAMES} -g 2 -I {can_id} -L 8 -D i")
    one = [f"18FEF{can_id}#{can_id}0", f"2{can_id[1:]}##{'11' * 48}"]
    for each in one:
        side.send(name, f"cansend can0 {each.replace('##', '##1')}")
    numbered = (each.to_bytes(8, "little").hex().upper() for each in range(FRAMES))
    return [*(f"{can_id}#{each}" for each in numbered), *one]


def mark(side: Side, name: str, can_id: str, recordings: list[Process]) -> list[str]:
    """Let it send until each has heard one of them, behind all of before; which they are."""
    sent: list[str] = []
    while not all(f"7F1#{can_id}" in each.stdout for each in recordings):
        assert len(sent) < 200
        sent.append(f"7F1#{can_id}{len(sent):03X}")
        side.send(name, f"cansend can0 {sent[-1]}")
        side.board.sh("sleep 0.1")
    return sent


def test_containers_of_both_hosts_hear_each_other_once_and_in_order(
    sides: tuple[Side, Side],
) -> None:
    """Classic, extended, FD. What a busy machine did not send in time is counted, each frame."""
    before = [side.told for side in sides]
    recordings = [[side.record(name) for name in side.containers] for side in sides]
    everybody = [each for those in recordings for each in those]
    sent: list[list[str]] = [[], []]
    for place, side in enumerate(sides):
        for name, can_id in zip(side.containers, ("100", "101"), strict=True):
            own = f"{can_id[:2]}{2 * place + int(can_id[2])}"
            sent[place] += say(side, name, own)
            sent[place] += mark(side, name, own, everybody)
    everything = len(sent[0]) + len(sent[1])
    for place, side in enumerate(sides):
        those, at_first = recordings[place], before[place]

        def whole(
            side: Side = side, those: list[Process] = those, at_first: int = at_first
        ) -> bool:
            lost = side.told - at_first
            return all(len(frames(each)) + lost == everything for each in those)

        until(side, whole)
        for recording in those:
            recording.kill()
            heard = frames(recording)
            assert len(heard) == len(set(heard))
            assert set(sent[place]) <= set(heard) <= {*sent[0], *sent[1]}
            for can_id in ("100", "101", "102", "103"):
                assert values(heard, can_id) == sorted(values(heard, can_id))


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_a_cut_loses_what_was_sent_in_it_and_each_frame_is_counted(
    sides: tuple[Side, Side], seconds: int
) -> None:
    """By the host that misses it. A recording there has each all the same."""
    one, two = sides
    if seconds == SHORT:
        recording = two.host.start(
            "exec python3 -m canwharf record vcan0 -o /tmp/cut.log --recover 2s --json"
        )
        two.board.sh("timeout 30 sh -c 'until [ -e /tmp/cut.log ]; do sleep 0.1; done'")
    stream, before = Stream(one, two), two.told
    one.host.link.cut()
    passing = one.host.start(f"sleep {seconds}")
    if seconds == LONG:  # it is noticed
        two.board.sh(f"timeout 60 sh -c 'until {GONE}; do :; done'")
        assert re.search("^ +a +gone +[0-9]+ ", status(two), re.MULTILINE)
        assert "a is gone from the span bench7" in two.board.sh("python3 -m canwharf doctor", False)
    passing.wait(UP)
    one.host.link.fix()
    stream.wait_for_more()
    heard = stream.end()
    lost = missing(heard)
    assert lost
    until(two, lambda: two.told - before == lost)
    if seconds == SHORT:
        everything = set(range(heard[0], heard[-1] + 1))
        until(two, lambda: everything <= set(recorded(two)))
        assert len(recorded(two)) == len(set(recorded(two)))
        two.board.sh("pkill -INT -f '[c]anwharf record'")
        recording.wait(UP)
        (host,) = json.loads(recording.stdout)["hosts"]
        assert host["lost"] == host["recovered"] >= lost


def recorded(side: Side) -> list[int]:
    """The numbers that a recording has of the stream from the other host."""
    lines = side.board.sh("cat /tmp/cut.log")
    found = re.findall(r"/a%2F\S+ 123#([0-9A-F]{16})$", lines, re.MULTILINE)
    return [int.from_bytes(bytes.fromhex(each), "little") for each in found]


def test_a_frozen_host_misses_frames_which_it_counts(sides: tuple[Side, Side]) -> None:
    """Its service is frozen, and the containers of the other host go on."""
    one, two = sides
    stream, before = Stream(one, two), two.told
    seen = one.span.stderr.count("b is gone")
    two.signal_span("STOP")
    until(one, lambda: one.span.stderr.count("b is gone") > seen)
    two.signal_span("CONT")
    stream.wait_for_more()
    lost = missing(stream.end())
    until(two, lambda: two.told - before == lost)


def test_the_service_is_killed_under_load_and_nothing_comes_twice(
    sides: tuple[Side, Side],
) -> None:
    """Containers of one host do not notice; status says what is missing."""
    one, two = sides
    stream = Stream(one, two)
    for turn in range(KILLS):
        two.end_span("KILL")
        if turn == 0:
            assert "no 'canwharf span' runs: no other host is heard" in status(two)
            assert "span bench7, by 'canwharf span'" in status(one)
        two.start_span()
        if turn % 5 == 4:  # others are killed before they hear anything
            stream.wait_for_more()
    assert len(stream.end()) >= KILLS // 5


def status(side: Side) -> str:
    return side.board.sh("python3 -m canwharf status")


def test_the_driver_restarts_and_the_bus_stays_on_the_span(sides: tuple[Side, Side]) -> None:
    one, two = sides
    stream, before, said = Stream(one, two), two.told, len(two.span.stderr)
    two.board.end_daemon("TERM")
    stream.wait_for_more()
    two.board.start_daemon()
    stream.wait_for_more()
    lost = missing(stream.end())
    until(two, lambda: two.told - before == lost)
    assert "has left the span" not in two.span.stderr[said:]


def test_a_second_bridge_of_a_bus_is_refused_and_nothing_comes_twice(
    sides: tuple[Side, Side], hosts: tuple[Side, Side, Path]
) -> None:
    one, two = sides
    stream = Stream(one, two)
    second = two.run_span(f"--name b {with_certificate(one, hosts[2], 'b/host.pem')}")
    second.wait_for("vcan0: another process connects this bus to other hosts", UP)
    stream.wait_for_more()
    second.kill()
    stream.end()


def with_certificate(side: Side, directory: Path, file: str) -> str:
    """The options to connect to this host with a certificate of one's own."""
    here = f"/repo/{directory.relative_to(REPOSITORY)}"
    files = f"--ca {here}/a/ca.pem --cert {here}/{file} --key {here}/{file}"
    return f"--connect tls/{side.host.address}:7447 {files}"


def test_a_host_whose_certificate_is_not_taken_is_not_heard(
    sides: tuple[Side, Side], hosts: tuple[Side, Side, Path]
) -> None:
    """One of another authority, and one that has ended."""
    one, two = sides
    here = hosts[2]
    prepared(here / "foreign", "init --name b --listen tls/192.0.2.1:7447")
    signer = Signed((here / "a/ca.pem").read_bytes(), (here / "a/ca.key").read_bytes())
    ended = datetime.now(UTC) - timedelta(days=authority.HOST_DAYS + 1)
    (here / "ended.pem").write_bytes(b"".join(authority.issue(signer, "b", (), ended)))
    two.end_span("TERM")
    one.span.wait_for("b is gone", UP)
    mute = len(one.span.stderr)
    for file in ("foreign/host.pem", "ended.pem"):
        attempts = opened(one) + 3
        bad = two.run_span(f"--name b {with_certificate(one, here, file)}")
        bad.wait_for("no other host takes this host's certificate", UP)
        bad.wait_for("vcan0 is in the span bench7", UP)
        until(one, lambda attempts=attempts: opened(one) >= attempts)  # type: ignore[misc]
        two.end_span("KILL")
        bad.wait(UP, check=False)
        assert "a is there" not in bad.stderr
    assert "b is there" not in one.span.stderr[mute:]
    two.start_span()
    settle(one, two)


def opened(side: Side) -> int:
    """How many connections came to a host so far."""
    names, numbers = side.board.sh("grep ^Tcp: /proc/net/snmp").splitlines()
    return int(dict(zip(names.split(), numbers.split(), strict=True))["PassiveOpens"])


def test_two_hosts_of_one_name_are_told_and_do_not_hear_each_other(
    sides: tuple[Side, Side], hosts: tuple[Side, Side, Path]
) -> None:
    """Somebody carried the certificate of one to the other."""
    one, two = sides
    two.end_span("TERM")
    double = two.run_span(f"--name a {with_certificate(one, hosts[2], 'a/host.pem')}")
    heard = one.record(one.containers[0])
    for each in (one.span, double):
        each.wait_for("another host is called a, too: neither hears the other", UP)
    two.send(two.containers[0], "cangen can0 -n 20 -g 50 -I 124")
    one.send(one.containers[1], "cansend can0 7F2#")
    heard.wait_for("7F2#", UP)
    heard.kill()
    assert " 124#" not in heard.stdout
    two.end_span("TERM")
    double.wait(UP, check=False)
    two.start_span()
    settle(one, two)


def test_a_slow_adapter_on_one_side_gets_each_frame_once(sides: tuple[Side, Side]) -> None:
    """And what waits for it holds up no other bus of the two hosts."""
    one, two = sides
    adapter = two.host.start(["python3", "-m", "tests.world.adapter", "--name", NAME], input=True)
    adapter.wait_for(f"plugged {NAME}")
    options = "-o can.name=can -o can.span=bench8 -o can.span.max_age=1min"
    one.board.network("wired", f"-o can.interface=vcan8 {options}")
    two.board.network("wired", f"-o can.interface={NAME} -o can.bitrate=500000 {options}")
    two.board.sh(f"tc qdisc add dev {NAME} root tbf rate 10kbit burst 100 limit 100000")
    one.board.container("sender", "wired")
    wire = two.host.start(f"candump -L {NAME}")
    for side, interface, other in ((one, "vcan8", "b"), (two, NAME, "a")):
        side.span.wait_for(f"{interface}, span bench8: {other} is there", UP)
    heard = one.record("sender")
    stream = Stream(one, two)
    while "7F0#" not in wire.stdout:
        one.send("sender", "cansend can0 7F0#")
    one.send("sender", f"cangen can0 -n {FRAMES} -g 1 -I i -L 0")
    adapter.write(b"t7231AA\n")
    for _turn in range(3):
        stream.wait_for_more()
    stream.end()
    expected = {f"{number:03X}#" for number in range(FRAMES)}
    until(two, lambda: expected <= set(frames(wire)))
    heard.wait_for("723#AA", UP)
    adapter.write(b"")
    written = [each for each in adapter.wait(UP).stdout.split() if re.fullmatch("t0..0", each)]
    assert sorted(written) == sorted(f"t{each[:3]}0" for each in expected)
    for side, interface in ((one, "vcan8"), (two, NAME)):
        side.board.sh("docker rm -f sender 2>/dev/null; docker network rm wired")
        side.span.wait_for(f"{interface} has left the span bench8", UP)


def test_the_example_on_two_hosts(sides: tuple[Side, Side]) -> None:
    """An engine on the one; a dashboard on the other shows its speed, and slows it down."""
    if sides[0].host.suite.name == "bookworm":
        pytest.skip("Debian 12 has no Compose v2")
    parts = " ".join(f"{LIBRARY}/{each}" for each in PYTHON_CAN)
    sides[0].board.sh(f"sh /repo/tests/world/python-image.sh /share/python.tar {parts}")
    shutil.copy(sides[0].host.share / "python.tar", sides[1].host.share)
    for side in sides:
        side.board.sh("docker import /share/python.tar debian:trixie-slim")
        side.board.sh(f"docker build -q --network none -t canwharf-python-can {EXAMPLE}")
    composes = [f"docker compose -f {EXAMPLE}/bench-{number}/compose.yaml" for number in (1, 2)]
    try:
        for side, compose in zip(sides, composes, strict=True):
            side.board.sh(f"{compose} up -d", timeout=180)
        two = sides[1].board
        for service, words in (("dashboard", "engine: 3000 rpm"), ("logger", "can0 321#0BB8")):
            logs = f"{composes[1]} logs {service}"
            two.sh(f"timeout 90 sh -c 'until {logs} | grep -q \"{words}\"; do :; done'")
    finally:
        for side, compose in zip(sides, composes, strict=True):
            side.board.sh(f"{compose} down -t 1", timeout=180)


def test_a_host_loses_its_power_and_is_on_the_bus_again(sides: tuple[Side, Side]) -> None:
    """All that its user has to start again is its service, which a unit does."""
    one, two = sides
    stream = Stream(two, one)
    two.lose_power()
    assert stream.close()
    two.start_span()
    settle(one, two)
    for sender, receiver in ((one, two), (two, one)):
        assert Stream(sender, receiver).end()
