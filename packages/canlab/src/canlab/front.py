"""The caller's end: hands the command to the guest, and relays until its status comes.

Rules: descriptors 0 to 2 belong to the caller, and to others beside: their mode is never changed,
but for the terminal's, which is restored. Whatever ends this process, the guest ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from canlab import ports, terminal, wire
from canlab import start as starting
from canlab.boot import Running
from canlab.console import diagnosis
from canlab.errors import CanlabError, GuestDied, UnfitError
from canlab.interfaces import Interface
from canlab.mux import LineLost, Mux
from canlab.start import FILE, NULL, PIPE, TTY, Start
from canlab.wire import Frame

# Seconds until a guest that says nothing counts as hung; 64 of them may start on two processors.
BOOT_LIMIT = 120.0
PASSED_ON = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTSTP, signal.SIGCONT),
)
# Folders that are not the machine's in the guest.
GUESTS_OWN = ("/dev/", "/proc/", "/sys/")
_LIMITS = tuple(
    getattr(resource, name)
    for name in ("CORE", "CPU", "DATA", "FSIZE", "NOFILE", "STACK")
    for name in (f"RLIMIT_{name}",)
)


class Order(NamedTuple):
    """What the caller wants in the guest."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    interfaces: list[Interface]
    bitrate: int
    ports: list[int]
    as_user: bool
    modules: str = ""
    canwharf: str = ""


class Front:
    """A command in a guest, from here."""

    def __init__(self, guest: Running, order: Order) -> None:
        self._guest = guest
        self._order = order
        self._mux = Mux(guest.line, self._control, self._failed)
        self._kinds = [stream_kind(fd) for fd in range(3)]
        self._input = regular_file(0) if self._kinds[0] == PIPE else None
        if self._input:
            self._kinds[0] = FILE
        self._terminal = self._kinds.index(TTY) if TTY in self._kinds else -1
        self._raw: terminal.Raw | None = None
        self._ready = False
        self._begun = False
        self._status: int | None = None
        self._error = ""
        self._unwritten = ""

    def run(self) -> int:
        """The command's status. Raises GuestDied, UnfitError, CanlabError."""
        wake, woken = os.pipe()
        for fd in (wake, woken):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(woken)
        ignored = [each for each in PASSED_ON if signal.getsignal(each) == signal.SIG_IGN]
        for number in (*PASSED_ON, signal.SIGWINCH):
            if number not in ignored:
                signal.signal(number, lambda *_: None)
        self._mux.watch(wake, lambda: self._take_signals(wake))
        try:
            self._wait_until_ready(BOOT_LIMIT)
            if self._status is None:
                self._begin(ignored)
                self._relay()
        except LineLost:
            raise self._death() from None
        finally:
            if self._raw:
                self._raw.restore()
        return self._result()

    def _wait_until_ready(self, limit: float | None = None) -> None:
        while not self._ready and self._status is None:
            if not self._mux.step(limit):
                reason, _ = diagnosis(self._guest.console_text())
                raise GuestDied(f"the guest was not up after {BOOT_LIMIT:.0f} s: {reason}")

    def _begin(self, ignored: Sequence[int]) -> None:
        there = self._terminal >= 0
        order = self._order
        mask = os.umask(0)
        os.umask(mask)
        command = Start(
            argv=list(order.argv),
            environment=dict(order.environment),
            folder=os.getcwd(),
            streams=self._kinds,
            umask=mask,
            limits={limit: resource.getrlimit(limit) for limit in _LIMITS},
            ignored=[int(number) for number in ignored],
            user=(os.geteuid(), os.getegid(), os.getgroups()) if order.as_user else None,
            terminal=starting.pack_modes(terminal.modes(self._terminal)) if there else b"",
            size=terminal.size(self._terminal) if there else (0, 0),
            interfaces=order.interfaces,
            bitrate=order.bitrate,
            hostname=os.uname().nodename,
            ports=order.ports,
            modules=order.modules,
            input=self._input or ("", 0),
            canwharf=order.canwharf,
            python=os.path.realpath(sys.executable),
        )
        self._mux.send(wire.encode(wire.START, 0, command.pack()))
        self._begun = True
        for fd in (1, 2):
            if self._kinds[fd] == PIPE:
                self._mux.sink(fd, fd, silence)
        if there:
            shown = next((fd for fd in (1, 2) if self._kinds[fd] == TTY), 0)
            self._mux.sink(wire.TERMINAL, shown, silence)
        if order.canwharf:  # the guest itself limits how long Docker may take
            self._ready = False
            self._wait_until_ready()
        if self._kinds[0] == PIPE:
            self._mux.source(wire.STDIN, 0)
        self._take_keys()

    def _take_keys(self) -> None:
        """Take the terminal's keys, if they are for this process now."""
        if self._kinds[0] == TTY and not self._raw and terminal.in_foreground(0):
            self._raw = terminal.Raw(0)
            self._mux.source(wire.TERMINAL, 0)

    def _relay(self) -> None:
        while self._status is None:
            self._mux.step()
        while self._mux.receiving:
            self._mux.step(line=False)

    def _control(self, frame: Frame) -> None:
        if frame.type == wire.READY:
            self._ready = True
        elif frame.type == wire.OPEN:
            ports.connect(self._mux, frame.stream, frame.number)
        elif frame.type == wire.STOPPED:
            self._stop()
        elif frame.type == wire.OFFSET:
            os.lseek(0, frame.number, os.SEEK_SET)
        elif frame.type == wire.ERROR:
            self._error = frame.payload.decode(errors="replace")
        elif frame.type == wire.STATUS:
            self._status = frame.number

    def _take_signals(self, wake: int) -> None:
        for number in os.read(wake, 512):
            if number == signal.SIGWINCH and self._terminal >= 0:
                rows, columns = terminal.size(self._terminal)
                self._mux.send(wire.encode_number(wire.SIZE, rows << 16 | columns))
            elif number in PASSED_ON and not self._begun:
                if number not in (signal.SIGTSTP, signal.SIGCONT):
                    self._status = 128 + number  # the command would have died of it
            elif number in PASSED_ON:
                if number == signal.SIGCONT and self._ready:
                    self._take_keys()
                self._mux.send(wire.encode_number(wire.SIGNAL, number))

    def _stop(self) -> None:
        """The command was stopped: stop, as the caller's shell expects, and go on with it.

        Keys stop all of a pipeline. Where no shell is there to continue it nobody is stopped, and
        the command goes on.
        """
        whole = self._raw is not None
        if self._raw:
            self._raw.restore()
            self._raw = None
            self._mux.pause(wire.TERMINAL)
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0 if whole else os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        self._take_keys()
        self._mux.send(wire.encode_number(wire.SIGNAL, signal.SIGCONT))

    def _failed(self, stream: int, error: OSError) -> None:
        if error.errno != errno.EPIPE and stream <= wire.TERMINAL:
            name = "standard error" if stream == wire.STDERR else "standard output"
            self._unwritten = f"cannot write {name}: {error.strerror}"

    def _result(self) -> int:
        assert self._status is not None
        if self._error:
            raise CommandNotRun(self._error, self._status)
        if self._unwritten:
            raise CanlabError(self._unwritten)
        return self._status

    def _death(self) -> CanlabError:
        reason, unfit = diagnosis(self._guest.console_text())
        if self._ready:
            return GuestDied(f"the guest died while the command ran: {reason}")
        if unfit:
            return UnfitError(f"this machine cannot run the kernel: {reason}")
        return GuestDied(f"the guest did not start: {reason}")


class CommandNotRun(CanlabError):  # noqa: N818 - it says what happened
    """The guest could not start the command; the status says why, as a shell's does."""

    def __init__(self, text: str, status: int) -> None:
        self.status = status
        super().__init__(text)


def stream_kind(fd: int) -> str:
    """What a standard stream is to be in the guest; a closed one is as /dev/null."""
    try:
        found = os.fstat(fd)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_RDWR), fd)
        return NULL
    if os.isatty(fd):
        return TTY
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 3):
        return NULL
    return PIPE


def regular_file(fd: int) -> tuple[str, int] | None:
    """The path and the offset of a file that the guest can open for itself, as it sees it, too."""
    if not stat.S_ISREG(os.fstat(fd).st_mode) or fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE:
        return None
    path = os.readlink(f"/proc/self/fd/{fd}")
    if path.startswith(GUESTS_OWN):
        return None
    try:
        with open(path, "rb") as again:
            same = os.path.sameopenfile(fd, again.fileno())
    except OSError:  # deleted, or opened by another user
        return None
    return (path, os.lseek(fd, 0, os.SEEK_CUR)) if same else None


def silence(fd: int) -> None:
    """Close a standard stream, but for errors: what canlab itself has to say comes last."""
    if fd == wire.STDERR:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, fd)
    os.close(nothing)
