"""The data of `canwharf status`, `graph` and `doctor`, read once.

Rules:

- It is read from the state on disk and the kernel. The daemon is neither called nor started.
- If Docker does not answer in time, ids stand in place of names.
- Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from canwharf.bus import describe, dryrun
from canwharf.bus.describe import Change
from canwharf.bus.model import State
from canwharf.bus.naming import EndpointAlias, parse_alias
from canwharf.bus.plan import Step
from canwharf.bus.report import BusReport, Kernel, Member, bus_reports, is_virtual
from canwharf.bus.store import Store
from canwharf.daemon import instance
from canwharf.docker import names
from canwharf.docker.names import Names
from canwharf.errors import CanwharfError
from canwharf.kernel import hardware, inside, modules
from canwharf.kernel.link import Link
from canwharf.kernel.modules import Parameters
from canwharf.kernel.netlink import Requests

_SHORT = 12  # digits of an id, as Docker shows them


class Status(NamedTuple):
    """An instance, its buses, and what `sync` would change.

    - `process`: the daemon's process id (0: none runs).
    - `stored`: a state file exists; `write_fault`: why it could not be written now, or empty.
    - `names`: Docker's names; None if Docker does not answer.
    - `hardware`: driver and device by adapter; `unused`: the adapters that are on no bus.
    - `adopted`: the endpoints that a resync would adopt; `steps`: what it would do; `faults`: what
      it could not do.
    - `parameters`: those of the kernel modules.
    - `where`: the options with which canwharf's commands find the same daemon and state.
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
    where: str = ""

    def network(self, id: str) -> str:
        """A network's name, or its id."""
        networks = self.names.networks if self.names else {}
        return networks.get(id) or id[:_SHORT]

    def member(self, member: Member) -> str:
        """A container's name, or its endpoint's id; `host` for the host."""
        if not member.endpoint:
            return "host"
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
            raise CanwharfError(f"there is no bus {bus}; there are: {buses}")
        names = {each.interface for report in reports for each in report.members}
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
        return any(each.link and each.link.peer_away and not each.inside for each in members)

    def _names(self, report: BusReport) -> set[str]:
        ids = {each.id for each in report.networks}
        return {report.interface, *ids, *(id[:_SHORT] for id in ids), *map(self.network, ids)}


def collect(socket: str, directory: str, requests: Requests) -> Status:
    """Read state, kernel and names. Raises CanwharfError."""
    driver = instance.name_of(socket)
    store = Store(directory)
    state, _left = store.load(driver)
    process = instance.process_of(driver)
    held = dryrun.snapshot(requests)
    docker_names = names.ask(driver)
    loaded = modules.parameters()
    kernel = Kernel(
        *held,
        inside.ends(requests, held.links),
        loaded.max_hops,
        _elsewhere(held.links, driver, docker_names, requests),
    )
    status = Status(
        driver,
        process,
        store.exists(),
        docker_names,
        write_fault=store.write_fault(),
        parameters=loaded,
    )
    if not status.stored:
        return status
    seen, outcome = dryrun.dry_run(state, store, requests, served=bool(process), seen=held)
    members = docker_names.members if docker_names else {}
    reports = tuple(bus_reports(_sorted(seen), kernel, members))
    return status._replace(
        reports=reports,
        hardware={
            each.interface: hardware.driver_of(each.interface) for each in reports if each.adapter
        },
        unused=_unused(held.links, reports),
        adopted=outcome.adopted,
        steps=outcome.steps,
        faults=outcome.faults,
    )


def _elsewhere(
    links: Iterable[Link], driver: str, docker_names: Names | None, requests: Requests
) -> Collection[int]:
    """The host ends whose peer is in a namespace other than their container's."""
    if docker_names is None:
        return ()
    owners = ((each.ifindex, parse_alias(each.alias)) for each in links if each.peer_away)
    away = {
        owner.endpoint: index
        for index, owner in owners
        if isinstance(owner, EndpointAlias) and owner.driver == driver
    }
    ids = {endpoint: id for endpoint, id in docker_names.ids.items() if endpoint in away}
    paths = names.sandboxes(ids)
    return inside.elsewhere(requests, {away[each]: path for each, path in paths.items()})


def _unused(links: Iterable[Link], reports: Iterable[BusReport]) -> tuple[str, ...]:
    buses = {each.interface for each in reports}
    adapters = (each.name for each in links if each.can and not is_virtual(each))
    return tuple(name for name in adapters if name not in buses)


def _sorted(state: State) -> State:
    """The same with networks in the order of their interfaces."""
    by_name = sorted(state.networks.items(), key=lambda item: item[1].settings.interface)
    return state._replace(networks=dict(by_name))
