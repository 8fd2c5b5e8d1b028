"""A driver's systemd units, as text. Pure.

Theory of operation. systemd holds the driver's socket, from early in the boot on and over every
restart of the daemon: whoever calls waits in it and is never refused. Docker activates a driver
once and asks it for its containers' networks at once when it starts; it tries a missing driver
again for seconds, container by container, and then leaves the containers stopped. So both units
come before docker.service. With the socket alone, Docker's first call starts the daemon.

Rules:

- The daemon gets what it uses and nothing else: CAP_NET_ADMIN for netlink, its state, its lock.
  It has no right to read what is not its user's, so the state is made root's before it starts.
- It stays root without that capability's siblings: only root may enter Docker's directory of
  network namespaces.
- It has mounts of its own, and sees those that come to be on the host, as Docker's namespaces.
- Whatever happens it is started again; what it leaves behind, as a wrapper's child that still
  holds the socket, ends with it.
- A daemon that cannot start must not take Docker down. Docker's calls have no time limit, and in a
  socket that nobody serves they wait for ever. So one that fails is started once more at once (by
  the rescue service: a crash loses no call). If that fails, or the first start hung, the refuse
  socket takes the driver's place: each call gets an error that says what to do, from a shell and
  printf, which work when no Python does. Half a minute later the rescue timer tries again, and
  whenever the daemon starts, its socket is back. That is also what a manual start does. The rescue
  starts the containers, too, that Docker could not start meanwhile, once Docker answers: the
  doctor knows them.
- It is not the start limit of systemd that decides: that counts an operator's own restarts too.
- One that dies after it has served for a while is started again each time, without a limit: it
  holds up nobody, and to refuse calls would keep away the containers that do start in between.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from canwharf.bus import naming
from canwharf.daemon.instance import Instance, usual
from canwharf.errors import OptionError

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
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK
IPAddressDeny=any
RestrictNamespaces=yes
ProtectSystem=strict
ProtectHome={home}
ProtectProc=invisible
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateIPC=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077

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

# What StateDirectory= does; but that starts nothing where the directory is a symbolic link, as to
# another disk. Where it leads is somebody's choice and left as it is; so is a file in its place, of
# which the daemon tells. The directory comes first: from then on nobody but root can put a link in
# the state's place.
_PREPARING = (
    "[ -L {state} ] || [ -e {state} ] || mkdir {state}; "
    "[ -L {state} ] || [ ! -d {state} ] || "
    "for each in {state} {state}/state.json; do [ -L $each ] || [ ! -e $each ] || "
    "{{ [ -O $each ] || chown -h 0:0 $each; chmod -f u+rwX,go-w $each; }}; done"
)
# A start that took too long is not tried again at once: Docker is waiting.
# By the timer, when Docker is refused, it is; and Docker's containers are started then. (systemd
# tells the last result whatever it was that started the rescue, and before 251 where it is asked.)
# Docker may be booting still, and that is waited for in a unit of its own, as this one must be free
# when the daemon dies again. No driver's name gives that unit's: it has an @.
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
# The request is read to the end of its head, so that Docker has sent it when it is answered.
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
    """The instance of a name for which units can be made. Raises OptionError."""
    parts = name.split("/")
    if not naming.is_driver(name) or not all(part[:1].isalnum() for part in parts):
        raise OptionError(
            "driver-name",
            name,
            f"must be up to {naming.MAX_ID} letters and digits, like rustyvxcan",
        )
    if re.search(r"(^|[-/:])(rescue|refuse)$", name):
        raise OptionError(
            "driver-name",
            name,
            "its units would have the names of another driver's own helpers, which end in "
            "-rescue and -refuse: choose a name that does not end so",
        )
    return usual(name)


def path(unit: str) -> str:
    """Where a unit is installed."""
    return f"{_DIRECTORY}/{unit}"


def listening(instance: Instance) -> str:
    """The line that says whose a socket unit is: `a/b` and `a-b` have units of one name."""
    return f"ListenStream={instance.socket}"


def files(instance: Instance, program: Sequence[str], home: bool = False) -> dict[str, str]:
    """All units' files and texts; `home` says that the program is in a home directory."""
    words = {
        "driver": instance.name,
        "name": instance.unit,
        "service": instance.service,
        "socket": instance.socket_unit,
        "rescue": instance.rescue,
        "refuse": instance.refuse,
        "path": instance.socket,
        "state": instance.state_dir,
        "listening": listening(instance),
        "program": " ".join(quoted(word) for word in program),
        "home": "read-only" if home else "yes",
        "again": str(AGAIN),
        "patience": str(_PATIENCE),
    }
    body = json.dumps({"Err": _REFUSED.format_map(words)})
    words["refusing"] = quoted(_REFUSING.format(length=len(body), body=body))
    words["doctor"] = shlex.join((*program, "doctor", "--fix", "--driver-name", instance.name))
    words["starting"] = shlex.quote(_STARTING.format_map(words))
    words["preparing"] = quoted(_PREPARING.format_map(words))
    words["rescuing"] = quoted(_RESCUING.format_map(words))
    texts = (_SOCKET, _SERVICE, _RESCUE, _TIMER, _REFUSE, _REFUSAL)
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
