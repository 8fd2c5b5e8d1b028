"""An adapter that is pulled out and plugged in again and again, in the middle of traffic.

    python3 -m tests.world.plugging --interface can0 --members PID:can0 PID:can0 [--times 100]

Runs in the guest, beside a daemon whose network is on the adapter; `--members` are the containers'
interfaces. Prints what was done, and all that was wrong, as JSON.

Theory of operation. Every frame has a number of its own, and each member that should receive it
counts it. A check lets the wire and every container send a few frames and then a mark; where the
mark has come, all copies of the frames before it have. Rules are not announced, so when an adapter
has been plugged in, probes are sent until one has come through on every path.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from time import monotonic
from typing import NamedTuple, Self

from canwharf.kernel import link, uapi
from canwharf.kernel.netlink import LinkEvents
from tests.world.adapter import LIMIT, Adapter
from tests.world.member import Member, raw_socket

WIRE = 0  # the sender's number; the containers have those from 1 on
_BURST = 20  # frames of each sender while the plug is pulled
_FRAME = struct.Struct("=IB3x8s")  # struct can_frame
_ID = 0x123


class Wire:
    """The adapter's bus as the wire and the containers see it."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._sockets = [raw_socket(member) for member in members]
        self._heard: list[Counter[int]] = [Counter() for _each in members]
        self._last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._sockets:
            each.close()

    def settle(self, adapter: Adapter) -> None:
        """Wait until frames come through on every path to and from the wire."""
        deadline = monotonic() + LIMIT
        probes: list[dict[int, int]] = []
        while not any(self._whole(probe, adapter) for probe in probes):
            assert monotonic() < deadline, "no frame comes through"
            probes.append({sender: self.send(sender, adapter) for sender in self._senders()})
            self._hear(0.02)

    def check(self, adapter: Adapter | None, frames: int = 3) -> list[str]:
        """What does not arrive exactly once. Without an adapter: among the containers."""
        senders = list(self._senders(with_wire=adapter is not None))
        sent = [{each: self.send(each, adapter) for each in senders} for _frame in range(frames)]
        mark = {each: self.send(each, adapter) for each in senders}
        deadline = monotonic() + LIMIT
        while not self._whole(mark, adapter) and (left := deadline - monotonic()) > 0:
            self._hear(min(left, 0.02))  # the wire wakes no process
        self._hear(0)
        faults = []
        for numbers in sent:
            for sender, number in numbers.items():
                for receiver, times in self._arrived(number, adapter):
                    right = receiver != sender
                    if times != right:
                        faults.append(f"from {sender} to {receiver}: {times} times, not {right:d}")
        return faults

    def send(self, sender: int, adapter: Adapter | None) -> int:
        """Send a frame from any member; its number."""
        self._last += 1
        if sender == WIRE:
            assert adapter is not None
            adapter.send(_line(self._last))
        else:
            data = self._last.to_bytes(8, "big")
            self._sockets[sender - 1].send(_FRAME.pack(_ID, 8, data))
        return self._last

    def burst(self, adapter: Adapter) -> None:
        """Traffic whose arrival is not awaited."""
        for _frame in range(_BURST):
            for sender in self._senders():
                self.send(sender, adapter)

    def duplicated(self) -> list[int]:
        """The frames that a member received more than once, of all so far."""
        self._hear(0)
        return [number for heard in self._heard for number, times in heard.items() if times > 1]

    def sent(self) -> int:
        """How many frames there were so far."""
        return self._last

    def _senders(self, with_wire: bool = True) -> range:
        return range(0 if with_wire else 1, len(self._sockets) + 1)

    def _whole(self, numbers: dict[int, int], adapter: Adapter | None) -> bool:
        """Whether these reached every member that should receive them."""
        return all(
            times or receiver == sender
            for sender, number in numbers.items()
            for receiver, times in self._arrived(number, adapter)
        )

    def _arrived(self, number: int, adapter: Adapter | None) -> Iterator[tuple[int, int]]:
        if adapter is not None:
            yield WIRE, adapter.written().count(_line(number))
        for place, heard in enumerate(self._heard):
            yield place + 1, heard[number]

    def _hear(self, limit: float) -> None:
        """Count all that has come; wait for the first of it until the limit (seconds)."""
        while ready := select.select(self._sockets, [], [], limit)[0]:
            for opened in ready:
                with suppress(BlockingIOError):
                    id, _length, data = _FRAME.unpack_from(opened.recv(72))
                    if id == _ID:
                        self._heard[self._place(opened)][int.from_bytes(data, "big")] += 1
            limit = 0

    def _place(self, opened: socket.socket) -> int:
        return self._sockets.index(opened)


class Report(NamedTuple):
    """What was done, and what was wrong."""

    times: int
    frames: int
    indexes: int  # how many different ones the interface had
    faults: list[str]


def replug(interface: str, members: Sequence[Member], times: int) -> Report:
    """Plug in, check, pull out during traffic, check the others; so many times."""
    faults: list[str] = []
    indexes = set()
    with closing(LinkEvents()) as events, Wire(members) as wire:
        for turn in range(times):
            adapter = Adapter(interface)
            indexes.add(adapter.index)
            wire.settle(adapter)
            found = wire.check(adapter)
            wire.burst(adapter)
            adapter.unplug()
            found += wire.check(None)
            found += [f"a virtual {interface}" for _each in virtual(events, interface)]
            faults += [f"turn {turn}: {fault}" for fault in found]
        faults += [f"frame {number} was duplicated" for number in wire.duplicated()]
        return Report(times, wire.sent(), len(indexes), faults)


def virtual(events: LinkEvents, name: str) -> list[link.Link]:
    """The virtual interfaces of this name that were announced since the last time."""
    announced = [link.parse(each) for each in events.take() if each.type == uapi.RTM_NEWLINK]
    return [found for found in announced if found.name == name and found.kind in link.VIRTUAL]


def _line(number: int) -> str:
    """A frame as it is on the adapter's line."""
    return f"t{_ID:03X}8{number:016X}"


def main() -> int:
    """Print a report; 0: nothing was wrong."""
    parser = argparse.ArgumentParser("python3 -m tests.world.plugging")
    parser.add_argument("--interface", required=True, help="what udev calls the adapter")
    parser.add_argument("--members", required=True, nargs="+", type=Member.parse)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    report = replug(options.interface, options.members, options.times)
    json.dump(report._asdict(), sys.stdout)
    sys.stdout.write("\n")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
