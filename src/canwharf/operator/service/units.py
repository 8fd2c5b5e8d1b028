"""A driver's systemd units, as text. Pure.

Theory of operation. systemd holds the driver's socket, from early in the boot on and over every
restart of the daemon: whoever calls waits in it and is never refused. Docker activates a driver
once and asks it for its containers' networks at once when it starts; it tries a missing driver
again for seconds, container by container, and then leaves the containers stopped. So both units
come before docker.service. With the socket alone, Docker's first call starts the daemon.

Rules:

- The daemon gets what it uses and nothing else: CAP_NET_ADMIN for netlink, its state, its lock.
- It stays root without that capability's siblings: only root may enter Docker's directory of
  network namespaces.
- It has mounts of its own, and sees those that come to be on the host, as Docker's namespaces.
- Whatever happens it is started again, and its end touches nothing but itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from canwharf.bus import naming
from canwharf.errors import OptionError

DRIVER = "canwharf"
_DIRECTORY = "/etc/systemd/system"

_SOCKET = """\
# Written by canwharf install.
[Unit]
Description=CAN buses for containers: the socket of the Docker driver {driver}
Before=docker.service

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

[Service]
Type=notify
ExecStart={program} serve --socket {path} --state-dir {state}
Restart=always
RestartSec=1
# Docker waits for us at a boot, but not for ever.
TimeoutStartSec=20
KillMode=process
StateDirectory={name}
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


class Units(NamedTuple):
    """The units and the places of one driver's daemon."""

    driver: str

    @classmethod
    def of(cls, driver: str) -> Units:
        """Those of a driver's name. Raises OptionError."""
        parts = driver.split("/")
        if not naming.is_driver(driver) or not all(part[:1].isalnum() for part in parts):
            raise OptionError(
                "driver-name",
                driver,
                f"right would be up to {naming.MAX_ID} letters and digits, as in rustyvxcan",
            )
        return cls(driver)

    @property
    def name(self) -> str:
        """What its units and its state are called; a managed plugin's name has a slash."""
        if self.driver == DRIVER:
            return DRIVER
        return f"{DRIVER}-{self.driver.replace('/', '-').replace(':', '-')}"

    @property
    def service(self) -> str:
        """The service unit."""
        return f"{self.name}.service"

    @property
    def socket(self) -> str:
        """The socket unit."""
        return f"{self.name}.socket"

    @property
    def path(self) -> str:
        """Where Docker finds the driver."""
        return f"/run/docker/plugins/{self.driver}.sock"

    @property
    def state(self) -> str:
        """The directory of its networks."""
        return f"/var/lib/{self.name}"

    @property
    def listening(self) -> str:
        """The line that says whose a socket unit is: `a/b` and `a-b` have units of one name."""
        return f"ListenStream={self.path}"

    def file(self, unit: str) -> str:
        """Where a unit is installed."""
        return f"{_DIRECTORY}/{unit}"

    def files(self, program: Sequence[str], home: bool = False) -> dict[str, str]:
        """Both units' files and texts; `home` says that the program is in a home directory."""
        words = {
            **self._asdict(),
            **{
                each: getattr(self, each)
                for each in ("name", "service", "socket", "path", "listening")
            },
            "state": self.state,
            "program": " ".join(quoted(word) for word in program),
            "home": "read-only" if home else "yes",
        }
        return {
            self.file(self.socket): _SOCKET.format_map(words),
            self.file(self.service): _SERVICE.format_map(words),
        }


def quoted(word: str) -> str:
    """A word of ExecStart= (systemd.service(5), "Command lines"; specifiers begin with %)."""
    plain = word.replace("%", "%%").replace("$", "$$")
    if all(letter.isalnum() or letter in "/._-+@:%$" for letter in plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
