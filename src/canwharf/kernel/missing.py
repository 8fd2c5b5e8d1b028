"""Where to get a kernel module that is missing: one table, by the kernel's flavor.

Rules:

- The flavor of the kernel decides (`uname -r`), before the distribution: under WSL2 a Debian has
  Microsoft's kernel, and no package of Debian brings a module for that.
- Each row names its source. For other kernels nothing is guessed: the last row says where to find
  the kernel's configuration.
- If the kernel's files are not there (a container, a kernel that was upgraded and not booted), the
  advice says only that.

Imported after a failure, and by the doctor; never for a call that works.
"""

from __future__ import annotations

import os
import platform
import re

from canwharf.kernel.needed import CONFIGURED
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection


class Row(NamedTuple):
    """What to do about a missing module.

    `flavor` is a regular expression, searched for in the kernel's release; `system` one of the
    names in os-release(5), ID or ID_LIKE; `module` the module's name. An empty one fits all.
    `source` names where this is documented.
    """

    flavor: str
    system: str
    module: str
    words: str
    source: str


_BUILD = "build the module, or a kernel that has {config}=m"

# The first row that fits counts.
ROWS = (
    Row(
        r"microsoft",
        "",
        "",
        "WSL2's kernel is built without it: build one with {config}=y and name it in .wslconfig",
        "github.com/microsoft/WSL/issues/5533, microsoft/WSL2-Linux-Kernel/issues/181",
    ),
    Row(
        r"linuxkit",
        "",
        "",
        "Docker Desktop's virtual machine has no CAN and keeps its kernel: use Docker Engine on "
        "Linux, or in a virtual machine of your own",
        "github.com/linuxkit/linuxkit/issues/3485, docker/for-mac/issues/4405",
    ),
    Row(
        r"-tegra",
        "",
        "",
        "Jetson's kernel is built without it: build the module from NVIDIA's kernel sources for "
        "this release of Jetson Linux",
        "Jetson Linux Developer Guide, Kernel Customization",
    ),
    Row(
        r"-haos",
        "",
        "",
        "Home Assistant OS has vcan and the adapters' drivers, but neither vxcan nor can-gw, and "
        "takes no modules: use another system",
        "github.com/home-assistant/operating-system, device-support.config, pull 1228",
    ),
    Row(
        r"rpi|-v[678]l?\+|-v8-16k\+",
        "",
        "vxcan",
        "vxcan came to Raspberry Pi's kernels in September 2026: 'apt update && apt full-upgrade', "
        "then reboot",
        "github.com/raspberrypi/linux/pull/7592",
    ),
    Row(
        r"-pve",
        "",
        "",
        "it belongs to the kernel: 'apt install --reinstall proxmox-kernel-{release}'; in an LXC "
        "container load it on the host",
        "Proxmox VE's kernel has the modules of Ubuntu's in one package",
    ),
    Row(
        r"-(current|edge|legacy|vendor)-",
        "",
        "",
        "Armbian's kernel for this board is built without it: another branch may have it "
        "('armbian-config', kernels), else " + _BUILD,
        "Armbian Documentation, Kernels: a configuration for each family of boards and branch",
    ),
    Row(
        r"azl|cm2|mariner",
        "",
        "",
        "Azure Linux 3 is built without it, a later one has it: use an image of Ubuntu, or a "
        "later one",
        "github.com/microsoft/azurelinux/issues/17017",
    ),
    Row(
        r"-cloud-",
        "debian",
        "",
        "Debian's cloud kernels have no CAN: 'apt install linux-image-{machine}', then boot that",
        "Debian's package linux, config.cloud: CAN is off",
    ),
    Row(
        r"^[0-9.]+-[0-9]+-[a-z]",
        "ubuntu",
        "",
        "it is in the package linux-modules-extra-{release}: 'apt install' that",
        "packages.ubuntu.com, linux-modules-extra; canonical/multipass/issues/2730",
    ),
    Row(
        r"(-amd64|-arm64|-armmp|-686-pae|-riscv64|rpi)",
        "debian",
        "",
        "it belongs to the kernel: 'apt install --reinstall linux-image-{release}'",
        "packages.debian.org, linux-image",
    ),
    Row(
        r"-virt$",
        "alpine",
        "",
        "Alpine's kernel for virtual machines leaves drivers out: 'apk add linux-lts', boot that",
        "Alpine Linux wiki, Kernels",
    ),
    Row(
        r"\.(fc|el|amzn)\d",
        "",
        "",
        "look in the package of less used modules: 'dnf install kernel-modules-extra-{release}'",
        "Fedora's package kernel: kernel-modules-extra",
    ),
)
UNKNOWN = Row(
    "",
    "",
    "",
    "whether this kernel can have it, its configuration tells ('zgrep {config} /proc/config.gz', "
    "'grep {config} /boot/config-{release}'): it needs {config}=m or =y; in Yocto the module is in "
    "kernel-module-{module}",
    "configuration files of Linux, net/can/Kconfig and drivers/net/can/Kconfig",
)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armmp"}  # as Debian calls them


def advice(module: str) -> str:
    """What to do on this machine about a module that cannot be loaded."""
    release = platform.release()
    if not os.path.isdir(f"/lib/modules/{release}") and not _has_no_files(release):
        return f"there is no /lib/modules/{release}: if the kernel was upgraded, reboot"
    try:
        os_release = platform.freedesktop_os_release()
    except OSError:
        os_release = {}
    return advice_for(
        module, release, [os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()]
    )


def advice_for(module: str, release: str, systems: Collection[str]) -> str:
    """The advice for a kernel's release, and the ids of a system (os-release(5): ID, ID_LIKE)."""
    row = row_for(module, release, systems)
    machine = platform.machine()
    return row.words.format(
        module=module,
        config=CONFIGURED[module],
        release=release,
        machine=_MACHINES.get(machine, machine),
    )


def row_for(module: str, release: str, systems: Collection[str]) -> Row:
    """The row of the table that applies."""
    for row in ROWS:
        if (
            re.search(row.flavor, release)
            and (not row.system or row.system in systems)
            and row.module in ("", module)
        ):
            return row
    return UNKNOWN


def _has_no_files(release: str) -> bool:
    """Whether kernels of this flavor come without any module, so that none are missing."""
    return bool(re.search("microsoft|linuxkit", release))
