"""The guest's end of the line: runs the commands that the host asks for.

Runs in the guest, from Python 3.11 on, with the standard library only.

The line carries one JSON object a line, both ways; bytes travel as base64, in chunks, because
a serial line is slow and others want their turn.

    host:  {"do": "start", "id": 1, "argv": […], "env": {…}, "cwd": "/", "input": false,
            "size": null}               size [rows, columns] gives the command a terminal
           {"do": "input", "id": 1, "data": "…"}       no data: end of input
           {"do": "kill", "id": 1}                     the command's process group
           {"do": "resize", "id": 1, "size": [24, 80]}
           {"do": "off"}                               end all, in order, then the agent
    guest: {"do": "ready", …}
           {"do": "out" | "err", "id": 1, "data": "…"}
           {"do": "end", "id": 1, "status": 0}         128 + N: ended by signal N

Rules: each command has a thread, so a command that hangs blocks no other. The thread that reads the
line never waits for a command. "end" is the last word about a command, and comes even when a
process that the command left in the background still holds its output open.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import platform
import pty
import queue
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], None]

CHUNK = 8192
# Seconds without output after a command's end, until what still holds its pipe is ignored.
QUIET = 0.5
# Seconds that processes have to end at a clean shutdown, between SIGTERM and SIGKILL.
GOODBYE = 3.0

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PYTHONPATH": "/repo/src:/repo",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Job:
    """One command, from its start to its "end" message."""

    def __init__(self, request: Message, send: Send) -> None:
        self._id = request["id"]
        self._request = request
        self._send = send
        self._input: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._terminal: int | None = None
        self._killed = False
        self._lock = threading.Lock()

    def input(self, request: Message) -> None:
        """Queue input; a thread of the job writes it, as the command may not read it."""
        self._input.put(base64.b64decode(request["data"]))

    def kill(self, _request: Message) -> None:
        """Kill the command and its process group: all but what made itself a new one."""
        with self._lock:
            self._killed = True
            if self._process is not None and self._process.poll() is None:
                with suppress(ProcessLookupError):  # it was faster
                    os.killpg(self._process.pid, signal.SIGKILL)

    def resize(self, request: Message) -> None:
        """Tell the command's terminal its new size."""
        if self._terminal is not None:
            _set_size(self._terminal, request["size"])

    def run(self) -> None:
        """Run the command; every way out of here has sent "end"."""
        status = 127  # as of a shell: it could not be started
        try:
            status = self._run()
        except (OSError, ValueError) as error:
            self._say("err", f"{type(error).__name__}: {error}\n".encode())
        finally:
            self._send({"do": "end", "id": self._id, "status": status})

    def _run(self) -> int:
        with self._lock:
            if self._killed:
                return 128 + signal.SIGKILL
            streams, sink = self._start()
        process = self._process
        assert process is not None
        if sink is not None:
            threading.Thread(target=self._feed, args=(sink,), daemon=True).start()
        ended = os.pidfd_open(process.pid)
        try:
            self._relay(streams, ended)
        finally:
            os.close(ended)
            for stream in streams:
                os.close(stream)
            self._terminal = None
        status = process.wait()
        return status if status >= 0 else 128 - status

    def _start(self) -> tuple[dict[int, str], int | None]:
        """Start it: the streams to read, each with its name, and where input goes."""
        request = self._request
        common: dict[str, Any] = {
            "env": {**ENVIRONMENT, **request["env"]},
            "cwd": request["cwd"],
        }
        if request["size"]:
            ours, theirs = pty.openpty()
            _set_size(ours, request["size"])
            # setsid(1) makes the terminal the controlling one, and then becomes the command.
            self._process = subprocess.Popen(
                ["setsid", "--ctty", *request["argv"]],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                **common,
            )
            os.close(theirs)
            self._terminal = ours
            return {ours: "out"}, os.dup(ours)
        self._process = process = subprocess.Popen(
            request["argv"],
            stdin=subprocess.PIPE if request["input"] else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **common,
        )
        assert process.stdout
        assert process.stderr
        streams = {os.dup(process.stdout.fileno()): "out", os.dup(process.stderr.fileno()): "err"}
        process.stdout.close()
        process.stderr.close()
        sink = None
        if process.stdin:
            sink = os.dup(process.stdin.fileno())
            process.stdin.close()
        return streams, sink

    def _relay(self, streams: dict[int, str], ended: int) -> None:
        waiting = {*streams, ended}
        while waiting - {ended}:
            over = ended not in waiting
            ready, _, _ = select.select(waiting, [], [], QUIET if over else None)
            if over and not ready:
                return
            for source in ready:
                if source == ended:
                    waiting.discard(ended)
                    continue
                try:
                    data = os.read(source, CHUNK)
                except OSError:  # EIO: the last process left the terminal
                    data = b""
                if data:
                    self._say(streams[source], data)
                else:
                    waiting.discard(source)

    def _feed(self, sink: int) -> None:
        try:
            while data := self._input.get():
                view = memoryview(data)
                while view:
                    view = view[os.write(sink, view) :]
        except OSError:
            pass  # the command does not read any more; how it ended will tell
        finally:
            os.close(sink)

    def _say(self, stream: str, data: bytes) -> None:
        self._send({"do": stream, "id": self._id, "data": base64.b64encode(data).decode()})


def _set_size(terminal: int, size: list[int]) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", size[0], size[1], 0, 0))


class Agent:
    """Reads requests from the line and gives each to its job."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._turn = threading.Lock()
        self._jobs: dict[int, Job] = {}

    def serve(self) -> None:
        """Answer requests until "off" or the end of the line."""
        kernel = platform.release()
        self._send({"do": "ready", "kernel": kernel, "python": platform.python_version()})
        with os.fdopen(os.dup(self._line), "rb") as lines:
            for text in lines:
                request = json.loads(text)
                if request["do"] == "off":
                    return
                if request["do"] == "start":
                    self._start(request)
                elif job := self._jobs.get(request["id"]):  # else it has just ended
                    getattr(job, request["do"])(request)

    def _start(self, request: Message) -> None:
        job = self._jobs[request["id"]] = Job(request, self._send)

        def run() -> None:
            job.run()
            del self._jobs[request["id"]]

        threading.Thread(target=run, daemon=True).start()

    def _send(self, message: Message) -> None:
        view = memoryview(json.dumps(message).encode() + b"\n")
        with self._turn:
            while view:
                view = view[os.write(self._line, view) :]


def end_all() -> None:
    """End all other processes as a clean shutdown does: Docker first, as it calls its drivers."""
    docker = Path(__file__).with_name("dockerd.py")
    subprocess.run([sys.executable, "-I", docker, "stop", "30"], check=False)
    ends = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in (1, os.getpid()):
            with suppress(FileNotFoundError, ProcessLookupError):  # it was faster
                if Path("/proc", name, "cmdline").read_bytes():  # empty: a thread of the kernel
                    ends.append(os.pidfd_open(int(name)))
    os.kill(-1, signal.SIGTERM)  # all but pid 1 and this process
    deadline = time.monotonic() + GOODBYE
    while ends and (left := deadline - time.monotonic()) > 0:
        for ended in select.select(ends, [], [], left)[0]:
            ends.remove(ended)


def main() -> None:
    """Serve the serial line that is the only argument."""
    line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    Agent(line).serve()
    if not os.path.isdir("/run/systemd/system"):  # sd_booted(3); else systemd ends all
        end_all()


if __name__ == "__main__":
    main()
