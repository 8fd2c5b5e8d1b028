"""What a bus across hosts costs: a bridge against one of raw UDP, its way against zenoh's own.

python3 -m bench.span [--quick]     seven minutes, on the machine itself; prints the figures

Theory of operation. A guest's system calls are too slow for this, and a machine may have no CAN:
UDP sockets are in the place of a bus's. Two processes are two hosts, on loopback; this process is
all programs on both buses. The kinds of bridges take turns, and each ratio is of one turn.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from struct import Struct
from typing import Any

from bench.span_ends import STAMPED
from bench.spread import around, spread
from canwharf.frames.frame import Frame
from canwharf.frames.receive import MOST, Receiver
from canwharf.span import authority
from canwharf.span.message import Message, encode

HOSTS = "ab"
TRANSPORTS = ("TCP", "TLS")
KINDS = ("span", "udp", "gathering")
YARDSTICKS = ("sends at once what is there", "gathers frames as long")  # of the last two
LIMITS = {5000: 3, 20_000: 2}  # by the frames a second each way, of the processor time
_FRAME = Struct("=IB3xII")  # id, length, number, microseconds (modulo 2^32)
_ROOM = 8 << 20  # bytes
_LENGTH = len(encode(Message(0, 0, 0, 0, [Frame(0, "", "container", 0x123, bytes(8))])))
_WARM, _REST = 1.0, 0.5  # seconds before a figure, and until the last frame has come
_PATIENCE = 20.0  # seconds until two processes are connected


class Bus:
    """The programs on one host's bus: what they sent, and what they heard of the other host's."""

    def __init__(self, stack: ExitStack) -> None:
        self.sends, self.end = _pair(stack)
        self.hears, self.bus = _pair(stack)
        self._receiver = Receiver()
        self.begin()

    def begin(self) -> None:
        """Count anew."""
        self.sent = self.heard = self._next = 0
        self.wrong = 0  # twice, or not in order
        self.delays: list[int] = []  # microseconds

    def send(self, count: int) -> None:
        """So many frames at once."""
        for _frame in range(count):
            now = time.time_ns() // 1000 & 0xFFFFFFFF
            self.sends.send(_FRAME.pack(0x123, 8, self.sent, now))
            self.sent += 1

    def listen(self) -> None:
        """Take what came, and check it."""
        while True:
            try:
                came = list(self._receiver.receive(self.hears.fileno()))
            except BlockingIOError:
                return
            for at, _id, data, *_rest in came:
                number = int.from_bytes(data[:4], "little")
                self.delays.append(at // 1000 - int.from_bytes(data[4:], "little") & 0xFFFFFFFF)
                self.wrong += number < self._next
                self._next = number + 1
            self.heard += len(came)
            if len(came) < MOST:
                return


def _pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Two UDP sockets that are connected to each other, with time stamps."""
    pair = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _side in range(2)]
    for each in pair:
        each.bind(("127.0.0.1", 0))
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        each.setsockopt(socket.SOL_SOCKET, STAMPED, 1)
    for one, other in (pair, pair[::-1]):
        one.connect(other.getsockname())
    return pair[0], pair[1]


@contextmanager
def bridged(kind: str, secure: bool) -> Iterator[tuple[list[Bus], list[int]]]:
    """Two buses with a bridge between them, and the processes."""
    with ExitStack() as stack:
        buses = [Bus(stack) for _host in HOSTS]
        ways = _pair(stack)
        which = _settings(stack, secure)
        processes = []
        for host, bus, way in zip(HOSTS, buses, ways, strict=True):
            given = {"bus": bus.bus.fileno(), "end": bus.end.fileno(), "way": way.fileno()}
            more = {"host": host, "settings": which[host]}
            process = _process(stack, kind, {**given, **more}, tuple(given.values()))
            processes.append(process.pid)
        _until_connected(buses)
        yield buses, processes


def _until_connected(buses: list[Bus]) -> None:
    end = time.monotonic() + _PATIENCE
    while not all(each.heard for each in buses):
        if time.monotonic() > end:
            raise RuntimeError("the two bridges do not connect")
        for each in buses:
            each.send(1)
        time.sleep(0.1)
        for each in buses:
            each.listen()
    time.sleep(_REST)
    for each in buses:
        each.listen()
        each.begin()


def load(buses: list[Bus], rate: int, seconds: float) -> None:
    """Let both buses have so many frames a second."""
    begun = time.monotonic()
    done = 0
    while (passed := time.monotonic() - begun) < seconds:
        due = int(passed * rate)
        for each in buses:
            each.send(due - done)
            each.listen()
        done = due
        time.sleep(max(0.0, begun + (done + 1) / rate - time.monotonic()))


def cpu(process: int) -> int:
    """Nanoseconds of processor time of all its threads (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns(~process << 3 | 2)


def pss(process: int) -> int:
    """Kilobytes of memory, of what is shared its part."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return int(text.partition("Pss:")[2].split()[0])


def under_load(kind: str, secure: bool, rate: int, seconds: float) -> dict[str, float]:
    """One run."""
    with bridged(kind, secure) as (buses, processes):
        load(buses, rate, _WARM)
        before, heard = sum(map(cpu, processes)), _heard(buses)
        load(buses, rate, seconds)
        spent, frames = sum(map(cpu, processes)) - before, _heard(buses) - heard
        memory = max(map(pss, processes))
        time.sleep(_REST)
        for each in buses:
            each.listen()
        return {
            "ns": spent / frames,
            "sent": sum(each.sent for each in buses),
            "lost": sum(each.sent - each.heard for each in buses),
            "wrong": sum(each.wrong for each in buses),
            "pss_kb": memory,
        }


def _heard(buses: list[Bus]) -> int:
    return sum(each.heard for each in buses)


def alone(kind: str, secure: bool, frames: int) -> float:
    """The median time (microseconds) from bus to bus of frames that come alone."""
    with bridged(kind, secure) as (buses, _processes):
        for _frame in range(frames):
            buses[0].send(1)
            time.sleep(0.005)
        buses[1].listen()
        return median(buses[1].delays)


def zenoh_alone(secure: bool, messages: int) -> float:
    """The same of zenoh's own messages."""
    with ExitStack() as stack:
        which = _settings(stack, secure)
        common = {"messages": messages, "length": _LENGTH, "pause": 0.005}
        hear = _process(stack, "hear", {**common, "settings": which["a"]})
        _process(stack, "put", {**common, "settings": which["b"]})
        assert hear.stdout
        return float(median(json.loads(hear.stdout.readline()))) / 1000


def _process(
    stack: ExitStack, kind: str, given: dict[str, Any], passed: tuple[int, ...] = ()
) -> subprocess.Popen[str]:
    words = [sys.executable, "-u", "-m", "bench.span_ends", kind, json.dumps(given)]
    process = stack.enter_context(
        subprocess.Popen(words, pass_fds=passed, stdout=subprocess.PIPE, text=True)
    )
    stack.callback(process.kill)
    assert process.stdout
    if kind != "put":
        process.stdout.readline()
    return process


def _settings(stack: ExitStack, secure: bool) -> dict[str, dict[str, Any]]:
    """Of both hosts, on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"{'tls' if secure else 'tcp'}/127.0.0.1:{free.getsockname()[1]}"
    ends = {"a": {"listen": [where]}, "b": {"connect": [where]}}
    if not secure:
        return {host: {"host": host, **ends[host]} for host in HOSTS}
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    now = datetime.now(UTC)
    ca = authority.new(now)
    (folder / "ca").write_bytes(ca.certificate)
    found = {}
    for host in HOSTS:
        signed = authority.issue(ca, host, ("127.0.0.1",), now)
        (folder / host).write_bytes(signed.certificate + signed.key)
        own = str(folder / host)
        files = {"ca": str(folder / "ca"), "certificate": own, "key": own}
        found[host] = {"host": host, **ends[host], **files, "hosts": list(HOSTS)}
    return found


def measure(quick: bool) -> dict[str, Any]:
    """All figures: by transport and rate, and of lone frames by transport."""
    repeats, seconds, frames = (1, 1.0, 100) if quick else (3, 4.0, 500)
    found: dict[str, Any] = {"load": {}, "way": {}}
    for transport in TRANSPORTS:
        secure = transport == "TLS"
        for rate in LIMITS:
            turns = [
                {kind: under_load(kind, secure, rate, seconds) for kind in KINDS}
                for _repeat in range(repeats)
            ]
            own = [turn["span"] for turn in turns]
            found["load"][f"{rate} a second each way, {transport}"] = {
                "against": {
                    kind: spread([turn["span"]["ns"] / turn[kind]["ns"] for turn in turns])
                    for kind in KINDS[1:]
                },
                **{each: sum(run[each] for run in own) for each in ("sent", "lost", "wrong")},
                "pss_kb": max(run["pss_kb"] for run in own),
            }
        lone = [_lone(secure, frames) for _repeat in range(repeats)]
        whole, added = zip(*lone, strict=True)
        found["way"][transport] = {"whole": spread([*whole]), "added": spread([*added])}
    return found


def _lone(secure: bool, frames: int) -> tuple[float, float]:
    """The way of a lone frame, and what it is longer than by raw UDP; in parts of zenoh's own."""
    own = zenoh_alone(secure, frames)
    whole = alone("span", secure, frames)
    return whole / own, (whole - alone("udp", secure, frames)) / own


def span_rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The rows of the page."""
    table = []
    for (what, row), most in zip(
        found["load"].items(), [*LIMITS.values()] * len(TRANSPORTS), strict=True
    ):
        for kind, yardstick in zip(KINDS[1:], YARDSTICKS, strict=True):
            held = row["against"][kind]
            figure = f"a frame to another host, {what}, against raw UDP that {yardstick}"
            result = f"{held['median']:.1f} times the processor time"
            table.append((figure, result, f"at most {most}; {around(held)}"))
        lost = f"lost {row['lost']} of {row['sent']}"
        more = f"at most 0; {row['wrong']} twice or out of order"
        table.append((f"frames to another host, {what}", lost, more))
    for transport, row in found["way"].items():
        whole, added = row["whole"], row["added"]
        against = [
            "zenoh's own way; at most 2, beyond the way by a bridge of raw UDP",
            f"the whole way is {whole['median']:.1f} times",
            f"{around(added)} and {around(whole)}",
        ]
        figure = f"what the bridges add to the way of a lone frame, {transport}"
        table.append((figure, f"{added['median']:.1f} times", "; ".join(against)))
    memory = max(row["pss_kb"] for row in found["load"].values()) / 1024
    table.append(("memory of `canwharf span` under load", f"{memory:.1f} MB", "at most 35"))
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python3 -m bench.span", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repeats")
    for each in span_rows(measure(parser.parse_args().quick)):
        print(" | ".join(each))
