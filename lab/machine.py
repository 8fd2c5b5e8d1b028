"""A guest as a machine: a root, a disk, a kernel; power on, power off, power cut.

Rules: everything on the host that a guest uses (mounts, processes, its memory file) is in
private namespaces made by `unshare`, which die with it; it dies when this process closes its
end of a pipe, which the kernel does for a process that is killed. The disk reaches the guest
as an open file, so it may have no name any more. A machine can be booted again after a power
cut or a power-off, from the same disk.

At its first boot a machine tries the boot strategies in turn (`lab.boot.choose`) and keeps the one
that came up. Each that did not is told: which it was, the line of its console that says why, and
what is tried next.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from lab import boot as strategies
from lab.boot import Boot, Wiring, choose
from lab.boot.death import Failure
from lab.cache import Report, say
from lab.channel import Channel, Command, Completed, Process, Watch
from lab.errors import GuestDied, LabError
from lab.hub import Cable
from lab.root import ADMIN_PATH
from lab.suites import Suite

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
# Where each guest that came up is written down, a JSON object a line, if this names a file.
BOOTED = "CANWHARF_BOOTS"

# Docker stops its containers first, each with up to 10 s until it is killed.
POWER_OFF_TIMEOUT = 60.0
CONSOLE_TAIL = 4000
SILENCE = 15.0  # seconds without a word while a guest boots
HOLD = ("/bin/sh", str(strategies.HERE / "hold"))
SCRATCH = "/dev/shm"  # noqa: S108 - a tmpfs that no other process sees, made by `enter`


class Machine:
    """A guest with a given root folder and disk image. Use it as a context manager.

    With `systemd` it boots that (see lab/init); commands run from basic.target on. `boot` names
    a boot strategy; without it CANWHARF_BOOT does, or what this machine can do. With a `cable` it
    has an Ethernet interface that hears the other guests of the hub (`lab.hub`).
    """

    def __init__(
        self,
        suite: Suite,
        root: Path,
        disk: IO[bytes],
        *,
        mem: str = "2G",
        systemd: bool = False,
        boot: str | None = None,
        cable: Cable | None = None,
        repository: Path = REPOSITORY,
        report: Report = say,
    ) -> None:
        self._boot = choose.requested(boot)
        self._report = report
        self.suite = suite
        self.root = root
        self.mem = mem
        self.systemd = systemd
        self.cable = cable
        self.repository = repository
        self.share = Path(tempfile.mkdtemp(prefix="canwharf-share-"))
        """A folder for exchanging files; the guest sees it as /share. Ends with the machine, but
        is left behind (the only thing that is) when this process is killed."""
        self._disk = disk
        self._console = os.memfd_create("console")
        self._unshare: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the guest is up."""
        return self._channel is not None and self._channel.alive

    @property
    def console(self) -> str:
        """The console log since the last boot."""
        size = os.fstat(self._console).st_size
        return os.pread(self._console, size, 0).decode(errors="replace")

    def boot(self) -> None:
        """Switch on; returns when commands can run.

        Raises GuestDied if it does not come up with any strategy.
        """
        if self._unshare is not None:
            raise LabError("the guest is on already")
        if self.cable is not None:
            (self.share / "hosts").write_text(self.cable.hosts)
        if self._boot is None:
            self._boot = choose.first_to_come_up(self.suite, self._try, self._report)
        elif failure := self._try(self._boot):
            raise GuestDied(
                f"{failure}; without --boot and {choose.VARIABLE} others are tried", self._tail()
            )

    def _try(self, boot: Boot) -> Failure | None:
        """Switch on by one strategy: why it did not come up, or None with the guest up."""
        os.ftruncate(self._console, 0)
        os.lseek(self._console, 0, os.SEEK_SET)
        ours, theirs = socket.socketpair()
        with theirs, self.cable.plugged() if self.cable else nullcontext() as nic:
            line = theirs.fileno()
            wiring = Wiring(
                *(self.suite, self.root, self.repository, self.share),
                *(self._disk.fileno(), line, self.mem, self.systemd),
                nic=nic,
            )
            try:
                command = boot.command(wiring, self._report)
            except LabError as error:
                ours.close()
                return Failure(boot, died=True, console="", missing=str(error))
            # A session of its own: the terminal's Ctrl-C is for this process, not for the guest.
            self._unshare = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", *HOLD, *command],
                stdin=subprocess.PIPE,
                stdout=self._console,
                stderr=self._console,
                # The kernel keeps its memory and a pid file in these folders.
                env={"PATH": ADMIN_PATH, "HOME": SCRATCH, "TMPDIR": SCRATCH},
                pass_fds=(line, self._disk.fileno(), *((nic.cable,) if nic else ())),
                start_new_session=True,
            )
        self._channel = channel = Channel(ours, self._death, boot.patience)
        begun = time.monotonic()
        while (left := begun + boot.limit - time.monotonic()) > 0 and channel.alive:
            if channel.ready(min(left, SILENCE)):
                self.write_down(
                    boot=boot.name, suites_kernel=boot.suites_kernel, **channel.greeting
                )
                return None
            if channel.alive:
                passed = time.monotonic() - begun
                self._report(f"still booting by {boot.name}: {passed:.0f} of {boot.limit:.0f} s")
        died = not channel.alive
        self.power_cut()
        return Failure(boot, died, self.console)

    def write_down(self, **facts: str | bool) -> None:
        """Add a line to the list of what booted, from which a test run says what it covered."""
        if path := os.environ.get(BOOTED):
            row = {"suite": self.suite.name, **facts}
            with Path(path).open("a") as file:  # one short write: lines of two processes do not mix
                file.write(json.dumps(row) + "\n")

    def start(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        input: bool = False,
        size: tuple[int, int] | None = None,
        watch: Watch | None = None,
    ) -> Process:
        """Start a command (a string goes to /bin/sh) and return at once.

        `env` is added to the agent's (PATH, HOME, PYTHONPATH=/repo/src:/repo, …). With `input`
        it reads what Process.write gives, else /dev/null. With `size` (rows, columns) it gets a
        terminal. `watch` is called with what it writes, as it comes.
        """
        if self._channel is None:
            raise LabError("the guest is off")
        return self._channel.start(command, env=env, cwd=cwd, input=input, size=size, watch=watch)

    def run(
        self,
        command: Command,
        *,
        timeout: float | None = 120.0,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        input: bytes | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        """Run a command to its end; Process.wait tells what it raises.

        What it leaves in the background does not keep it from ending.
        """
        process = self.start(command, env=env, cwd=cwd, input=input is not None, watch=watch)
        if input is not None:
            if input:
                process.write(input)
            process.write(b"")
        return process.wait(timeout, check=check)

    def power_cut(self) -> None:
        """Kill the guest as a lost power supply would; nothing is written any more."""
        if self._unshare is None:
            return
        assert self._unshare.stdin is not None
        assert self._channel is not None
        # `hold` kills the kernel when its standard input ends, and the kernel of this machine
        # lets `unshare` end when all processes of the guest are gone: nothing can write later.
        self._unshare.stdin.close()
        try:
            self._unshare.wait(10)
        except subprocess.TimeoutExpired:
            self._unshare.kill()  # --kill-child: takes the rest with it
            self._unshare.wait()
        self._channel.close()
        self._unshare = self._channel = None

    def power_off(self) -> None:
        """Shut down in order: Docker stops its containers, the disk is unmounted."""
        if self._unshare is None:
            return
        assert self._channel is not None
        self._channel.send({"do": "off"})
        try:
            self._unshare.wait(POWER_OFF_TIMEOUT)
        except subprocess.TimeoutExpired:
            error = GuestDied("the guest hung while it shut down", self._tail())
            self.power_cut()
            raise error from None
        self.power_cut()

    def close(self) -> None:
        """Give everything back; the guest is cut off if it is on."""
        self.power_cut()
        self._disk.close()
        os.close(self._console)
        shutil.rmtree(self.share, ignore_errors=True)

    def _tail(self) -> str:
        return self.console[-CONSOLE_TAIL:].strip()

    def _death(self, when: str) -> GuestDied:
        return GuestDied(f"the guest died {when}", self._tail())
