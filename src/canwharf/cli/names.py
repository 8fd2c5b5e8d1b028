"""`canwharf names`: what containers on buses across hosts are called, on standard output.

systemd starts it for `canwharf span`, which may not ask Docker (`span/container_names`). So it
reads nothing from its caller, and has no option that a caller could use.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from canwharf.cli.options import Option
from canwharf.daemon.instance import DEFAULT_NAME, usual
from canwharf.span import container_names

DESCRIPTION = (
    "Tell what Docker calls the containers on buses with a span, by the ids of their endpoints, as "
    "JSON. The service of 'canwharf span', which may not ask Docker, gets it from here for other "
    "hosts: its systemd unit has a socket by which it starts this."
)
EXAMPLE = "sudo canwharf names"
OPTIONS = (
    Option("driver-name", DEFAULT_NAME, "the name by which Docker knows the driver", "NAME"),
)


def run(options: Mapping[str, str]) -> int:
    """Print them. Raises CanwharfError."""
    driver = usual(options["driver-name"])
    sys.stdout.write(container_names.told(driver.name, driver.spans).decode())
    return 0
