"""What grows with a bus: a Join, a start, `status`, memory and a frame, on a linear bus and a mesh.

Each figure is the smallest of its repeats: whatever else runs on the machine only adds to it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.inside import NETWORK, Caller, Driver, running
from canwharf.kernel.gateway import CLASSIC, Rule, add
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.traffic_control import Port
from tests.kernel.by_hand import Bus, Linear, Mesh, Step
from tests.world.container import Container
from tests.world.host import wipe
from tests.world.member import raw_socket

SHAPES = ("canwharf", "mesh")  # the names of the drivers; ours makes linear buses
MESH_UP_TO = 100  # endpoints: at 300 a mesh has 270,000 rules
_NAMESPACES = 50  # that share the ends of all endpoints: to make 1000 takes minutes
_BURSTS, _FRAMES = 40, 60
_FRAME = b"\x23\1\0\0\x08" + bytes(11)


def growth(sizes: list[int], repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    """The costs in seconds and the memory in KB, by shape and number of endpoints.

    Each size comes twice, on the way up and on the way down: a machine's speed changes.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for shape in SHAPES:
        rows = found[shape] = {}
        there = [size for size in sizes if shape == "canwharf" or size <= MESH_UP_TO]
        with running(shape) as (driver, caller), ExitStack() as stack:
            boxes = [stack.enter_context(Container()) for _number in range(_NAMESPACES)]
            bus = _Growing(driver, caller, boxes)
            for size in (*there, *reversed(there)):
                new = bus.measured(size, repeats)
                old = rows.get(str(size), new)
                rows[str(size)] = {what: min(cost, old[what]) for what, cost in new.items()}
    return found


class _Growing:
    """A bus whose endpoints are in containers: the daemon, its caller, the namespaces."""

    def __init__(self, driver: Driver, caller: Caller, boxes: list[Container]) -> None:
        self._driver = driver
        self._caller = caller
        self._boxes = boxes
        self._there = 0

    def measured(self, size: int, repeats: int) -> dict[str, float]:
        """All costs with so many endpoints, the one that joins among them."""
        while self._there >= size:
            self._there -= 1
            self._caller.leave(_id(self._there))
        while self._there < size - 1:
            self._start(self._there)
            self._there += 1
        joined = []
        for _repeat in range(5 * repeats):
            joined.append(self._start(size - 1))
            self._caller.leave(_id(size - 1))
        self._start(size - 1)
        self._there = size
        self._driver.completed()
        found = {"join": min(joined), **_restarted(self._driver, repeats)}
        self._caller = Caller(self._driver.socket)
        found["rss_kb"] = _resident(self._driver)
        return found | {"status": min(_status(self._driver) for _repeat in range(repeats))}

    def _start(self, number: int) -> float:
        """Start a container; the seconds of its Join."""
        ids = {"NetworkID": NETWORK, "EndpointID": _id(number)}
        self._caller.create(ids["EndpointID"])
        began = perf_counter()
        answer = self._caller.call("NetworkDriver.Join", **ids, SandboxKey="", Options={})
        took = perf_counter() - began
        source = answer["InterfaceName"]["SrcName"]
        self._boxes[number % _NAMESPACES].take(source, f"can{number}", ready=False)
        self._caller.call("Plugin.Activate")  # answered after the maintenance that follows
        return took


def _restarted(driver: Driver, repeats: int) -> dict[str, float]:
    """From a start until all is checked, and the first container's CreateEndpoint and Join."""
    checked: list[float] = []
    first: list[float] = []
    for _repeat in range(repeats):
        for times, act in ((first, _first), (checked, _checked)):
            driver.kill()
            driver.start()
            times.append(act(Caller(driver.socket)))
    return {"checked": min(checked), "first": min(first)}


def _first(caller: Caller) -> float:
    """The first call of a daemon is a container's."""
    took = caller.add(_id(-1))
    caller.leave(_id(-1))
    return took


def _checked(caller: Caller) -> float:
    """Behind the answer to the first call the whole kernel is checked; the start is not in it."""
    began = perf_counter()
    caller.call("Plugin.Activate")
    caller.call("Plugin.Activate")
    return perf_counter() - began


def _status(driver: Driver) -> float:
    """The seconds of `canwharf status`."""
    began = perf_counter()
    where = ["--socket", driver.socket, "--state-dir", driver.state]
    words = [sys.executable, "-m", "canwharf", "status", *where]
    subprocess.run(words, check=True, capture_output=True)
    return perf_counter() - began


def rest() -> int:
    """The memory of a daemon with one network and no endpoint, in KB."""
    with running("canwharf") as (driver, caller):
        caller.call("Plugin.Activate")
        return _resident(driver)


def _resident(driver: Driver) -> int:
    assert driver.process is not None
    status = Path(f"/proc/{driver.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _id(number: int) -> str:
    """An id as Docker's are."""
    return sha256(str(number).encode()).hexdigest()


class Plain(Bus):
    """The kernel's own minimum: a rule for classic frames from the first to each other one."""

    def coming(self, port: Port) -> list[Step]:
        """From the first container, to the bus interface and to all that come later."""
        first = port == self.ports[0]
        rule = Rule(self.ports[0].ifindex, self.index if first else port.ifindex, CLASSIC, first)
        return [("rule", [add(rule, "by hand")])]


def frames(sizes: list[int]) -> dict[str, dict[str, float]]:
    """The microseconds of a send on a bus of so many containers, by how they are connected.

    The three buses have the same containers, and take turns.
    """
    found: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        netlink = Netlink()
        stack.callback(wipe)
        buses: dict[str, Bus] = {
            "plain": Plain(stack, netlink, "p"),
            "canwharf": Linear(stack, netlink, "l"),
            "mesh": Mesh(stack, netlink, "m"),
        }
        containers: list[Container] = []
        for size in sizes:
            while len(containers) < size:
                containers.append(stack.enter_context(Container()))
                for name, bus in buses.items():
                    bus.join(containers[-1], name)
            found[str(size)] = _sent(containers[0], buses)
    return found


def _sent(sender: Container, buses: dict[str, Bus]) -> dict[str, float]:
    with ExitStack() as stack:
        sockets = {
            name: stack.enter_context(raw_socket(sender.member(name), False)) for name in buses
        }
        sends: dict[str, Callable[[bytes], int]] = {n: each.send for n, each in sockets.items()}
        times: dict[str, list[float]] = {name: [] for name in buses}
        for name, send in list(sends.items()) * _BURSTS:
            began = perf_counter()
            for _frame in range(_FRAMES):
                send(_FRAME)
            times[name].append((perf_counter() - began) / _FRAMES)
    return {name: min(each) * 1e6 for name, each in times.items()}


def scale(quick: bool) -> dict[str, Any]:
    """All of it."""
    return {
        "growth": growth([1, 40] if quick else [1, 40, 100, 300, 1000], 2 if quick else 5),
        "frames": frames([8, 40] if quick else [8, 40, 100, 200]),
        "rest_kb": rest(),
    }
