"""Gather the facts of this machine: the doctor's only I/O.

Rules:

- Nothing is changed, and a daemon that does not run is not started by a call.
- Each request has a time limit.
- Without root, facts that need root are left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from glob import glob
from importlib.util import find_spec
from time import monotonic

from canwharf import __version__, durable, jsontext
from canwharf.bus import naming
from canwharf.bus.store import Store
from canwharf.cni.api import VERSIONS
from canwharf.control.client import call
from canwharf.daemon import sockets
from canwharf.daemon.instance import Instance
from canwharf.docker import engine, names
from canwharf.docker.stranded import stranded
from canwharf.errors import CallError, CanwharfError, InstallError, StartError
from canwharf.kernel import modules, needed
from canwharf.kernel.request import Requests
from canwharf.operator import command, journal
from canwharf.operator.collect import collect
from canwharf.operator.doctor.facts import Executable, Facts, Program, Unit
from canwharf.operator.service import executables, package, program, rootless, units
from canwharf.operator.status import Status
from canwharf.record import NamedTuple
from canwharf.span import directory as span_directory

_ANSWER = 5.0  # seconds for the daemon
_ENGINE = 3.0  # seconds for Docker
_SYSTEMCTL = 10.0  # seconds
_LISTS = ("/etc/cni/net.d", "/var/lib/rancher/k3s/agent/etc/cni/net.d")
_LOAD_DIRECTORIES = ("/etc/modules-load.d", "/run/modules-load.d", "/usr/lib/modules-load.d")
_BACKLOG = "/proc/sys/net/core/netdev_max_backlog"
_RECEIVE_BUFFER = "/proc/sys/net/core/rmem_max"  # bytes
_LISTENS = 0x00010000  # __SO_ACCEPTCON, in /proc/net/unix


def gather(
    which: Instance, requests: Requests, advice: Callable[[str], str], conflict: str = ""
) -> Facts:
    """All facts. `advice` says where to get a missing module.

    `conflict` says which path contradicts the running daemon: then no status is read.
    Raises CanwharfError.
    """
    driver, socket, directory = which
    known = modules.known(requests)
    missing = [each for each in needed.NEEDED if known[each] == needed.MISSING]
    missing += [*needed.lacking(known), *needed.lacking_for_policies(known, rate=True)]
    status, fault = (None, "") if conflict else _status(which, requests)
    process = sockets.process_of(driver)
    plugin = _plugin(driver)
    root = os.geteuid() == 0
    packaged = package.service_file(which)
    store = Store(directory)
    refusal = _refusal(socket) if process and root else ""
    said = _said(socket) if process and root and not refusal else None
    return Facts(
        driver,
        socket,
        root,
        known,
        {module: advice(module) for module in missing},
        _at_boot(),
        os.path.exists(engine.SOCKET),
        _version(),
        plugin,
        process,
        _listens(socket),
        refusal,
        _units(which),
        os.path.join(directory, "state.json"),
        fault,
        status,
        _unknown_networks(status),
        program=None if plugin else _program(which.service),
        version=__version__,
        write_fault=store.write_fault() or (said.write_fault if said else ""),
        aside=tuple(store.aside()),
        stranded=stranded(driver, status.names.networks) if status and status.names else {},
        packaged=packaged,
        failed_ago=_failed_ago(which),
        runs=said.version if said else None,
        conflict=conflict,
        executables=_executables(which),
        lists=_lists(driver),
        group=rootless.allowed(which),
        chosen=_chosen_group(which),
        backlog=_limit(_BACKLOG),
        receive_buffer=_limit(_RECEIVE_BUFFER),
        zenoh=find_spec("zenoh") is not None,
        span_unit=package.span_unit(which),
        span_set_up=os.path.exists(f"{span_directory.DEFAULT}/{span_directory.SETTINGS}"),
        unreached=_unreached(status),
        shadowed=bool(packaged) and os.path.exists(units.path(which.service)),
    )


def forget(which: Instance, network: str) -> None:
    """Remove a network that Docker does not know any more. Raises CanwharfError."""
    driver, socket, directory = which
    state, _left = Store(directory).load(driver)
    if network not in state.networks:
        raise CanwharfError(f"there is no network {network} in {directory}: nothing to forget")
    known = names.ask(driver, _ENGINE)
    if known is None:
        raise CanwharfError("Docker does not answer: whether it knows the network cannot be told")
    if network in known.networks:
        name = known.networks[network]
        raise CanwharfError(f"Docker knows the network: 'docker network rm {name}' removes it")
    call(socket, "NetworkDriver.DeleteNetwork", {"NetworkID": network})


def _status(which: Instance, requests: Requests) -> tuple[Status | None, str]:
    try:
        return collect(which, requests), ""
    except StartError:  # the state of another driver: nothing is wrong, but the question
        raise
    except CanwharfError as error:
        return None, str(error)


def _unreached(status: Status | None) -> Mapping[str, str]:
    if status is None or not status.spanned:
        return {}
    from canwharf.operator.doctor import reach  # noqa: PLC0415 (OpenSSL: without a span, no need)

    return reach.unreached(status, span_directory.DEFAULT)


def _unknown_networks(status: Status | None) -> Mapping[str, str]:
    if status is None or status.names is None:
        return {}
    return {
        network.id: report.interface
        for report in status.reports
        for network in report.networks
        if network.id not in status.names.networks and not naming.is_implied(network.id)
    }


def _executables(which: Instance) -> tuple[Executable, ...]:
    """Those that this machine should have, with what is wrong with each."""
    found = []
    for path, runtime in executables.wanted(which).items():
        fault = ""
        if not os.path.exists(path):
            fault = "is missing"
        else:
            with suppress(InstallError):  # not for us to read
                fault = "" if executables.is_current(path) else "is not of this version"
        found.append(Executable(runtime, path, fault))
    return tuple(found)


def _chosen_group(which: Instance) -> str:
    """The group of the unit for a rootless Podman; empty if there is none."""
    with suppress(InstallError):  # not for us to read
        return rootless.installed(which)
    return ""


def _lists(driver: str) -> Mapping[str, str]:
    """What is wrong with each CNI list that has this driver's object."""
    faults = {}
    for folder in _LISTS:
        for path in sorted(glob(os.path.join(folder, "*.conflist"))):
            with suppress(OSError, ValueError, RecursionError):  # its runtime says so
                content = jsontext.loads(durable.read(path))
                if isinstance(content, dict) and driver in (types := list(_types(content))):
                    faults[path] = _fault_of_list(content.get("cniVersion"), types.index(driver))
    return faults


def _types(content: Mapping[str, object]) -> Iterator[object]:
    plugins = content.get("plugins")
    for each in plugins if isinstance(plugins, list) else ():
        yield each.get("type") if isinstance(each, dict) else None


def _fault_of_list(version: object, place: int) -> str:
    if place == 0:
        return "canwharf must stand behind the plugin with the pod's IP address"
    if version != VERSIONS[-1]:
        return f'with "cniVersion": "{VERSIONS[-1]}" the node would show a daemon that is down'
    return ""


def _limit(path: str) -> int:
    """A limit of the kernel's; 0 if it cannot be read."""
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        return int(file.read())
    return 0


def _at_boot() -> bool:
    """Whether can-gw stands in a file of modules-load.d(5)."""
    for directory in _LOAD_DIRECTORIES:
        for path in glob(os.path.join(directory, "*.conf")):
            with (
                suppress(OSError),  # a link that leads nowhere, a file that is not for us
                open(path, encoding="utf-8", errors="replace") as file,
            ):
                if any(line.strip().replace("_", "-") == "can-gw" for line in file):
                    return True
    return False


def _version() -> str:
    told = names.get("/version", monotonic() + _ENGINE)
    return str(told.get("Version", "")) if isinstance(told, dict) else ""


def _plugin(driver: str) -> str:
    """The managed plugin that is this driver, if Docker has one enabled."""
    told = names.get("/plugins", monotonic() + _ENGINE)
    for each in told if isinstance(told, list) else ():
        name = each.get("Name") if isinstance(each, dict) else None
        if each.get("Enabled") and engine.is_ours(name, driver):
            return str(name)
    return ""


def _listens(socket: str) -> bool:
    """Whether a process listens at this path: the daemon, or systemd for it (proc_net(5)).

    A socket whose file was removed is still listed there, but no client can connect to it. Only
    root sees the file: Docker's directory is root's.
    """
    try:
        with suppress(PermissionError):
            if not stat.S_ISSOCK(os.stat(socket).st_mode):
                return False
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return False
    real = {socket, os.path.realpath(socket)}
    return any(row[7] in real and int(row[3], 16) & _LISTENS for row in rows[1:] if len(row) == 8)


def _refusal(socket: str) -> str:
    try:
        call(socket, "Plugin.Activate", limit=_ANSWER)
    except CallError as error:
        return str(error)
    return ""


class _Said(NamedTuple):
    """What the daemon says of itself: why it could not write its state, and its version.

    Both are empty if it does not say so: it is of an earlier version.
    """

    write_fault: str = ""
    version: str = ""


def _said(socket: str) -> _Said:
    try:
        answer = call(socket, "Canwharf.State", limit=_ANSWER)
    except CallError:
        return _Said()
    return _Said(str(answer.get("Fault", "")), str(answer.get("Version", "")))


def _units(instance: Instance) -> tuple[Unit, ...] | None:
    """The service and the socket."""
    if not os.path.isdir("/run/systemd/system"):  # sd_booted(3)
        return None
    return _unit(instance.service), _unit(instance.socket_unit)


def _unit(name: str) -> Unit:
    # At once: a unit that fails is tried again, and the next invocation has said nothing yet.
    properties = "LoadState", "UnitFileState", "Before", "ActiveState", "SubState", "Result"
    told = _shown(name, *properties, "InvocationID")
    load, state = told.get("LoadState", ""), told.get("ActiveState", "")
    fails = state == "failed" or told.get("SubState") == "auto-restart"
    return Unit(
        name,
        load not in ("", "not-found"),
        told.get("UnitFileState") == "enabled",
        "docker.service" in told.get("Before", "").split(),
        state == "active",
        _failing(name, told) if fails and name.endswith(".service") else "",
        load,
    )


def _failed_ago(instance: Instance) -> float | None:
    """Seconds since the daemon was started again as it had failed; None if it was not."""
    shown = _shown(f"{instance.rescue}.service", "InactiveExitTimestampMonotonic")  # microseconds
    at = shown.get("InactiveExitTimestampMonotonic", "")
    return monotonic() - int(at) / 1e6 if at.isdecimal() and at != "0" else None


def _shown(unit: str, *properties: str) -> dict[str, str]:
    """A unit's properties; empty if systemd does not answer."""
    try:
        shown = command.run("systemctl", "show", unit, "-p", ",".join(properties), limit=_SYSTEMCTL)
    except InstallError:
        return {}
    return dict(line.partition("=")[::2] for line in shown.splitlines())


def _failing(service: str, told: Mapping[str, str]) -> str:
    """Systemd's result for the unit, and the last line of that invocation."""
    result = told.get("Result", "")
    words = journal.last_line(service, told.get("InvocationID", ""))
    return f"{result}: {words}" if words else result


def _program(service: str) -> Program | None:
    """The program that the service starts, tried; None if that is not known."""
    started = _shown(service, "ExecStart").get("ExecStart", "")
    words = started.partition(" argv[]=")[2].partition(" serve ")[0].split()
    if not words or (len(words) > 1 and not os.path.basename(words[0]).startswith("python")):
        return None  # a wrapper: what it would do is not known
    said = program.version(words, _ANSWER)
    name, _blank, version = said.partition(" ")
    if name == "canwharf" and version and " " not in version:
        return Program(words[-1], version)
    return Program(words[-1], fault=said)
