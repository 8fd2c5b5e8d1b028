"""What all services of ours do without, as lines of their units. Pure.

Each unit says above these lines what it has beyond them, and what else it does without: its user,
its capabilities, its families of sockets (systemd.exec(5), "Sandboxing").
"""

from __future__ import annotations

_TEXT = """\
NoNewPrivileges=yes
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
UMask=0077"""


def text(*, home: bool) -> str:
    """The lines; `home` says that the program is in a home directory, which it then may read."""
    return _TEXT.format(home="read-only" if home else "yes")
