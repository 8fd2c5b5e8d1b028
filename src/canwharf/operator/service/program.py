"""The program that runs now, as a service would start it.

Rules:

- It is the program that was called: the script of a virtual environment, a zipapp, or `python -m
  canwharf`. PATH is not searched for another one.
- Its interpreter starts without site (-S), whose search for packages takes time at each start, and
  apart from the environment (-I). pip's scripts do not say so in their first line: the service
  names the interpreter and the package's own file. A zipapp is started by its own first line.
- Its bytecode is written at the installation: the service may not write it, and a start without
  takes several times as long.
- The service runs as root, so only root may be able to change the program: it, its interpreter, its
  package and each directory above them belong to root.
- It must exist after a boot, and start without the caller's environment.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess  # noqa: TID251 (to see that the program starts)
import sys
from collections.abc import Iterator
from contextlib import suppress

import canwharf
from canwharf.errors import InstallError

_VOLATILE = ("/tmp", "/var/tmp", "/run", "/dev")  # noqa: S108 (named to be refused)
_HOMES = ("/home", "/root")  # systemd's ProtectHome hides them
_INSTEAD = (
    "install canwharf for the whole machine, by its Debian package, or in its repository by "
    "'python3 -m venv /opt/canwharf && /opt/canwharf/bin/pip install .'"
)
_LIMIT = 60.0  # seconds for a start on a slow board
_PACKAGE = os.path.dirname(canwharf.__file__)


def words() -> list[str]:
    """The words that start this program, with absolute paths. Raises InstallError."""
    first = os.path.abspath(sys.argv[0])
    if not os.path.isfile(first):
        raise InstallError(f"cannot tell which program this is: there is no file {first}")
    in_package = os.path.join(_PACKAGE, "__main__.py")
    if os.path.isfile(in_package) and not sys.flags.no_site:  # else its first line says so
        return [sys.executable, "-IS", in_package]
    return [first] if os.access(first, os.X_OK) else [sys.executable, "-IS", first]


def paths(program: list[str]) -> list[str]:
    """The paths that a start needs: the program, its interpreter, its package."""
    package = _PACKAGE
    while not os.path.lexists(package):  # in a zipapp: the zipapp
        package = os.path.dirname(package)
    named = [word for word in program if os.path.isabs(word)]
    return list(dict.fromkeys([*named, sys.executable, package]))


def compile_package() -> None:
    """Write the package's bytecode. One that cannot be written, as in a zipapp, is done without."""
    if os.path.isdir(_PACKAGE):
        from compileall import compile_dir  # noqa: PLC0415 (imports much, for this alone)

        compile_dir(_PACKAGE, quiet=2)


def in_a_home(program: list[str]) -> bool:
    """Whether a service must see home directories to start it."""
    return any(_below(each, _HOMES) for path in paths(program) for each in _both(path))


def check(program: list[str]) -> None:
    """Refuse a program that cannot run as root's service. Raises InstallError."""
    for path in paths(program):
        for each in _both(path):
            if _below(each, _VOLATILE):
                raise InstallError(f"{each} would not be there for a service: {_INSTEAD}")
            for part in _upwards(each):
                _check_owner(part)
    _check_start(program)


def _check_owner(path: str) -> None:
    found = os.lstat(path)
    if found.st_uid != 0:
        owner = str(found.st_uid)
        with suppress(KeyError):
            owner = pwd.getpwuid(found.st_uid).pw_name
        raise InstallError(
            f"{path} belongs to {owner}, who could change what runs as root: {_INSTEAD}"
        )
    if found.st_mode & stat.S_IWOTH and not stat.S_ISLNK(found.st_mode):
        raise InstallError(f"every user can change {path}, which would run as root: {_INSTEAD}")


def version(program: list[str], limit: float = _LIMIT) -> str:
    """The program's version line, without the caller's environment; or why it has none.

    `limit` is in seconds. Raises nothing.
    """
    try:
        done = subprocess.run(
            [*program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return f"{' '.join(program)} --version does not end within {limit:g} seconds"
    except OSError as error:
        return f"{program[0]}: {error.strerror}"
    said = done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]
    return said or f"{' '.join(program)} --version ends with status {done.returncode}"


def _check_start(program: list[str]) -> None:
    """Check that it starts without the caller's environment, and is this version."""
    said = version(program)
    if said != f"canwharf {canwharf.__version__}":
        raise InstallError(
            f"{' '.join(program)} does not start without this environment ({said}): {_INSTEAD}"
        )


def _both(path: str) -> set[str]:
    """A path, and its target if it is a link."""
    return {path, os.path.realpath(path)}


def _below(path: str, tops: tuple[str, ...]) -> bool:
    return any(path.startswith(f"{top}/") for top in tops)


def _upwards(path: str) -> Iterator[str]:
    """A path and all directories above it."""
    yield path
    while path != "/":
        path = os.path.dirname(path)
        yield path
