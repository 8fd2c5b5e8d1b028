"""Which shape a bus has, and why: the same in the text, for machines, and from the doctor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from canwharf.daemon.bus_metrics import Buses
from canwharf.kernel.needed import LINEAR, LOADABLE, LOADED, MISSING, POLICIES
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding
from canwharf.operator.render import mermaid, terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.render.layout import draw
from canwharf.operator.status import Status
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen

ADVICE = "apt install linux-modules-extra"
REFUSED = "modprobe -a sch_ingress cls_fw cls_matchall act_gact act_skbedit"


def of(state: str, **others: str) -> dict[str, str]:
    """All modules for linear buses in this state, but for some."""
    return {**dict.fromkeys(LINEAR, state), **others}


@pytest.fixture
def mesh(tmp_path: Path) -> Daemon:
    """Two containers on a bus, where the kernel lacks cls_fw."""
    kernel = FakeKernel()
    kernel.remove_module("cls_fw")
    daemon = Daemon(tmp_path / "mesh", kernel)
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    return daemon


def shape(status: Status, modules: Mapping[str, str] = {}) -> list[Finding]:
    advice = dict.fromkeys(modules, ADVICE)
    return told("shape", WELL._replace(status=status, modules=modules, advice=advice))


def only(status: Status) -> dict[str, Any]:
    """The one bus, as a program reads it."""
    bus: dict[str, Any]
    (bus,) = json.loads(json.dumps(to_dict(status)))["buses"]
    return bus


def test_a_linear_bus_has_no_line_about_it(busy: Daemon) -> None:
    status = seen(busy)
    assert "mesh" not in text.render(status, terminal.plain)
    entry, leaving = busy.hub("vcan0")
    bus = only(status)
    assert (bus["shape"], bus["missing_modules"]) == ("linear", [])
    assert bus["hub"] == {"in": entry, "out": leaving}
    assert [each.level for each in shape(status, of(LOADED))] == [OK]


@pytest.mark.parametrize(
    ("modules", "words", "missing", "fix"),
    [
        (
            of(LOADABLE, cls_fw=MISSING),
            "a mesh, as the kernel lacks cls_fw: 'canwharf doctor' says what to do",
            ["cls_fw"],
            ADVICE,
        ),
        (
            of(LOADABLE),
            "a mesh, as the kernel refuses tc filters: 'canwharf doctor' says what to do",
            [],
            REFUSED,
        ),
        (
            {},
            "a mesh, as the kernel refuses tc filters: 'canwharf doctor' says what to do",
            [],
            "modprobe -a sch_ingress cls_fw cls_matchall cls_basic act_gact act_skbedit",
        ),
    ],
    ids=["missing", "loadable", "no files"],
)
def test_a_mesh_says_why_and_what_to_do(
    mesh: Daemon, modules: Mapping[str, str], words: str, missing: list[str], fix: str
) -> None:
    """It is a substitute, no difference from what should be."""
    status = seen(mesh, modules=modules)
    lines = text.render(status, terminal.plain).splitlines()
    assert f"  {words}" in lines
    assert "  all members are connected" in lines
    assert (status.changes, status.faults) == ([], ())
    bus = only(status)
    assert (bus["shape"], bus["hub"], bus["missing_modules"]) == ("mesh", None, missing)
    assert (bus["healthy"], bus["delivery_errors"]) == (True, [])
    (finding,) = shape(status, modules)
    assert (finding.level, finding.fix, finding.safe) == (WARN, fix, not missing)
    assert ("cls_fw" in finding.message) == bool(missing)


def test_a_kernel_that_will_make_meshes_is_known_before_the_first_bus(daemon: Daemon) -> None:
    """So that it is right before a vehicle's containers are started."""
    (finding,) = shape(seen(daemon), of(LOADABLE, act_skbedit=MISSING))
    assert (finding.level, finding.fix) == (WARN, ADVICE)
    assert "act_skbedit" in finding.message


def test_either_of_the_two_classifiers_is_enough(busy: Daemon) -> None:
    for module in ("cls_matchall", "cls_basic"):
        (finding,) = shape(seen(busy), of(LOADED) | {module: MISSING})
        assert finding.level == OK
    (finding,) = shape(seen(busy), of(LOADED, cls_matchall=MISSING, cls_basic=MISSING))
    assert "cls_matchall" in finding.message
    assert "cls_basic" not in finding.message


@pytest.mark.parametrize(
    ("given", "missing", "level", "words"),
    [
        ({}, "em_u32", OK, "nothing uses"),
        ({"can.send": "100"}, "em_u32", FAILURE, "lacks em_u32"),
        ({"can.send": "100"}, "em_canid", OK, "has what"),
        ({"can.send": "100"}, "act_police", OK, "has what"),
        ({"can.rate": "100"}, "act_police", FAILURE, "with can.rate does not start"),
    ],
)
def test_modules_that_a_policy_needs(
    daemon: Daemon, given: dict[str, str], missing: str, level: str, words: str
) -> None:
    """Where one is in use it is a failure; elsewhere a board without them is well."""
    daemon.service.create_network("n1", given)
    modules = {**of(LOADABLE), **dict.fromkeys(POLICIES, LOADABLE), missing: MISSING}
    status = seen(daemon)
    advice = dict.fromkeys(modules, ADVICE)
    facts = WELL._replace(status=status, modules=modules, advice=advice)
    (finding,) = told("policies", facts)
    assert finding.level == level
    assert words in finding.message
    assert finding.fix == (ADVICE if level == FAILURE else "")


def test_a_drawing_is_the_same_for_both_shapes(busy: Daemon, mesh: Daemon) -> None:
    """A reader of it wants to know which containers hear each other."""
    assert mermaid.render(draw(seen(mesh))) == mermaid.render(draw(seen(busy)))


def test_a_hub_that_is_down_is_a_failure(busy: Daemon) -> None:
    entry, _leaving = busy.hub("vcan0")
    busy.kernel.set_up(entry, up=False)
    _shape, finding = shape(seen(busy), of(LOADED))
    assert (finding.level, finding.fix, finding.safe) == (FAILURE, "canwharf sync", True)
    assert finding.message.startswith("on vcan0, containers receive nothing from each other: ")


def test_a_container_with_its_own_frames_is_a_failure(busy: Daemon) -> None:
    busy.kernel.delete_filters(busy.port("n1", "e1"), "all")
    _shape, finding = shape(seen(busy), of(LOADED))
    assert (finding.level, finding.fix) == (FAILURE, "canwharf sync")
    assert finding.message == "on vcan0, ecu1 receives its own frames"
    errors = only(seen(busy))["delivery_errors"]
    assert [each["reason"] for each in errors] == ["own-frames"], "it receives all others' once"


@pytest.mark.parametrize("which", ["busy", "mesh"])
def test_the_metrics_know_what_the_daemon_has_tried(
    which: str, request: pytest.FixtureRequest
) -> None:
    """A mesh's rules are not surplus, and its hub is not missing."""
    daemon: Daemon = request.getfixturevalue(which)
    (errors,) = [
        family
        for family in Buses(daemon.service, daemon.reconciler, daemon.kernel, dict).collect()
        if family.name == "canwharf_bus_delivery_errors"
    ]
    assert {each.value for each in errors.samples} == {0}
