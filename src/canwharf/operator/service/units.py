"""A driver's systemd units, as text. Pure.

Theory of operation. systemd holds the driver's socket, from early in the boot on and over every
restart of the daemon: a call waits in it and is never refused. Docker activates a driver once, and
sends its calls for all containers as soon as it starts. For a missing driver it retries for some
seconds, container by container, and then leaves the containers stopped. So both units come before
docker.service. With the socket alone, Docker's first call starts the daemon.

Rules:

- The daemon gets only what it uses: CAP_NET_ADMIN for netlink, its state, its lock. Without other
  capabilities it cannot read the files of other users, so the state is made root's before it
  starts.
- It runs as root, without root's other capabilities: only root may enter Docker's directory of
  network namespaces.
- It has its own mount namespace, in which new mounts of the host appear, as Docker's namespaces do.
- After any end it is started again. The processes that it leaves, like a wrapper's child that still
  holds the socket, end with it.
- A daemon that cannot start must not block Docker. Docker's calls have no time limit, and wait for
  ever in a socket without a daemon. So a daemon that fails is started once more at once (by the
  rescue service: a crash loses no call). If that fails, or the first start hung, the refuse
  socket takes the driver's place: each call gets an error that says what to do, from a shell and
  printf, which work when no Python does. Half a minute later the rescue timer tries again, and
  whenever the daemon starts, its socket is back. A manual start does the same. Once
  Docker answers, the rescue also starts the containers that Docker could not start meanwhile: the
  doctor finds them.
- systemd's start limit is not used: it counts an operator's restarts too.
- A daemon that dies after it has served for a while is started again each time, without a limit: it
  blocks no call, and to refuse calls would stop the containers that do start in between.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from canwharf.bus import naming
from canwharf.daemon.instance import DEFAULT_NAME, Instance, usual
from canwharf.errors import OptionError
from canwharf.operator.service import hardening, spanning

_DIRECTORY = "/etc/systemd/system"

_SOCKET = """\
# Written by canwharf install.
[Unit]
Description=CAN buses for containers: the socket of the Docker driver {driver}
Before=docker.service
OnFailure={refuse}.socket

[Socket]
{listening}
SocketMode=0600
DirectoryMode=0755
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""

_SERVICE = """\
# Written by canwharf install. Your own changes: systemctl edit {service}
[Unit]
Description=CAN buses for containers: the Docker driver {driver}
Requires={socket}
After={socket} systemd-modules-load.service
# Docker looks for the driver when it starts its containers, and not again.
Before=docker.service
StartLimitIntervalSec=0
OnFailure={rescue}.service
RequiresMountsFor={state}

[Service]
Type=notify
ExecStartPre=-+/bin/sh -c {preparing}
ExecStart={program} serve --socket {path} --state-dir {state}
# A failure is the rescue service's.
Restart=on-success
# Docker waits for us at a boot, but not for ever.
TimeoutStartSec=10
TimeoutStartFailureMode=kill
TimeoutStopSec=10
KillMode=mixed
SyslogIdentifier={name}
ReadWritePaths=-{state}
RuntimeDirectory=canwharf
RuntimeDirectoryPreserve=yes

# Netlink, its own state, Docker's socket: nothing else.
CapabilityBoundingSet=CAP_NET_ADMIN
RestrictAddressFamilies=AF_UNIX AF_NETLINK
IPAddressDeny=any
{hardening}

[Install]
WantedBy=multi-user.target
Also={socket}
"""

_RESCUE = """\
# Written by canwharf install.
[Unit]
Description=CAN buses for containers: the second start of the Docker driver {driver}
# Of a daemon that starts and fails again and again, the sixth time within ten seconds.
OnFailure={refuse}.socket
StartLimitIntervalSec=10
StartLimitBurst=5

[Service]
Type=oneshot
ExecStart=/bin/sh -c {rescuing}
"""

_TIMER = """\
# Written by canwharf install.
[Unit]
Description=CAN buses for containers: another try to start the Docker driver {driver}
PartOf={refuse}.socket

[Timer]
OnActiveSec={again}
AccuracySec=1
"""

_REFUSE = """\
# Written by canwharf install.
[Unit]
Description=CAN buses for containers: {service} does not start, so Docker's calls are refused
Conflicts={socket}
After={socket}
Wants={rescue}.timer

[Socket]
{listening}
SocketMode=0600
DirectoryMode=0755
RemoveOnStop=yes
Accept=yes
# Docker starts its containers all at once, and each start must get the answer. systemd drops what
# comes on top of 64 connections, and gives the socket up at 200 in two seconds.
MaxConnections=512
TriggerLimitIntervalSec=0
"""

_REFUSAL = """\
# Written by canwharf install.
[Unit]
Description=CAN buses for containers: {service} does not start, so this call is refused
CollectMode=inactive-or-failed

[Service]
ExecStart=/bin/sh -c {refusing}
StandardInput=socket
# Against a caller that says nothing. Hundreds at once take tens of seconds on a small board.
RuntimeMaxSec=60
CapabilityBoundingSet=
NoNewPrivileges=yes
"""

# The same as StateDirectory=, which refuses to start if the directory is a symbolic link, as to
# another disk. The target of a link is left as it is; so is a file in the directory's place, which
# the daemon reports. The directory comes first: from then on only root can put a link in the place
# of the state.
_PREPARING = (
    "[ -L {state} ] || [ -e {state} ] || mkdir {state}; "
    "[ -L {state} ] || [ ! -d {state} ] || "
    "for each in {state} {state}/state.json; do [ -L $each ] || [ ! -e $each ] || "
    "{{ [ -O $each ] || chown -h 0:0 $each; chmod -f u+rwX,go-w $each; }}; done"
)
# A start that took too long is not repeated at once: Docker is waiting. The timer repeats it, while
# Docker's calls are refused; after that, Docker's containers are started. (systemd 251 and newer
# pass the last result to the rescue, whatever started it; before, `systemctl show` has it.) Docker
# may still be booting: a separate unit waits for it, as this one must be free when the daemon dies
# again. That unit's name has an @, so no driver has the same.
_RESCUING = (
    "refused=; systemctl --quiet is-active {refuse}.socket && refused=yes; "
    "result=${{MONITOR_SERVICE_RESULT-$(systemctl show --property=Result --value {service})}}; "
    'if [ "$refused$result" = timeout ] || '
    "! systemctl --quiet start {service}; then "
    "exec systemctl --no-block start {refuse}.socket; fi; "
    '[ -z "$refused" ] || systemd-run --quiet --collect --unit={rescue}@containers '
    "--property=RuntimeMaxSec={patience} /bin/sh -c {starting} || :"
)
_STARTING = "until docker version >/dev/null 2>&1; do sleep 1; done; exec {doctor}"
# The request's head is read to its end, so that Docker has sent it before the answer comes.
_REFUSING = (
    "while read -r line && [ ${{#line}} -gt 1 ]; do :; done; "
    "printf 'HTTP/1.1 503 Service Unavailable\\r\\nContent-Type: application/json\\r\\n"
    "Content-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' {length} '{body}'"
)
_REFUSED = (
    "{service} does not start, so no container can use the driver {driver}; why: "
    "systemctl status {service}, what to do: canwharf doctor"
)
AGAIN = 30  # seconds until a daemon that does not start is tried again
_PATIENCE = 600  # seconds for Docker to boot: a small board has many containers


def checked(name: str) -> Instance:
    """The instance of a driver's name. Raises OptionError if no units can have this name."""
    parts = name.split("/")
    if not naming.is_driver(name) or not all(part[:1].isalnum() for part in parts):
        raise OptionError(
            "driver-name",
            name,
            f"must be up to {naming.MAX_ID} letters and digits, like rustyvxcan",
        )
    if re.search(r"(^|[-/:])(rescue|refuse|rootless|span|names)$", name):
        raise OptionError(
            "driver-name",
            name,
            "its units would have the names of another driver's own helpers, which end in "
            "-rescue, -refuse, -rootless, -span and -names: choose a name that does not end so",
        )
    return usual(name)


def path(unit: str) -> str:
    """The path of a unit's file."""
    return f"{_DIRECTORY}/{unit}"


def listening(instance: Instance) -> str:
    """The line by which a socket unit's driver is known: `a/b` and `a-b` have units of one name."""
    return f"ListenStream={instance.socket}"


def files(instance: Instance, program: Sequence[str], home: bool = False) -> dict[str, str]:
    """All units' files and texts; `home` says that the program is in a home directory."""
    usual_name = instance.name == DEFAULT_NAME
    of_driver = "" if usual_name else f" --driver-name {quoted(instance.name)}"
    words = {
        "driver": instance.name,
        "name": instance.unit,
        "service": instance.service,
        "socket": instance.socket_unit,
        "rescue": instance.rescue,
        "refuse": instance.refuse,
        "span": instance.span_unit,
        "span_name": instance.span_unit.removesuffix(".service"),
        "names": instance.names_unit,
        "names_directory": instance.names_directory,
        "of_driver": of_driver,
        "path": instance.socket,
        "state": instance.state_dir,
        "listening": listening(instance),
        "program": " ".join(quoted(word) for word in program),
        "hardening": hardening.text(home=home),
        "again": str(AGAIN),
        "patience": str(_PATIENCE),
    }
    body = json.dumps({"Err": _REFUSED.format_map(words)})
    words["refusing"] = quoted(_REFUSING.format(length=len(body), body=body))
    words["doctor"] = shlex.join((*program, "doctor", "--fix", "--driver-name", instance.name))
    words["starting"] = shlex.quote(_STARTING.format_map(words))
    words["preparing"] = quoted(_PREPARING.format_map(words))
    words["opening"] = quoted(spanning.OPENING.format_map(words))
    words["rescuing"] = quoted(_RESCUING.format_map(words))
    texts = (_SOCKET, _SERVICE, _RESCUE, _TIMER, _REFUSE, _REFUSAL, *spanning.TEXTS)
    return {
        path(unit): text.format_map(words) for unit, text in zip(instance.units, texts, strict=True)
    }


def quoted(word: str) -> str:
    """A word of ExecStart= (systemd.service(5), "Command lines"; specifiers begin with %)."""
    plain = word.replace("%", "%%").replace("$", "$$")
    if all(letter.isalnum() or letter in "/._-+@:%$" for letter in plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
