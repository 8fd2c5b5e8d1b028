"""A guest as a machine: a root, a disk, a kernel; power on, power off, power cut.

Rules: everything on the host that a guest uses (mounts, processes, its memory file) is in
private namespaces made by `unshare`, which die with it; it dies when this process closes its
end of a pipe, which the kernel does for a process that is killed. The disk reaches the guest
as an open file, so it may have no name any more. A machine can be booted again after a power
cut or a power-off, from the same disk.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from lab.channel import Channel, Command, Completed, Process, Watch
from lab.errors import GuestDied, LabError
from lab.root import ADMIN_PATH
from lab.suites import Suite

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent

BOOT_TIMEOUT = 120.0
# Docker stops its containers first, each with up to 10 s until it is killed.
POWER_OFF_TIMEOUT = 60.0
CONSOLE_TAIL = 4000
SCRATCH = "/dev/shm"  # noqa: S108 - a tmpfs that no other process sees, made by `enter`


class Machine:
    """A guest with a given root folder and disk image. Use it as a context manager.

    With `systemd` it boots that (see lab/init); commands run from basic.target on.
    """

    def __init__(
        self,
        suite: Suite,
        root: Path,
        disk: IO[bytes],
        *,
        mem: str = "2G",
        systemd: bool = False,
        repository: Path = REPOSITORY,
    ) -> None:
        self.suite = suite
        self.root = root
        self.mem = mem
        self.systemd = systemd
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
        """Switch on; returns when commands can run. Raises GuestDied if it does not come up."""
        if self._unshare is not None:
            raise LabError("the guest is on already")
        os.ftruncate(self._console, 0)
        os.lseek(self._console, 0, os.SEEK_SET)
        ours, theirs = socket.socketpair()
        with theirs:
            # A session of its own: the terminal's Ctrl-C is for this process, not for the guest.
            self._unshare = subprocess.Popen(
                self._command(theirs.fileno()),
                stdin=subprocess.PIPE,
                stdout=self._console,
                stderr=self._console,
                # The kernel keeps its memory and a pid file in these folders.
                env={"PATH": ADMIN_PATH, "HOME": SCRATCH, "TMPDIR": SCRATCH},
                pass_fds=(theirs.fileno(), self._disk.fileno()),
                start_new_session=True,
            )
        self._channel = Channel(ours, self._death)
        if not self._channel.ready(BOOT_TIMEOUT):
            error = self._death("before it was up")
            self.power_cut()
            raise error

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
        # `enter` kills the kernel when its standard input ends, and the kernel of this machine
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

    def _command(self, line: int) -> list[str]:
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("/bin/sh", str(HERE / "enter")),
            *(str(self.root), str(self.repository), str(self.share)),
            *("/usr/bin/linux.uml", f"mem={self.mem}"),
            *("rootfstype=hostfs", "rootflags=/", "root=/dev/root", "ro"),
            f"ubd0=/proc/self/fd/{self._disk.fileno()}",
            *("con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{line}"),
            *("quiet", "panic=-1", *self.suite.kernel, "init=/repo/lab/init"),
            *(("boot=systemd",) if self.systemd else ()),
        ]

    def _tail(self) -> str:
        return self.console[-CONSOLE_TAIL:].strip()

    def _death(self, when: str) -> GuestDied:
        return GuestDied(f"the guest died {when}", self._tail())
