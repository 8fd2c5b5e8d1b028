"""`canwharf status`: the buses, their members, and what `sync` would change.

Rules:

- It works while the daemon is stopped; it neither calls nor starts it.
- Color is for a terminal only, and for one that wants it.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress

from canwharf.cli import selection
from canwharf.cli.options import JSON, Argument, Flag
from canwharf.errors import NetlinkOverrunError
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.operator.collect import collect
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.status import Status

DESCRIPTION = (
    "Show each bus: its host interface, its members (container and interface in the container), "
    "their frame counters, members that are not connected, and what sync would change. It works "
    "while the daemon is stopped. Run it as root to see the names of interfaces in containers."
)
EXAMPLE = "sudo canwharf status --watch"
OPTIONS = (
    Argument("bus", "only this bus: its host interface, or a network's name or id", "BUS"),
    JSON,
    Flag("watch", "show it again every second, until interrupted"),
    *selection.WHICH,
)
_INTERVAL = 1.0  # seconds
_HOME = "\033[H\033[J"  # cursor to the first line, and clear all below it (ECMA-48)


def run(options: Mapping[str, str]) -> int:
    """Show it once, or until interrupted. Raises CanwharfError."""
    requests = Netlink()
    if not options["watch"]:
        print(_rendered(_status(options, requests), options))
        return 0
    events = LinkEvents()
    moves = terminal.moves(sys.stdout.isatty(), os.environ) and not options["json"]
    try:
        while True:
            shown = _rendered(_status(options, requests), options)
            if moves:
                columns, rows = shutil.get_terminal_size()
                shown = _HOME + terminal.fit(shown, columns, rows - 1)
            print(shown, flush=True)
            # A change of a link is shown at once, counters every second.
            select.select([events], [], [], _INTERVAL)
            with suppress(NetlinkOverrunError):
                events.take()
    except KeyboardInterrupt:
        return 0


def _status(options: Mapping[str, str], requests: Netlink) -> Status:
    which = selection.of(options)
    status = collect(which.instance, requests)
    status = status._replace(where=which.where, conflict=which.conflict, unseen=which.unseen)
    if which.conflict:  # by another state than the daemon's: sync would refuse to do it
        status = status._replace(adopted=(), steps=(), faults=())
    return status.only(options["bus"]) if options["bus"] else status


def _rendered(status: Status, options: Mapping[str, str]) -> str:
    if options["json"]:
        return json.dumps(to_dict(status), indent=None if options["watch"] else 1)
    is_terminal = sys.stdout.isatty()
    # A file or a pipe gets whole lines, unless COLUMNS gives a width, as watch(1) sets it.
    sized = is_terminal or os.environ.get("COLUMNS", "").isdecimal()
    columns = shutil.get_terminal_size().columns if sized else 0
    shown = text.render(status, terminal.color(is_terminal, os.environ), columns)
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    return shown if unicode else text.ascii_only(shown)
