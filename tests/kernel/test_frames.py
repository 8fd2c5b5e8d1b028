"""The measure itself: it must see what is wrong with a bus, or its silence means nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from time import monotonic

import pytest

from canwharf.kernel import gateway
from canwharf.kernel.gateway import CLASSIC, FD, Rule
from tests.kernel.site import make_vcans
from tests.world.container import Container
from tests.world.frames import KINDS, exchange
from tests.world.host import LIMIT, index_of, ip, requests, run
from tests.world.member import HOST, Member

A, B, C = (Member(HOST, name) for name in ("v0", "v1", "v2"))


def connect(source: str, destination: str, *options: str) -> None:
    run("cangw", "-A", "-s", source, "-d", destination, "-e", *(options or ("-i",)))


@pytest.fixture(autouse=True)
def _three(_clean: None) -> None:
    make_vcans("v0", "v1", "v2")


def mesh(*names: str) -> None:
    indexes = [index_of(name) for name in names]
    with requests() as netlink:
        netlink.batch(
            [
                gateway.add(Rule(source, destination, frames), "")
                for source in indexes
                for destination in indexes
                if source != destination
                for frames in (CLASSIC, FD)
            ]
        )


def test_a_right_bus() -> None:
    mesh("v0", "v1", "v2")
    report = exchange([A, B, C])
    assert report.exactly_once
    assert report.matrix["host:v0"]["host:v1"] == {
        **{kind.name: [1, 1, 1] for kind in KINDS},
        "end": [1],
    }


def test_a_second_program_on_the_same_interface_hears() -> None:
    report = exchange([A])
    assert report.exactly_once
    assert report.matrix["host:v0"]["host:v0"]["standard"] == [1, 1, 1]


def test_a_duplicate_rule() -> None:
    mesh("v0", "v1")
    connect("v0", "v1")
    report = exchange([A, B])
    assert report.matrix["host:v0"]["host:v1"]["standard"] == [2, 2, 2]
    assert report.matrix["host:v0"]["host:v1"]["end"] == [2]
    assert report.matrix["host:v0"]["host:v1"]["fd"] == [1, 1, 1]
    assert report.faults
    assert all(fault.startswith("host:v0 -> host:v1 ") for fault in report.faults)


def test_a_duplicate_fd_rule() -> None:
    mesh("v0", "v1")
    connect("v1", "v0", "-i", "-X")
    report = exchange([A, B])
    assert report.matrix["host:v1"]["host:v0"]["fd-extended"] == [2, 2, 2]
    assert all("fd" in fault and "[2, 2, 2]" in fault for fault in report.faults)


def test_a_missing_rule_is_waited_for_once() -> None:
    connect("v0", "v1")
    connect("v0", "v1", "-i", "-X")
    before = monotonic()
    report = exchange([A, B], limit=0.3)
    assert 0.3 <= monotonic() - before < 2.0
    assert report.matrix["host:v1"]["host:v0"]["standard"] == [0, 0, 0]
    assert all(fault.startswith("host:v1 -> host:v0 ") for fault in report.faults)


def test_a_missing_fd_rule() -> None:
    connect("v0", "v1")
    connect("v1", "v0")
    connect("v1", "v0", "-i", "-X")
    report = exchange([A, B])
    assert report.matrix["host:v0"]["host:v1"]["fd"] == [0, 0, 0]
    assert all("fd" in fault for fault in report.faults)


def test_a_filter_and_a_modification() -> None:
    connect("v0", "v1", "-i", "-f", "1:7FF")
    connect("v1", "v0", "-i", "-m", "SET:D:000.0.FFFFFFFFFFFFFFFF")
    report = exchange([A, B], limit=0.3)
    assert any("host:v0 -> host:v1" in fault for fault in report.faults)
    assert report.matrix["host:v1"]["host:v0"]["standard"] == [0, 0, 0]


def test_buses_that_should_be_apart() -> None:
    assert exchange([A], [B], [C]).exactly_once
    mesh("v0", "v1")
    assert exchange([A, B], [C]).exactly_once
    connect("v1", "v2")
    report = exchange([A, B], [C])
    assert report.faults
    assert all(fault.startswith("host:v1 -> host:v2 ") for fault in report.faults)


def test_a_classic_member_receives_no_fd() -> None:
    ip("link set v2 down")
    ip("link set v2 mtu 16")
    ip("link set v2 up")
    for source, destination in (("v0", "v2"), ("v2", "v0"), ("v1", "v2"), ("v2", "v1")):
        connect(source, destination)
    mesh("v0", "v1")
    report = exchange([A, B, C])
    assert report.faults == []
    assert "fd" not in report.matrix["host:v2"]["host:v0"]
    assert report.matrix["host:v0"]["host:v2"]["fd"] == [0, 0, 0]


def test_an_interface_that_is_down_is_a_fault() -> None:
    ip("link set v1 down")
    mesh("v0", "v1")
    report = exchange([A, B], limit=0.3)
    assert any("cannot send" in fault for fault in report.faults)


def test_the_command(container: Container, stack: ExitStack) -> None:
    """In namespaces given as a process id, a name, and ours."""
    ip("link add h0 mtu 72 type vxcan peer name c0 mtu 72")
    ip("link set h0 up")
    child = subprocess.Popen(
        ["nsenter", f"--net={container.path}", "cat"],
        stdin=subprocess.PIPE,
        pass_fds=[container._fd],
        stdout=subprocess.PIPE,
    )
    stack.callback(child.wait, LIMIT)
    assert child.stdin
    assert child.stdout
    stack.enter_context(child.stdin)
    stack.enter_context(child.stdout)
    child.stdin.write(b"in\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"in\n"
    container.take("c0", "can0")
    mesh("v0", "h0")
    members = ["host:v0", f"{child.pid}:can0"]
    assert command(*members) == (0, {"exactly_once": True, "faults": []})
    connect("v0", "h0")
    status, told = command(*members)
    assert status == 1
    assert told["exactly_once"] is False
    assert command("host:v0", "999999:can0")[0] == 2
    assert command("host:v0", "host:none")[0] == 2


def command(*members: str) -> tuple[int, dict[str, object]]:
    """The command's status, and what it printed but the matrix."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.world.frames", "--members", *members],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        cwd="/repo",
    )
    told = json.loads(done.stdout) if done.stdout else {}
    told.pop("matrix", None)
    return done.returncode, told


def test_equal_indexes_in_two_namespaces(container: Container) -> None:
    """Why our rules have IIF_TX_OK: without it the kernel takes such a frame for its own echo."""
    ip("link add h0 mtu 72 type vxcan peer name c0 mtu 72")
    ip("link set h0 up")
    container.take("c0", "can0")
    same = container.index_of("can0")
    ip("link delete v0")
    ip(f"link add v0 index {same} mtu 72 type vcan")
    ip("link set v0 up")
    assert index_of("v0") == same
    inside = container.member("can0")
    mesh("v0", "h0")
    assert exchange([A, inside]).faults == []
    run("cangw", "-F")
    connect("h0", "v0", "-e")  # echo alone
    connect("v0", "h0", "-i")
    report = exchange([A, inside], limit=0.3)
    assert report.matrix[str(inside)]["host:v0"]["standard"] == [0, 0, 0]
    assert report.matrix["host:v0"][str(inside)]["standard"] == [1, 1, 1]


def test_nothing_stays_open() -> None:
    mesh("v0", "v1")
    exchange([A, B])
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(5):
        exchange([A, B])
        with pytest.raises(OSError, match="No such device"):
            exchange([A, Member(HOST, "none")])
    assert set(os.listdir("/proc/self/fd")) == before
