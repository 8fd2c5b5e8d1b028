"""A service that came with a package, as Debian's: its units are the package manager's.

Rule: units in /etc/systemd/system stand before those of a package (systemd.unit(5)). So where a
package has them, none is written there, and one that is there from before is set aside.
"""

from __future__ import annotations

import os

from canwharf.daemon.instance import Instance
from canwharf.operator.service import files
from canwharf.operator.service.units import quoted

_DIRECTORIES = ("/usr/lib/systemd/system", "/lib/systemd/system")


def service_file(instance: Instance) -> str:
    """Where a package has the service's unit; empty if none has it."""
    paths = (os.path.join(directory, instance.service) for directory in _DIRECTORIES)
    return next(filter(os.path.exists, paths), "")


def runs(path: str, program: list[str]) -> bool:
    """Whether this unit starts that program. Raises InstallError."""
    start = f"ExecStart={' '.join(map(quoted, program))} serve "
    lines = (files.read(path) or b"").decode(errors="replace").splitlines()
    return any(f"{line} ".startswith(start) for line in lines)
