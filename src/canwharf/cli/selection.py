"""The instance that a verb works on: by its name, or by the paths of its socket and its state.

Rules:

- The name sets both paths, as in `install --driver-name`; a path option overrides them.
- A name and a socket of another name are a usage error.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from canwharf.cli.options import SOCKET, STATE_DIR, Option
from canwharf.daemon import instance
from canwharf.daemon.instance import DEFAULT_NAME
from canwharf.errors import UsageError
from canwharf.operator.service import units

# No value that can be meant looks like one of these: what equals it was not given.
_NAME = Option(
    "driver-name",
    f"{DEFAULT_NAME}, or that of --socket",
    "the name by which Docker knows the driver, as given to install",
    "NAME",
)
_SOCKET = Option(
    "socket",
    "NAME.sock in /run/docker/plugins",
    "where Docker finds the driver, where install did not choose it",
    "PATH",
)
_STATE_DIR = Option(
    "state-dir",
    f"{DEFAULT_NAME}-NAME in /var/lib, or {DEFAULT_NAME} alone",
    "where the driver keeps its networks, where install did not choose it",
    "DIR",
)
WHICH = (_NAME, _SOCKET, _STATE_DIR)


class Instance(NamedTuple):
    """A driver's socket and state directory; `where` are the options that say so, for a command."""

    socket: str
    state: str
    where: str

    @property
    def serving(self) -> str:
        """The same for `canwharf serve`, which takes no name."""
        usual = {SOCKET: self.socket, STATE_DIR: self.state}
        return _words({row.name: told for row, told in usual.items() if told != row.default})


def of(options: Mapping[str, str]) -> Instance:
    """The one that the options of WHICH tell.

    Raises UsageError where they contradict each other, OptionError or StartError where a name can
    be no driver's.
    """
    given = {row.name: options[row.name] for row in WHICH if options[row.name] != row.default}
    name, socket = given.get(_NAME.name), given.get(_SOCKET.name)
    usual = units.checked(DEFAULT_NAME if name is None else name)
    other = name if socket is None else instance.name_of(socket)
    if name is not None and other != name:
        raise UsageError(
            f"--driver-name {name} and --socket {socket} contradict each other, as that is the "
            f"socket of the driver {other}: leave one of them out"
        )
    state = given.get(_STATE_DIR.name, usual.state_dir)
    return Instance(usual.socket if socket is None else socket, state, _words(given))


def _words(given: Mapping[str, str]) -> str:
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in given.items())
