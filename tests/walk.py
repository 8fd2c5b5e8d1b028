"""The walk of a Join through the source: `python -m tests.walk` prints it, and its length.

A container's Join as Docker calls it, on a bus that has one container already, over the fake
kernel. `calls` counts the functions of canwharf, `files` those that they are in, and `changes` how
often a reader who follows the calls has to open another file than the one before.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import canwharf
from canwharf.docker.routes import Routes
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

SOURCE = Path(canwharf.__file__).parent
ANONYMOUS = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<lambda>", "<module>")


class Call(NamedTuple):
    """A function that was called, its file, and how deep below the first one."""

    file: str
    function: str
    depth: int


def walk(action: Callable[[], object]) -> list[Call]:
    """The functions of canwharf that this calls, in order."""
    calls: list[Call] = []
    depth = 0

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal depth
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(SOURCE) or frame.f_code.co_name in ANONYMOUS:
            return
        if event == "call":
            file = str(path.relative_to(SOURCE))
            calls.append(Call(file, frame.f_code.co_qualname, depth))
            depth += 1
        elif event == "return":
            depth -= 1

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def join() -> list[Call]:
    """The walk of the second container's Join."""
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(Path(directory), FakeKernel())
        daemon.service.create_network("n1", {})
        daemon.run_container("n1", "e1")
        daemon.service.create_endpoint("n1", "e2", {})
        daemon.maintenance.repair()  # what the kernel announced of the first one is taken
        route = Routes(daemon.service).table["/NetworkDriver.Join"]
        calls = walk(lambda: route({"NetworkID": "n1", "EndpointID": "e2"}))
        daemon.end()
    return calls


def main() -> None:
    """Print it."""
    calls = join()
    for call in calls:
        print(f"{'  ' * call.depth}{call.function}  ({call.file})")
    changes = sum(one.file != next.file for one, next in itertools.pairwise(calls))
    functions = {(call.file, call.function) for call in calls}
    files = {call.file for call in calls}
    print(f"{len(files)} files, {len(functions)} functions, {len(calls)} calls, {changes} changes")


if __name__ == "__main__":
    main()
