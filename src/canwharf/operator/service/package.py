"""A service from a package, such as Debian's: its units belong to the package manager.

Rule: units in /etc/systemd/system override those of a package (systemd.unit(5)). So if a package
has them, none is written there, and an older one is set aside.
"""

from __future__ import annotations

import os

from canwharf.daemon.instance import Instance
from canwharf.operator.service import files, units
from canwharf.operator.service.units import quoted

_DIRECTORIES = ("/usr/lib/systemd/system", "/lib/systemd/system")


def service_file(instance: Instance) -> str:
    """The path of a package's unit for the service; empty if there is none."""
    return unit_file(instance.service)


def unit_file(unit: str) -> str:
    """The path of a package's unit; empty if there is none."""
    paths = (os.path.join(directory, unit) for directory in _DIRECTORIES)
    return next(filter(os.path.exists, paths), "")


def span_unit(instance: Instance) -> str:
    """The name of the unit that connects buses to those of other hosts; empty: it is not there."""
    unit = instance.span_unit
    there = os.path.exists(units.path(unit)) or unit_file(unit)
    return unit.removesuffix(".service") if there else ""


def runs(path: str, program: list[str]) -> bool:
    """Whether this unit starts that program. Raises InstallError."""
    start = f"ExecStart={' '.join(map(quoted, program))} serve "
    lines = (files.read(path) or b"").decode(errors="replace").splitlines()
    return any(f"{line} ".startswith(start) for line in lines)
