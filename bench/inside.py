"""Daemons, calls and starts that are measured in the guest; `bench.parts` runs them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import canwharf
from bench.spread import spread

_LANES = 8  # calls at once, as Docker starts containers in parallel
NETWORK = "n" * 64
OPTIONS = {"com.docker.network.generic": {"can.interface": "vcan0", "can.name": "can"}}


class Caller:
    """A caller on a unix socket, as Docker is one; it costs the guest as little as it can."""

    def __init__(self, path: str) -> None:
        while True:  # as soon as a daemon listens
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(600)
            try:
                self._socket.connect(path)
            except OSError:
                self._socket.close()
                sleep(0.0005)
            else:
                return

    def call(self, path: str, **fields: object) -> dict[str, Any]:
        """One call; its answer, which must not be an Err."""
        self.ask(path, **fields)
        return self.answer()

    def ask(self, path: str, **fields: object) -> None:
        """The call alone."""
        body = json.dumps(fields)
        head = f"POST /{path} HTTP/1.1\r\nHost: d\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall((head + body).encode())

    def answer(self) -> dict[str, Any]:
        """What it comes to."""
        answer: dict[str, Any] = json.loads(self._socket.recv(65536).partition(b"\r\n\r\n")[2])
        if "Err" in answer:
            raise RuntimeError(answer["Err"])
        return answer

    def create(self, endpoint: str, network: str = NETWORK) -> float:
        """Create an endpoint, which ours writes to its disk; the seconds that it took."""
        started = perf_counter()
        ids = {"NetworkID": network, "EndpointID": endpoint}
        self.call("NetworkDriver.CreateEndpoint", **ids, Options={})
        return perf_counter() - started

    def join(self, endpoint: str, network: str = NETWORK) -> float:
        """Join an endpoint that was created; the seconds that it took."""
        started = perf_counter()
        ids = {"NetworkID": network, "EndpointID": endpoint}
        self.call("NetworkDriver.Join", **ids, SandboxKey="", Options={})
        return perf_counter() - started

    def add(self, endpoint: str) -> float:
        """Create and join an endpoint; the seconds that both took."""
        return self.create(endpoint) + self.join(endpoint)

    def leave(self, endpoint: str, network: str = NETWORK) -> float:
        """Leave and delete an endpoint; the seconds that both took."""
        ids = {"NetworkID": network, "EndpointID": endpoint}
        started = perf_counter()
        self.call("NetworkDriver.Leave", **ids)
        self.call("NetworkDriver.DeleteEndpoint", **ids)
        return perf_counter() - started


INSTALLED = Path("/opt/canwharf")  # a copy with bytecode, as an installation has it
ENTRY = str(INSTALLED / "canwharf/__main__.py")  # as the service starts it, by python3 -IS
# The same on a kernel without the modules for a linear bus.
_MESH = (
    f"import sys; sys.path.append({str(INSTALLED)!r}); "
    "from canwharf.kernel import traffic_control as tc; "
    "tc.probe = lambda *_: tc.Ability('', ('sch_ingress',)); "
    "from canwharf.cli import main; sys.exit(main())"
)


def install() -> None:
    """Copy the package to where its bytecode can be written, and compile it."""
    source = Path(canwharf.__file__).parent
    shutil.copytree(source, INSTALLED / "canwharf", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(INSTALLED)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
    )
    os.environ["PYTHONPATH"] = f"{INSTALLED}:{os.environ['PYTHONPATH']}"


class Driver:
    """A driver process, ours (`mesh`: without linear buses) or the yardstick's."""

    def __init__(self, name: str, directory: str) -> None:
        self.name = name
        self.socket = f"{directory}/{name}.sock"
        self.state = f"{directory}/{name}"
        entry = ["-c", _MESH] if name == "mesh" else [ENTRY]
        serve = ["-IS", *entry, "serve", "--socket", self.socket, "--state-dir", self.state]
        self._words = ["-m", "bench.yardstick", self.socket] if name == "yardstick" else serve
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        Path(self.socket).unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, *self._words], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """A crash."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def completed(self) -> None:
        """Make the state one that Docker has completed, as it is after a minute with Docker."""
        path = Path(self.state) / "state.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "complete": True}))


def wipe() -> None:
    """Delete all CAN interfaces, and so all rules: a reboot."""
    for kind in ("vxcan", "vcan"):
        listed = subprocess.run(
            ["ip", "-br", "link", "show", "type", kind], capture_output=True, check=True
        )
        for line in listed.stdout.decode().splitlines():
            subprocess.run(
                ["ip", "link", "del", line.split()[0].split("@")[0]],
                capture_output=True,
                check=False,  # of a pair, the other end took this one along
            )


@contextmanager
def running(name: str) -> Iterator[tuple[Driver, Caller]]:
    """A driver with one network and nothing else in the kernel."""
    with tempfile.TemporaryDirectory() as directory:
        driver = Driver(name, directory)
        driver.start()
        caller = Caller(driver.socket)
        caller.call("Plugin.Activate")
        caller.call("NetworkDriver.CreateNetwork", NetworkID=NETWORK, Options=OPTIONS)
        try:
            yield driver, caller
        finally:
            driver.kill()
            wipe()


def start_up(repeats: int) -> dict[str, Any]:
    """The shortest start to the first answered Plugin.Activate, and of a bare interpreter (seconds).

    Both by -IS, in turns. A start is short against what else a machine does: the shortest counts.
    """
    bare: list[float] = []
    first: dict[int, list[float]] = {0: [], 50: []}  # by the number of networks in the state
    with tempfile.TemporaryDirectory() as directory:
        driver = Driver("canwharf", directory)
        driver.start()
        caller = Caller(driver.socket)
        caller.call("Plugin.Activate")
        for stored, times in first.items():
            for number in range(stored):
                options = {"com.docker.network.generic": {"can.interface": f"bench{number}"}}
                caller.call("NetworkDriver.CreateNetwork", NetworkID=f"n{number}", Options=options)
            driver.kill()
            if stored:
                driver.completed()
            for _repeat in range(repeats):
                driver.kill()
                started = perf_counter()
                subprocess.run([sys.executable, "-IS", "-c", "pass"], check=True)
                bare.append(perf_counter() - started)
                started = perf_counter()
                driver.start()
                caller = Caller(driver.socket)
                caller.call("Plugin.Activate")
                times.append(perf_counter() - started)
        driver.kill()
    wipe()
    shortest = {str(stored): min(times) for stored, times in first.items()}
    return {"repeats": repeats, "bare": min(bare), "first": shortest}


def joins(sizes: list[int], repeats: Callable[[str, int], int]) -> dict[str, Any]:
    """Join and Leave + DeleteEndpoint with so many endpoints on the bus already, per driver."""
    result: dict[str, Any] = {}
    for name in ("canwharf", "yardstick"):
        rows = result[name] = {}
        with running(name) as (driver, first):
            there, last = 0, first  # the caller of the daemon's present life
            for size in sizes if name == "canwharf" else [each for each in sizes if each <= 100]:
                while there < size - 1:
                    last.add(f"e{there}")
                    there += 1
                created, joined, left = [], [], []
                for _repeat in range(repeats(name, size)):
                    created.append(last.create("measured"))
                    joined.append(last.join("measured"))
                    left.append(last.leave("measured"))
                # canwharf collects an end that is never moved, some minutes later.
                assert len(list(Path("/sys/class/net").glob("cwc*"))) == size - 1
                both = [sum(pair) for pair in zip(created, joined, strict=True)]
                rows[str(size)] = {
                    "join": spread(joined),
                    "both": spread(both),
                    "leave": spread(left),
                }
                if name == "canwharf":
                    rows[str(size)]["restarted"], last = restarted(driver, repeats(name, size))
    return result


def restarted(driver: Driver, repeats: int) -> tuple[dict[str, float], Caller]:
    """CreateEndpoint and Join, the first calls of a daemon that has just been started again.

    The look at all links and rules is within. Also a caller of its last life.
    """
    times = []
    for _repeat in range(max(3, repeats // 3)):
        driver.kill()
        driver.completed()
        driver.start()
        caller = Caller(driver.socket)
        times.append(caller.add("measured"))
        caller.leave("measured")
    return spread(times), caller


def cold(repeats: int) -> dict[str, Any]:
    """CreateEndpoint and Join after a reboot: the bus interface is missing too.

    The daemon has started. The yardstick, which keeps nothing, is told of its network again.
    """
    result: dict[str, Any] = {}
    for name in ("canwharf", "yardstick"):
        with running(name) as (_driver, caller):
            times = []
            for number in range(repeats):
                wipe()
                if name == "yardstick":
                    started = perf_counter()
                    caller.call("NetworkDriver.CreateNetwork", NetworkID=NETWORK, Options=OPTIONS)
                    made = perf_counter() - started
                else:
                    made = 0.0
                times.append(made + caller.add(f"c{number}"))
            result[name] = spread(times)
    return result


def storm(lanes: list[Caller], networks: int, endpoints: int) -> None:
    """Create and join all endpoints, on each lane one call at a time, on all lanes at once."""
    calls: list[list[tuple[str, dict[str, object]]]] = [[] for _lane in lanes]
    for number in range(networks):
        for endpoint in range(endpoints):
            ids = {"NetworkID": f"n{number}", "EndpointID": f"e{number}x{endpoint}"}
            own = calls[number % len(lanes)]
            own.append(("NetworkDriver.CreateEndpoint", {**ids, "Options": {}}))
            own.append(("NetworkDriver.Join", {**ids, "SandboxKey": "", "Options": {}}))
    for turn in zip_longest(*calls):
        busy = [(lane, call) for lane, call in zip(lanes, turn, strict=True) if call]
        for lane, (path, fields) in busy:
            lane.ask(path, **fields)
        for lane, _call in busy:
            lane.answer()


def recovery(networks: int, endpoints: int, repeats: int) -> dict[str, Any]:
    """From the daemon's start to the last of all Joins, made in parallel, in turns."""
    times: dict[str, list[float]] = {"canwharf": [], "yardstick": []}
    for name in list(times) * repeats:
        with tempfile.TemporaryDirectory() as directory:
            driver = Driver(name, directory)

            def create(path: str = driver.socket) -> None:
                caller = Caller(path)
                for number in range(networks):
                    options = {"com.docker.network.generic": {"can.interface": f"bench{number}"}}
                    caller.call(
                        "NetworkDriver.CreateNetwork", NetworkID=f"n{number}", Options=options
                    )

            if name == "canwharf":  # which remembers; the yardstick is told again, within the time
                driver.start()
                create()
                driver.kill()
                driver.completed()
                wipe()
            started = perf_counter()
            driver.start()
            if name != "canwharf":
                create()
            storm([Caller(driver.socket) for _lane in range(_LANES)], networks, endpoints)
            times[name].append(perf_counter() - started)
            driver.kill()
            wipe()
    found = {name: spread(each) for name, each in times.items()}
    return {"networks": networks, "endpoints": endpoints, **found}


def move_to_containers() -> None:
    """Take the containers' ends off the host, as Docker does: those left there are collected."""
    subprocess.run(["ip", "netns", "add", "bench"], check=True)
    for path in Path("/sys/class/net").glob("cwc*"):
        subprocess.run(["ip", "link", "set", path.name, "netns", "bench"], check=True)


def at_rest(seconds: int) -> dict[str, Any]:
    """Memory with 40 endpoints after a full look, and what an idle daemon costs."""
    with running("canwharf") as (driver, caller):
        for number in range(40):
            caller.add(f"e{number}")
        move_to_containers()
        assert driver.process is not None
        proc = Path(f"/proc/{driver.process.pid}")

        def figures() -> tuple[int, int]:
            status = (proc / "status").read_text()
            switches = int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
            return sum(map(int, (proc / "stat").read_text().split()[13:15])), switches

        sleep(70)  # the one look that follows after any activity
        resident = int((proc / "status").read_text().partition("VmRSS:")[2].split()[0])
        before = figures()
        sleep(seconds)
        after = figures()
    ticks = after[0] - before[0]
    cpu = ticks / os.sysconf("SC_CLK_TCK")
    return {
        "rss_kb": resident,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "wakeups": after[1] - before[1],
    }
