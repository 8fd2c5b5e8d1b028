"""Gateway rules of others, and how modules were loaded: what the doctor makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from canwharf.bus.steps import ReplaceRule
from canwharf.kernel import modules
from canwharf.kernel.needed import Parameters
from canwharf.operator import foreign
from canwharf.operator.doctor.checks import CHECKS
from canwharf.operator.doctor.finding import FAILURE, OK, WARN
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from tests.fake import wire
from tests.fake.daemon import Daemon
from tests.unit.bus.test_upgrade import meshed
from tests.unit.operator.doctor.well import WELL
from tests.unit.operator.seen import seen

LIMIT = wire.attribute(wire.LIM_HOPS, b"\1")


@pytest.fixture
def two(daemon: Daemon) -> Daemon:
    """Two virtual buses and one on an adapter, each with a container."""
    daemon.kernel.add_link("can0", "can", mtu=16)
    for network, interface in (("n1", "vcan0"), ("n2", "vcan1"), ("n3", "can0")):
        daemon.service.create_network(network, {"can.interface": interface})
        daemon.run_container(network, f"of-{interface}")
    daemon.kernel.add_link("vcan9", "vcan")
    return daemon


HOST = "what programs on the host send, not what containers do"


class Case(NamedTuple):
    """A rule, under can-gw's limit, and what it does."""

    source: str
    destination: str
    does: str
    flags: int = wire.ECHO
    more: bytes = b""
    hops: int = 1


LOCAL = "to programs on the host, not to containers"
CASES = (
    Case("vcan0", "vcan1", f"{HOST}: {LOCAL}"),
    Case("vcan0", "vcan1", f"{HOST}: to programs on the host and containers", hops=2),
    Case("vcan0", "vcan1", f"{HOST}: {LOCAL}", more=LIMIT, hops=2),
    Case("vcan0", "vcan1", f"{HOST}: to no program, as it does not echo (-e)", flags=0, hops=2),
    Case("vcan0", "vcan9", f"{HOST}: to vcan9"),
    Case("vcan9", "vcan0", f"what arrives on vcan9: {LOCAL}"),
    Case("can0", "vcan0", f"{HOST.replace('what ', 'what the wire and ', 1)}: {LOCAL}"),
    Case("vcan0", "can0", f"{HOST}: to the wire, not to containers", flags=0),
    Case("PORT", "vcan1", f"what endpoint of-vcan0 sends: {LOCAL}"),
    Case("vcan1", "PORT", f"{HOST}: to endpoint of-vcan0", flags=0),
)


@pytest.mark.parametrize("case", CASES, ids=map(str, CASES))
def test_a_foreign_rule_is_reported_once_and_for_what_it_does(case: Case, two: Daemon) -> None:
    """Also where it touches two buses, and where FD frames have one of their own."""
    port = two.port("n1", "of-vcan0")
    source, destination = (each.replace("PORT", port) for each in case[:2])
    for fd in (False, True):
        flags = case.flags | wire.IIF_TX_OK
        two.kernel.add_rule(source, destination, fd=fd, flags=flags, more=case.more)
    status = seen(two)._replace(parameters=Parameters(case.hops))
    (crossing,) = foreign.crossings(status)
    assert crossing.what == f"forwards {case.does}"
    (finding,) = CHECKS["foreign"](WELL._replace(status=status))
    assert finding.level == WARN
    what = f"a foreign gateway rule, {source} -> {destination}, "
    assert finding.message.startswith(what)
    assert finding.fix.count("cangw -D") == 2
    assert finding.fix.count("-l 1") == (2 if case.more else 0), "exactly that rule"
    assert text.render(status, terminal.plain).count(f"{source} -> {destination}") <= 2, (
        "once a bus"
    )


def test_can_gw_loaded_with_more_hops_does_no_harm_and_is_said(two: Daemon) -> None:
    status = seen(two)._replace(parameters=Parameters(3, vcan_echo=True))
    hops, echo = CHECKS["parameters"](WELL._replace(status=status))
    assert (hops.level, echo.level) == (OK, OK)
    assert "max_hops=3" in hops.message
    assert "echo=1" in echo.message
    shown = text.render(status, terminal.plain)
    assert "max_hops=3" in shown
    assert json.loads(json.dumps(to_dict(status)))["module_parameters"] == {
        "can_gw": {"max_hops": 3},
        "vcan": {"echo": True},
    }
    assert "max_hops" not in text.render(seen(two), terminal.plain)


@pytest.mark.parametrize("hops", [1, 3])
def test_rules_of_an_earlier_version_double_frames_where_can_gw_lets_them(
    tmp_path: Path, hops: int
) -> None:
    """Then status does not say that all members are connected, and the doctor says what helps."""
    daemon = meshed(tmp_path, hops)
    status = seen(daemon)
    assert any(isinstance(step, ReplaceRule) for step in status.steps)
    facts = WELL._replace(status=status)
    (duplicate,) = CHECKS["duplicates"](facts)
    assert duplicate.level == (FAILURE if hops > 1 else OK)
    assert duplicate.fix == ("canwharf sync" if hops > 1 else "")
    (different,) = CHECKS["differences"](facts)
    assert different.level == FAILURE
    shown = text.render(status, terminal.plain)
    assert ("more than once" in shown) == (hops > 1)


def test_the_parameters_are_read_where_modules_are_loaded(tmp_path: Path) -> None:
    assert modules.parameters(str(tmp_path)) == Parameters()
    for name, value in (("can_gw/parameters/max_hops", "2\n"), ("vcan/parameters/echo", "Y\n")):
        path = tmp_path / "sys/module" / name
        path.parent.mkdir(parents=True)
        path.write_text(value)
    assert modules.parameters(str(tmp_path)) == Parameters(2, vcan_echo=True)
