"""Without a try, `status` and a dry run say of a bus what `sync` would find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from canwharf.bus.dryrun import dry_run
from canwharf.bus.maintain import Outcome
from canwharf.bus.model import Hub
from canwharf.bus.naming import (
    BusOwner,
    EndpointOwner,
    HubOwner,
    Ifname,
    Owner,
    format_alias,
)
from canwharf.bus.observed import Observed
from canwharf.bus.shape import expected
from canwharf.bus.steps import MakeHub
from canwharf.kernel.gateway import CLASSIC, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.needed import BUILT_IN, LINEAR, LOADABLE, LOADED, MISSING
from canwharf.kernel.traffic_control import Ability
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

LACKS_FW = Ability("", ("cls_fw",))
REFUSED = Ability("")


def of(state: str, **others: str) -> dict[str, str]:
    """All modules for linear buses in this state, but for some."""
    return {**dict.fromkeys(LINEAR, state), **others}


def link(index: int, owner: Owner) -> Link:
    return Link(index, f"link{index}", alias=format_alias(owner), peer_away=True)


BUS = link(1, BusOwner("canwharf"))
ENDS = [
    link(index, EndpointOwner("canwharf", "n1", f"e{index}", "vcan0", Ifname("can")))
    for index in (2, 3)
]
HUB = link(4, HubOwner("canwharf", "vcan0", "in"))
OTHER_HUB = link(4, HubOwner("other", "vcan1", "in"))
DIRECT = Rule(2, 3, CLASSIC)
BY_BUS = [Rule(1, 2, CLASSIC), Rule(2, 1, CLASSIC)]


@pytest.mark.parametrize(
    ("links", "rules", "modules", "served", "ability"),
    [
        pytest.param([], [], of(LOADABLE), True, None, id="no bus yet"),
        pytest.param([], [], of(LOADED, cls_fw=MISSING), False, LACKS_FW, id="no bus, no cls_fw"),
        pytest.param([], [], {}, True, None, id="files tell nothing"),
        pytest.param([BUS, *ENDS, HUB], [], of(LOADED), True, None, id="linear"),
        pytest.param([BUS, *ENDS, HUB], [], of(MISSING), True, None, id="linear, without files"),
        pytest.param(
            [BUS, *ENDS, OTHER_HUB], [DIRECT], of(LOADABLE), True, REFUSED, id="another's hub"
        ),
        pytest.param(
            [BUS, *ENDS], [DIRECT], of(LOADED, cls_fw=MISSING), True, LACKS_FW, id="a mesh, and why"
        ),
        pytest.param([BUS, *ENDS], [DIRECT], of(LOADABLE), True, REFUSED, id="a mesh, not why"),
        pytest.param([BUS, *ENDS], [DIRECT], {}, True, REFUSED, id="a mesh, without files"),
        pytest.param([BUS, *ENDS], [DIRECT], of(LOADED), True, None, id="modules have come"),
        pytest.param(
            [BUS, *ENDS],
            [DIRECT],
            of(BUILT_IN, cls_basic=MISSING),
            True,
            None,
            id="modules have come, one classifier of two",
        ),
        pytest.param(
            [BUS, *ENDS], [DIRECT], of(LOADABLE), False, None, id="an earlier version's mesh"
        ),
        pytest.param([BUS, *ENDS], BY_BUS, of(LOADABLE), True, None, id="the hub was deleted"),
    ],
)
def test_the_conclusion(
    links: list[Link],
    rules: list[Rule],
    modules: Mapping[str, str],
    served: bool,
    ability: Ability | None,
) -> None:
    observed = Observed(links, rules, driver="canwharf")
    assert expected(observed, modules, served=served) == ability


@pytest.fixture
def mesh(tmp_path: Path) -> Daemon:
    """Three containers on a bus, where the kernel lacks cls_fw."""
    kernel = FakeKernel()
    kernel.remove_module("cls_fw")
    daemon = Daemon(tmp_path, kernel)
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    for endpoint in ("e1", "e2", "e3"):
        daemon.run_container("n1", endpoint)
    return daemon


def would(daemon: Daemon, modules: Mapping[str, str], *, served: bool) -> Outcome:
    """What a dry run says, which changes nothing."""
    before, applied = daemon.kernel.snapshot(), len(daemon.kernel.applied)
    state = daemon.service.state
    done = dry_run(state, daemon.store, daemon.kernel, served=served, modules=modules)
    assert (daemon.kernel.snapshot(), len(daemon.kernel.applied)) == (before, applied)
    return done.outcome


@pytest.mark.parametrize(
    ("modules", "served"),
    [(of(LOADABLE, cls_fw=MISSING), True), (of(LOADABLE, cls_fw=MISSING), False), ({}, True)],
)
def test_where_a_mesh_stays_one_nothing_is_to_be_done(
    mesh: Daemon, modules: Mapping[str, str], served: bool
) -> None:
    """No hub that cannot be made, no rule that is surplus; and `sync` finds the same."""
    assert would(mesh, modules, served=served).changes == []
    assert mesh.maintenance.sync().changes == []
    mesh.assert_exactly_once("vcan0")


def test_where_a_module_has_come_a_dry_run_says_what_sync_does(mesh: Daemon) -> None:
    """The operator has loaded it: each of these lines is done, and no other."""
    mesh.kernel.modules.add("cls_fw")
    said = would(mesh, of(LOADED), served=True)
    assert [step.hub for step in said.steps if isinstance(step, MakeHub)] == [hub_of(mesh)]
    assert said.changes == mesh.maintenance.sync().changes
    mesh.assert_exactly_once("vcan0")
    assert would(mesh, of(LOADED), served=True).changes == []


def hub_of(daemon: Daemon) -> Hub | None:
    bus = daemon.service.state.bus("vcan0")
    assert bus is not None
    return bus.hub


@pytest.mark.parametrize("module", ["cls_fw", "act_skbedit", "act_gact"])
def test_a_module_that_went_while_no_container_ran_costs_no_start(
    daemon: Daemon, module: str
) -> None:
    """It was there at the last start, and is believed to be until then."""
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    daemon.run_container("n1", "e1")
    daemon.service.delete_endpoint("n1", "e1")
    daemon.kernel.remove_module(module)
    for endpoint in ("e1", "e2", "e3"):
        daemon.run_container("n1", endpoint)
    daemon.assert_exactly_once("vcan0")
    assert daemon.maintenance.repair()
    daemon.assert_exactly_once("vcan0")
    assert not daemon.kernel.names() & set(daemon.hub("vcan0"))
