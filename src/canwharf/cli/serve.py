"""`canwharf serve`: the daemon."""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.bus.events import INFO
from canwharf.cli.options import SOCKET, STATE_DIR, Option
from canwharf.daemon.log import FORMS, LEVELS, reporter
from canwharf.daemon.run import run as run_daemon

DESCRIPTION = (
    "Run the daemon. SIGTERM or SIGINT stops it. All interfaces and gateway rules stay: "
    "containers exchange frames while it is stopped."
)
EXAMPLE = "canwharf serve --log-level warning"
OPTIONS = (
    SOCKET,
    STATE_DIR,
    Option(
        "log-level",
        INFO,
        "print events of this level and above, on standard error",
        choices=tuple(LEVELS),
    ),
    Option(
        "log-format",
        "text",
        "each event is one line: text, or a JSON object with time, level, id, event and fields",
        choices=tuple(FORMS),
    ),
    Option(
        "metrics",
        "",
        "serve metrics for Prometheus at an address like 127.0.0.1:9273, or write them to a file "
        "four times a minute; needs the package canwharf[metrics] (default: none)",
        "WHERE",
    ),
)


def run(options: Mapping[str, str]) -> int:
    """Serve until a signal comes. Raises CanwharfError."""
    report = reporter(options["log-level"], options["log-format"])
    run_daemon(options["socket"], options["state-dir"], report, options["metrics"])
    return 0
