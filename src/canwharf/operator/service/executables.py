"""The executable of Podman and CNI runtimes, in the folders where those look for it.

Rules:

- It is written where such a runtime is: for Podman, and into each folder of CNI plugins.
- A new one is renamed over the old one: a plugin that runs cannot be written to, and has kept
  nodes down.
- Its name is the driver's, by which it finds the daemon. A managed plugin's name has a slash, and
  no such executable.
- What a package brought is the package manager's: Podman's second folder has it then.

Sources: containers.conf(5), netavark_plugin_dirs; the folders of containerd, CRI-O, Debian and k3s.
"""

from __future__ import annotations

import os
import pkgutil
import shutil

from canwharf.daemon.instance import Instance
from canwharf.errors import InstallError
from canwharf.operator.service import files

PODMAN, CNI = "Podman", "CNI"
_PROGRAM = "podman"
_NETAVARK = "/usr/local/libexec/netavark"
_PACKAGED = "/usr/libexec/netavark"
_FOLDERS = (
    "/opt/cni/bin",
    "/usr/lib/cni",
    "/usr/libexec/cni",
    "/var/lib/rancher/k3s/data/cni",
)


def wanted(instance: Instance) -> dict[str, str]:
    """The runtime by the path of each executable that this machine should have."""
    if "/" in instance.name:
        return {}
    paths = {}
    if shutil.which(_PROGRAM) and not os.path.exists(_packaged(instance)):
        paths[f"{_NETAVARK}/{instance.name}"] = PODMAN
    for folder in filter(os.path.isdir, _FOLDERS):
        paths[f"{folder}/{instance.name}"] = CNI
    return paths


def superseded(instance: Instance) -> str:
    """The path of one in Podman's first folder, if a package has it in the second; or empty."""
    path = f"{_NETAVARK}/{instance.name}"
    return path if os.path.exists(_packaged(instance)) and os.path.lexists(path) else ""


def _packaged(instance: Instance) -> str:
    return f"{_PACKAGED}/{instance.name}"


def present(instance: Instance) -> list[str]:
    """The paths of those that there are."""
    paths = (f"{folder}/{instance.name}" for folder in (_NETAVARK, *_FOLDERS))
    return [path for path in paths if os.path.lexists(path)]


def content() -> bytes:
    """The executable. Raises InstallError."""
    source = pkgutil.get_data("canwharf", "plugin.py")
    if source is None:
        raise InstallError("this program has no plugin.py: install it anew")
    return source


def is_current(path: str) -> bool:
    """Whether the executable at this path is this version's. Raises InstallError."""
    return files.read(path) == content() and os.access(path, os.X_OK)
