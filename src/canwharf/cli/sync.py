"""`canwharf sync`: show what differs from what should be, and put it right.

Rules:

- A running daemon does it itself, when asked: its view of the kernel would not notice what another
  process does. Where none runs, this is the daemon for a moment, under its locks.
- It is the daemon's recovery, no other: containers without an interface get none, as only Docker
  can give it to them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from canwharf.bus.describe import SORTS, Change
from canwharf.bus.dryrun import dry_run
from canwharf.bus.events import Event
from canwharf.bus.maintain import Maintenance
from canwharf.bus.model import State
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Service
from canwharf.bus.store import Store
from canwharf.cli import selection
from canwharf.cli.options import JSON, Flag
from canwharf.control.client import call
from canwharf.daemon import instance
from canwharf.errors import CallError, StateError
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.operator.render.terminal import sanitize

DESCRIPTION = (
    "Put right what differs from what should be: bus interfaces, gateway rules, unowned "
    "interfaces. Prints what was done, one line each, and at last how much was made, "
    "removed and repaired. Exit status: 0 if all is as it should be now, 1 if something could not "
    "be put right; with --dry-run, 3 if there are differences."
)
EXAMPLE = "sudo canwharf sync --dry-run"
OPTIONS = (Flag("dry-run", "only say what would be done"), JSON, *selection.WHICH)
_DIFFERENCES = 3  # the exit status
_CALL = "Canwharf.Sync"


def run(options: Mapping[str, str]) -> int:
    """Synchronise, or say what would be done. Raises CanwharfError."""
    which = selection.of(options)
    driver = instance.name_of(which.socket)
    store = Store(which.state)
    dry = bool(options["dry-run"])
    served = bool(instance.process_of(driver))
    if dry:
        _state, done = dry_run(_load(store, driver), store, Netlink(), served=served)
        changes, faults = done.changes, list(done.faults)
    elif served:
        changes, faults = _served(which.socket)
    else:
        changes, faults = _alone(store, driver)
    if options["json"]:
        lines = [each.line for each in changes]
        print(json.dumps({"dry_run": dry, "changes": lines, "errors": faults}, indent=1))
    else:
        _print(changes, faults, dry=dry)
    return 1 if faults else _DIFFERENCES if dry and changes else 0


def _served(socket: str) -> tuple[list[Change], list[str]]:
    """Have the daemon do it. Raises CallError."""
    answer: Any = call(socket, _CALL)
    try:
        changes = [Change(each["sort"], each["line"]) for each in answer["Changes"]]
        return changes, list(answer["Faults"])
    except (KeyError, TypeError) as error:
        reason = "it was done by a daemon of another version, which answers otherwise; restart it"
        raise CallError(_CALL, socket, reason) from error


def _alone(store: Store, driver: str) -> tuple[list[Change], list[str]]:
    """Do it here, as no daemon runs."""
    said: list[Event] = []
    with instance.reserve(driver), ExitStack() as open_now:
        store.acquire()
        state = _load(store, driver)
        netlink, announcements = Netlink(), LinkEvents()
        open_now.callback(netlink.close)
        open_now.callback(announcements.close)
        reconciler = Reconciler(netlink, announcements, driver)
        service = Service(state, store, reconciler, said.append)
        done = Maintenance(service, reconciler, lambda: None).sync()
        service.save()
    return done.changes, list(done.faults)


def _load(store: Store, driver: str) -> State:
    """What should be. Raises StateError: without it, all of ours would be nobody's."""
    state, _left = store.load(driver)
    if not store.exists():
        raise StateError(
            "read", store.path, "there is none; 'canwharf serve' rebuilds what was lost"
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
    """The last line: how much it was."""
    if not changes and not faults:
        return "nothing to do: all is as it should be"
    numbers = Counter(each.sort for each in changes)
    done = [f"{numbers[sort]} {sort}" for sort in SORTS if numbers[sort]]
    would = "it would be: " if dry else ""
    done += [f"{len(faults)} failed"] if faults else []
    return would + ", ".join(done)
