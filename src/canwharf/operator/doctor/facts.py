"""The input of the checks: facts about a machine, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.daemon.instance import DEFAULT_NAME
from canwharf.operator.status import Status
from canwharf.record import NamedTuple


class Unit(NamedTuple):
    """A systemd unit: whether there is one, is enabled, and comes before Docker.

    `failing` says that it does not start, in systemd's word for the result and the last line that
    its program wrote. `active` is for a socket: systemd holds it. `load` is systemd's word for what
    became of the unit's file (LoadState=).
    """

    name: str
    there: bool
    enabled: bool
    before_docker: bool
    active: bool = True
    failing: str = ""
    load: str = "loaded"


class Program(NamedTuple):
    """The program that the service starts: its version, or why it does not start."""

    path: str
    version: str = ""
    fault: str = ""


class Executable(NamedTuple):
    """The executable of a runtime: its path, and what is wrong with it (empty: nothing)."""

    runtime: str
    path: str
    fault: str = ""


class Facts(NamedTuple):
    """What is known of a machine.

    - `modules`: states by module, as far as they are known; `advice`: where a missing module can be
      had; `at_boot`: can-gw is loaded at each boot.
    - `docker_there`: Docker's socket exists; `docker`: its version, empty if it does not answer.
    - `plugin`: the managed plugin that is this driver, or empty.
    - `process`: the daemon's process id (0: none runs); `listens`: the socket's file exists, and a
      process listens on it; `refusal`: why the daemon does not answer there.
    - `units`: None where systemd does not run; `program`: None where the units start none that can
      be tried; `version`: this program's.
    - `packaged`: a package's unit for the service; `shadowed`: another unit takes precedence.
    - `state`: the directory; `state_fault`: why it cannot be read (then `status` is None);
      `write_fault`: why it cannot be written; `aside`: files that could not be read.
    - `unknown_networks`: the interface by the id of each network that Docker does not know.
    - `stranded`: Docker's reason by the name of each container that it could not start.
    - `runs`: the version of the daemon that runs, empty if it is too old to say it; None if the
      daemon was not asked.
    - `failed_ago`: seconds since systemd restarted a failed daemon; None if it did not since boot.
    - `where`: the options with which canwharf's commands find the same daemon and state; `serving`:
      those of `canwharf serve`.
    - `executables`: those that this machine's runtimes need; `lists`: by the path of each CNI list
      that has an object of ours, what is wrong with it (empty: nothing).
    - `group`: the one whose members' rootless Podman finds the driver; `chosen`: that of the unit
      for it. Empty: none.
    - `backlog`: the packets that the kernel's queue takes (net.core.netdev_max_backlog), or 0.
    - `receive_buffer`: bytes that a socket may hold without rights (net.core.rmem_max), or 0.
    - `zenoh`: the library is there that connects the buses of hosts; `span_unit`: the unit that
      runs 'canwharf span', without its suffix (empty: it is not there); `span_set_up`: its
      directory is there; `unreached`: why an endpoint cannot be connected to, while a host is
      missing.
    - `conflict`: which path of the daemon is another than here; `unseen`: why it is not known where
      the daemon keeps its state.
    """

    driver: str
    socket: str
    root: bool = True
    modules: Mapping[str, str] = {}
    advice: Mapping[str, str] = {}
    at_boot: bool = True
    docker_there: bool = True
    docker: str = ""
    plugin: str = ""
    process: int = 0
    listens: bool = False
    refusal: str = ""
    units: tuple[Unit, ...] | None = None
    state: str = ""
    state_fault: str = ""
    status: Status | None = None
    unknown_networks: Mapping[str, str] = {}
    where: str = ""
    serving: str = ""
    program: Program | None = None
    version: str = ""
    write_fault: str = ""
    aside: tuple[str, ...] = ()
    stranded: Mapping[str, str] = {}
    packaged: str = ""
    shadowed: bool = False
    conflict: str = ""
    unseen: str = ""
    failed_ago: float | None = None
    runs: str | None = None
    executables: tuple[Executable, ...] = ()
    lists: Mapping[str, str] = {}
    group: str = ""
    chosen: str = ""
    backlog: int = 0
    zenoh: bool = True
    span_unit: str = ""
    span_set_up: bool = True
    unreached: Mapping[str, str] = {}
    receive_buffer: int = 0

    @property
    def service(self) -> Unit | None:
        """The service, where systemd has one of ours."""
        return next((unit for unit in (self.units or ())[:1] if unit.there), None)

    @property
    def outdated(self) -> str:
        """Why the daemon must be restarted after an upgrade; empty if it need not be.

        If the service's program is of another version than this one, or faulty, a check of its own
        tells it.
        """
        same = self.program is None or self.program.version == self.version
        if self.runs is None or self.runs == self.version or self.plugin or not same:
            return ""
        version = f"of version {self.runs}" if self.runs else "of an earlier version"
        return f"the daemon that runs is {version}, and its program is version {self.version}"

    @property
    def rebind(self) -> str:
        """The command that restores a socket whose file is gone."""
        held = [unit.name for unit in (self.units or ())[1:] if unit.there and unit.active]
        return f"systemctl restart {held[0]}" if held and not self.plugin else self.restart

    @property
    def start(self) -> str:
        """The command that starts the daemon."""
        if self.units is None:
            return f"canwharf serve{self.serving}"
        if any(unit.there for unit in self.units):
            return f"systemctl start {self.units[0].name}"
        return self.install

    @property
    def restart(self) -> str:
        """The command that restarts the daemon."""
        if self.plugin:
            return f"docker plugin disable -f {self.plugin} && docker plugin enable {self.plugin}"
        if self.units is not None and any(unit.there for unit in self.units):
            return f"systemctl restart {self.units[0].name}"
        # A daemon that hangs ignores other signals; one that ends slowly still holds the lock.
        return f"kill -KILL {self.process} && {self.start}" if self.process else self.start

    @property
    def install(self) -> str:
        """The command that installs the service."""
        return f"canwharf install{self._named}"

    @property
    def itself(self) -> str:
        """The doctor for the daemon that runs, with the paths that this one says."""
        return "canwharf doctor" + self._named

    @property
    def sudo(self) -> str:
        """The same as root, who sees more."""
        return f"sudo {self.canwharf('doctor')}"

    def canwharf(self, words: str) -> str:
        """A canwharf command for this instance."""
        return f"canwharf {words}{self.where}"

    @property
    def _named(self) -> str:
        return "" if self.driver == DEFAULT_NAME else f" --driver-name {self.driver}"
