"""All that `canwharf status` and `canwharf graph` show, gathered once.

Rules:

- No daemon is needed, and none is asked or started: the state on disk and the kernel tell.
- What Docker does not tell in time is left out.
- Nothing is written anywhere.
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
    """What there is to see.

    `process` is the daemon's (0: none runs), `stored` whether a state was ever kept, `write_fault`
    why it could not be written now (empty if it could), `names` None where Docker does not answer;
    `hardware` is driver and device of each adapter's interface; `unused` are the adapters that are
    on no bus; `adopted` are the endpoints that a recovery would adopt, `steps` what it would do,
    `faults` what it could not do; `parameters` are those of the kernel's modules; `where` are the
    options with which a command of ours finds the same daemon and state.
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
        known = self.names.networks if self.names else {}
        return known.get(id) or id[:_SHORT]

    def member(self, member: Member) -> str:
        """A container's name, or its endpoint's id; `host` for the host."""
        if not member.endpoint:
            return "host"
        known = self.names.containers if self.names else {}
        return known.get(member.endpoint) or f"endpoint {member.endpoint[:_SHORT]}"

    def labels(self, report: BusReport) -> dict[str, str]:
        """What to call the members of a bus, by their host-side interface."""
        return {each.interface: self.member(each) for each in report.members}

    def only(self, bus: str) -> Status:
        """The same with one bus, told by its interface, or a network's name or id.

        Raises CanwharfError.
        """
        found = tuple(each for each in self.reports if bus in self._calls(each))
        if not found:
            there = ", ".join(each.interface for each in self.reports) or "none"
            raise CanwharfError(f"there is no bus {bus}; there are: {there}")
        names = {each.interface for report in found for each in report.members}
        steps = tuple(each for each in self.steps if describe.touched(each) & names)
        return self._replace(reports=found, adopted=(), steps=steps)

    @property
    def changes(self) -> list[Change]:
        """What a recovery would change, in lines."""
        return describe.changes(self.adopted, self.steps)

    @property
    def blind(self) -> bool:
        """Whether what is inside containers was not told: that is for root."""
        members = [each for report in self.reports for each in report.members]
        return any(each.link and each.link.peer_away and not each.inside for each in members)

    def _calls(self, report: BusReport) -> set[str]:
        ids = {each.id for each in report.networks}
        return {report.interface, *ids, *(id[:_SHORT] for id in ids), *map(self.network, ids)}


def collect(socket: str, directory: str, requests: Requests) -> Status:
    """Look at everything. Raises CanwharfError."""
    driver = instance.name_of(socket)
    store = Store(directory)
    state, _left = store.load(driver)
    process = instance.process_of(driver)
    held = dryrun.snapshot(requests)
    told = names.ask(driver)
    loaded = modules.parameters()
    kernel = Kernel(
        *held,
        inside.ends(requests, held.links),
        loaded.max_hops,
        _elsewhere(held.links, driver, told, requests),
    )
    status = Status(
        driver,
        process,
        store.exists(),
        told,
        write_fault=store.write_fault(),
        parameters=loaded,
    )
    if not status.stored:
        return status
    seen, outcome = dryrun.dry_run(state, store, requests, served=bool(process), seen=held)
    known = told.members if told else {}
    reports = tuple(bus_reports(_sorted(seen), kernel, known))
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
    links: Iterable[Link], driver: str, told: Names | None, requests: Requests
) -> Collection[int]:
    """The host ends whose other end is in another namespace than their container's."""
    if told is None:
        return ()
    owners = ((each.ifindex, parse_alias(each.alias)) for each in links if each.peer_away)
    away = {
        owner.endpoint: index
        for index, owner in owners
        if isinstance(owner, EndpointAlias) and owner.driver == driver
    }
    ids = {endpoint: id for endpoint, id in told.ids.items() if endpoint in away}
    paths = names.sandboxes(ids)
    return inside.elsewhere(requests, {away[each]: path for each, path in paths.items()})


def _unused(links: Iterable[Link], reports: Iterable[BusReport]) -> tuple[str, ...]:
    buses = {each.interface for each in reports}
    found = (each.name for each in links if each.can and not is_virtual(each))
    return tuple(name for name in found if name not in buses)


def _sorted(state: State) -> State:
    """The same with networks in the order of their interfaces."""
    by_name = sorted(state.networks.items(), key=lambda item: item[1].settings.interface)
    return state._replace(networks=dict(by_name))
