"""Two hosts with Docker, and one bus across them: exactly once, over a cut and a killed service."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zenoh

from canwharf.cli import main
from lab.channel import Process
from lab.machine import REPOSITORY
from lab.pair import Host, two_machines
from tests.world.board import UP, Board

EXAMPLE = "/repo/examples/span"
PYTHON_CAN = ("can", "wrapt", "packaging", "typing_extensions.py")

# The guest's own Python has no zenoh; the wheel of this machine's runs on each.
LIBRARY = f"/repo/{Path(zenoh.__file__).parents[1].relative_to(REPOSITORY)}"
AS_NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all"
LISTENS = (
    "timeout 20 sh -c 'until grep -q can0 /proc/$(docker inspect -f {{{{.State.Pid}}}} {0})"
    "/net/can/rcvlist_all; do :; done'"
)
FRAMES = 100
# A frame may wait for long on a busy machine; tests/kernel/test_span.py has what is too old.
OPTIONS = "-o can.name=can -o can.span=bench7 -o can.span.max_age=1min"
LOST = re.compile(r"of [ab], (\d+) frames were lost")


class Side:
    """A host: its board, two containers, and `canwharf span`."""

    def __init__(self, host: Host, directory: str) -> None:
        self.host = host
        self.board = Board(host)
        self.board.start()
        self.board.network(options=OPTIONS)
        self.containers = [f"{host.name}{number}" for number in (1, 2)]
        for name in self.containers:
            self.board.container(name)
        self._directory = directory
        self.span = self.start_span()

    def start_span(self) -> Process:
        """Without any right, as its unit does."""
        self.span = self.host.start(
            f"exec {AS_NOBODY} python3 -m canwharf span --directory {self._directory}",
            env={"PYTHONPATH": f"/repo/src:{LIBRARY}"},
        )
        self.span.wait_for("vcan0 is in the span bench7", UP)
        return self.span

    def record(self, container: str) -> Process:
        """All that a container hears."""
        recording = self.host.start(f"docker exec {container} candump -L can0")
        self.board.sh(LISTENS.format(container))
        return recording

    def send(self, container: str, *words: str) -> None:
        self.board.sh(f"docker exec {container} {' '.join(words)}")


@pytest.fixture(scope="module")
def sides(suite: str) -> Iterator[tuple[Side, Side]]:
    """Two hosts that are connected: the second one joins where the first one runs already."""
    build = REPOSITORY / "build"  # which the guests see, too
    build.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=build) as name, two_machines(suite) as (a, b):
        here = Path(name)
        here.chmod(0o755)
        one = Side(a, prepared(here / "a", "init --name a --listen", f"tls/{a.address}:7447"))
        prepared(here / "a", "invite b --listen", f"tls/{b.address}:7447")
        two = Side(b, prepared(here / "b", "join b.join"))
        one.span.wait_for("b joined, with a certificate", UP)
        for side, other in ((one, "b"), (two, "a")):
            side.span.wait_for(f"{other} is there", UP)
        settle(one, two)
        yield one, two


def prepared(directory: Path, *words: str) -> str:
    """Where a guest has what this command made here: its own Python has no library for that.

    A unit would be given the private key, which is for root only.
    """
    with chdir(directory.parent):
        assert main(["span", *" ".join(words).split(), "--directory", str(directory)]) == 0
    (directory / "host.pem").chmod(0o644)
    return f"/repo/{directory.relative_to(REPOSITORY)}"


def settle(one: Side, two: Side) -> None:
    """Until frames pass in both directions: each host learns what the other one wants."""
    for sender, receiver in ((one, two), (two, one)):
        with_mark = f"docker exec {receiver.containers[0]} candump -n 1 -L can0,7F0:7FF"
        heard = receiver.host.start(with_mark)
        receiver.board.sh(LISTENS.format(receiver.containers[0]).replace("_all", "_sff"))
        while heard.running:
            sender.send(sender.containers[0], "cansend can0 7F0#")
            sender.board.sh("sleep 0.1")
        heard.wait(10)


def frames(recording: Process) -> list[str]:
    """What was heard, as `ID#DATA`, in its order; without the flags of FD frames."""
    found = re.findall(r" ([0-9A-F]+##?[0-9A-F]*)$", recording.stdout, re.MULTILINE)
    return [re.sub("##.", "##", each) for each in found if not each.startswith("7F0#")]


def values(heard: list[str], can_id: str) -> list[int]:
    """The numbers that frames of this id bore, in the order in which they came."""
    bore = [each.partition("#")[2] for each in heard if each.startswith(f"{can_id}#")]
    return [int.from_bytes(bytes.fromhex(each), "little") for each in bore]


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
    before = [told(side) for side in sides]
    recordings = [[side.record(name) for name in side.containers] for side in sides]
    everybody = [each for those in recordings for each in those]
    sent: list[list[str]] = [[], []]
    for place, side in enumerate(sides):
        for name, can_id in zip(side.containers, ("100", "101"), strict=True):
            own = f"{can_id[:2]}{2 * place + int(can_id[2])}"
            sent[place] += say(side, name, own)
            sent[place] += mark(side, name, own, everybody)
    for place, side in enumerate(sides):
        missing = set()
        for recording in recordings[place]:
            heard = frames(recording)
            assert len(heard) == len(set(heard))
            assert set(sent[place]) <= set(heard) <= {*sent[0], *sent[1]}
            missing.add(len(sent[0]) + len(sent[1]) - len(heard))
            for can_id in ("100", "101", "102", "103"):
                assert values(heard, can_id) == sorted(values(heard, can_id))
        (number,) = missing
        until(side, lambda side=side, lost=before[place] + number: told(side) == lost)  # type: ignore[misc]


class Stream:
    """A frame each 10 ms from the first container of one host, heard at the first of another."""

    def __init__(self, one: Side, two: Side) -> None:
        self._one = one
        self._container = one.containers[0]
        self._recording = two.record(two.containers[0])
        command = f"docker exec {self._container} cangen can0 -g 10 -I 123 -L 8 -D i"
        self._sending = one.host.start(command)
        self.wait_for_more()

    @property
    def heard(self) -> list[int]:
        """The numbers that were heard so far."""
        return values(frames(self._recording), "123")

    def wait_for_more(self) -> None:
        """Until another frame is heard."""
        before = len(self.heard)
        until(self._one, lambda: len(self.heard) > before)

    def end(self) -> list[int]:
        """Stop, and all that was heard: in the order of the sender, and nothing twice."""
        self._one.board.sh("pkill cangen")
        self._sending.wait(UP, check=False)
        self._one.send(self._container, "cansend can0 7F2#")
        self._recording.wait_for("7F2#", UP)
        self._recording.kill()
        heard = self.heard
        assert heard == sorted(set(heard))
        return heard


def until(side: Side, done: Callable[[], bool]) -> None:
    """Look again and again, for half a minute."""
    for _look in range(300):
        if done():
            return
        side.board.sh("sleep 0.1")
    raise AssertionError(side.span.stderr)


def test_a_cut_loses_what_was_sent_in_it_and_each_frame_is_counted(
    sides: tuple[Side, Side],
) -> None:
    """By the host that misses it. A recording there has each of them all the same."""
    one, two = sides
    recording = two.host.start(
        "exec python3 -m canwharf record vcan0 -o /tmp/cut.log --recover 2s --json"
    )
    two.board.sh("timeout 30 sh -c 'until [ -e /tmp/cut.log ]; do sleep 0.1; done'")
    stream = Stream(one, two)
    before = told(two)
    one.host.link.cut()
    one.board.sh("sleep 3")
    one.host.link.fix()
    stream.wait_for_more()
    heard = stream.end()
    missing = heard[-1] - heard[0] + 1 - len(heard)
    assert missing
    until(two, lambda: told(two) - before == missing)
    everything = set(range(heard[0], heard[-1] + 1))
    until(two, lambda: everything <= set(recorded(two)))
    assert len(recorded(two)) == len(set(recorded(two)))
    two.board.sh("pkill -INT -f '[c]anwharf record'")
    recording.wait(UP)
    (host,) = json.loads(recording.stdout)["hosts"]
    assert host["lost"] == host["recovered"] >= missing


def recorded(side: Side) -> list[int]:
    """The numbers that a recording has of the stream from the other host."""
    lines = side.board.sh("cat /tmp/cut.log")
    found = re.findall(r"/a%2F\S+ 123#([0-9A-F]{16})$", lines, re.MULTILINE)
    return [int.from_bytes(bytes.fromhex(each), "little") for each in found]


def told(side: Side) -> int:
    """How many frames were lost, as the service has said."""
    return sum(map(int, LOST.findall(side.span.stderr)))


def test_the_service_is_killed_under_load_and_nothing_comes_twice(
    sides: tuple[Side, Side],
) -> None:
    """Containers of one host do not notice; status says what is missing."""
    one, two = sides
    stream = Stream(one, two)
    for _turn in range(3):
        two.host.run("pkill -KILL -f '[c]anwharf span'")
        two.span.wait(UP, check=False)
        assert "no 'canwharf span' runs: no other host is heard" in status(two)
        assert "span bench7, by 'canwharf span'" in status(one)
        two.start_span()
        stream.wait_for_more()
    assert len(stream.end()) > 10


def status(side: Side) -> str:
    return side.board.sh("python3 -m canwharf status")


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
