"""The run itself: processes, the lines that say how far they are, and what is said at the end."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lab.suites import SUITES
from tests.runner import __doc__ as manual
from tests.runner import covered, progress
from tests.runner.progress import Result

FOLDER = Path("build/tests")
BOOTS = FOLDER / "boots.jsonl"
AT_ONCE = 2  # a guest has one processor, and CI's machine two
EVERY = 5.0  # seconds between two lines about what runs
GOODBYE = 10.0  # seconds that pytest has to give back its guests
WIDTH = 130  # of such a line
BEGUN = time.monotonic()


class Ended(NamedTuple):
    """What came of a kind, and all that it printed."""

    result: Result
    printed: str


class Run:
    """A kind that runs, in a process group of its own."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._begun = time.monotonic()
        self._log = FOLDER / f"{kind.replace(' ', '-')}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "make",
                    "--no-print-directory",
                    *shlex.split(kind),
                    "PYTEST_FLAGS=-v --durations=25 --durations-min=5",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "CANWHARF_BOOTS": str(BOOTS.absolute())},
                start_new_session=True,
            )
        self._end = os.pidfd_open(self._process.pid)

    def fileno(self) -> int:
        """For select: readable when it has ended."""
        return self._end

    def __str__(self) -> str:
        """How far it is: `system 12 of 55: test_power.py::test_a_power_cut`."""
        return f"{self.kind} {progress.read(self._printed())}"

    def ended(self) -> Ended:
        """What came of it; waits for its end."""
        status = self._process.wait()
        os.close(self._end)
        printed = self._printed()
        seconds = time.monotonic() - self._begun
        return Ended(progress.judge(self.kind, status, progress.read(printed), seconds), printed)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _printed(self) -> str:
        return self._log.read_text(errors="replace")


def run_all(kinds: list[str], stop: socket.socket) -> list[Ended]:
    """Run the kinds, in their order as places become free; returns when all have ended.

    Raises KeyboardInterrupt, with all ended, when `stop` can be read.
    """
    waiting, running, ended = deque(kinds), list[Run](), list[Ended]()
    due = BEGUN + EVERY
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append(Run(waiting.popleft()))
                say(f"{running[-1].kind} begins")
            ready = wait(running, stop, due)
            if stop in ready:
                raise KeyboardInterrupt
            for run in [run for run in running if run in ready]:
                running.remove(run)
                ended.append(run.ended())
                say_end(ended[-1])
            if running and time.monotonic() >= due:
                due = time.monotonic() + EVERY
                say("   ".join(str(run)[: WIDTH // len(running)] for run in running))
    finally:
        end_all(running, stop)
    return ended


def end_all(running: list[Run], stop: socket.socket) -> None:
    """End what still runs: first as Ctrl-C does, so that guests are given back."""
    for run in running:
        run.signal(signal.SIGINT)
    until, left = time.monotonic() + GOODBYE, running
    while left and time.monotonic() < until:
        ready = wait(left, stop, until)
        if stop in ready:
            break  # a second Ctrl-C
        left = [run for run in left if run not in ready]
    for run in running:
        run.signal(signal.SIGKILL)


def wait(running: list[Run], stop: socket.socket, until: float) -> list[Run | socket.socket]:
    """Those that have ended, and `stop` if it can be read; none at that time."""
    watched: list[Run | socket.socket] = [*running, stop]
    ready = select.select(watched, [], [], max(0.0, until - time.monotonic()))[0]
    if stop in ready:
        stop.recv(1)
    return ready


def say(text: str) -> None:
    """A line with the time since the beginning."""
    minutes, seconds = divmod(int(time.monotonic() - BEGUN), 60)
    print(f"{minutes:3}:{seconds:02}  {text}", flush=True)


def say_end(ended: Ended) -> None:
    """What came of a kind; of one that failed, all that it printed."""
    result, printed = ended
    if not result.failed:
        say(f"{result.kind} passed after {result.seconds:.0f} s")
        return
    say(f"{result.kind} FAILED after {result.seconds:.0f} s; what it printed:")
    print(f"{printed.rstrip()}\n(end of what {result.kind} printed)", flush=True)


def say_all(ended: list[Ended]) -> int:
    """Say at the end what came of the kinds and what was covered; the number of failures."""
    results = [each.result for each in ended]
    print("", *progress.table(results), sep="\n")
    for result, printed in ended:
        # Here, too: of a long output, only the end may be kept, and of two red kinds only one seen.
        lines = progress.failures(printed) + progress.skips(printed)
        print(*(f"{result.kind}: {line}\n" for line in lines), sep="", end="")
    print(*covered.told(covered.read(BOOTS), SUITES), sep="\n")
    failed = sum(result.failed for result in results)
    print(f"{sum(result.passed for result in results)} passed, {failed} failed", flush=True)
    return failed


def interrupts() -> socket.socket:
    """Can be read when this process is told to end, by Ctrl-C or otherwise.

    An exception might come just when a kind has been started and nobody knows it yet.
    """
    here, there = socket.socketpair()
    there.setblocking(False)
    signal.set_wakeup_fd(there.detach())
    # SIGINT, too: a shell ignores it for what it runs in the background, and so would children.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return here


def main(kinds: list[str]) -> int:
    """Run the kinds; the exit status."""
    if not kinds or any(kind.startswith("-") for kind in kinds):
        print(manual)
        return 2
    shutil.rmtree(FOLDER, ignore_errors=True)  # of the last time
    FOLDER.mkdir(parents=True)
    say(f"{', '.join(kinds)}: {AT_ONCE} at a time; what each prints is in {FOLDER}/")
    try:
        return int(say_all(run_all(kinds, interrupts())) > 0)
    except KeyboardInterrupt:
        say(f"interrupted; what was printed is in {FOLDER}/")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
