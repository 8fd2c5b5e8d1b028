"""`canwharf uninstall`: take away what `canwharf install` made.

Rules:

- Containers keep talking, and networks are kept for the next install. Only `--purge` takes the
  state and our interfaces, and only where no container is on a bus any more.
- It goes on after a failure, tells of each, and then fails; what is not there is no failure.
- Each thing done is said, in one line.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from canwharf.bus import words
from canwharf.bus.reconcile import Reconciler
from canwharf.cli.install import NAME, require_root_and_systemd, require_units_of_ours
from canwharf.cli.options import Flag
from canwharf.docker import engine, listener
from canwharf.errors import CanwharfError, InstallError
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.operator.command import run as command
from canwharf.operator.service import modules, portable
from canwharf.operator.service.files import kept
from canwharf.operator.service.units import Units

DESCRIPTION = (
    "Take the systemd units away that canwharf install made. Networks are kept for the next "
    "install, and containers keep talking until they end. The program itself stays."
)
EXAMPLE = "sudo canwharf uninstall --purge"
OPTIONS = (
    NAME,
    Flag("purge", "also remove the state and canwharf's interfaces; refused while in use"),
)


def run(options: Mapping[str, str]) -> int:
    """Uninstall; 1 if something could not be done. Raises CanwharfError before anything is."""
    units = Units.of(options["driver-name"])
    require_root_and_systemd("uninstall")
    require_units_of_ours(units)
    steps: list[Callable[[Units], None]] = [_stop, _remove_files]
    if options["purge"]:
        _refuse_in_use(units)
        steps += [_remove_interfaces, _remove_state]
    failed = False
    for step in steps:
        try:
            step(units)
        except (CanwharfError, OSError) as error:
            print(f"canwharf: {error}", file=sys.stderr)
            failed = True
    _tell_of_networks(units)
    return int(failed)


def _stop(units: Units) -> None:
    both = (units.service, units.socket)
    there = [unit for unit in both if os.path.exists(units.file(unit))]
    helpers = [unit for unit in units.helpers if os.path.exists(units.file(unit))]
    if helpers:
        command("systemctl", "stop", *helpers)  # first, as they would start it again
    if there:
        command("systemctl", "disable", "--now", "--quiet", "--no-reload", *there)
        print(f"stopped and disabled {', '.join(there)}")
    else:
        print(f"there is no {' and no '.join(both)}")


def _remove_files(units: Units) -> None:
    for unit in units.all:
        _remove(units.file(unit))
    command("systemctl", "daemon-reload")
    for unit in units.all:
        with suppress(InstallError):  # as one that never failed is not loaded any more
            command("systemctl", "reset-failed", unit)
    directory = os.path.dirname(units.file(units.service))
    others = [each for each in os.listdir(directory) if each.startswith("canwharf")]
    if not [each for each in others if each.endswith(".service")]:
        _remove(modules.FILE)
        _remove(portable.FILE)
        with suppress(OSError):  # it is not there, or something else is in it
            os.rmdir(os.path.dirname(portable.FILE))


def _refuse_in_use(units: Units) -> None:
    """Raises InstallError while a container is on a bus."""
    inside = [link for _alias, link in _reconciler(units).pairs() if link.peer_away]
    if inside:
        raise InstallError(
            f"{len(inside)} endpoints of containers are on buses of {units.driver}: remove the "
            f"networks first, 'docker network ls --filter driver={units.driver}' shows them, or "
            "uninstall without --purge"
        )


def _remove_interfaces(units: Units) -> None:
    reconciler = _reconciler(units)
    for line in words.steps(reconciler.bring([], reconciler.unused()).steps):
        print(line)


def _remove_state(units: Units) -> None:
    changes = f"{units.file(units.service)}.d"  # by systemctl edit
    for directory in (units.state, changes):
        if os.path.isdir(directory):
            shutil.rmtree(directory)
            print(f"removed {directory}")
    for unit in units.all:
        _remove(kept(units.file(unit)))
    if not os.path.exists(modules.FILE):
        _remove(kept(modules.FILE))
    with suppress(FileNotFoundError):
        os.unlink(listener.lock_path(units.driver))
    with suppress(OSError):  # another driver's lock is there
        os.rmdir(listener.LOCKS)


def _tell_of_networks(units: Units) -> None:
    """Docker keeps them, whatever we do."""
    left = engine.networks(units.driver)
    if left:
        print(
            "networks that Docker still has, and whose containers cannot start without it: "
            f"{len(left)}"
        )


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
        print(f"removed {path}")


def _reconciler(units: Units) -> Reconciler:
    return Reconciler(Netlink(), LinkEvents(), units.driver)
