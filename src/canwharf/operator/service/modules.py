"""The kernel modules that a bus needs, and where to get one that is missing.

Rule: what to do is told in the words of the system at hand, which is known by /etc/os-release
and the kernel's release; where neither is known, in those of a kernel's configuration.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection

from canwharf.errors import InstallError
from canwharf.kernel import modules as kernel
from canwharf.kernel.modules import NEEDED
from canwharf.kernel.netlink import Netlink
from canwharf.operator.command import run

FILE = "/etc/modules-load.d/canwharf.conf"
TEXT = "# Written by canwharf install.\n" + "".join(f"{module}\n" for module in NEEDED)

# What is in the kernel's release, what is among the system's names; the first row that fits.
_ADVICE = (
    (
        "rpi",
        "",
        "vxcan came to its kernels in autumn 2026: 'apt update && apt full-upgrade', then reboot",
    ),
    (
        "cloud",
        "debian",
        "Debian's cloud kernels have no CAN: 'apt install linux-image-{machine}', then boot that",
    ),
    ("", "ubuntu", "it is in the package linux-modules-extra-{release}: 'apt install' that"),
    ("", "debian", "it belongs to the kernel: 'apt install --reinstall linux-image-{release}'"),
    (
        "",
        "",
        "the kernel needs {config}=m; in Yocto the module is in kernel-module-{module}",
    ),
)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armmp"}  # as Debian calls them


def load(module: str) -> None:
    """Load a module, if it is neither loaded nor built in. Raises CanwharfError.

    modprobe knows nothing of a kernel that has no files in /lib/modules; the kernel is asked then.
    """
    try:
        run("modprobe", module)
    except InstallError as error:
        if not kernel.works(module, Netlink()):
            raise InstallError(f"{error}; {advice(module)}") from error


def advice(module: str) -> str:
    """What to do where a module is missing."""
    release = platform.release()
    if not os.path.isdir(f"/lib/modules/{release}"):
        return f"there is no /lib/modules/{release}: if the kernel was upgraded, reboot"
    try:
        known = platform.freedesktop_os_release()
    except OSError:
        known = {}
    return advice_for(module, release, [known.get("ID", ""), *known.get("ID_LIKE", "").split()])


def advice_for(module: str, release: str, systems: Collection[str]) -> str:
    """The same, for a kernel's release and a system's names for itself (os-release(5))."""
    text = next(
        text
        for part, system, text in _ADVICE
        if part in release and (not system or system in systems)
    )
    machine = platform.machine()
    return text.format(
        module=module,
        config=NEEDED[module],
        release=release,
        machine=_MACHINES.get(machine, machine),
    )
