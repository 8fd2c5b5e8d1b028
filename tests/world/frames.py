"""Real frames between the members of a CAN bus, counted one by one.

    python3 -m tests.world.frames --members host:vcan0 PID:can0 PID:can0 [--members … another bus …]

A member is an interface in a network namespace: `host` (ours), a process id, a path, or a name
under /run/netns. Runs in the guest as root, from Python 3.11 on, with the standard library only.

Theory of operation. Each member has two programs, that is two sockets: a speaker and a listener.
Every speaker sends frames that differ in every sender, kind and number, and every program counts
each of them. On a bus each frame arrives exactly once at every program but the speaker itself,
FD frames only where both interfaces carry them; on another bus never. Error frames are sent where
that is asked for: on an adapter they come from the adapter alone.

The end of a run is told by frames, not by time: each speaker sends its frames, then an end mark.
One path keeps frames in order, so an end mark comes after all copies of the frames before it. The
copies of an end mark itself may still be under way when it is seen, so when all have come, every
speaker sends a second mark, and the copies of the first are counted once the second is there.
Only a mark that is missing is waited for until the limit.

Rules:

- What is not byte for byte a frame of this run is a stranger's and is not counted, so other
  programs may talk meanwhile.
- A frame that cannot be sent is a fault of the bus, not an error of this program.
"""

from __future__ import annotations

import argparse
import errno
import itertools
import json
import os
import select
import socket
import struct
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from time import monotonic
from typing import NamedTuple

from tests.world.member import Member, mtu, raw_socket

LIMIT = 3.0  # seconds until frames that have not come are missing
FRAMES = 3  # of each kind, from each speaker

# linux/can.h
EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000
BRS, FDF = 0x01, 0x04
CAN_MTU, CANFD_MTU = 16, 72
_HEADER = struct.Struct("=IBBBB")  # id, length, flags, two reserved
_FLAGS = 5  # where the flags stand
_MOST_MEMBERS, _MOST_FRAMES = 128, 16  # 7 and 4 bits of an 11 bit id
_runs = itertools.count(os.getpid())


class Kind(NamedTuple):
    """A kind of frame: the bits above its id, and whether it is an FD frame."""

    name: str
    bits: int
    fd: bool = False


KINDS = (
    Kind("standard", 0),
    Kind("extended", EFF),
    Kind("remote", RTR),
    Kind("remote-extended", RTR | EFF),
    Kind("fd", 0, fd=True),
    Kind("fd-extended", EFF, fd=True),
)
ERROR = Kind("error", ERR | 0x4)  # CAN_ERR_CRTL: one without a class reaches no socket
MARK = Kind("end", EFF)


class Frame(NamedTuple):
    """Which frame of a run: its sender's place among the members, its kind, its number."""

    sender: int
    kind: Kind
    number: int


class Report(NamedTuple):
    """What arrived.

    `matrix` says for each sender and each receiver how often the frames of each kind arrived at
    the receiver's listener (on the diagonal: at the second program of the same member).
    """

    matrix: dict[str, dict[str, dict[str, list[int]]]]
    faults: list[str]

    @property
    def exactly_once(self) -> bool:
        """Whether all was as it should be on a bus."""
        return not self.faults


def exchange(
    *buses: Sequence[Member], frames: int = FRAMES, limit: float = LIMIT, errors: bool = False
) -> Report:
    """Let all members of these buses talk at once, and count what each of them hears.

    Members of one bus should hear each other, members of different ones should not; `errors` says
    that they send error frames too. Raises OSError for a member that is not there.
    """
    with ExitStack() as stack:
        run = _Run(stack, buses, frames, (*KINDS, ERROR) if errors else KINDS)
        run.talk()
        missing = run.mark(1, limit, frozenset())
        run.mark(2, limit, missing)
        return run.report()


class _Run:
    """One exchange: the programs' sockets, what was sent, what arrived where."""

    def __init__(
        self,
        stack: ExitStack,
        buses: Sequence[Sequence[Member]],
        frames: int,
        kinds: Sequence[Kind],
    ) -> None:
        self._kinds = kinds
        self._members = [member for bus in buses for member in bus]
        self._buses = [place for place, bus in enumerate(buses) for _ in bus]
        if len(self._members) > _MOST_MEMBERS or frames > _MOST_FRAMES:
            raise ValueError(f"at most {_MOST_MEMBERS} members and {_MOST_FRAMES} frames")
        if len(set(self._members)) != len(self._members):
            raise ValueError("a member stands twice")
        self._frames = frames
        self._nonce = next(_runs) & 0x1FF
        self._speakers = self._programs(stack)
        self._listeners = self._programs(stack)
        self._fd = [
            mtu(opened, member.interface) >= CANFD_MTU
            for opened, member in zip(self._speakers, self._members, strict=True)
        ]
        self._sent: dict[bytes, Frame] = {}
        self._refused: dict[str, None] = {}
        self._poll = select.poll()
        self._heard: dict[int, tuple[socket.socket, Counter[Frame]]] = {}
        for opened in (*self._speakers, *self._listeners):
            self._heard[opened.fileno()] = (opened, Counter())
            self._poll.register(opened, select.POLLIN)

    def talk(self) -> None:
        """Every speaker sends all its frames, in turns."""
        for number in range(self._frames):
            for sender, fd in enumerate(self._fd):
                for kind in self._kinds:
                    if fd or not kind.fd:
                        self._send(Frame(sender, kind, number))
            self._hear(0.0)

    def mark(self, number: int, limit: float, given_up: frozenset[Frame]) -> frozenset[Frame]:
        """Every speaker sends an end mark; those that did not arrive everywhere.

        Of a sender in `given_up` none is waited for.
        """
        for sender in range(len(self._members)):
            self._send(Frame(sender, MARK, number))
        hopeless = {mark.sender for mark in given_up}
        deadline = monotonic() + limit
        while missing := self._missing(number):
            left = deadline - monotonic()
            if left <= 0 or all(mark.sender in hopeless for mark in missing):
                break
            self._hear(left)
        self._hear(0.0)
        return missing

    def report(self) -> Report:
        """The counts, and all that is wrong with them."""
        matrix: dict[str, dict[str, dict[str, list[int]]]] = {}
        faults = list(self._refused)
        for sender, receiver in itertools.product(range(len(self._members)), repeat=2):
            row = matrix.setdefault(str(self._members[sender]), {})
            row[str(self._members[receiver])] = self._counts(sender, self._listeners[receiver])
            for program, opened in (
                ("speaker", self._speakers[receiver]),
                ("listener", self._listeners[receiver]),
            ):
                for name, counts in self._counts(sender, opened).items():
                    want = self._wanted(sender, receiver, name, program)
                    if any(count != want for count in counts):
                        faults.append(
                            f"{self._members[sender]} -> {self._members[receiver]} ({program}), "
                            f"{name} frames: arrived {counts} times, right is {want}"
                        )
        return Report(matrix, faults)

    def _counts(self, sender: int, program: socket.socket) -> dict[str, list[int]]:
        _opened, counter = self._heard[program.fileno()]
        counts = {
            kind.name: [counter[Frame(sender, kind, number)] for number in range(self._frames)]
            for kind in self._kinds
            if self._fd[sender] or not kind.fd
        }
        counts[MARK.name] = [counter[Frame(sender, MARK, 1)]]
        return counts

    def _wanted(self, sender: int, receiver: int, name: str, program: str) -> int:
        """How often a frame should arrive."""
        if self._buses[sender] != self._buses[receiver]:
            return 0
        if sender == receiver and program == "speaker":
            return 0
        if name.startswith("fd") and not self._fd[receiver]:
            return 0
        return 1

    def _missing(self, number: int) -> frozenset[Frame]:
        """The end marks that some program of their bus has not heard."""
        missing = set()
        for sender, receiver in itertools.product(range(len(self._members)), repeat=2):
            if self._buses[sender] != self._buses[receiver]:
                continue
            mark = Frame(sender, MARK, number)
            for program, opened in (
                ("speaker", self._speakers[receiver]),
                ("listener", self._listeners[receiver]),
            ):
                wanted = self._wanted(sender, receiver, MARK.name, program)
                if self._heard[opened.fileno()][1][mark] < wanted:
                    missing.add(mark)
        return frozenset(missing)

    def _programs(self, stack: ExitStack) -> list[socket.socket]:
        return [stack.enter_context(raw_socket(member)) for member in self._members]

    def _send(self, frame: Frame) -> None:
        data = self._encode(frame)
        self._sent[data] = frame
        deadline = monotonic() + 1.0
        while True:
            try:
                self._speakers[frame.sender].send(data)
            except OSError as error:
                if error.errno == errno.ENOBUFS and monotonic() < deadline:
                    self._hear(0.001)  # the queue of a real adapter is full
                    continue
                self._refused[f"{self._members[frame.sender]} cannot send: {error}"] = None
            return

    def _hear(self, limit: float) -> None:
        """Count all that has arrived; wait for the first of it until the limit (seconds)."""
        while ready := self._poll.poll(limit * 1000):
            for number, _events in ready:
                opened, counter = self._heard[number]
                try:
                    data = _normal(opened.recv(CANFD_MTU))
                except BlockingIOError:
                    continue
                except OSError as error:  # the interface is down, or gone: said once, then reset
                    self._refused[f"a program cannot receive: {error}"] = None
                    self._poll.unregister(number)
                    continue
                frame = self._sent.get(data)
                if frame is not None:
                    counter[frame] += 1
            limit = 0.0

    def _encode(self, frame: Frame) -> bytes:
        """A frame's bytes: who, what and which stand in its id or its payload, or both."""
        kinds = (*KINDS, MARK, ERROR)
        who = kinds.index(frame.kind) << 16 | frame.sender << 8 | frame.number
        if frame.kind.bits & EFF:
            id = frame.kind.bits | self._nonce << 20 | who
        else:
            id = frame.kind.bits | frame.sender << 4 | frame.number & 0xF
        if frame.kind.bits & RTR:
            # A remote frame has a length, but no payload.
            return _HEADER.pack(id, 1 + self._nonce % 8, 0, 0, 0) + bytes(8)
        payload = struct.pack("=II", self._nonce, who)
        if not frame.kind.fd:
            return _HEADER.pack(id, 8, 0, 0, 0) + payload
        return _HEADER.pack(id, 64, BRS | FDF, 0, 0) + payload * 8


def _normal(data: bytes) -> bytes:
    """A received frame with FDF set on FD frames, as not all kernels do."""
    if len(data) != CANFD_MTU:
        return data
    return data[:_FLAGS] + bytes([data[_FLAGS] | FDF]) + data[_FLAGS + 1 :]


def main(arguments: Sequence[str]) -> int:
    """Print the report as JSON; 0: exactly once everywhere, 1: not so, 2: could not try."""
    parser = argparse.ArgumentParser(
        "python3 -m tests.world.frames", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--members",
        action="append",
        nargs="+",
        required=True,
        type=Member.parse,
        metavar="NAMESPACE:INTERFACE",
        help="the members of a bus; given again: of another bus, which must not hear this one",
    )
    parser.add_argument("--frames", type=int, default=FRAMES, help="of each kind (%(default)s)")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, help="seconds to wait for what is missing"
    )
    options = parser.parse_args(arguments)
    try:
        report = exchange(*options.members, frames=options.frames, limit=options.limit)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"tests.world.frames: {error}\n")
        return 2
    json.dump(
        {
            "exactly_once": report.exactly_once,
            "faults": report.faults,
            "matrix": report.matrix,
        },
        sys.stdout,
    )
    sys.stdout.write("\n")
    return 0 if report.exactly_once else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
