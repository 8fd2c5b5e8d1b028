"""Two hosts with Docker that are on one span, and a stream of frames from one to the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import zenoh

from canwharf.cli import main
from lab.channel import Process
from lab.machine import REPOSITORY
from lab.pair import Host, two_machines
from tests.world.board import UP, Board, wait_running

# The guest's own Python has no zenoh; the wheel of this machine's runs on each.
LIBRARY = f"/repo/{Path(zenoh.__file__).parents[1].relative_to(REPOSITORY)}"
AS_NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all"
LISTENS = (
    "timeout 20 sh -c 'until grep -q can0 /proc/$(docker inspect -f {{{{.State.Pid}}}} {0})"
    "/net/can/rcvlist_all; do :; done'"
)
# A frame may wait for long on a busy machine; tests/kernel/test_span.py has what is too old.
OPTIONS = "-o can.name=can -o can.span=bench7 -o can.span.max_age=1min"
LOST = re.compile(r"of [ab], (\d+) frames were lost")
HOUR = 3600  # seconds


class Side:
    """A host: its board, two containers, and `canwharf span`."""

    def __init__(self, host: Host, directory: str) -> None:
        self.host = host
        self.board = Board(host)
        self._directory = directory
        self.board.start()
        self.board.network(options=OPTIONS)
        self.containers = [f"{host.name}{number}" for number in (1, 2)]
        for name in self.containers:
            self.board.container(name, more="--restart always")
        self.span = self.start_span()

    def start_span(self) -> Process:
        """Without any right, as its unit does."""
        self.span = self.run_span(f"--directory {self._directory}")
        self.span.wait_for("vcan0 is in the span bench7", UP)
        return self.span

    def run_span(self, words: str) -> Process:
        """`canwharf span` with these words."""
        return self.host.start(
            f"exec {AS_NOBODY} python3 -m canwharf span {words}",
            env={"PYTHONPATH": f"/repo/src:{LIBRARY}"},
        )

    def end_span(self, signal: str = "KILL") -> None:
        self.signal_span(signal)
        self.span.wait(UP, check=False)

    def signal_span(self, signal: str) -> None:
        self.host.run(f"pkill -{signal} -f '[c]anwharf span'")

    def lose_power(self) -> None:
        """And come back, with a clock that is an hour ahead: it has no battery."""
        self.host.run("sync")  # Docker does not, of what it started last
        self.host.power_cut()
        self.host.boot()
        self.host.run(f"date -s @$(($(date +%s) + {HOUR}))")
        self.board.start()
        wait_running(self.board, *self.containers)

    def record(self, container: str) -> Process:
        """All that a container hears."""
        recording = self.host.start(f"docker exec {container} candump -L can0")
        self.board.sh(LISTENS.format(container))
        return recording

    def send(self, container: str, *words: str) -> None:
        self.board.sh(f"docker exec {container} {' '.join(words)}")

    @property
    def told(self) -> int:
        """How many frames of the other host were lost, as the service has said."""
        return sum(map(int, LOST.findall(self.span.stderr)))


@contextmanager
def joined(suite: str) -> Iterator[tuple[Side, Side, Path]]:
    """Two hosts that are connected: the second one joins where the first one runs already.

    With them the directory, which both see, where each has one of its own, `a` and `b`.
    """
    build = REPOSITORY / "build"
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
        yield one, two, here


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


def until(side: Side, done: Callable[[], bool]) -> None:
    """Look again and again, for half a minute."""
    for _look in range(300):
        if done():
            return
        side.board.sh("sleep 0.1")
    raise AssertionError(side.span.stderr)


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
        return self.close()

    def close(self) -> list[int]:
        """Hear no more; what was heard, in the order of the sender, and nothing twice."""
        self._recording.kill()
        heard = self.heard
        assert heard == sorted(set(heard))
        return heard


def missing(heard: list[int]) -> int:
    """How many numbers between the first and the last were not heard."""
    return heard[-1] - heard[0] + 1 - len(heard)
