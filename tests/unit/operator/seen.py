"""The status of a daemon over the fake kernel, as `status.collect` gathers it."""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.bus.dryrun import dry_run
from canwharf.bus.reconcile import snapshot
from canwharf.bus.report import Kernel, Names, bus_reports
from canwharf.kernel.can import Controller
from canwharf.kernel.link import Link
from canwharf.kernel.needed import Parameters
from canwharf.operator.collect import _unused
from canwharf.operator.status import Status
from tests.fake.daemon import Daemon

NAMES = Names({"n1": "bus0", "n2": "powertrain"}, {"e1": "ecu1", "e2": "ecu2"})


def seen(
    daemon: Daemon,
    names: Names | None = NAMES,
    controller: Controller | None = None,
    devices: Mapping[str, tuple[str, str]] = {},
    modules: Mapping[str, str] = {},
) -> Status:
    """As `status.collect` gathers it, of the fake kernel and files that tell these modules."""
    kernel = daemon.kernel
    dump = snapshot(kernel)
    links = [
        each._replace(controller=controller) if each.name == "can0" else each for each in dump.links
    ]
    away = {each.ifindex: Link(3, "can0") for each in links if each.peer_away}
    state, done, ability = dry_run(
        daemon.service.state, daemon.store, kernel, served=True, modules=modules
    )
    held = Kernel(dump._replace(links=links), away, kernel.max_hops, ability=ability)
    reports = bus_reports(state, held, names.members if names else {})
    return Status(
        "canwharf",
        412,
        names=names,
        reports=tuple(reports),
        hardware=devices,
        unused=_unused(links, reports),
        steps=done.steps,
        adopted=done.adopted,
        faults=done.faults,
        parameters=Parameters(kernel.max_hops),
    )
