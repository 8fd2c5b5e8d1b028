"""`canwharf serve`: the daemon."""

from __future__ import annotations

from canwharf.bus.events import INFO
from canwharf.cli.options import ALLOW_GROUP, SOCKET, STATE_DIR, Option
from canwharf.daemon.log import FORMS, LEVELS, reporter
from canwharf.daemon.run import run as run_daemon

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

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
    ALLOW_GROUP,
)


def run(options: Mapping[str, str]) -> int:
    """Serve until a signal comes. Raises CanwharfError."""
    report = reporter(options["log-level"], options["log-format"])
    paths = options["socket"], options["state-dir"]
    run_daemon(*paths, report, options["metrics"], options["allow-group"])
    return 0
