"""The units of `canwharf span`, which connects buses to those of other hosts. Pure.

Rules:

- It is installed with the driver's units, and not enabled: a host needs certificates first, and
  zenoh, which is an extra. Without the settings of `canwharf span init` or `join` a start fails.
- It starts after the daemon, and neither needs it nor ends with it: what it has to know is in a
  file that stays (`span/wanted`).
- It has a user of its own and no capability. The host's private key, which only root can read, is
  systemd's credential for it (`span/directory`). The authority's key stays where it is.
- That user may not ask Docker, so the names of containers come from a unit that may, one process an
  answer (`span/container_names`). Its socket is in a directory that only root may enter, and that
  the service, but nobody else, has in its own mounts, without the way there. The socket starts and
  ends with the service; where it does not start, names are missing, and nothing else.
- After any end it is started again, without a limit: an address that it listens at may come an hour
  after the boot. Only wrong settings or options, and a missing zenoh, are left to the operator: it
  says so once.
"""

from __future__ import annotations

_SERVICE = """\
# Written by canwharf install. Your own changes: systemctl edit {span}
[Unit]
Description=CAN buses for containers: one bus across hosts, for the driver {driver}
Documentation=man:canwharf(1)
After={service} {names}.socket network-online.target
Wants={names}.socket
StartLimitIntervalSec=0
# Made by 'canwharf span init' or 'canwharf span join'.
AssertPathExists=/etc/canwharf/span/settings.toml

[Service]
Type=notify
ExecStart={program} span --directory /etc/canwharf/span{of_driver}
BindReadOnlyPaths=-{names_directory}/open:{names_directory}
LoadCredential=host.pem:/etc/canwharf/span/host.pem
Restart=always
RestartSec=2
# Wrong options; wrong settings, or no zenoh.
RestartPreventExitStatus=2 78
# SIGTERM's.
SuccessExitStatus=143
TimeoutStopSec=10
# It says each second that it is alive. One that hangs is of no use to a post-mortem either.
WatchdogSec=30
WatchdogSignal=SIGKILL
SyslogIdentifier={span_name}
# It needs some 30 MB; what waits in it for frames is bounded. Should that ever fail, the kernel
# ends it, and not a container, and it is started again.
MemoryMax=256M

# CAN frames, other hosts, the kernel's names of interfaces: nothing else.
DynamicUser=yes
CapabilityBoundingSet=
RestrictAddressFamilies=AF_CAN AF_INET AF_INET6 AF_NETLINK AF_UNIX
PrivateUsers=yes
ProcSubset=pid
RemoveIPC=yes
{hardening}

[Install]
WantedBy=multi-user.target
"""

_NAMES_SOCKET = """\
# Written by canwharf install.
[Unit]
Description=CAN buses for containers: tells {span} what containers are called
PartOf={span}

[Socket]
# Nobody but root passes the first one. The service has the second one in the place of the first.
ExecStartPre=/bin/sh -c {opening}
ListenStream={names_directory}/open/socket
SocketMode=0666
RemoveOnStop=yes
Accept=yes
MaxConnections=1
"""

_NAMES = """\
# Written by canwharf install. Your own changes: systemctl edit {names}@
[Unit]
Description=CAN buses for containers: names of the driver {driver}'s containers
CollectMode=inactive-or-failed

[Service]
ExecStart={program} names{of_driver}
StandardInput=socket
StandardOutput=socket
StandardError=journal
SyslogIdentifier={names}
# Against an engine that hangs, and a caller that does not read.
RuntimeMaxSec=15
MemoryMax=128M

# Docker's socket, which is root's, and the kernel's names of interfaces: nothing else.
CapabilityBoundingSet=
RestrictAddressFamilies=AF_NETLINK AF_UNIX
IPAddressDeny=any
ProcSubset=pid
{hardening}
"""

TEXTS = (_SERVICE, _NAMES_SOCKET, _NAMES)
OPENING = (
    "umask 077 && mkdir -p {names_directory}/open && chmod 0700 {names_directory} && "
    "chmod 0755 {names_directory}/open"
)
