"""The data of `canwharf status`, `graph` and `doctor`, as a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.bus import describe, naming
from canwharf.bus.delivery import Member
from canwharf.bus.describe import Change
from canwharf.bus.report import NAMELESS, BusReport, Names
from canwharf.bus.steps import Step
from canwharf.errors import CanwharfError
from canwharf.kernel.needed import Parameters
from canwharf.record import NamedTuple
from canwharf.span.state import State

_SHORT = 12  # digits of an id, as Docker shows them


class Status(NamedTuple):
    """An instance, its buses, and what `sync` would change.

    - `process`: the daemon's process id (0: none runs).
    - `stored`: a state file exists; `write_fault`: why it could not be written now, or empty.
    - `names`: Docker's names; None if Docker does not answer.
    - `hardware`: driver and device by adapter; `unused`: the adapters that are on no bus.
    - `adopted`: the endpoints that a resync would adopt; `steps`: what it would do; `faults`: what
      it could not do.
    - `spanned`: by the interface of a bus that a `canwharf span` connects to those of other hosts,
      what that tells, or why it tells nothing.
    - `parameters`: those of the kernel modules.
    - `where`: the options with which canwharf's commands find the same daemon and state.
    - `state_dir`: the directory of the state; `conflict`: which path contradicts the daemon;
      `unseen`: why it is not known where the daemon keeps its state. Both are empty if all is well.
    """

    driver: str
    process: int = 0
    stored: bool = True
    names: Names | None = None
    reports: tuple[BusReport, ...] = ()
    hardware: Mapping[str, tuple[str, str]] = {}
    unused: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    faults: tuple[str, ...] = ()
    write_fault: str = ""
    parameters: Parameters = Parameters()
    state_dir: str = ""
    spanned: Mapping[str, State | str] = {}
    where: str = ""
    conflict: str = ""
    unseen: str = ""

    def network(self, id: str) -> str:
        """A network's name, or its id."""
        networks = self.names.networks if self.names else {}
        return networks.get(id) or (id if naming.is_implied(id) else id[:_SHORT])

    def member(self, member: Member) -> str:
        """A container's name, or its endpoint's id; `host` for the host."""
        if not member.endpoint:
            return "host"
        if naming.is_implied(member.network):
            return naming.label_of(member.endpoint)
        containers = self.names.containers if self.names else {}
        return containers.get(member.endpoint) or f"endpoint {member.endpoint[:_SHORT]}"

    def labels(self, report: BusReport) -> dict[str, str]:
        """The names of a bus's members by their interface on the host."""
        return {each.interface: self.member(each) for each in report.members}

    def only(self, bus: str) -> Status:
        """The same with one bus: by its interface, or a network's name or id.

        Raises CanwharfError if there is none.
        """
        reports = tuple(each for each in self.reports if bus in self._names(each))
        if not reports:
            buses = ", ".join(each.interface for each in self.reports) or "none"
            unnamed = "" if self.names else NAMELESS
            raise CanwharfError(f"there is no bus {bus}; there are: {buses}{unnamed}")
        names = {each.interface for report in reports for each in report.members}
        names.update(name for report in reports for name in report.hub)
        steps = tuple(each for each in self.steps if describe.touched(each) & names)
        return self._replace(reports=reports, adopted=(), steps=steps)

    @property
    def changes(self) -> list[Change]:
        """The changes that a resync would make, as lines."""
        return describe.changes(self.adopted, self.steps)

    @property
    def names_hidden(self) -> bool:
        """Whether the names of interfaces in containers are missing: only root can read them."""
        members = [each for report in self.reports for each in report.members]
        return any(
            each.link and each.link.peer_away and not each.container_link for each in members
        )

    def _names(self, report: BusReport) -> set[str]:
        ids = {each.id for each in report.networks}
        return {report.interface, *ids, *(id[:_SHORT] for id in ids), *map(self.network, ids)}
