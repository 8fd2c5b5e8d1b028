"""A status, read once from the state on disk, the kernel and Docker.

Rules:

- The daemon is neither called nor started.
- If Docker does not answer in time, ids stand in place of names.
- Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from canwharf.bus import dryrun
from canwharf.bus.model import State
from canwharf.bus.naming import EndpointOwner, owner_of
from canwharf.bus.reconcile import snapshot
from canwharf.bus.report import BusReport, Kernel, Names, bus_reports, is_virtual
from canwharf.bus.span import LOCK
from canwharf.bus.store import Store
from canwharf.daemon import sockets
from canwharf.daemon.instance import Instance
from canwharf.docker import names
from canwharf.errors import SpanError
from canwharf.kernel import hardware, inside, modules
from canwharf.kernel.link import Link
from canwharf.kernel.request import Requests
from canwharf.operator.status import Status
from canwharf.span import local
from canwharf.span.state import State as Span


def collect(which: Instance, requests: Requests) -> Status:
    """Read state, kernel and names. Raises CanwharfError."""
    driver = which.name
    store = Store(which.state_dir)
    state, _left = store.load(driver)
    process = sockets.process_of(driver)
    held = snapshot(requests)
    docker_names = names.ask(driver)
    loaded = modules.parameters()
    kernel = Kernel(
        held,
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
        state_dir=which.state_dir,
    )
    if not status.stored:
        return status
    seen, outcome, ability = dryrun.dry_run(
        state, store, requests, served=bool(process), seen=held, modules=modules.states()
    )
    members = docker_names.members if docker_names else {}
    reports = tuple(bus_reports(_sorted(seen), kernel._replace(ability=ability), members))
    return status._replace(
        reports=reports,
        spanned=spanned(each.interface for each in reports if each.span.name),
        hardware={
            each.interface: hardware.driver_of(each.interface) for each in reports if each.physical
        },
        unused=_unused(held.links, reports),
        adopted=outcome.adopted,
        steps=outcome.steps,
        faults=outcome.faults,
    )


def spanned(interfaces: Iterable[str]) -> dict[str, Span | str]:
    """Of these buses with a span, those for which a `canwharf span` has the name, what it tells."""
    names: set[str] = set()
    with suppress(OSError), open("/proc/self/net/unix", encoding="utf-8", errors="replace") as file:
        names.update(line.split()[-1] for line in file if f"@{LOCK}" in line)
    return {each: _told(each) for each in interfaces if f"@{LOCK}{each}" in names}


def _told(interface: str) -> Span | str:
    try:
        return local.ask(interface)
    except SpanError as error:
        return str(error)


def _elsewhere(
    links: Iterable[Link], driver: str, docker_names: Names | None, requests: Requests
) -> Collection[int]:
    """The host ends whose peer is in a namespace other than their container's."""
    if docker_names is None:
        return ()
    owners = ((each.ifindex, owner_of(each)) for each in links if each.peer_away)
    away = {
        owner.endpoint: index
        for index, owner in owners
        if isinstance(owner, EndpointOwner) and owner.driver == driver
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
