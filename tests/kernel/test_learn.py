"""`canwharf filter --learn`, from what a container sent and heard to its options; `--dry-run`."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from canwharf.bus import firewall
from tests.kernel.seen import EFF, RTR, N, end, raw_listeners, send, start
from tests.kernel.site import Site
from tests.world.host import LIMIT, wait_until

SENT, HEARD = "100-101+103+18FEF100", "042+7DF"  # by `talk`
Learn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(name="bus")
def _bus(site: Site) -> Site:
    """A bus with two containers."""
    site.network(N)
    site.start(N, "e1", "e2")
    return site


@pytest.fixture(name="learn")
def _learn(bus: Site, stack: ExitStack) -> Learn:
    """Starts the command for ecu1, and waits until it listens to both containers."""

    def started(*words: str, container: str = "ecu1", time: str = "1h") -> subprocess.Popen[str]:
        process = start(bus, stack, "filter", "bus0", container, "--learn", time, *words)
        last = bus.port(N, "e2")
        wait_until(lambda: raw_listeners(last) > 0 or process.poll() is not None)
        return process

    return started


def talk(bus: Site) -> None:
    """Frames of all kinds; a neighbour that is missing makes no range."""
    host, one, two = bus.members()
    for can_id in (0x100, 0x101, 0x103 | RTR, 0x18FEF100 | EFF, 0x100):
        send(one, can_id)
    send(one, 0x20000004, bytes(8))
    send(two, 0x7DF, bytes(12), 1)
    send(host, 0x42)


def test_it_ends_early_with_what_was_learnt(bus: Site, learn: Learn) -> None:
    process = learn()
    talk(bus)
    status, out, err = end(process)
    assert (status, err) == (0, "")
    options = f"--driver-opt can.send={SENT} --driver-opt can.receive={HEARD}"
    command = f"canwharf filter --state-dir {bus._directory} bus0 ecu1"
    first, *lines = out.splitlines()
    assert first.startswith("ecu1 on the bus vcan0, in ")
    assert lines == [
        "  sent   4 ids, 5 frames",
        "  heard  2 ids, 2 frames",
        "    ecu2  7DF",
        "    host  042",
        "options that let this pass, and no other id:",
        f'  driver_opts: {{can.send: "{SENT}", can.receive: "{HEARD}"}}  # Compose',
        "  docker network disconnect bus0 ecu1",
        f"  docker network connect {options} bus0 ecu1",
        f"at once: {command} --send {SENT} --receive {HEARD}",
    ]


def test_what_it_proposes_lets_the_same_pass(bus: Site, learn: Learn) -> None:
    """Learnt again under the proposal, it is the same; and that a policy hides things is said."""
    process = learn("--json")
    talk(bus)
    _status, out, _err = end(process)
    given = json.loads(out)["options"]
    firewall.set_policy(bus.service, N, "e1", given)
    process = learn("--json")
    talk(bus)
    send(bus.members()[1], 0x555)
    send(bus.members()[2], 0x555)
    _status, out, err = end(process)
    told = json.loads(out)
    assert told["options"] == given
    assert (told["sent"]["frames"], told["heard"]["frames"], told["lost"]) == (5, 2, 0)
    assert "what this keeps back is not learnt" in err
    assert f"can.send={given['can.send']}" in err


def test_a_container_that_starts_again_is_the_same(bus: Site, learn: Learn) -> None:
    """What it sends at its start is to be learnt, too."""
    process = learn("--json")
    send(bus.members()[1], 0x100)
    bus.stop(N, "e1")
    bus.start(N, "e9")
    wait_until(lambda: raw_listeners(bus.port(N, "e9")) > 0 or process.poll() is not None)
    send(bus.members()[2], 0x300)
    send(bus.members()[1], 0x200)
    _status, out, _err = end(process, signal.SIGTERM)
    told = json.loads(out)
    assert (told["sent"]["words"], told["heard"]["words"]) == ("100+300", "200")


def test_two_interfaces_of_one_name_are_refused(bus: Site, learn: Learn) -> None:
    """Which of them sends what cannot be told."""
    bus.start(N, "e9")
    process = learn(container="e1")
    out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (1, "")
    assert "2 interfaces on the bus are those of a container ecu1" in err


def test_without_a_frame_nothing_is_needed(learn: Learn) -> None:
    """And after its time it ends by itself."""
    process = learn(time="10ms")
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert '{can.send: "none", can.receive: "none"}' in out
    assert "it sent nothing: was it at work?" in err


@pytest.mark.parametrize("words", [["--send", "100"], ["--dry-run"], ["--rate", "off"]])
def test_it_is_no_change(learn: Learn, words: list[str]) -> None:
    process = learn(*words)
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 2
    assert "--learn changes nothing" in err


def test_a_dry_run_is_refused_where_the_change_would_be(bus: Site, stack: ExitStack) -> None:
    """The record of the container is lost: half of a new policy would leave the other half open."""
    path = Path(bus._directory, "state.json")
    path.write_text(
        path.read_text().replace('"name": "", "policy": {}', '"name": "", "policy": null')
    )
    for words, status in ((["--send", "100"], 1), (["--send", "100", "--receive", "none"], 0)):
        process = start(bus, stack, "filter", "bus0", "ecu1", "--dry-run", *words)
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == status
        assert ("give both can.send and can.receive" in err) == bool(status)
        assert ("would" in out) != bool(status)
