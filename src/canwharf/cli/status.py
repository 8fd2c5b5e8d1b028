"""`canwharf status`: the buses, who is on them, and what differs from what should be.

Rules:

- Works while the daemon is stopped; starts and asks none.
- Colours only on a terminal that wants them.
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
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.status import Status, collect

DESCRIPTION = (
    "Show each bus: its host interface, who is on it (container and interface inside), who hears "
    "whom, how many frames were forwarded and dropped (the gateway's own counters), and what "
    "differs from what should be. Works while the daemon is stopped. As root: others do not see "
    "the names inside the containers."
)
EXAMPLE = "sudo canwharf status --watch"
OPTIONS = (
    Argument("bus", "only this bus: its host interface, or a network's name or id", "BUS"),
    JSON,
    Flag("watch", "again every second, until it is interrupted"),
    *selection.WHICH,
)
_INTERVAL = 1.0  # seconds
_HOME = "\033[H\033[J"  # cursor to the first line, and all below it away (ECMA-48)


def run(options: Mapping[str, str]) -> int:
    """Show it once, or until somebody interrupts. Raises CanwharfError."""
    requests = Netlink()
    if not options["watch"]:
        print(_shown(_look(options, requests), options))
        return 0
    events = LinkEvents()
    moves = terminal.moves(sys.stdout.isatty(), os.environ) and not options["json"]
    try:
        while True:
            shown = _shown(_look(options, requests), options)
            if moves:
                columns, rows = shutil.get_terminal_size()
                shown = _HOME + terminal.fit(shown, columns, rows - 1)
            print(shown, flush=True)
            # A change of a link is shown at once, the counters every second.
            select.select([events], [], [], _INTERVAL)
            with suppress(NetlinkOverrunError):
                events.take()
    except KeyboardInterrupt:
        return 0


def _look(options: Mapping[str, str], requests: Netlink) -> Status:
    which = selection.of(options)
    status = collect(which.socket, which.state, requests)._replace(where=which.where)
    return status.only(options["bus"]) if options["bus"] else status


def _shown(status: Status, options: Mapping[str, str]) -> str:
    if options["json"]:
        return json.dumps(to_dict(status), indent=None if options["watch"] else 1)
    attended = sys.stdout.isatty()
    # A file or another program gets whole lines, unless it says how wide it is, as watch(1) does.
    sized = attended or os.environ.get("COLUMNS", "").isdecimal()
    columns = shutil.get_terminal_size().columns if sized else 0
    shown = text.render(status, terminal.color(attended, os.environ), columns)
    known = "utf" in (sys.stdout.encoding or "").lower()
    return shown if known else text.ascii_only(shown)
