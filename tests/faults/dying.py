"""The real daemon in a child process, made to kill itself after a step that one can choose.

Runs in the guest. A step is a message to the kernel, or one of the things that saving the state
does to the disk; they are counted within one call. SIGKILL is what `kill -9` and the kernel's
out-of-memory killer send: nothing in the process can react to it.
"""

from __future__ import annotations

import os
import re
import select
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

import canwharf.bus.maintain
import canwharf.bus.store
import canwharf.cli.serve
import canwharf.durable
from canwharf.cli import main
from canwharf.daemon.calls import Calls
from canwharf.daemon.server import ROOT, Sender
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.request import Request

LIMIT = 30.0  # seconds: nothing here takes one


class Fuse(NamedTuple):
    """Die after this many steps of this call (empty: of the recovery at the start).

    `apart` sends the messages of a batch one by one, so that we can die between them; as a
    batch they are one step, because the kernel works through all of a send.
    """

    call: str
    steps: int
    apart: bool


class Daemon:
    """`canwharf serve` in a child process."""

    def __init__(
        self, socket: str, directory: str, fuse: Fuse | None = None, grace: float | None = None
    ) -> None:
        self.log = ""
        self._log, theirs = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _child(theirs, socket, directory, fuse, grace)
        os.close(theirs)
        self._status: int | None = None
        try:
            self.wait_for(" serving ")
        except BaseException:
            self.kill()
            raise

    def wait_for(self, text: str) -> None:
        """Wait until it has said this."""
        deadline = monotonic() + LIMIT
        while text not in self.log:
            left = deadline - monotonic()
            if not select.select([self._log], [], [], max(left, 0))[0]:
                raise AssertionError(f"never said {text!r}:\n{self.log}")
            data = os.read(self._log, 65536)
            self.log += data.decode()
            if not data:
                raise AssertionError(f"ended before it said {text!r}:\n{self.log}")

    def drain(self) -> None:
        """Read what it has said, lest it wait for us."""
        while select.select([self._log], [], [], 0)[0]:
            self.log = os.read(self._log, 65536).decode()[-4096:]

    def kill(self) -> None:
        """What `kill -9` does."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.ended()

    def ended(self) -> int:
        """Wait for its end; its wait status."""
        if self._status is None:
            while data := os.read(self._log, 65536):  # to the end: until it is dead
                self.log += data.decode()
            os.close(self._log)
            self._status = os.waitpid(self.pid, 0)[1]
        return self._status

    def steps(self) -> list[str]:
        """The steps that were counted."""
        return re.findall(r"^step \d+: (.*)$", self.log, re.MULTILINE)


def _child(log: int, socket: str, directory: str, fuse: Fuse | None, grace: float | None) -> None:
    """Never returns."""
    status = 1
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, 1024)  # a container's namespace would live on in here
        if grace is not None:
            canwharf.bus.maintain.GRACE = canwharf.bus.maintain.PATIENCE = grace
        if fuse is not None:
            _arm(fuse)
        status = main(["serve", "--socket", socket, "--state-dir", directory])
    finally:
        os._exit(status)


class _Counter:
    """Counts the steps of one call, and dies at the last."""

    def __init__(self, fuse: Fuse) -> None:
        self.lit = not fuse.call
        self._fuse = fuse
        self._count = 0

    def step(self, what: str) -> None:
        if not self.lit:
            return
        self._count += 1
        os.write(2, f"step {self._count}: {what}\n".encode())
        if self._count == self._fuse.steps:
            os.kill(os.getpid(), signal.SIGKILL)


def _arm(fuse: Fuse) -> None:
    counter = _Counter(fuse)
    _wrap_answer(fuse, counter)
    _wrap_kernel(fuse, counter)
    disk = _Disk(counter)
    for module in (canwharf.bus.store, canwharf.durable):
        hook: Any = module
        hook.os = disk


def _wrap_answer(fuse: Fuse, counter: _Counter) -> None:
    answer = Calls.answer

    def counted(self: Calls, path: str, body: bytes, sender: Sender = ROOT) -> tuple[int, bytes]:
        called = path.rpartition(".")[2] == fuse.call
        counter.lit = counter.lit or called
        if called:
            counter.step("call: arrived")
        return answer(self, path, body, sender)

    Calls.answer = counted  # type: ignore[method-assign]


def _wrap_kernel(fuse: Fuse, counter: _Counter) -> None:
    send = Netlink._send

    def counted(self: Netlink, data: bytes, request: Request) -> None:
        parts = list(_messages(data)) if fuse.apart else [data]
        for part in parts:
            send(self, part, request)
            counter.step(f"kernel: {_described(part)}")

    Netlink._send = counted  # type: ignore[method-assign]


def _messages(data: bytes) -> list[bytes]:
    """The messages of a batch, each for itself."""
    found = []
    while data:
        length = (int(struct.unpack_from("=I", data)[0]) + 3) & ~3
        found.append(data[:length])
        data = data[length:]
    return found


def _described(data: bytes) -> str:
    kinds = [struct.unpack_from("=IH", each)[1] for each in _messages(data)]
    names = {16: "NEWLINK", 17: "DELLINK", 18: "GETLINK", 24: "NEWROUTE", 25: "DELROUTE"}
    return " ".join(names.get(kind, str(kind)) for kind in kinds)


class _Disk:
    """The os module with the steps of replacing a file counted; a write is made in two halves."""

    def __init__(self, counter: _Counter) -> None:
        self._counter = counter
        self._half = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (stands for the os module)
        found = getattr(os, name)
        return self._counted(name, found) if name in ("fsync", "replace") else found

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        if flags & os.O_WRONLY:
            self._counter.step("disk: opened")
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        self._half = not self._half
        written = os.write(descriptor, data[: len(data) // 2 + 1] if self._half else data)
        self._counter.step(f"disk: {'half ' if self._half else ''}written")
        return written

    def _counted(self, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def counted(*words: Any) -> None:  # noqa: ANN401
            call(*words)
            self._counter.step(f"disk: {name}")

        return counted
