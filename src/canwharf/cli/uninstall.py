"""`canwharf uninstall`: remove what `canwharf install` installed.

Rules:

- Containers keep their interfaces, and networks are kept for the next install. Only `--purge`
  removes the state and canwharf's interfaces, and only if no container is on a bus and no daemon
  runs but the service's.
- Files of a package are removed by the package manager only.
- It continues after a failure, reports each, and then fails. A file that does not exist is none.
- Each change is printed, in one line. `--dry-run` takes the same path and prints what it would do.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from canwharf.bus import describe, dryrun, interfaces
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.steps import Plan, Scope
from canwharf.cli.install import (
    NAME,
    is_active,
    require_root_and_systemd,
    require_units_of_ours,
)
from canwharf.cli.options import Flag
from canwharf.daemon import sockets
from canwharf.daemon.instance import LOCKS, Instance
from canwharf.docker import engine
from canwharf.errors import CanwharfError, InstallError
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.operator.command import run as command
from canwharf.operator.service import executables, modules, package, portable, units
from canwharf.operator.service.files import kept
from canwharf.record import NamedTuple

DESCRIPTION = (
    "Remove the systemd units that canwharf install made. Networks are kept for the next "
    "install. Containers keep their interfaces until they end. The program itself stays."
)
EXAMPLE = "sudo canwharf uninstall --purge"
OPTIONS = (
    NAME,
    Flag(
        "purge",
        "also remove the state and canwharf's interfaces; refused while a container uses one",
    ),
    Flag("dry-run", "print what it would do, and change nothing; needs no root"),
)


class Act(NamedTuple):
    """One change: its description, the line that is printed afterwards (may be empty), the call.

    The texts can have several lines.
    """

    what: str
    done: str
    do: Callable[[], object]


def run(options: Mapping[str, str]) -> int:
    """Uninstall; 1 if a change failed. Raises CanwharfError before the first change."""
    instance = units.checked(options["driver-name"])
    dry = bool(options["dry-run"])
    require_root_and_systemd("uninstall", dry=dry)
    if packaged := package.service_file(instance):
        raise InstallError(
            f"{packaged} came with a package: 'apt remove canwharf' removes it, and "
            "'apt purge canwharf' its networks, too"
        )
    require_units_of_ours(instance)
    steps: list[Callable[[Instance], Iterator[Act]]] = [_stop, _remove_files]
    if options["purge"]:
        _refuse_running(instance)
        _refuse_in_use(instance)
        steps += [_remove_interfaces, _remove_state]
    failed = False
    for step in steps:
        try:
            for act in step(instance):
                failed |= not _print_or_do(act, dry=dry)
        except (CanwharfError, OSError) as error:  # listing what is to be removed failed
            print(f"canwharf: {error}", file=sys.stderr)
            failed = True
    _list_networks(instance)
    return int(failed)


def _print_or_do(act: Act, *, dry: bool) -> bool:
    """Print the change (dry run) or make it. Return False after printing an error."""
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
    more = (instance.users_unit, instance.span_unit)
    installed = [unit for unit in (*both, *more) if os.path.exists(units.path(unit))]
    helpers = [unit for unit in instance.helpers if os.path.exists(units.path(unit))]
    if helpers:  # first, as they would start it again
        names = ", ".join(helpers)
        yield Act(f"stop {names}", "", partial(command, "systemctl", "stop", *helpers))
    if installed:
        names = ", ".join(installed)
        off = ("systemctl", "disable", "--now", "--quiet", "--no-reload", *installed)
        done = f"stopped and disabled {names}"
        yield Act(f"stop and disable {names}", done, partial(command, *off))
    else:
        print(f"there is no {' and no '.join(both)}")


def _remove_files(instance: Instance) -> Iterator[Act]:
    for unit in (*instance.units, instance.users_unit):
        yield from _removal(units.path(unit))
    folder, name = os.path.split(instance.for_users)
    if os.path.isdir(folder) and {name}.issuperset(os.listdir(folder)):  # no other driver's
        yield Act(f"remove {folder}", f"removed {folder}", partial(shutil.rmtree, folder))
    names = instance.names_directory
    if os.path.isdir(names):
        yield Act(f"remove {names}", f"removed {names}", partial(shutil.rmtree, names))
    for path in executables.present(instance):
        yield from _removal(path)
    yield Act("reload systemd's units", "", partial(_reload, instance))
    if not _others(instance):
        yield from _removal(modules.FILE)
        for removal in _removal(portable.FILE):
            yield removal._replace(do=_remove_program)


def _reload(instance: Instance) -> None:
    command("systemctl", "daemon-reload")
    for unit in (*instance.units, instance.users_unit):
        with suppress(InstallError):  # a unit that never failed is not loaded
            command("systemctl", "reset-failed", unit)


def _others(instance: Instance) -> list[str]:
    """The services of other drivers, which need the modules and the program."""
    directory = os.path.dirname(units.path(instance.service))
    names = os.listdir(directory) if os.path.isdir(directory) else []
    ours = {os.path.basename(units.path(unit)) for unit in instance.units}
    services = (each for each in names if each.startswith("canwharf") and each not in ours)
    return [each for each in services if each.endswith(".service")]


def _remove_program() -> None:
    os.unlink(portable.FILE)
    with suppress(OSError):  # it has other files
        os.rmdir(os.path.dirname(portable.FILE))


def _refuse_running(instance: Instance) -> None:
    """Check that no daemon runs but the service's, which is stopped. Raises InstallError.

    Another one would go on without its interfaces, and without its lock a second one could start.
    """
    process = sockets.process_of(instance.name)
    if process and not is_active(instance.service):
        raise InstallError(
            f"a daemon of {instance.name} runs (process {process}), and it is not "
            f"{instance.service}: stop it first, or uninstall without --purge"
        )


def _refuse_in_use(instance: Instance) -> None:
    """Check that no container is on a bus. Raises InstallError."""
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
    """One change of several lines: they are removed in one request."""
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
    edited = (instance.service, instance.span_unit, f"{instance.names_unit}@.service")
    changes = (f"{units.path(unit)}.d" for unit in edited)
    for directory in (instance.state_dir, *changes):
        if os.path.isdir(directory):
            remove = partial(shutil.rmtree, directory)
            yield Act(f"remove {directory} and all in it", f"removed {directory}", remove)
    for unit in (*instance.units, instance.users_unit):
        yield from _removal(kept(units.path(unit)))
    if not _others(instance):
        yield from _removal(kept(modules.FILE))
    yield from _removal(instance.spans)
    for removal in _removal(instance.lock):
        yield removal._replace(do=partial(_remove_lock, instance))


def _remove_lock(instance: Instance) -> None:
    if process := sockets.process_of(instance.name):  # its service could not be stopped
        raise InstallError(f"cannot remove {instance.lock}: process {process} serves under it")
    os.unlink(instance.lock)
    with suppress(OSError):  # another driver's lock is there
        os.rmdir(LOCKS)


def _list_networks(instance: Instance) -> None:
    """Print how many networks Docker keeps."""
    left = engine.networks(instance.name)
    if left:
        print(
            "networks that Docker keeps, and whose containers cannot start without the driver: "
            f"{len(left)}"
        )


def _removal(path: str) -> Iterator[Act]:
    """The removal of a file, if it exists."""
    if os.path.lexists(path):
        yield Act(f"remove {path}", f"removed {path}", partial(os.unlink, path))
