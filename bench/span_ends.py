"""The processes that `bench.span` measures: a bridge of one host, and what it is held against.

python3 -m bench.span_ends span|udp|gathering|put|hear JSON

- `span`: the real service of `canwharf span`, with UDP sockets in the place of its CAN sockets: the
  machine has no CAN. They bear the kernel's time stamps, too. All else is as it is, down to the
  system calls.
- `udp`: the yardstick, a bridge that sends by UDP what is there: no sequence, no sender, no time,
  no encryption, one thread.
- `gathering`: the same, and it pauses as the service does, so both have as much in a message.
- `put`, `hear`: zenoh alone, with messages of the same length.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from contextlib import suppress
from typing import Any

import zenoh

from canwharf.bus.naming import Span
from canwharf.frames import sockets
from canwharf.frames.filters import Filter
from canwharf.frames.sources import Source
from canwharf.span import serve, settings, wanted
from canwharf.span.gather import PACE
from canwharf.span.message import MOST
from canwharf.span.settings import Settings

_MAX_AGE = 60_000  # milliseconds: what is late is late, and not lost
FRAME = 16  # bytes of struct can_frame
STAMPED = 64  # SO_TIMESTAMPNS_NEW


def span(given: dict[str, Any]) -> None:
    """Connect the bus whose sockets are `bus` and `end`, until it is killed."""
    bus = f"bench-{given['host']}"
    here = {index: _inherited(given[name]) for index, name in enumerate(("bus", "end"))}

    def opened(source: Source, _which: Filter) -> socket.socket:
        return here[source.ifindex]

    seam: tuple[tuple[object, str, object], ...] = (
        (sockets, "_raw", opened),
        (serve, "Sources", lambda *_any, **_more: _Sources(bus)),
        (wanted, "read", lambda *_where: {bus: Span("bench", _MAX_AGE)}),
    )
    for module, name, stand_in in seam:
        setattr(module, name, stand_in)
    with serve.Service(Settings(**given["settings"]), "bench", "", print) as service:
        service.run([], lambda: None)


class _Sources:
    """A bus with one container, which stay as they are."""

    def __init__(self, bus: str) -> None:
        self.events = socket.socket(type=socket.SOCK_DGRAM)  # nothing ever comes
        self._found = [
            Source(0, bus, "bench", "host"),
            Source(1, bus, "bench", "container", endpoint="one"),
        ]

    def read(self) -> list[Source]:
        return self._found

    def close(self) -> None:
        self.events.close()


def udp(given: dict[str, Any], pause: float = 0) -> None:
    """The yardstick."""
    bus, end, way = (_inherited(given[name]) for name in ("bus", "end", "way"))
    for each in (bus, end, way):
        each.setblocking(False)
    poll = select.epoll()
    poll.register(end, select.EPOLLIN)
    poll.register(way, select.EPOLLIN)
    print("ready", flush=True)
    while True:
        poll.poll()
        busy = False
        while frames := _waiting(end, FRAME, MOST):
            way.send(b"".join(frames))
            busy = True
        for message in _waiting(way, FRAME * MOST, MOST):
            for place in range(0, len(message), FRAME):
                bus.send(message[place : place + FRAME])
        if busy and pause:
            time.sleep(pause)


def gathering(given: dict[str, Any]) -> None:
    """The yardstick with as much in a message."""
    udp(given, PACE)


def _waiting(opened: socket.socket, size: int, most: int) -> list[bytes]:
    found: list[bytes] = []
    with suppress(BlockingIOError):
        found.extend(opened.recv(size) for _message in range(most))
    return found


def put(given: dict[str, Any]) -> None:
    """Send the time in so many messages of this length, `pause` seconds apart."""
    with _session(given) as session:
        publisher = session.declare_publisher("bench/put", express=True)
        while not publisher.matching_status.matching:  # type: ignore[attr-defined] # their stub errs
            time.sleep(0.01)
        rest = bytes(given["length"] - 8)
        for _message in range(given["messages"]):
            publisher.put(time.time_ns().to_bytes(8, "little") + rest)
            time.sleep(given["pause"])


def hear(given: dict[str, Any]) -> None:
    """Print how long each message was on its way, in nanoseconds."""
    took: list[int] = []

    def taken(sample: zenoh.Sample) -> None:
        took.append(time.time_ns() - int.from_bytes(sample.payload.to_bytes()[:8], "little"))

    with _session(given) as session:
        _subscriber = session.declare_subscriber("bench/put", taken)
        print("ready", flush=True)
        while len(took) < given["messages"]:
            time.sleep(0.1)
    print(json.dumps(took), flush=True)


def _session(given: dict[str, Any]) -> zenoh.Session:
    config = zenoh.Config()
    for key, value in settings.zenoh(Settings(**given["settings"])).items():
        if key != "access_control":  # its keys are canwharf's
            config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def _inherited(descriptor: int) -> socket.socket:
    return socket.socket(fileno=descriptor)


if __name__ == "__main__":
    kinds = {each.__name__: each for each in (span, udp, gathering, put, hear)}
    kinds[sys.argv[1]](json.loads(sys.argv[2]))
