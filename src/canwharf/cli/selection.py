"""The instance that a verb works on: by its name, by its paths, or the one that runs.

Rules:

- A running daemon says where its socket and its state are. Otherwise the name sets both paths, as
  in `install --driver-name`. A path option overrides both.
- A name and a socket of another name are a usage error.
- Without an option it is canwharf. If neither its socket nor its state exists, it is the only
  daemon that runs.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping

from canwharf.bus.store import Store
from canwharf.cli.options import SOCKET, STATE_DIR, Option
from canwharf.daemon import instance
from canwharf.daemon.instance import DEFAULT_NAME, Instance, usual
from canwharf.daemon.running import Running, running
from canwharf.errors import UsageError
from canwharf.operator.service import units
from canwharf.record import NamedTuple

# No value that can be meant looks like one of these: what equals it was not given.
_NAME = Option(
    "driver-name",
    f"{DEFAULT_NAME}, or that of --socket, or that of the only daemon",
    "the name by which Docker knows the driver, as given to install",
    "NAME",
)
_SOCKET = Option(
    "socket",
    "as the daemon says, else NAME.sock in /run/docker/plugins",
    "where Docker finds the driver",
    "PATH",
)
_STATE_DIR = Option(
    "state-dir",
    f"as the daemon says, else {DEFAULT_NAME}-NAME in /var/lib, or {DEFAULT_NAME} alone",
    "where the driver keeps its networks",
    "DIR",
)
WHICH = (_NAME, _SOCKET, _STATE_DIR)


class Selection(NamedTuple):
    """The instance that is looked at.

    `where` are the options with which another command finds the same one. `conflict` says which
    path of the daemon of this name is another than here, `unseen` why it is not known where the
    daemon keeps its state; both are empty where all is well. `inferred` says that it was chosen
    because it runs, and not by its name.
    """

    instance: Instance
    where: str
    conflict: str = ""
    unseen: str = ""
    inferred: bool = False

    @property
    def serving(self) -> str:
        """The options for `canwharf serve`, which takes no name."""
        paths = {SOCKET: self.instance.socket, STATE_DIR: self.instance.state_dir}
        return _words({row.name: path for row, path in paths.items() if path != row.default})


def of(options: Mapping[str, str]) -> Selection:
    """The one that the options of WHICH tell.

    Raises UsageError where they contradict each other or do not say which of several daemons,
    OptionError or StartError where a name can be no driver's.
    """
    given = {row.name: options[row.name] for row in WHICH if options[row.name] != row.default}
    daemons = running()
    name = _named(given)
    chosen = name or _by_state(given, daemons) or _only(daemons)
    daemon = daemons.get(chosen)
    paths = (daemon.said if daemon else None) or _unsaid(chosen, given)
    found = Instance(
        chosen,
        given.get(_SOCKET.name, paths.socket),
        given.get(_STATE_DIR.name, paths.state_dir),
    )
    inferred = not name and chosen != DEFAULT_NAME
    if inferred:
        given = {_NAME.name: chosen, **given}
    return Selection(
        found,
        _words(given),
        _conflict(found, daemon) if daemon else "",
        _unseen(daemon) if daemon else "",
        inferred,
    )


def announced(options: Mapping[str, str]) -> Selection:
    """The same; that it was chosen because it runs is said on standard error."""
    which = of(options)
    if which.inferred:
        print(f"canwharf: this is {which.instance.name}, the daemon that runs", file=sys.stderr)
    return which


def _named(given: Mapping[str, str]) -> str:
    """The name in the options; empty if there is none."""
    name, socket = given.get(_NAME.name), given.get(_SOCKET.name)
    if name is not None:
        units.checked(name)
    other = name if socket is None else instance.name_of(socket)
    if name is not None and other != name:
        raise UsageError(
            f"--driver-name {name} and --socket {socket} contradict each other, as that is the "
            f"socket of the driver {other}: leave one of them out"
        )
    return other or ""


def _by_state(given: Mapping[str, str], daemons: Mapping[str, Running]) -> str:
    """The daemon that keeps its state in --state-dir; empty without that option."""
    directory = given.get(_STATE_DIR.name)
    if directory is None:
        return ""
    theirs = {name: each.said.state_dir for name, each in daemons.items() if each.said}
    return next((name for name, path in theirs.items() if _same(path, directory)), DEFAULT_NAME)


def _only(daemons: Mapping[str, Running]) -> str:
    """Without options: canwharf if anything of it is there, else the only one that runs.

    A canwharf that should run and does not must be seen, and not another daemon that is well.
    """
    own = usual(DEFAULT_NAME)
    there = os.path.exists(own.socket) or Store(own.state_dir).exists()
    if DEFAULT_NAME in daemons or there or not daemons:
        return DEFAULT_NAME
    if len(daemons) > 1:
        raise UsageError(
            f"the daemons {', '.join(daemons)} run, and {DEFAULT_NAME} does not: say which one is "
            f"meant, as in --driver-name {min(daemons)}"
        )
    (name,) = daemons
    return name


def _unsaid(name: str, given: Mapping[str, str]) -> Instance:
    """The paths where no daemon says them; with --socket alone, as `serve` has them."""
    return usual(DEFAULT_NAME if _SOCKET.name in given and _NAME.name not in given else name)


def _conflict(found: Instance, daemon: Running) -> str:
    """Where the daemon has another path than the one that is looked at; empty if it has none."""
    if daemon.said is None:
        return ""
    who = f"the daemon {found.name} (process {daemon.process})"
    if not _same(daemon.said.state_dir, found.state_dir):
        return f"{who} keeps its state in {daemon.said.state_dir}, not in {found.state_dir}"
    if not _same(daemon.said.socket, found.socket):
        return f"{who} listens on {daemon.said.socket}, not on {found.socket}"
    return ""


def _unseen(daemon: Running) -> str:
    """Why it is not known where a daemon keeps its state; empty if it is."""
    if daemon.said:
        return ""
    if os.geteuid() != 0:
        return "root sees where the daemon keeps its state"
    return "the daemon is of an earlier version and does not say where it keeps its state"


def _same(one: str, two: str) -> bool:
    """Whether two paths lead to the same directory or socket."""
    try:
        return os.path.samefile(one, two)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(two)


def _words(given: Mapping[str, str]) -> str:
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in given.items())
