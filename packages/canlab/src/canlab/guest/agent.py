"""The guest's first processes: make the machine, start the command, relay until it has ended.

Rules: what the command leaves in the background ends with it, as the machine does. All that it has
written, to its streams and to files, is out before its status. The machine ends with its line.
"""

from __future__ import annotations

import os
import signal
import socket
import termios
import tty
from collections.abc import Callable

from canlab import interfaces, libc, wire
from canlab.errors import FAILED
from canlab.guest import adapter, mounts
from canlab.guest.command import Command, set_size
from canlab.interfaces import SLCAN
from canlab.mux import LineLost, Mux
from canlab.netlink import Netlink
from canlab.ports import Listening
from canlab.start import Start
from canlab.wire import Frame

LINE = "/dev/ttyS0"
# Seconds of silence until what still holds the command's output is left alone.
QUIET = 0.1


class Agent:
    """One command, from its start to its status."""

    def __init__(self, line: int) -> None:
        self._mux = Mux(line, self._control, in_guest=True)
        self._command: Command | None = None
        self._over = False
        # Called when Docker's setup has ended; `_setup` is its process.
        self._setup = 0
        self._go_on: Callable[[], None] | None = None

    def serve(self) -> None:
        """Serve the front until it goes. Raises LineLost, which is the usual end."""
        child, wake = os.pipe()
        for fd in (child, wake):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        self._mux.watch(child, lambda: self._reap(child))
        self._mux.send(wire.encode(wire.READY))
        while not self._over:
            self._mux.step()
        self._mux.drain()
        while self._mux.sending:
            self._mux.step(QUIET)
        os.sync()
        assert self._command
        if self._command.input >= 0:
            offset = os.lseek(self._command.input, 0, os.SEEK_CUR)
            self._mux.send(wire.encode_number(wire.OFFSET, offset))
        self._end(self._command.status)

    def _end(self, status: int, error: str = "") -> None:
        if error:
            self._mux.send(wire.encode(wire.ERROR, 0, error.encode(errors="replace")))
        self._mux.send(wire.encode_number(wire.STATUS, status))
        while True:
            self._mux.step()

    def _control(self, frame: Frame) -> None:
        if frame.type == wire.START:
            self._start(Start.unpack(frame.payload))
        elif frame.type == wire.SIGNAL and self._command:
            self._command.signal(frame.number)
        elif frame.type == wire.SIGNAL and self._setup:
            if frame.number not in (signal.SIGTSTP, signal.SIGCONT):
                self._end(128 + frame.number)
        elif frame.type == wire.SIZE and self._command and self._command.terminal >= 0:
            packed = frame.number
            set_size(self._command.terminal, packed >> 16, packed & 0xFFFF)

    def _start(self, start: Start) -> None:
        try:
            self._make_network(start)
        except OSError as error:
            self._end(FAILED, error.strerror or str(error))
        mounts.show_shm(start.folder, start.environment.get("VIRTUAL_ENV", ""))
        if start.modules:
            start.environment.update(mounts.show_modules(start.modules))
        if start.canwharf:
            self._start_docker(start)
        else:
            self._run(start)

    def _start_docker(self, start: Start) -> None:
        """Docker first, then the command; signals are heard meanwhile."""
        from canlab.guest.docker import Setup  # noqa: PLC0415 - where it is not asked for, not loaded

        def go_on() -> None:
            if error := setup.error():
                self._end(FAILED, error)
            self._mux.send(wire.encode(wire.READY))
            self._run(start)

        try:
            setup = Setup(start)
        except OSError as error:
            self._end(FAILED, error.strerror or str(error))
        self._setup, self._go_on = setup.pid, go_on

    def _run(self, start: Start) -> None:
        self._command = command = Command(start)
        command.started()
        if command.failed:
            self._end(command.status, command.failed)
        self._ports = Listening(self._mux, start.ports)
        for fd, ours in command.ours.items():
            if fd == wire.STDIN:
                self._mux.sink(fd, ours)
            else:
                self._mux.source(fd, ours)
        if command.terminal >= 0:
            self._mux.source(wire.TERMINAL, command.terminal)
            self._mux.sink(wire.TERMINAL, os.dup(command.terminal))

    def _make_network(self, start: Start) -> None:
        socket.sethostname(start.hostname)
        netlink = Netlink()
        interfaces.make_loopback(netlink)
        for each in start.interfaces:
            if each[1] != SLCAN:
                interfaces.make(netlink, each)
        if controllers := [name for name, kind, _ in start.interfaces if kind == SLCAN]:
            adapter.make(netlink, controllers, start.bitrate)
        netlink.close()

    def _reap(self, child: int) -> None:
        os.read(child, 512)
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
                if not pid:
                    return
                if os.WIFSTOPPED(status):
                    if self._command and pid == self._command.pid:
                        self._mux.send(wire.encode(wire.STOPPED))
                elif self._command and pid == self._command.pid:
                    code = os.waitstatus_to_exitcode(status)
                    self._command.status = code if code >= 0 else 128 - code
                    self._over = True
                if self._go_on and pid == self._setup:
                    go_on, self._go_on = self._go_on, None
                    go_on()
        except ChildProcessError:
            return


def main() -> None:
    """Be the machine's pid 1: with the agent, its child, the machine ends.

    The agent stands where a shell would. Pid 1 cannot: a group of its children is never stopped.
    """
    try:
        mounts.mount_all()
        agent = os.fork()
        if not agent:
            _be_agent()
        while os.wait()[0] != agent:  # the others are processes whose parent has ended
            pass
    except OSError as error:
        os.write(2, f"canlab: {error}\n".encode())
    finally:
        os.sync()
        libc.power_off()


def _be_agent() -> None:
    """Does not return: the process ends here, whatever happens."""
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        line = os.open(LINE, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(line, termios.TCSANOW)
        Agent(line).serve()
    except LineLost:
        pass
    except Exception as error:  # noqa: BLE001 - the front makes its sentence of what the console says
        os.write(2, f"canlab: {error!r}\n".encode())
    finally:
        os._exit(0)
