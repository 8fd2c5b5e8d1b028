"""`canwharf install`: install a systemd service that starts before Docker at each boot.

Rules:

- All checks come before the first write: root, systemd, the program, the kernel modules, another
  process on the driver's socket.
- If a step fails, the steps before it are undone in reverse order.
- A unit file with another text is kept beside the new one, as the operator may have edited it.
- Podman and CNI runtimes get their executable where they are found (operator/service/executables).
- A rootless Podman gets a socket with --allow-group only (operator/service/rootless).
- If a package has the units, none is written: they are enabled and started, for the package's
  program only. Units of an earlier install, which would override them, are set aside.
- It can be run again: after an upgrade it starts the new program. Containers keep their interfaces,
  and the units that are enabled stay as they are.
- Each change is printed, in one line.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from time import time

from canwharf.cli.options import ALLOW_GROUP, Flag, Option, first_bus
from canwharf.control.client import call
from canwharf.daemon.instance import DEFAULT_NAME, Instance
from canwharf.errors import CallError, CanwharfError, InstallError
from canwharf.kernel.needed import NEEDED, POLICIES
from canwharf.operator.command import run as command
from canwharf.operator.command import succeeds
from canwharf.operator.service import (
    executables,
    files,
    modules,
    package,
    portable,
    program,
    rootless,
    units,
)
from canwharf.operator.service.files import kept

DESCRIPTION = (
    "Install a systemd service for this program. Load the kernel modules, now and at each boot. "
    "Install, enable and start a socket and a service, which start before Docker. Run it again "
    "after an upgrade: containers keep their interfaces."
)
EXAMPLE = f"sudo canwharf install\n  {first_bus()}"
NAME = Option(
    "driver-name",
    DEFAULT_NAME,
    "the driver's name in Docker; a name other than the default has its own units and state, "
    "canwharf-NAME",
    "NAME",
)
OPTIONS = (
    NAME,
    ALLOW_GROUP,
    Flag("dry-run", "show the files that it would write, and change nothing"),
)
_ANSWER = 10.0  # seconds for the daemon that was started
_WITHOUT_HUB = "containers will be connected without a hub"
_WITHOUT_POLICIES = "a container with can.send, can.receive or can.rate may not start"
_BOOTED = "/run/systemd/system"  # sd_booted(3)


def run(options: Mapping[str, str]) -> int:
    """Install. Raises CanwharfError, after all changes are undone."""
    instance = units.checked(options["driver-name"])
    words = program.words()
    copy = portable.make() if portable.wanted() else b""
    starts = [portable.FILE] if copy else words
    texts: Mapping[str, str | None]
    wanted = modules.for_this_kernel()
    home = program.in_a_home(words)
    texts = {modules.FILE: modules.text(wanted), **units.files(instance, starts, home)}
    if packaged := package.service_file(instance):
        if not package.runs(packaged, words):
            raise InstallError(
                f"{packaged} came with a package, and starts another program than "
                f"{' '.join(words)}: upgrade the package, or 'apt remove canwharf' first"
            )
        texts = dict.fromkeys(texts)
    texts = {**texts, **rootless.file(instance, options["allow-group"])}
    if options["dry-run"]:
        _show(instance, texts, copy)
        return 0
    require_root_and_systemd("install")
    program.check(words)
    program.compile_package()
    require_units_of_ours(instance)
    _check_socket(instance)
    loaded = _load(wanted)
    if not packaged:
        texts = {**texts, modules.FILE: modules.text(loaded)}
    with ExitStack() as undo:
        if copy:
            _write_copy(copy, undo)
        if path := executables.superseded(instance):
            undo.callback(_restore, path, files.read(path), 0o755)
            os.unlink(path)
            print(f"removed {path}: the package's takes its place")
        runtimes = executables.wanted(instance)
        for path in runtimes:
            _write_executable(path, runtimes[path], undo)
        more = [instance.users_unit] if options["allow-group"] else []
        _install(instance, texts, undo, more)
        undo.pop_all()
    _print_runtimes(instance, runtimes)
    return 0


def _print_runtimes(instance: Instance, runtimes: Mapping[str, str]) -> None:
    """Print which runtimes find the driver."""
    print(f"Docker finds the driver: {first_bus(instance.name)}")
    if executables.PODMAN in runtimes.values():
        create = f"podman network create --driver {instance.name} --opt can.interface=vcan0 bus0"
        print(f"Podman finds it: {create}")
    if executables.CNI in runtimes.values():
        print("CNI runtimes find it: docs/kubernetes.md has a list for a node")
    if group := rootless.allowed(instance):
        print(f"a rootless Podman finds it, if its user is a member of the group {group}")


def _load(wanted: Sequence[str]) -> list[str]:
    """Load kernel modules; those that were loaded. Raises CanwharfError.

    One that only linear buses or policies need may be refused: that is printed.
    """
    loaded = []
    for module in wanted:
        try:
            modules.load(module)
        except InstallError as error:
            if module in NEEDED:
                raise
            print(f"{_WITHOUT_POLICIES if module in POLICIES else _WITHOUT_HUB}: {error}")
        else:
            loaded.append(module)
    print(f"loaded the kernel modules {', '.join(loaded)}")
    return loaded


def _show(instance: Instance, texts: Mapping[str, str | None], copy: bytes) -> None:
    """Print the files that an install would write."""
    print("\n".join(_shown(path, text) for path, text in texts.items()))
    if copy:
        print(f"# {portable.FILE}: a copy of this program for {portable.PYTHON}")
    for path, runtime in executables.wanted(instance).items():
        print(f"# {path}: the executable for {runtime}")


def _shown(path: str, text: str | None) -> str:
    return f"# {path}\n{text}" if text is not None else f"# {path}: none, as the package has it"


def require_root_and_systemd(verb: str, *, dry: bool = False) -> None:
    """Check for root (not for a dry run) and systemd. Raises InstallError."""
    if os.geteuid() != 0 and not dry:
        raise InstallError(f"{verb} changes the system: run it as root, 'sudo canwharf {verb}'")
    if not os.path.isdir(_BOOTED):
        raise InstallError(
            f"{verb} needs systemd, which does not run here; elsewhere have 'canwharf serve' "
            "started as root, before Docker (docs/install.md)"
        )


def require_units_of_ours(instance: Instance) -> None:
    """Check that units of these names are not another driver's. Raises InstallError."""
    path = units.path(instance.socket_unit)
    text = files.read(path)
    if text is not None and units.listening(instance).encode() not in text.splitlines():
        raise InstallError(
            f"{path} is the socket of another driver than {instance.name}, though it has the "
            "name that this one's would have: its ListenStream= tells which"
        )


def is_active(unit: str) -> bool:
    """Whether a unit runs."""
    return succeeds("systemctl", "is-active", "--quiet", unit)


def _is_enabled(unit: str) -> bool:
    """Whether a unit starts at boot."""
    return succeeds("systemctl", "is-enabled", "--quiet", unit)


def _check_socket(instance: Instance) -> None:
    """Check that no other process listens on the driver's socket. Raises InstallError."""
    if any(
        is_active(each)
        for each in (instance.socket_unit, instance.service, f"{instance.refuse}.socket")
    ):
        return
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.settimeout(1)
        probe.connect(instance.socket)
        raise InstallError(
            f"another process listens on {instance.socket}, and it is not {instance.service}: "
            f"stop it first (fuser {instance.socket} shows its id)"
        )


def _install(
    instance: Instance, texts: Mapping[str, str | None], undo: ExitStack, more: Sequence[str]
) -> None:
    """Write the units, enable them and `more` of them, and start what is new in them."""
    running = is_active(instance.service)
    if running:
        undo.callback(_undo, "systemctl", "restart", instance.service)
    undo.callback(_undo, "systemctl", "daemon-reload")
    changed = {path for path, text in texts.items() if _write(path, text, undo)}
    fresh = [unit for unit in (instance.service, instance.socket_unit) if not _is_enabled(unit)]
    if instance.socket_unit in fresh:  # else the operator has chosen which of them start at boot
        undo.callback(_undo, "systemctl", "disable", "--now", "--quiet", *fresh)
        command("systemctl", "enable", "--quiet", "--no-reload", instance.service)
    added = [unit for unit in more if not _is_enabled(unit)]
    for unit in added:
        undo.callback(_undo, "systemctl", "disable", "--now", "--quiet", unit)
        command("systemctl", "enable", "--quiet", "--no-reload", unit)
    command("systemctl", "daemon-reload")
    if (
        units.path(instance.socket_unit) in changed
        and texts[units.path(instance.socket_unit)] is None
    ):
        # The links that enabled the old ones lead to their old paths.
        chosen = [unit for unit in (instance.service, instance.socket_unit) if unit not in fresh]
        chosen += [unit for unit in (instance.span_unit,) if _is_enabled(unit)]
        command("systemctl", "reenable", "--quiet", *(chosen or [instance.service]))
    undo.callback(_undo, "systemctl", "stop", *instance.helpers)
    new_sockets = changed & {units.path(instance.socket_unit), rootless.unit_path(instance)}
    if new_sockets or added or not _is_socket(instance.socket):
        # A new socket can replace the old one only while no service uses that; and a socket file
        # that was removed comes back only with a restart.
        command("systemctl", "stop", instance.service, instance.socket_unit)
    begun = int(time())
    for verb, unit in (("start", instance.socket_unit), ("restart", instance.service)):
        try:
            command("systemctl", verb, unit)
        except InstallError as error:
            words = _last_words(unit, begun) or error
            raise InstallError(f"{unit} does not start: {words}") from error
    try:
        call(instance.socket, "Plugin.Activate", limit=_ANSWER)
    except CallError as error:
        raise InstallError(
            f"{instance.service} is started, and Docker would not find it: {error}"
        ) from error
    done = (
        "restarted"
        if running
        else "enabled and started"
        if instance.socket_unit in fresh
        else "started"
    )
    print(f"{done} {instance.service}, on {instance.socket_unit}")
    if is_active(instance.span_unit):  # by the operator's choice, and with the old program
        again = succeeds("systemctl", "restart", instance.span_unit)
        words = "restarted {}" if again else "{0} does not start: systemctl status {0}"
        print(words.format(instance.span_unit))


def _is_socket(path: str) -> bool:
    with suppress(OSError):
        return stat.S_ISSOCK(os.stat(path).st_mode)
    return False


def _last_words(unit: str, begun: int) -> str:
    """Why a unit does not start: its log since `begun` (seconds since 1970).

    It is the daemon's last line, or systemd's if the daemon has none.
    """
    of_it = ("--unit", unit, "--since", f"@{begun}", "--lines", "20")
    log = command("journalctl", "--quiet", "--output", "cat", *of_it)
    lines = [line for line in log.splitlines() if line.startswith("canwharf: ")]
    return lines[-1].removeprefix("canwharf: ") if lines else log.strip()


def _write(path: str, text: str | None, undo: ExitStack) -> bool:
    """Write a file, or remove it (None). Return whether that changed anything."""
    old = files.read(path)
    if text is None:
        return old is not None and _set_aside(path, old, undo)
    if old == text.encode():
        print(f"unchanged {path}")
        return False
    if old is not None:
        undo.callback(_restore, kept(path), files.read(kept(path)))
        files.replace(kept(path), old)
    undo.callback(_restore, path, old)
    files.replace(path, text.encode())
    print(f"wrote {path}" if old is None else f"rewrote {path}, the old one is {kept(path)}")
    return True


def _set_aside(path: str, old: bytes, undo: ExitStack) -> bool:
    undo.callback(_restore, kept(path), files.read(kept(path)))
    files.replace(kept(path), old)
    undo.callback(_restore, path, old)
    os.unlink(path)
    print(f"moved {path} to {kept(path)}: the package's unit takes its place")
    return True


def _write_copy(copy: bytes, undo: ExitStack) -> None:
    """Write the program for the system's Python, as it survives an upgrade of Python."""
    old = files.read(portable.FILE)
    if old is not None and portable.is_same(old, copy):
        print(f"unchanged {portable.FILE}")
        return
    undo.callback(_restore, portable.FILE, old, 0o755)
    files.replace(portable.FILE, copy, 0o755)
    print(f"wrote {portable.FILE}, a copy of this program for {portable.PYTHON}")


def _write_executable(path: str, runtime: str, undo: ExitStack) -> None:
    """Write the executable of a runtime, if it is not there already."""
    if executables.is_current(path):
        print(f"unchanged {path}")
        return
    undo.callback(_restore, path, files.read(path), 0o755)
    files.replace(path, executables.content(), 0o755)
    print(f"wrote {path}, for {runtime}")


def _restore(path: str, old: bytes | None, mode: int = 0o644) -> None:
    try:
        if old is not None:
            files.replace(path, old, mode)
        elif os.path.lexists(path):
            os.unlink(path)
    except (OSError, InstallError) as error:
        print(f"canwharf: could not undo: {error}", file=sys.stderr)


def _undo(*words: str) -> None:
    """Undo one step; a failure does not stop the others."""
    try:
        command(*words)
    except CanwharfError as error:
        print(f"canwharf: could not undo: {error}", file=sys.stderr)
