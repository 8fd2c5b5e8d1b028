"""Frames a second and latency over a bus of canwharf's, against the same on a plain vcan.

One process holds all the sockets and takes turns between sending and receiving, so that on one
processor nothing but the kernel's forwarding differs.
"""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from select import select
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench.spread import spread
from tests.world.member import HOST, Member, raw_socket

if TYPE_CHECKING:
    from bench.inside import Caller  # which imports this module

_ROUNDS = 9  # of each way in turn, as a machine's speed changes while it works
_CHUNK = 100  # frames between two turns; what a receiver's buffer holds with ease
STEADY = 10_000  # frames a second, one chunk each hundredth of a second, for so many seconds:
_STEADY_SECONDS = 2
_CLASSIC = struct.Struct("=IB3x8s")
_FD = struct.Struct("=IBBxx64s")


def ip(words: str) -> None:
    """One `ip` command."""
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


def frame(fd: bool, can_id: int = 0x123) -> bytes:
    """A full classic or FD frame."""
    return _FD.pack(can_id, 64, 4, bytes(64)) if fd else _CLASSIC.pack(can_id, 8, bytes(8))


def measure(
    sender: socket.socket, receivers: list[socket.socket], fd: bool, count: int
) -> dict[str, float]:
    """Frames a second to all receivers, one frame's way in microseconds, frames lost."""
    data = frame(fd)
    lost = 0
    started = perf_counter()
    for _turn in range(count // _CHUNK):
        for _frame in range(_CHUNK):
            sender.send(data)
        for receiver in receivers:
            for arrived in range(_CHUNK):
                try:
                    receiver.recv(128)
                except TimeoutError:
                    lost += _CHUNK - arrived
                    break
    rate = count / (perf_counter() - started)
    ways = []
    for _frame in range(count // 10):
        started = perf_counter()
        sender.send(data)
        for receiver in receivers:
            receiver.recv(128)
        ways.append(perf_counter() - started)
    return {"rate": rate, "latency_us": median(ways) * 1e6, "lost": lost}


def one_round(members: list[Member], fd: bool, count: int) -> dict[str, float]:
    """One measurement with a socket for each member; the first is the sender."""
    with ExitStack() as stack:
        opened = [stack.enter_context(raw_socket(member, fd)) for member in members]
        for each in opened:
            each.settimeout(2)
        return measure(opened[0], opened[1:], fd, count)


def steady(members: list[Member], fd: bool) -> dict[str, float]:
    """Frames lost at a fixed rate, by receivers that read all along, and the rate that was held."""
    with ExitStack() as stack:
        sender, *receivers = [stack.enter_context(raw_socket(member, fd)) for member in members]
        for each in receivers:
            each.setblocking(False)
        data = frame(fd)
        chunks = STEADY * _STEADY_SECONDS // _CHUNK
        arrived = 0
        started = perf_counter()
        for chunk in range(chunks):
            arrived += sum(map(waiting, receivers))  # also where the rate is not held
            while perf_counter() < started + chunk * _CHUNK / STEADY:
                arrived += sum(map(waiting, receivers))
            for _frame in range(_CHUNK):
                sender.send(data)
        held = chunks * _CHUNK / (perf_counter() - started)
        while more := drained(receivers):  # a busy kernel forwards some a little later
            arrived += more
    return {"rate": held, "lost": chunks * _CHUNK * len(receivers) - arrived}


def drained(receivers: list[socket.socket]) -> int:
    """The frames that still come within a fifth of a second."""
    if not select(receivers, [], [], 0.2)[0]:
        return 0
    return sum(map(waiting, receivers))


def waiting(receiver: socket.socket) -> int:
    """Take the frames that are there; how many."""
    taken = 0
    with suppress(BlockingIOError):
        while receiver.recv(128):
            taken += 1
    return taken


def summary(rounds: list[dict[str, dict[str, float]]], way: str) -> dict[str, Any]:
    """Each round's ratios to the plain vcan of the same round, and all that was lost."""
    return {
        "rate": spread([each[way]["rate"] / each["plain"]["rate"] for each in rounds]),
        "latency": spread(
            [each[way]["latency_us"] / each["plain"]["latency_us"] for each in rounds]
        ),
        "lost": sum(each[way]["lost"] for each in rounds),
    }


def held(rounds: list[dict[str, dict[str, float]]], way: str) -> dict[str, float]:
    """The lowest of the rates that were held, and what was lost in all the rounds."""
    return {
        "rate": min(each[way]["rate"] for each in rounds),
        "lost": sum(each[way]["lost"] for each in rounds),
    }


@contextmanager
def bus(receivers: int, join: Callable[[str], str]) -> Iterator[list[Member]]:
    """A sender and so many receivers, each in a network namespace of its own."""
    names = [f"bench{number}" for number in range(receivers + 1)]
    try:
        for name in names:
            ip(f"netns add {name}")
            inside = join(name)
            ip(f"link set {inside} netns {name} name can0 up")
        yield [Member(f"/run/netns/{name}", "can0") for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def joining(caller: Caller) -> Callable[[str], str]:
    """Makes an endpoint and joins it; tells the end that its container is to have."""
    from bench.inside import NETWORK  # noqa: PLC0415 (it imports this module)

    def join(endpoint: str) -> str:
        ids = {"NetworkID": NETWORK, "EndpointID": endpoint}
        caller.call("NetworkDriver.CreateEndpoint", **ids)
        answer = caller.call("NetworkDriver.Join", **ids)
        return str(answer["InterfaceName"]["SrcName"])

    return join


def traffic(count: int, steady_rounds: int) -> list[dict[str, Any]]:
    """All rows: classic and FD, several numbers of receivers, container to container and host."""
    from bench.inside import running  # noqa: PLC0415 (it imports this module)

    rows = []
    with running("canwharf") as (_driver, caller):
        for receivers in (1, 2, 4, 8):
            with bus(receivers, joining(caller)) as members, ExitStack() as stack:
                ip("link add plain0 mtu 72 type vcan")
                stack.callback(ip, "link del plain0")
                ip("link set plain0 up")
                for fd in (False, True):
                    host = Member(HOST, "vcan0")
                    ways = {
                        "containers": members,
                        "host": [members[0], host] if receivers == 1 else [],
                        "plain": [Member(HOST, "plain0")] * (receivers + 1),
                    }
                    used = {way: ends for way, ends in ways.items() if ends}
                    rounds = [
                        {way: one_round(ends, fd, count // _ROUNDS) for way, ends in used.items()}
                        for _round in range(_ROUNDS)
                    ]
                    found = {way: summary(rounds, way) for way in used}
                    rounds = [
                        {way: steady(ends, fd) for way, ends in used.items()}
                        for _round in range(steady_rounds)
                    ]
                    for way in used:
                        found[way]["steady"] = held(rounds, way)
                    rows.append({"receivers": receivers, "fd": fd, **found})
            for endpoint in [f"bench{number}" for number in range(receivers + 1)]:
                caller.leave(endpoint)
    return rows
