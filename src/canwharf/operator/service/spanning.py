"""The unit of `canwharf span`, which connects buses to those of other hosts. Pure.

Rules:

- It is installed with the driver's units, and not enabled: a host needs certificates first, and
  zenoh, which is an extra. Without the settings of `canwharf span init` or `join` a start fails.
- It starts after the daemon, and neither needs it nor ends with it: what it has to know is in a
  file that stays (`span/wanted`).
- It has a user of its own and no capability. The host's private key, which only root can read, is
  systemd's credential for it (`span/directory`). The authority's key stays where it is.
- After any end it is started again, without a limit: an address that it listens at may come an hour
  after the boot. Only wrong settings or options, and a missing zenoh, are left to the operator: it
  says so once.
"""

from __future__ import annotations

TEXT = """\
# Written by canwharf install. Your own changes: systemctl edit {span}
[Unit]
Description=CAN buses for containers: one bus across hosts, for the driver {driver}
Documentation=man:canwharf(1)
After={service} network-online.target
StartLimitIntervalSec=0
# Made by 'canwharf span init' or 'canwharf span join'.
AssertPathExists=/etc/canwharf/span/settings.toml

[Service]
Type=notify
ExecStart={program} span --directory /etc/canwharf/span{of_driver}
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
