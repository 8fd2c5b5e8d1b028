"""`canwharf sync`: repair what differs from the networks' settings, or show it.

Rules:

- A running daemon does it itself, on a call: its view of the kernel would miss the changes of
  another process. If none runs, this process does it, under the daemon's locks.
- It is the daemon's own recovery. A container without an interface gets none, as only Docker can
  give it one.
- The state of the running daemon is the one that counts: with another state, `sync` would remove
  what is in use. So a --state-dir that contradicts the daemon is a usage error.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

from canwharf import __version__
from canwharf.bus.describe import SORTS, Change
from canwharf.bus.dryrun import dry_run
from canwharf.bus.maintain import Maintenance
from canwharf.bus.model import State
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Service
from canwharf.bus.store import Store
from canwharf.cli import selection
from canwharf.cli.options import JSON, Flag
from canwharf.control.client import call
from canwharf.daemon import sockets
from canwharf.errors import CallError, StateError, UsageError
from canwharf.kernel import modules
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.operator.render.terminal import sanitize

DESCRIPTION = (
    "Repair what differs from the networks' settings: bus interfaces, gateway rules, interfaces "
    "that belong to no network. Print each change in one line, and then how much was made, removed "
    "and repaired. Exit status: 0 if all is as it should be now, 1 if a repair failed; with "
    "--dry-run, 3 if there are differences."
)
EXAMPLE = "sudo canwharf sync --dry-run"
OPTIONS = (Flag("dry-run", "print what it would do, and change nothing"), JSON, *selection.WHICH)
_DIFFERENCES = 3  # the exit status
_CALL = "Canwharf.Sync"


def run(options: Mapping[str, str]) -> int:
    """Synchronize, or print what that would do. Raises CanwharfError."""
    which = selection.announced(options)
    if which.conflict:
        raise UsageError(f"{which.conflict}: leave that option out")
    driver = which.instance.name
    store = Store(which.instance.state_dir)
    dry = bool(options["dry-run"])
    served = bool(sockets.process_of(driver))
    if dry:
        state, states = _load(store, driver), modules.states()
        done = dry_run(state, store, Netlink(), served=served, modules=states).outcome
        changes, faults = done.changes, list(done.faults)
    elif served:
        changes, faults = _served(which.instance.socket)
    else:
        changes, faults = _alone(store, driver)
    if options["json"]:
        lines = [each.line for each in changes]
        print(json.dumps({"dry_run": dry, "changes": lines, "errors": faults}, indent=1))
    else:
        _print(changes, faults, dry=dry)
    return 1 if faults else _DIFFERENCES if dry and changes else 0


def _served(socket: str) -> tuple[list[Change], list[str]]:
    """Synchronize through the daemon. Raises CallError."""
    try:
        answer: Any = call(socket, _CALL)
        changes = [Change(each["sort"], each["line"]) for each in answer["Changes"]]
        return changes, list(answer["Faults"])
    except (KeyError, TypeError) as error:
        reason = "it was done by a daemon of another version, which answers otherwise; restart it"
        raise CallError(_CALL, socket, reason) from error
    except CallError as error:
        # Its program may have been replaced: a module that it needs now is not there any more.
        if _version(socket) in (__version__, None):
            raise
        reason = f"{error.reason}; the daemon is of another version than this program; restart it"
        raise CallError(_CALL, socket, reason) from error


def _version(socket: str) -> str | None:
    """The version of the daemon; empty if it is too old to say it, None if it does not answer."""
    with suppress(CallError):
        return str(call(socket, "Canwharf.State").get("Version", ""))
    return None


def _alone(store: Store, driver: str) -> tuple[list[Change], list[str]]:
    """Synchronize in this process, as no daemon runs."""
    with sockets.reserve(driver), ExitStack() as open_now:
        store.acquire()
        state = _load(store, driver)
        netlink, announcements = Netlink(), LinkEvents()
        open_now.callback(netlink.close)
        open_now.callback(announcements.close)
        reconciler = Reconciler(netlink, announcements, driver)
        service = Service(state, store, reconciler, lambda _event: None)
        done = Maintenance(service, reconciler, lambda: None).sync()
        service.save()
    return done.changes, list(done.faults)


def _load(store: Store, driver: str) -> State:
    """The networks. Raises StateError: without a state, all interfaces would seem unowned."""
    state, _left = store.load(driver)
    if not store.exists():
        raise StateError(
            "read",
            store.path,
            "No such file: no network was created yet, or the state was lost. A daemon that "
            "starts rebuilds it; 'canwharf doctor' says how to start one",
        )
    return state


def _print(changes: list[Change], faults: list[str], *, dry: bool) -> None:
    for change in changes:
        line = sanitize(change.line)
        print(f"would {line}" if dry else line)
    for line in map(sanitize, faults):
        print(f"failed: {line}")
    print(_summary(changes, faults, dry=dry))


def _summary(changes: list[Change], faults: list[str], *, dry: bool) -> str:
    """The last line: the number of changes of each sort."""
    if not changes and not faults:
        return "nothing to do: all is as it should be"
    numbers = Counter(each.sort for each in changes)
    done = [f"{numbers[sort]} {sort}" for sort in SORTS if numbers[sort]]
    would = "it would be: " if dry else ""
    done += [f"{len(faults)} failed"] if faults else []
    return would + ", ".join(done)
