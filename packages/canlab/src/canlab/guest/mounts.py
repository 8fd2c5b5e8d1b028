"""The file systems that a machine has beside its disks.

The root is this machine's (hostfs). Over it lie the guest's own /proc, /sys and /dev. /run is the
machine's with a layer above it that is lost, as an ordinary user may not write there. /dev/shm is
the guest's own, unless the command has something of its own there. /lib/modules is the machine's,
and has what is built into the guest's kernel beside.
"""

from __future__ import annotations

import os
from contextlib import suppress

from canlab import libc

SHM = "/dev/shm"  # noqa: S108
MODULES = "/lib/modules"
# A tmpfs for what other file systems are made of; nothing looks there for anything else.
_PARTS = "/sys/fs"
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def mount_all() -> None:
    """Mount them. Raises OSError."""
    with suppress(OSError):  # a kernel with DEVTMPFS_MOUNT has done it
        libc.mount("devtmpfs", "/dev", "devtmpfs", "mode=0755")
    # An ordinary user's kernel could not open this machine's: what is said from here on is heard.
    console = os.open("/dev/console", os.O_RDWR)
    for fd in range(3):
        os.dup2(console, fd)
    libc.mount("proc", "/proc", "proc")
    libc.mount("sysfs", "/sys", "sysfs")
    for name, target in _LINKS.items():
        os.symlink(target, f"/dev/{name}")
    os.mkdir("/dev/pts")
    libc.mount("devpts", "/dev/pts", "devpts", "mode=620,ptmxmode=666,gid=5")
    os.mkdir(SHM)
    libc.mount("tmpfs", SHM, "tmpfs", "mode=1777")
    os.mkdir("/dev/mqueue")
    libc.mount("mqueue", "/dev/mqueue", "mqueue")
    libc.mount("tmpfs", _PARTS, "tmpfs", "mode=755")
    if os.path.isdir("/run"):
        os.mkdir(f"{_PARTS}/upper")
        os.mkdir(f"{_PARTS}/work")
        layers = f"lowerdir=/run,upperdir={_PARTS}/upper,workdir={_PARTS}/work"
        libc.mount("overlay", "/run", "overlay", layers)


def show_shm(*paths: str) -> None:
    """Show this machine's own /dev/shm if one of the paths is in it."""
    if any(os.path.realpath(path).startswith(f"{SHM}/") for path in paths):
        with suppress(FileNotFoundError):
            libc.mount("shm", SHM, "hostfs", SHM)


def show_modules(folder: str) -> dict[str, str]:
    """Let modprobe know what is built in: `modprobe vcan` then has nothing to do, and succeeds.

    `folder` is as /lib/modules, for the guest's kernel. Returns what modprobe needs in its
    environment: a machine without kernels of its own, as a container, has no /lib/modules, and
    none can be made there.
    """
    place = f"{_PARTS}{MODULES}"
    os.makedirs(place)
    libc.mount("modules", place, "hostfs", folder)
    if os.path.isdir(MODULES):
        libc.mount("modules", MODULES, "overlay", f"lowerdir={place}:{MODULES}")
        return {}
    os.symlink(".", f"{_PARTS}/usr")  # where newer ones look
    return {"MODPROBE_OPTIONS": f"--dirname={_PARTS}"}
