"""`canwharf span`: connect buses of this host to those of other hosts.

Rules:

- It needs no rights, and runs apart from the daemon.
- What it says of hosts that come and go, and of frames that are lost, is for standard error.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from canwharf.cli.listening import ending, say
from canwharf.cli.options import Flag, Option
from canwharf.daemon.instance import DEFAULT_NAME, usual
from canwharf.errors import UsageError
from canwharf.span import settings
from canwharf.span.serve import Service
from canwharf.span.settings import Settings

DESCRIPTION = (
    "Connect each bus with a span (the option can.span=NAME of its network) to the buses of other "
    "hosts with the same span, until it is interrupted. Each host runs one. It needs no rights. A "
    "bus across hosts is no CAN bus: there is no arbitration, no acknowledgement and no common "
    "order between hosts. Where hosts connect is said by --listen and --connect, as "
    "PROTOCOL/HOST:PORT; one of two hosts listens. The protocol is tls or quic, with certificates "
    "on both sides, or tcp, which is only for loopback without --insecure."
)
EXAMPLE = (
    "canwharf span --name b --connect tls/192.0.2.1:7447 --host a --ca ca.pem --cert b.pem "
    "--key b.key"
)
_SHORT_NAME = "the host's own, up to the first dot"
OPTIONS = (
    Option("name", _SHORT_NAME, "this host's name in every span", "NAME"),
    Option("listen", "", "where hosts may connect; may be given several times", "WHERE", many=True),
    Option("connect", "", "a host to connect to; may be given several times", "WHERE", many=True),
    Option(
        "host",
        "",
        "another host, by its --name, that may send and hear; with certificates only those may",
        "NAME",
        many=True,
    ),
    Option("ca", "", "the certificate of who signed those of all hosts (PEM)", "FILE"),
    Option("cert", "", "this host's certificate (PEM)", "FILE"),
    Option("key", "", "its private key (PEM)", "FILE"),
    Flag("insecure", "allow tcp to other hosts: everybody on the way can read and send frames"),
    Option("driver-name", DEFAULT_NAME, "the name by which Docker knows the driver", "NAME"),
)


def run(options: Mapping[str, str]) -> int:
    """Connect them until it is interrupted. Raises CanwharfError."""
    name = options["name"]
    which = Settings(
        socket.gethostname().partition(".")[0].lower() if name == _SHORT_NAME else name,
        tuple(options["listen"].splitlines()),
        tuple(options["connect"].splitlines()),
        options["ca"],
        options["cert"],
        options["key"],
        bool(options["insecure"]),
        hosts=tuple(options["host"].splitlines()),
    )
    settings.check(which)
    if which.ca and not which.hosts:
        raise UsageError("say which other hosts may send and hear: --host NAME, once for each")
    driver = usual(options["driver-name"])
    with ending() as ended, Service(which, driver.name, driver.spans, say) as service:
        service.run(ended)
    return 128 + ended[0] if ended else 0
