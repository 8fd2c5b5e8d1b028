"""`canwharf uninstall`: take away what `canwharf install` made.

Rules:

- Containers keep talking, and networks are kept for the next install. Only `--purge` takes the
  state and our interfaces, and only where no container is on a bus any more.
- What came with a package is the package manager's to take away.
- It goes on after a failure, tells of each, and then fails; what is not there is no failure.
- Each thing done is said, in one line. `--dry-run` goes the same way, and says what it leaves out.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from canwharf.bus import describe, dryrun, interfaces
from canwharf.bus.plan import Plan, Scope
from canwharf.bus.reconcile import Reconciler
from canwharf.cli.install import NAME, require_root_and_systemd, require_units_of_ours
from canwharf.cli.options import Flag
from canwharf.daemon.instance import LOCKS, Instance
from canwharf.docker import engine
from canwharf.errors import CanwharfError, InstallError
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.operator.command import run as command
from canwharf.operator.service import modules, package, portable, units
from canwharf.operator.service.files import kept

DESCRIPTION = (
    "Take the systemd units away that canwharf install made. Networks are kept for the next "
    "install, and containers keep talking until they end. The program itself stays."
)
EXAMPLE = "sudo canwharf uninstall --purge"
OPTIONS = (
    NAME,
    Flag("purge", "also remove the state and canwharf's interfaces; refused while in use"),
    Flag("dry-run", "only say what would be done, and do nothing; needs no root"),
)


class Act(NamedTuple):
    """One thing to do: in words, as it is said when it is done (or not at all), and the doing.

    The words may be of several lines.
    """

    what: str
    done: str
    do: Callable[[], object]


def run(options: Mapping[str, str]) -> int:
    """Uninstall; 1 if something could not be done. Raises CanwharfError before anything is."""
    instance = units.checked(options["driver-name"])
    dry = bool(options["dry-run"])
    require_root_and_systemd("uninstall", dry=dry)
    if packaged := package.service_file(instance):
        raise InstallError(
            f"{packaged} came with a package: 'apt remove canwharf' takes it away, and "
            "'apt purge canwharf' its networks, too"
        )
    require_units_of_ours(instance)
    steps: list[Callable[[Instance], Iterator[Act]]] = [_stop, _remove_files]
    if options["purge"]:
        _refuse_in_use(instance)
        steps += [_remove_interfaces, _remove_state]
    failed = False
    for step in steps:
        try:
            for act in step(instance):
                failed |= not _said_or_done(act, dry=dry)
        except (CanwharfError, OSError) as error:  # what is there could not be seen
            print(f"canwharf: {error}", file=sys.stderr)
            failed = True
    _tell_of_networks(instance)
    return int(failed)


def _said_or_done(act: Act, *, dry: bool) -> bool:
    """False where it failed, which is said; the next act is not kept from being done."""
    if dry:
        for line in act.what.splitlines():
            print(f"would {line}")
        return True
    try:
        act.do()
    except (CanwharfError, OSError) as error:
        print(f"canwharf: {error}", file=sys.stderr)
        return False
    if act.done:
        print(act.done)
    return True


def _stop(instance: Instance) -> Iterator[Act]:
    both = (instance.service, instance.socket_unit)
    there = [unit for unit in both if os.path.exists(units.path(unit))]
    helpers = [unit for unit in instance.helpers if os.path.exists(units.path(unit))]
    if helpers:  # first, as they would start it again
        names = ", ".join(helpers)
        yield Act(f"stop {names}", "", partial(command, "systemctl", "stop", *helpers))
    if there:
        names = ", ".join(there)
        off = ("systemctl", "disable", "--now", "--quiet", "--no-reload", *there)
        done = f"stopped and disabled {names}"
        yield Act(f"stop and disable {names}", done, partial(command, *off))
    else:
        print(f"there is no {' and no '.join(both)}")


def _remove_files(instance: Instance) -> Iterator[Act]:
    for unit in instance.units:
        yield from _removal(units.path(unit))
    yield Act("have systemd read its units anew", "", partial(_reload, instance))
    if not _others(instance):
        yield from _removal(modules.FILE)
        for removal in _removal(portable.FILE):
            yield removal._replace(do=_remove_program)


def _reload(instance: Instance) -> None:
    command("systemctl", "daemon-reload")
    for unit in instance.units:
        with suppress(InstallError):  # as one that never failed is not loaded any more
            command("systemctl", "reset-failed", unit)


def _others(instance: Instance) -> list[str]:
    """The services of other drivers, which want the modules and the program, too."""
    directory = os.path.dirname(units.path(instance.service))
    found = os.listdir(directory) if os.path.isdir(directory) else []
    ours = {os.path.basename(units.path(unit)) for unit in instance.units}
    services = (each for each in found if each.startswith("canwharf") and each not in ours)
    return [each for each in services if each.endswith(".service")]


def _remove_program() -> None:
    os.unlink(portable.FILE)
    with suppress(OSError):  # something else is in it
        os.rmdir(os.path.dirname(portable.FILE))


def _refuse_in_use(instance: Instance) -> None:
    """Raises InstallError while a container is on a bus."""
    requests = Netlink()
    try:
        pairs = interfaces.pairs(dryrun.planner(requests, instance.name).observe())
    finally:
        requests.close()
    inside = [link for _alias, link in pairs if link.peer_away]
    if inside:
        raise InstallError(
            f"{len(inside)} endpoints of containers are on buses of {instance.name}: remove the "
            f"networks first, 'docker network ls --filter driver={instance.name}' shows them, or "
            "uninstall without --purge"
        )


def _remove_interfaces(instance: Instance) -> Iterator[Act]:
    """As one act of several lines: they are removed in one send."""
    requests = Netlink()
    planned = _without_unused(dryrun.planner(requests, instance.name)).steps
    lines = "\n".join(each.line for each in describe.changes((), planned))
    real = Reconciler(requests, LinkEvents(), instance.name)
    if lines:
        yield Act(lines, lines, lambda: _without_unused(real))


def _without_unused(reconciler: Reconciler) -> Plan:
    observed = reconciler.observe()
    return reconciler.apply([], observed, Scope(interfaces.unused(observed)))


def _remove_state(instance: Instance) -> Iterator[Act]:
    changes = f"{units.path(instance.service)}.d"  # by systemctl edit
    for directory in (instance.state_dir, changes):
        if os.path.isdir(directory):
            remove = partial(shutil.rmtree, directory)
            yield Act(f"remove {directory} and all in it", f"removed {directory}", remove)
    for unit in instance.units:
        yield from _removal(kept(units.path(unit)))
    if not _others(instance):
        yield from _removal(kept(modules.FILE))
    for removal in _removal(instance.lock):
        yield removal._replace(do=partial(_remove_lock, instance))


def _remove_lock(instance: Instance) -> None:
    os.unlink(instance.lock)
    with suppress(OSError):  # another driver's lock is there
        os.rmdir(LOCKS)


def _tell_of_networks(instance: Instance) -> None:
    """Docker keeps them, whatever we do."""
    left = engine.networks(instance.name)
    if left:
        print(
            "networks that Docker still has, and whose containers cannot start without it: "
            f"{len(left)}"
        )


def _removal(path: str) -> Iterator[Act]:
    """Of a file, if it is there."""
    if os.path.lexists(path):
        yield Act(f"remove {path}", f"removed {path}", partial(os.unlink, path))
