"""The prompt of `python3 -m lab pair`: a line says what to do with the hosts and their link.

Rule: what goes wrong is told, and the next line is read. The status is that of the last line, as of
a shell's script.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence

from lab import docker, terminal
from lab.cache import say
from lab.errors import CommandError, LabError
from lab.pair import Host

FAILED = 125  # as `python3 -m lab` ends when the lab failed, not the command

# What can be said: a line's first word, or HOST for any host's name.
USAGE = (
    ("HOST COMMAND", "run a command in a host: b ping -c 1 a"),
    ("HOST", "a shell in it; you come back with exit or Ctrl-D"),
    ("cut", "cut the link: packets vanish, and neither host is told"),
    ("fix", "fix it"),
    ("power-cut HOST", "the host loses its power"),
    ("boot HOST", "it boots from its own disk, and Docker starts"),
    ("help", "this list"),
    ("exit", "end both (also Ctrl-D)"),
)


def usage() -> str:
    """The list of what can be said."""
    return "\n".join(f"  {words:<15} {what}" for words, what in USAGE)


class Prompt:
    """Does what lines say to these hosts."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._link = hosts[0].link
        self._of_a_host = {"power-cut": self._power_cut, "boot": self._boot}
        self._others = {"cut": self._link.cut, "fix": self._link.fix, "help": self._help}

    def run(self) -> int:
        """Do line by line what standard input says; the status of the last."""
        status = 0
        for line in _lines():
            if line == "exit":
                break
            try:
                status = self.do(line)
            except (LabError, CommandError) as error:
                say(str(error))
                status = FAILED
            except KeyboardInterrupt:
                if not sys.stdin.isatty():
                    raise
                print()
                status = 128 + signal.SIGINT
        return status

    def do(self, line: str) -> int:
        """Do what a line says; its status. Raises LabError, CommandError."""
        first, _, rest = line.partition(" ")
        if first in self._hosts:
            return _run(self._hosts[first], rest.strip())
        if first in self._of_a_host:
            self._of_a_host[first](self._host(first, rest.strip()))
        elif first in self._others:
            if rest.strip():
                raise LabError(f"{first} stands alone: what is {rest.strip()!r}?")
            self._others[first]()
        else:
            raise LabError(f"{first}: neither a host nor a word of this list\n{usage()}")
        return 0

    def _host(self, verb: str, name: str) -> Host:
        if name not in self._hosts:
            raise LabError(f"{verb} is for a host: {' or '.join(self._hosts)}, not {name!r}")
        return self._hosts[name]

    def _power_cut(self, host: Host) -> None:
        host.power_cut()

    def _boot(self, host: Host) -> None:
        if host.alive:
            raise LabError(f"{host.name} is on already")
        host.power_cut()  # what is left of one that died
        host.boot()
        start_docker(host)

    def _help(self) -> None:
        print(usage())


def start_docker(host: Host) -> None:
    """Start Docker, unless systemd has, and say that the host is up."""
    if not host.systemd:
        docker.start_docker(host)
    say(f"{host.name} is up with Docker, its address is {host.address}")


def _run(host: Host, command: str) -> int:
    if not host.alive:
        raise LabError(f"{host.name} is off: boot {host.name}")
    if sys.stdin.isatty():
        return terminal.join(host, command or terminal.SHELL)
    if not command:
        terminal.require()
    return terminal.run(host, command)


def _lines() -> Iterator[str]:
    """What is typed, or a script says, without blank lines and comments."""
    person = sys.stdin.isatty()
    if person:
        import readline  # noqa: F401, PLC0415 - it makes input() edit its line
    while True:
        try:
            line = input("pair> " if person else "").strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            if not person:
                raise
            print()
            continue
        if line and not line.startswith("#"):
            yield line
