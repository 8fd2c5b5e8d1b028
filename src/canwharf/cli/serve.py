"""`canwharf serve`: the daemon."""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.bus.events import INFO
from canwharf.cli.options import SOCKET, STATE_DIR, Option
from canwharf.daemon.log import FORMS, LEVELS, reporter
from canwharf.daemon.run import run as run_daemon

DESCRIPTION = (
    "Run the daemon. It ends at SIGTERM or SIGINT and leaves all interfaces and gateway "
    "rules in place: containers keep talking while it is away."
)
EXAMPLE = "canwharf serve --log-level warning"
OPTIONS = (
    SOCKET,
    STATE_DIR,
    Option(
        "log-level",
        INFO,
        "the least grave events to print, on standard error",
        choices=tuple(LEVELS),
    ),
    Option(
        "log-format",
        "text",
        "one line an event: words for a person, or a JSON object with time, level, id, event "
        "and fields for a machine",
        choices=tuple(FORMS),
    ),
    Option(
        "metrics",
        "",
        "figures for Prometheus: an address like 127.0.0.1:9273 to be asked at, or a file's path, "
        "written four times a minute; needs the package canwharf[metrics] (default: none)",
        "WHERE",
    ),
)


def run(options: Mapping[str, str]) -> int:
    """Serve until a signal comes. Raises CanwharfError."""
    report = reporter(options["log-level"], options["log-format"])
    run_daemon(options["socket"], options["state-dir"], report, options["metrics"])
    return 0
