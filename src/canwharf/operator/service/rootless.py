"""The socket for a rootless Podman: a unit of its own, which is there only where root allows it.

Rules:

- The unit is started and stopped with the driver's socket, and is for the same service. So it is
  stopped, too, while the daemon does not start: a call in it would start the daemon again and
  again.
- It stays allowed over an upgrade, for the same group.
"""

from __future__ import annotations

import grp
import os
import stat

from canwharf.daemon.instance import Instance
from canwharf.errors import InstallError
from canwharf.operator.service import files, units

_GROUP = "SocketGroup="
_UNIT = """\
# Written by canwharf install --allow-group {group}
[Unit]
Description=CAN buses for containers: the socket of the driver {driver} for a rootless Podman
PartOf={socket}

[Socket]
Service={service}
ListenStream={path}
SocketMode=0660
{key}{group}
DirectoryMode=0755
RemoveOnStop=yes

[Install]
WantedBy={socket}
"""


def unit_path(instance: Instance) -> str:
    """The path of the unit's file."""
    return units.path(instance.users_unit)


def file(instance: Instance, group: str) -> dict[str, str]:
    """The unit's path and text: for this group, else for that of an earlier install.

    Raises InstallError for a group that there is not.
    """
    if group:
        _check(instance, group)
    group = group or installed(instance)
    return {unit_path(instance): text(instance, group)} if group else {}


def text(instance: Instance, group: str) -> str:
    """The unit for this group."""
    return _UNIT.format(
        group=group,
        key=_GROUP,
        driver=instance.name,
        service=instance.service,
        socket=instance.socket_unit,
        path=instance.for_users,
    )


def _check(instance: Instance, group: str) -> None:
    if not instance.for_users:
        raise InstallError(f"a managed plugin ({instance.name}) has no socket for rootless Podman")
    try:
        grp.getgrnam(group)
    except (KeyError, ValueError):
        raise InstallError(f"there is no group {group}: 'groupadd --system {group}'") from None


def installed(instance: Instance) -> str:
    """The group of the unit that is installed; empty if none is. Raises InstallError."""
    content = (files.read(unit_path(instance)) or b"").decode(errors="replace")
    lines = (line for line in content.splitlines() if line.startswith(_GROUP))
    return next(lines, "").removeprefix(_GROUP)


def allowed(instance: Instance) -> str:
    """The group that may use the socket now; empty if there is none."""
    try:
        found = os.stat(instance.for_users)
        if not stat.S_ISSOCK(found.st_mode) or not found.st_mode & stat.S_IWGRP:
            return ""
        return grp.getgrgid(found.st_gid).gr_name
    except OSError:
        return ""
    except KeyError:
        return str(found.st_gid)
