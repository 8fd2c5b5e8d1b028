"""The host's end of the line to a guest's agent (lab/agent.py tells what travels on it).

Rules: one thread reads the line and wakes all waiting threads; nothing polls. When the line ends,
every command that was running ends with it, as GuestDied.
"""

from __future__ import annotations

import base64
import itertools
import json
import shlex
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lab.errors import CommandFailed, CommandTimeout, GuestDied

Command = str | Sequence[str]
# Called from the reading thread with "out" or "err" and what came, as it comes.
Watch = Callable[[str, bytes], None]

# Seconds a killed command has to vanish, before the guest itself counts as hung.
KILL_GRACE = 10.0
# Bytes of input a message; the guest's serial line takes 4096 bytes at a time.
CHUNK = 2048


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended: its status (128 + N: by signal N) and all it wrote."""

    status: int
    stdout: str
    stderr: str


class Process:
    """A command that runs, or has run, in a guest."""

    def __init__(self, channel: Channel, ident: int, command: str, watch: Watch | None) -> None:
        self.command = command
        self._channel = channel
        self.ident = ident
        self._watch = watch
        self._changed = threading.Condition()
        self._output = {"out": bytearray(), "err": bytearray()}
        self._status: int | None = None
        self._lost = False

    @property
    def running(self) -> bool:
        """Whether its end has not been heard of yet."""
        return self._status is None and not self._lost

    @property
    def stdout(self) -> str:
        """What it has written so far to standard output (or its terminal)."""
        return self._output["out"].decode(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has written so far to standard error."""
        return self._output["err"].decode(errors="replace")

    def wait(self, timeout: float | None = None, *, check: bool = True) -> Completed:
        """Wait until it ends.

        Raises CommandTimeout after `timeout` seconds (times the channel's patience), with the
        command killed; CommandFailed for a status other than 0 if `check`; GuestDied when the
        guest is gone.
        """
        if not self._wait(timeout):
            self.kill()
            if not self._wait(KILL_GRACE):
                raise GuestDied(f"the guest hangs: it could not kill {self.command}")
            if self._status is not None:
                assert timeout is not None
                limit = timeout * self._channel.patience
                raise CommandTimeout(limit, self.command, self.stdout, self.stderr)
        if self._status is None:
            raise self._channel.death(f"while it ran: {self.command}")
        if check and self._status:
            raise CommandFailed(self._status, self.command, self.stdout, self.stderr)
        return Completed(self._status, self.stdout, self.stderr)

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Wait until it has written `text` (to either stream): it is listening, it is ready.

        Raises CommandTimeout (and kills it), CommandFailed if it ended without, or GuestDied.
        """
        wanted = text.encode()
        with self._changed:
            limit = timeout * self._channel.patience
            self._changed.wait_for(lambda: self._said(wanted) or not self.running, limit)
            if self._said(wanted):
                return
        if self.running:
            self.kill()
            raise CommandTimeout(limit, self.command, self.stdout, self.stderr)
        status = self.wait(check=False).status
        raise CommandFailed(status, self.command, self.stdout, self.stderr)

    def write(self, data: bytes) -> None:
        """Give it input (if it was started with any); empty data is the end of the input."""
        for start in range(0, len(data) or 1, CHUNK):
            part = base64.b64encode(data[start : start + CHUNK]).decode()
            self._channel.send({"do": "input", "id": self.ident, "data": part})

    def kill(self) -> None:
        """SIGKILL to its process group; no error if it has ended."""
        self._channel.send({"do": "kill", "id": self.ident})

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the new size."""
        self._channel.send({"do": "resize", "id": self.ident, "size": [rows, columns]})

    def _said(self, wanted: bytes) -> bool:
        return any(wanted in output for output in self._output.values())

    def _wait(self, timeout: float | None) -> bool:
        limit = None if timeout is None else timeout * self._channel.patience
        with self._changed:
            return self._changed.wait_for(lambda: not self.running, limit)

    def receive(self, message: dict[str, Any]) -> None:
        """Take a message of the agent; called by the channel's reading thread only."""
        data = b""
        with self._changed:
            if message["do"] == "end":
                self._status = message["status"]
            else:
                data = base64.b64decode(message["data"])
                self._output[message["do"]] += data
            self._changed.notify_all()
        if data and self._watch:
            self._watch(message["do"], data)

    def lose(self) -> None:
        """Take note that the guest is gone; called by the channel only."""
        with self._changed:
            self._lost = True
            self._changed.notify_all()


class Channel:
    """A line to an agent, from its "ready" to its end.

    Time limits are those of a usual guest; a slow one gets `patience` times as long.
    """

    def __init__(
        self, line: socket.socket, death: Callable[[str], GuestDied], patience: float = 1.0
    ) -> None:
        self.death = death
        self.patience = patience
        self._line = line
        self._turn = threading.Lock()
        self._numbers = itertools.count(1)
        self._running: dict[int, Process] = {}
        self._opened = threading.Event()
        self._closed = threading.Event()
        self._ready: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True, name="lab-line")
        self._reader.start()

    def ready(self, timeout: float) -> bool:
        """Wait for the agent to be there; False if it does not come, or the line ends first."""
        self._opened.wait(timeout)
        return bool(self._ready)

    @property
    def greeting(self) -> Mapping[str, str]:
        """What the agent said of its guest when it came up: `kernel` and `python`, versions."""
        return {key: self._ready[key] for key in ("kernel", "python")}

    @property
    def alive(self) -> bool:
        """Whether the line has not ended."""
        return not self._closed.is_set()

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
        """Start a command; Guest.start tells what the arguments mean."""
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        shown = command if isinstance(command, str) else shlex.join(command)
        process = Process(self, next(self._numbers), shown, watch)
        request = {"do": "start", "id": process.ident, "argv": argv, "env": dict(env or {})}
        self._running[process.ident] = process
        self.send({**request, "cwd": cwd, "input": input, "size": size})
        return process

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; nothing happens if the line has ended, as the reader tells that."""
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._turn:
                self._line.sendall(data)
        except OSError:
            self._closed.wait(KILL_GRACE)
        if not self.alive:
            self._lose()

    def close(self) -> None:
        """End the line from here."""
        with suppress(OSError):  # the other end was faster
            self._line.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._reader:
            self._reader.join()
        self._line.close()

    def _read(self) -> None:
        try:
            with self._line.makefile("rb") as lines:
                for text in lines:
                    self._dispatch(json.loads(text))
        except (OSError, ValueError):
            pass  # reset, or cut in the middle of a line: both are the end
        finally:  # after any error, no thread may wait for ever
            self._closed.set()
            self._opened.set()
            self._lose()

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["do"] == "ready":
            self._ready = message
            self._opened.set()
        elif message["do"] == "end":
            self._running.pop(message["id"]).receive(message)
        else:
            self._running[message["id"]].receive(message)

    def _lose(self) -> None:
        for ident in list(self._running):
            if process := self._running.pop(ident, None):
                process.lose()
