"""`canwharf span`: connect buses of this host to those of other hosts.

Rules:

- It needs no rights, and runs apart from the daemon.
- Without options, it is as `init` or `join` wrote. These are in span_init.py: they need a library
  that the service does without.
- Systemd is told that it is ready, and then that it is alive (WatchdogSec=).
- What it says of hosts that come and go, and of frames that are lost, is for standard error.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime

from canwharf.cli.listening import ending, say
from canwharf.cli.options import Argument, Flag, Option
from canwharf.daemon.instance import DEFAULT_NAME, usual
from canwharf.daemon.sockets import notify
from canwharf.errors import SetupError, SpanError, StateError, UsageError
from canwharf.span import directory, extra, settings
from canwharf.span.serve import Service
from canwharf.span.settings import Settings

DESCRIPTION = (
    "Connect each bus with a span (the option can.span=NAME of its network) to the buses of other "
    "hosts with the same span, until it is interrupted. Each host runs one. It needs no rights. A "
    "bus across hosts is no CAN bus: there is no arbitration, no acknowledgement and no common "
    "order between hosts. init makes certificates on the first host, invite a file for each other "
    "one, with which it can join. Or --listen and --connect say where hosts connect, as "
    "PROTOCOL/HOST:PORT; one of two hosts listens. The protocol is tls or quic, with certificates "
    "on both sides, or tcp, which is only for loopback without --insecure."
)
EXAMPLE = (
    "sudo canwharf span init --listen tls/192.0.2.1:7447\n"
    "  sudo canwharf span invite bench-2 --listen tls/192.0.2.2:7447\n"
    "  sudo canwharf span join bench-2.join   # on bench-2\n"
    "  sudo canwharf span                     # on both"
)
_SHORT_NAME = "the host's own, up to the first dot"
OPTIONS = (
    Argument("action", "init, invite or join; nothing: connect", "ACTION"),
    Argument("what", "invite: the name of the host; join: the file", "WHAT"),
    Option("name", _SHORT_NAME, "this host's name in every span", "NAME"),
    Option("listen", "", "where hosts may connect; may be given several times", "WHERE", many=True),
    Option("connect", "", "a host to connect to; may be given several times", "WHERE", many=True),
    Option(
        "host",
        "",
        "another host, by its --name, that may send and hear; without this option, each that has "
        "a certificate of the authority may",
        "NAME",
        many=True,
    ),
    Option(
        "relay",
        "",
        "the host, by its --name, that passes on what others send, which then connect to it only",
        "NAME",
    ),
    Option("ca", "", "the certificate of who signed those of all hosts (PEM)", "FILE"),
    Option("cert", "", "this host's certificate (PEM)", "FILE"),
    Option("key", "", "its private key (PEM)", "FILE"),
    Option("directory", directory.DEFAULT, "what init and join make", "DIR"),
    Flag("insecure", "allow tcp to other hosts: everybody on the way can read and send frames"),
    Option(
        "metrics",
        "",
        "serve metrics for Prometheus at an address like 127.0.0.1:9274; needs the package "
        "canwharf[metrics]",
        "ADDRESS:PORT",
    ),
    Option("driver-name", DEFAULT_NAME, "the name by which Docker knows the driver", "NAME"),
)


_OF_SESSION = ("listen", "connect", "host", "relay", "ca", "cert", "key", "insecure")
_TAKEN = {
    "init": ("name", "listen", "connect", "relay", "ca", "cert", "key"),
    "invite": ("what", "listen"),
    "join": ("what",),
}


def run(options: Mapping[str, str]) -> int:
    """Connect them until it is interrupted, or prepare it. Raises CanwharfError."""
    action = options["action"]
    if action and action not in _TAKEN:
        raise UsageError(f"{action} is not {', '.join(_TAKEN)}, or nothing")
    if action:
        _check(action, options)
        return _prepare(options)
    which = _settings(options)
    driver = usual(options["driver-name"])
    if which.ca:
        _warn(which)
    if options["metrics"]:
        from canwharf.cli import span_metrics  # noqa: PLC0415 (an extra)

        span_metrics.serve(options["metrics"], driver.spans, driver.name)
    with (
        ending() as ended,
        Service(which, driver.name, driver.spans, say, driver.names_helper) as service,
    ):
        notify("READY=1")
        service.run(ended, lambda: notify("WATCHDOG=1"))
    status = 128 + ended[0] if ended else 0
    if not service.closed:
        os._exit(status)  # Python would end zenoh's thread inside a call, which aborts the process
    return status


def _warn(which: Settings) -> None:
    """Say of this host's certificate what other hosts would say in their logs only."""
    from canwharf.span import certificate  # noqa: PLC0415 (OpenSSL: without certificates, no need)

    if fault := certificate.fault(which, datetime.now(UTC)):
        say(fault)


def _check(action: str, options: Mapping[str, str]) -> None:
    """Refuse what the action would leave out without a word. Raises UsageError."""
    if options["what"] and "what" not in _TAKEN[action]:
        words = f"'canwharf span {action}' takes no {options['what']}"
        raise UsageError(f"{words}; for this host's name: --name {options['what']}")
    for each in {"name", *_OF_SESSION, "metrics"}.difference(_TAKEN[action]):
        if options[each] not in ("", _SHORT_NAME):
            raise UsageError(f"'canwharf span {action}' takes no --{each}")


def _prepare(options: Mapping[str, str]) -> int:
    try:
        from canwharf.cli import span_init  # noqa: PLC0415 (an extra)
    except ImportError as error:
        words = "cryptography, which makes certificates, is not installed"
        raise SpanError(f"{words}: {extra.command()}") from error
    return span_init.ACTIONS[options["action"]](options, _given(options))


def _settings(options: Mapping[str, str]) -> Settings:
    """What the options say; without any, what the directory says.

    Raises StateError: it cannot be read; SetupError: it can, and is not as it must be.
    """
    where = options["directory"]
    given = options["name"] != _SHORT_NAME or any(options[each] for each in _OF_SESSION)
    if given or (where == directory.DEFAULT and not os.path.lexists(where)):
        which = _given(options)
        settings.check(which)
        return which
    try:
        which = directory.settings(where)
        settings.check(which, dash="")
    except StateError as error:
        if isinstance(error.__cause__, ValueError):
            raise SetupError(str(error)) from error
        raise
    except UsageError as error:
        raise SetupError(f"{where}/{directory.SETTINGS}: {error}") from error
    return which


def _given(options: Mapping[str, str]) -> Settings:
    name = options["name"]
    if name == _SHORT_NAME:
        name = socket.gethostname().partition(".")[0].lower()
        if options["action"] in ("", "init"):
            settings.check_name(name, "say --name NAME for this host; its own is ")
    return Settings(
        name,
        tuple(options["listen"].splitlines()),
        tuple(options["connect"].splitlines()),
        options["ca"],
        options["cert"],
        options["key"],
        bool(options["insecure"]),
        hosts=tuple(options["host"].splitlines()),
        strict=bool(options["host"]),
        relay=options["relay"],
    )
