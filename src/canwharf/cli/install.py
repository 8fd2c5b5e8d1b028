"""`canwharf install`: make a service of this program, which starts before Docker at each boot.

Rules:

- All that can be looked at before is: who we are, the program, the kernel's modules, whoever else
  listens on the driver's socket. Only then is anything written.
- What was done is undone, in reverse, if a later step fails.
- A file that was there and is another is kept beside the new one: somebody may have edited it.
- It can be run again: after an upgrade, it starts the new program. Containers keep talking, and
  what starts at a boot stays as it was chosen.
- Each thing done is said, in one line.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from time import time

from canwharf import durable
from canwharf.cli.options import Flag, Option
from canwharf.errors import CanwharfError, InstallError
from canwharf.kernel.modules import NEEDED
from canwharf.operator.command import run as command
from canwharf.operator.command import succeeds
from canwharf.operator.service import modules, program
from canwharf.operator.service.units import DRIVER, Units

DESCRIPTION = (
    "Make a systemd service of this program: loads the kernel modules, now and at each boot, and "
    "installs, enables and starts a socket and a service, before Docker. Run it again after an "
    "upgrade: containers keep talking."
)
EXAMPLE = "sudo canwharf install && docker network create -d canwharf bus0"
NAME = Option(
    "driver-name",
    DRIVER,
    "the name by which Docker knows the driver; another one gets units and a state of its own, "
    "canwharf-NAME",
    "NAME",
)
OPTIONS = (NAME, Flag("dry-run", "show the files that would be written, and do nothing"))
_BOOTED = "/run/systemd/system"  # sd_booted(3)


def run(options: Mapping[str, str]) -> int:
    """Install. Raises CanwharfError, with everything as it was."""
    units = Units.of(options["driver-name"])
    words = program.words()
    texts = {modules.FILE: modules.TEXT, **units.files(words, program.in_a_home(words))}
    if options["dry-run"]:
        print("\n".join(f"# {path}\n{text}" for path, text in texts.items()))
        return 0
    require_root_and_systemd("install")
    program.check(words)
    require_units_of_ours(units)
    _check_socket(units)
    for module in NEEDED:
        modules.load(module)
    print(f"loaded the kernel modules {', '.join(NEEDED)}")
    with ExitStack() as undo:
        _install(units, texts, undo)
        undo.pop_all()
    print(f"Docker finds the driver: docker network create -d {units.driver} bus0")
    return 0


def require_root_and_systemd(verb: str) -> None:
    """Raises InstallError."""
    if os.geteuid() != 0:
        raise InstallError(f"{verb} changes the system: run it as root, 'sudo canwharf {verb}'")
    if not os.path.isdir(_BOOTED):
        raise InstallError(
            f"{verb} needs systemd, which does not run here; elsewhere have 'canwharf serve' "
            "started as root, before Docker (docs/install.md)"
        )


def require_units_of_ours(units: Units) -> None:
    """Another driver's units may have the same name. Raises InstallError."""
    path = units.file(units.socket)
    text = _read(path)
    if text is not None and units.listening not in text.splitlines():
        raise InstallError(
            f"{path} is the socket of another driver than {units.driver}, though it has the "
            "name that this one's would have: its ListenStream= tells which"
        )


def is_active(unit: str) -> bool:
    """Whether a unit runs."""
    return succeeds("systemctl", "is-active", "--quiet", unit)


def _is_enabled(unit: str) -> bool:
    """Whether a boot starts it."""
    return succeeds("systemctl", "is-enabled", "--quiet", unit)


def _check_socket(units: Units) -> None:
    """Nobody else may have Docker's ear under this name. Raises InstallError."""
    if is_active(units.socket) or is_active(units.service):
        return
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.settimeout(1)
        probe.connect(units.path)
        raise InstallError(
            f"somebody listens on {units.path} already, and it is not {units.service}: "
            f"end that first (fuser {units.path} tells who)"
        )


def _install(units: Units, texts: Mapping[str, str], undo: ExitStack) -> None:
    running = is_active(units.service)
    if running:
        undo.callback(_undo, "systemctl", "restart", units.service)
    undo.callback(_undo, "systemctl", "daemon-reload")
    changed = {path for path, text in texts.items() if _write(path, text, undo)}
    fresh = [unit for unit in (units.service, units.socket) if not _is_enabled(unit)]
    if units.socket in fresh:  # else it was decided before which of them start at a boot
        undo.callback(_undo, "systemctl", "disable", "--now", "--quiet", *fresh)
        command("systemctl", "enable", "--quiet", "--no-reload", units.service)
    command("systemctl", "daemon-reload")
    if units.file(units.socket) in changed:
        # A new socket can take the old one's place only while nobody serves that.
        command("systemctl", "stop", units.service, units.socket)
    begun = int(time())
    for verb, unit in (("start", units.socket), ("restart", units.service)):
        try:
            command("systemctl", verb, unit)
        except InstallError as error:
            words = _last_words(unit, begun) or error
            raise InstallError(f"{unit} does not start: {words}") from error
    done = "restarted" if running else "enabled and started" if units.socket in fresh else "started"
    print(f"{done} {units.service}, on {units.socket}")


def _last_words(unit: str, begun: int) -> str:
    """What was said, from a second of the clock on, for whoever must know why it does not start.

    The daemon's own last words, or where it had none, systemd's.
    """
    of_it = ("--unit", unit, "--since", f"@{begun}", "--lines", "20")
    told = command("journalctl", "--quiet", "--output", "cat", *of_it)
    lines = [line for line in told.splitlines() if line.startswith("canwharf: ")]
    return lines[-1].removeprefix("canwharf: ") if lines else told.strip()


def _write(path: str, text: str, undo: ExitStack) -> bool:
    """Make this the file's text; whether it was not."""
    old = _read(path)
    if old == text:
        print(f"unchanged {path}")
        return False
    if old is not None:
        undo.callback(_restore, kept(path), _read(kept(path)))
        _replace(kept(path), old)
    undo.callback(_restore, path, old)
    _replace(path, text)
    print(f"wrote {path}" if old is None else f"rewrote {path}, the old one is {kept(path)}")
    return True


def kept(path: str) -> str:
    """Where the text goes that was in a file before; no program reads it there."""
    return f"{path}.old"


def _read(path: str) -> str | None:
    try:
        return durable.read(path).decode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InstallError(f"cannot read {path}: {error}") from error


def _replace(path: str, text: str) -> None:
    """The old text or the new one, also after a power cut."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        durable.replace(path, text.encode(), 0o644)
    except OSError as error:
        raise InstallError(f"cannot write {path}: {error.strerror}") from error


def _restore(path: str, old: str | None) -> None:
    try:
        if old is not None:
            _replace(path, old)
        elif os.path.lexists(path):
            os.unlink(path)
    except (OSError, InstallError) as error:
        print(f"canwharf: could not undo: {error}", file=sys.stderr)


def _undo(*words: str) -> None:
    """One step of the way back, which goes on whatever happens."""
    try:
        command(*words)
    except CanwharfError as error:
        print(f"canwharf: could not undo: {error}", file=sys.stderr)
