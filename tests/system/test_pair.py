"""Two hosts with a network between them: each on its own, whatever becomes of the other."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machine import REPOSITORY
from lab.pair import Host, two_machines

MEGABYTES = 8
LIMIT = 30.0  # seconds until all processes of a killed owner are gone
OWNER = """
import sys
from lab.pair import two_machines
with two_machines({suite!r}) as hosts:
    print("up", flush=True)
    sys.stdin.read()
"""
GONE = (FileNotFoundError, ProcessLookupError)  # a process ended while it was looked at
SEND = "import socket, sys; socket.create_connection(('{}', 99)).sendall(sys.stdin.buffer.read())"
RECEIVE = (
    "import hashlib, socket; server = socket.create_server(('', 99)); "
    "print('listens', flush=True); "
    "print(hashlib.sha256(server.accept()[0].makefile('rb').read()).hexdigest())"
)


@pytest.fixture(scope="module")
def pair(suite: str) -> Iterator[tuple[Host, Host]]:
    """Two hosts."""
    with two_machines(suite) as hosts:
        yield hosts


def pings(host: Host, target: str) -> bool:
    """Whether one of three packets is answered."""
    return host.run(f"ping -c 3 -W 1 {target}", check=False).status == 0


def test_each_reaches_the_other_by_name_and_by_address(pair: tuple[Host, Host]) -> None:
    a, b = pair
    assert (a.run("hostname").stdout, b.run("hostname").stdout) == ("a\n", "b\n")
    for host, other in ((a, b), (b, a)):
        assert pings(host, other.name)
        assert pings(host, other.address)


def test_a_stream_arrives_whole(pair: tuple[Host, Host]) -> None:
    for sender, receiver in (pair, reversed(pair)):
        data = os.urandom(MEGABYTES << 20)
        (sender.share / "data").write_bytes(data)
        server = receiver.start(["python3", "-c", RECEIVE])
        server.wait_for("listens")
        sender.run(f'python3 -c "{SEND.format(receiver.name)}" </share/data')
        assert server.wait(30).stdout.split()[1] == hashlib.sha256(data).hexdigest()


def test_a_cut_link_loses_packets_and_a_restored_one_none(pair: tuple[Host, Host]) -> None:
    a, b = pair
    b.link.cut()
    assert not pings(a, "b")
    assert not pings(b, "a")
    b.link.fix()
    assert pings(a, "b")
    assert pings(b, "a")


def test_one_loses_its_power_and_the_other_does_not_notice(pair: tuple[Host, Host]) -> None:
    """With Docker on both: tests/system/test_span.py."""
    a, b = pair
    a.run("touch /tmp/kept")
    b.power_cut()
    assert not pings(a, "b")
    b.boot()
    assert pings(a, "b")
    assert pings(b, "a")
    a.run("ls /tmp/kept")


def test_a_killed_owner_leaves_nothing(suite: str) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    with started("-c", OWNER.format(suite=suite)) as owner:
        wait_line(owner, "up")
        family = descendants(owner.pid)
        owner.kill()
    wait_ended(family)
    assert Path("/proc/self/mountinfo").read_text() == mounts


def test_by_hand_a_script_says_what_to_do_and_ctrl_c_ends_all(suite: str) -> None:
    with started("-m", "lab", "pair", "--suite", suite) as owner:
        assert owner.stdin is not None
        for line in (
            "a ping -q -c 1 -W 9 b",
            "cut",
            "b ping -q -c 1 -W 1 a",
            "fix",
            "a docker ps",
        ):
            owner.stdin.write(line + "\n")
        owner.stdin.flush()
        wait_line(owner, "0% packet loss")
        wait_line(owner, "100% packet loss")
        wait_line(owner, "CONTAINER ID")
        family = descendants(owner.pid)
        owner.send_signal(signal.SIGINT)
        assert owner.wait(LIMIT) == 128 + signal.SIGINT
    wait_ended(family)


def started(*arguments: str) -> subprocess.Popen[str]:
    """A process of its own that has guests."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_line(process: subprocess.Popen[str], words: str) -> None:
    """Until it has written a line with these words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return
    raise AssertionError(f"it ended without {words!r}: {''.join(lines)}")


def descendants(pid: int) -> dict[int, str]:
    """Descriptors of all processes under this one (pidfd), with their command lines."""
    found: dict[int, str] = {}
    for child in children(pid):
        with contextlib.suppress(*GONE):
            line = Path(f"/proc/{child}/cmdline").read_text()
            found[os.pidfd_open(child)] = line
        found.update(descendants(child))
    return found


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found: list[int] = []
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(*GONE):
            found += map(int, task.read_text().split())
    return found


def wait_ended(family: dict[int, str]) -> None:
    """Until all of them have ended; those of two guests must be among them."""
    guests = {each for line in family.values() for each in re.findall(r"lab_address=[\d.]+", line)}
    assert len(guests) == 2, family
    left = dict(family)
    while left:
        ended = select.select(left, [], [], LIMIT)[0]
        assert ended, f"still there: {left}"
        for each in ended:
            os.close(each)
            del left[each]
