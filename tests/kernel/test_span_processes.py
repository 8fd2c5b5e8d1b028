"""`canwharf span` as a process without rights, several of them in one kernel: as several hosts."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from canwharf import __version__
from canwharf.errors import SpanError
from canwharf.operator.collect import spanned
from canwharf.span import local
from canwharf.span.message import decode
from canwharf.span.session import Session
from canwharf.span.settings import Settings
from tests.kernel.seen import NAMES, PACKAGES, raw_listeners, send
from tests.kernel.site import DRIVER, Site
from tests.kernel.test_span import two_buses
from tests.world.frames import exchange
from tests.world.host import LIMIT, wait_until
from tests.world.member import Member, raw_socket

NOBODY = 65534


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One that everybody may read."""
    for each in (tmp_path, *tmp_path.parents):
        os.chmod(each, 0o755)
    return tmp_path


Started = subprocess.Popen[str]


def span(stack: ExitStack, path: Path, *words: str, before: str = "") -> Started:
    """`canwharf span` without any right, for the buses of this file; `before` it, this code."""
    code = before + (
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


@pytest.mark.parametrize("shape", ["mesh", "relay"])
def test_three_hosts_of_which_one_is_frozen(
    site: Site, stack: ExitStack, directory: Path, shape: str
) -> None:
    """Each is connected to each, or to one. What a frozen one lacks, the others do not wait for."""
    sites = {"a": "vcan0", "b": "vcan1", "c": "vcan2"}
    listen = [f"tcp/127.0.0.1:{7447 + place}" for place in range(2)]
    words = {
        "a": ["--listen", listen[0]],
        "b": ["--listen", listen[1], "--connect", listen[0]],
        "c": ["--connect", listen[0], "--connect", listen[1]],
    }
    if shape == "relay":
        words["b"] = words["c"] = ["--connect", listen[0]]
        words = {name: [*each, "--relay", "a"] for name, each in words.items()}
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
    wait_until(lambda: local.ask("vcan0").rival == second.pid)
    second.kill()
    second.wait()  # it would follow the change, too
    publish(directory, "one", "vcan1")
    until(first, "vcan0 has left the span x")
    until(first, "vcan1 is in the span x")
    path.write_text("{")
    until(first, "it is no file of spans")
    path.unlink()
    until(first, "vcan1 has left the span x")
    assert "it waits for one" in "".join(until(span(stack, path, *third), "no bus"))
    wait_until(lambda: raw_listeners("vcan1") == 0)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_loses_no_frame(
    site: Site, stack: ExitStack, directory: Path, hours: int
) -> None:
    """As by NTP, in the midst of frames."""
    members = two_buses(site, "linear")
    where = "tcp/127.0.0.1:7447"
    one, two = (publish(directory, *each) for each in (("one", "vcan0"), ("two", "vcan1")))
    first = span(stack, one, "--name", "a", "--listen", where)
    until(first, "vcan0 is in the span x")
    span(stack, two, "--name", "b", "--connect", where)
    until(first, "b is there")
    wait_until(lambda: heard(members[0], members[3]))
    opened = stack.enter_context(raw_socket(members[3]))
    opened.settimeout(LIMIT)
    for number in range(200):
        if number == 100:
            set_clock(hours)
            stack.callback(set_clock, -hours)
        send(members[0], number)
    came = [int.from_bytes(opened.recv(72)[:4], sys.byteorder) for _frame in range(200)]
    assert sorted(came) == list(range(200))
    assert local.ask("vcan1").hosts["a"].stale == 0


PAUSED = """
import os; from canwharf.span import bridge; real = bridge.uptime
bridge.uptime = lambda: real() + len(os.listdir({!r})) * 3600 * 10**9
"""


def test_a_machine_that_was_paused_is_heard_again(
    site: Site, stack: ExitStack, directory: Path
) -> None:
    """Its uptime stood still for hours, while that of the other host went on."""
    members = two_buses(site, "linear")
    where = "tcp/127.0.0.1:7447"
    one, two = (publish(directory, *each) for each in (("one", "vcan0"), ("two", "vcan1")))
    hours = directory / "hours"
    hours.mkdir()
    first = span(stack, one, "--name", "a", "--listen", where)
    until(first, "vcan0 is in the span x")
    span(stack, two, "--name", "b", "--connect", where, before=PAUSED.format(str(hours)))
    until(first, "b is there")
    wait_until(lambda: heard(members[0], members[3]))

    def unheard() -> bool:  # unless a question is answered just then, which makes up for it at once
        (hours / str(len(list(hours.iterdir())))).touch()
        return not heard(members[0], members[3])

    wait_until(unheard)
    wait_until(lambda: heard(members[0], members[3]))
    assert local.ask("vcan1").hosts["a"].stale > 0


def set_clock(hours: int) -> None:
    """Ahead by so many."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + 3600 * hours)


def test_two_hosts_of_one_name_are_told(site: Site, stack: ExitStack, directory: Path) -> None:
    two_buses(site, "linear")
    where = "tcp/127.0.0.1:7447"
    one, two = (publish(directory, *each) for each in (("one", "vcan0"), ("two", "vcan1")))
    first = span(stack, one, "--name", "a", "--listen", where)
    until(first, "vcan0 is in the span x")
    span(stack, two, "--name", "a", "--connect", where)
    until(first, "another host is called a, too")


def test_a_local_program_is_told_what_a_bridge_knows(
    site: Site, stack: ExitStack, directory: Path
) -> None:
    """Without any right; for as long as the process lives."""
    members = two_buses(site, "linear")
    where = "tcp/127.0.0.1:7447"
    one, two = (publish(directory, *each) for each in (("one", "vcan0"), ("two", "vcan1")))
    figures = "127.0.0.1:9274"
    first = span(stack, one, "--name", "a", "--listen", where, "--metrics", figures)
    until(first, "vcan0 is in the span x")
    assert local.ask("vcan0").hosts == {}
    second = span(stack, two, "--name", "b", "--connect", where)
    until(first, "b is there")
    wait_until(lambda: heard(members[3], members[0]))
    state = local.ask("vcan0")
    assert (state.host, state.span, state.interface) == ("a", "x", "vcan0")
    other = state.hosts["b"]
    assert (other.there, other.lost, other.stale) == (True, 0, 0)
    assert other.received == state.counts["received"] >= 1
    assert other.age is not None
    wait_until(lambda: hears("vcan0", "b") and hears("vcan1", "a"))
    told = local.ask("vcan0").hosts["b"].told
    assert told
    assert abs(told.difference) <= told.round_trip  # it is the same clock
    assert (told.report.kind, told.report.fd) == ("virtual", True)
    assert told.report.canwharf == state.own.canwharf == __version__
    assert set(spanned(["vcan0", "vcan1", "vcan2"])) == {"vcan0", "vcan1"}
    with urlopen(f"http://{figures}/metrics", timeout=LIMIT) as answer:
        assert b'canwharf_span_heard{host="b",span="x"} 1.0' in answer.read()
    second.kill()
    until(first, "b is gone")
    assert not local.ask("vcan0").hosts["b"].there
    first.kill()
    first.wait()
    with pytest.raises(SpanError, match="no 'canwharf span' answers"):
        local.ask("vcan0")


def hears(interface: str, host: str) -> bool:
    """Whether the bridge of this bus knows that the other host hears it."""
    state = local.ask(interface)
    other = state.hosts.get(host)
    return bool(other and other.told and other.told.heard(state.host))
