"""What a policy costs a frame, against the same two containers without one.

The dearest case: ids of 29 bits, of which the kernel compares one after the other, and the frames
have the last. Those of 11 bits are in a bitmap, where their number does not matter.

Each figure is the smallest of its repeats: whatever else runs on the machine only adds to it.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from time import perf_counter

from bench.inside import NETWORK, Caller, running
from bench.traffic import bus, frame, joining
from tests.world.member import raw_socket

ENTRIES = (0, 10, 500)  # in each direction; 500 is the most that the kernel takes
_FRAMES = 100  # a burst; what a receiver's buffer holds with ease
_EXTENDED = 0x80000000  # of a frame with an id of 29 bits
_STEP = 16  # between two ids, so that each is an entry of its own


def policies(bursts: int) -> dict[str, float]:
    """The microseconds of a frame from one container to another, by the number of entries."""
    found = dict.fromkeys(ENTRIES, float("inf"))
    with (
        running("canwharf") as (_driver, caller),
        bus(1, joining(caller)) as members,
        ExitStack() as stack,
    ):
        sender, receiver = (stack.enter_context(raw_socket(each)) for each in members)
        receiver.settimeout(2)
        for _burst in range(bursts):
            for entries in ENTRIES:  # in turns, as a machine's speed changes while it works
                last = _set(caller, entries)
                found[entries] = min(found[entries], _burst_of(sender, receiver, last))
    return {str(entries): cost / _FRAMES * 1e6 for entries, cost in found.items()}


def _set(caller: Caller, entries: int) -> int:
    """Give both containers a policy of so many ids, or none; the last id, with its flag."""
    ids = [_STEP * number for number in range(entries)]
    words = "+".join(f"{each:08X}" for each in ids) or "all"
    policy = {"can.send": words, "can.receive": words}
    for endpoint in ("bench0", "bench1"):
        caller.call("Canwharf.Filter", Network=NETWORK, Endpoint=endpoint, Policy=policy)
    return _EXTENDED | (ids or [0])[-1]


def _burst_of(sender: socket.socket, receiver: socket.socket, can_id: int) -> float:
    """The seconds until all of a burst have arrived. Raises TimeoutError if one does not."""
    data = frame(False, can_id)
    began = perf_counter()
    for _frame in range(_FRAMES):
        sender.send(data)
    for _frame in range(_FRAMES):
        receiver.recv(128)
    return perf_counter() - began
