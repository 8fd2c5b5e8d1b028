"""A crash at every step of every operation, on the real kernel.

    python3 -m tests.faults.crashing [--every 1] [--operation TEXT] [--whole] [--mesh]

For each operation, each step k of it, and both ways in which a caller can go on: a daemon that
kills itself after step k, another that is started plainly, then the caller. The bar each time:
those who lived all the while never miss a frame, not even while the daemon is dead; then every
frame between living members arrives exactly once, the kernel and the disk hold exactly what the
caller believes in; and when the caller has removed all, nothing is left.

Prints one JSON object. Runs in the guest, which it wipes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from tests.faults import attaching, guarded, moving
from tests.faults.dying import Daemon, Fuse
from tests.faults.operations import OPERATIONS, A, B, N, Operation, before
from tests.faults.site import Gone, Site, ip, wipe
from tests.world.host import run

MODULE = "cls_fw"
FOR_POLICIES = ("cls_basic", "em_u32", "em_canid", "act_gact", "act_police", "sch_ingress")
POINT_LIMIT = 60  # seconds
CONTINUATIONS = ("again", "give_up")


def crash(operation: Operation, steps: int, apart: bool, continuation: str) -> list[str]:
    """One crash after so many steps; the steps there were, if it was one too many to crash."""
    with Site() as site:
        before(site, operation)
        fuse = Fuse(operation.call, steps, apart)
        if not operation.call:
            site.client.close()
            site.daemon.kill()
            complete(f"{site.directory}/state/state.json")
            ip("link delete vcan0")
            site.start_daemon(fuse)
        else:
            site.restart(fuse)
        first = site.daemon
        try:
            operation.ask(site)
        except (Gone, AssertionError):
            assert first.ended() == signal.SIGKILL, first.log
            lived_on(site)
            operation.dead(site)
            site.client.close()
            site.start_daemon(grace=operation.grace if continuation == "give_up" else None)
            proceed(operation, site, continuation, first)
            return []
        first.kill()
        assert first.steps(), first.log
        return first.steps()


def complete(path: str) -> None:
    """The state of a daemon that Docker has answered once: it is not rebuilt before it serves."""
    content = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps({**content, "complete": True}))


def lived_on(site: Site) -> None:
    """The containers that were not part of the operation are still connected."""
    site.assert_talking(site.containers[N, name].member("can0") for name in (A, B))


def proceed(operation: Operation, site: Site, continuation: str, first: Daemon) -> None:
    """The caller goes on; then all is as it believes, and nothing is left when it is done."""
    try:
        getattr(operation, continuation)(site)
        site.assert_whole()
        site.clean()
    except BaseException as error:
        error.add_note(f"--- the daemon that died:\n{first.log}")
        error.add_note(f"--- the one after it:\n{site.daemon.log}")
        raise


def campaign(
    kind: type[Operation], apart: bool, every: int, verbose: bool = False
) -> dict[str, Any]:
    """All crashes in one operation."""
    row: dict[str, Any] = {"operation": kind.name(), "apart": apart, "crashes": 0, "survived": 0}
    failures: list[dict[str, Any]] = []
    for continuation in CONTINUATIONS:
        steps: list[str] = []
        k = 1
        while not steps:
            signal.alarm(POINT_LIMIT)
            try:
                steps = crash(kind(), k, apart, continuation)
                row["survived"] += not steps
            except Exception:  # noqa: BLE001 (whatever goes wrong is what we are looking for)
                failures.append({"step": k, "then": continuation, "why": traceback.format_exc()})
                steps = ["?"] * (k > 200)
            finally:
                signal.alarm(0)
                wipe()
            row["crashes"] += not steps
            if verbose:
                why = failures[-1]["why"] if failures and failures[-1]["step"] == k else "survived"
                say(f"{monotonic():.1f} {row['operation']}, step {k}, {continuation}: {why}")
            k += every
        kinds = Counter(step.partition(":")[0] for step in steps)
        row["steps"] = dict(kinds)
        row["list"] = steps
    return {**row, "failures": failures}


def say(line: str) -> None:
    """Print progress."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def late(_number: int, _frame: FrameType | None) -> None:
    """A point that hangs fails."""
    raise AssertionError(f"took more than {POINT_LIMIT} s")


def main(arguments: Sequence[str]) -> int:
    """Run the campaign; the figures as JSON on standard output, progress on standard error."""
    parser = argparse.ArgumentParser("python3 -m tests.faults.crashing")
    parser.add_argument("--every", type=int, default=1, help="only every so many steps")
    parser.add_argument("--operation", default="", help="only those with this in their name")
    parser.add_argument("--whole", action="store_true", help="a batch is one step")
    parser.add_argument("--mesh", action="store_true", help="without a module for the hub")
    parser.add_argument("--verbose", action="store_true", help="a line for each crash")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGALRM, late)
    wipe()
    with without(MODULE) if options.mesh else nullcontext():
        rows = campaigns(options)
    json.dump(rows, sys.stdout)
    return 1 if any(row["failures"] for row in rows) else 0


def campaigns(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each operation."""
    rows = []
    for kind in (*OPERATIONS, *guarded.OPERATIONS, *attaching.OPERATIONS, *moving.OPERATIONS):
        if options.operation in kind.name():
            rows.append(campaign(kind, not options.whole, options.every, options.verbose))
            shown = {key: value for key, value in rows[-1].items() if key != "list"}
            say(str(shown))
    return rows


@contextmanager
def without(module: str) -> Iterator[None]:
    """The kernel without a module of the hub's, and with no way to load it: buses are meshes."""
    loader = Path("/proc/sys/kernel/modprobe")
    before = loader.read_text()
    run("modprobe", "-a", *FOR_POLICIES)  # the kernel could not load these by itself any more
    run("rmmod", module)
    loader.write_text("/bin/false")
    Site.linear = False
    try:
        yield
    finally:
        loader.write_text(before)
        run("modprobe", module)
        Site.linear = True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
