"""What the doctor says of an adapter at rest, and of a vcan in an adapter's place."""

from __future__ import annotations

import pytest

from canwharf.bus import events
from canwharf.kernel import gateway
from canwharf.kernel.gateway import ERRORS, Rule
from canwharf.operator.doctor.finding import FAILURE, OK, WARN
from tests.fake.daemon import Daemon
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen


def test_a_vcan_in_an_adapters_place(daemon: Daemon) -> None:
    """The ancestor's own compose file, run while the adapter was unplugged; then it came back."""
    daemon.service.create_network("n1", {"vxcan.dev": "can", "vxcan.id": "0"})
    [before] = told("buses", WELL._replace(status=seen(daemon)))
    assert before.level == OK
    daemon.kernel.plug("can1")
    [finding] = told("buses", WELL._replace(status=seen(daemon)))
    assert finding.level == WARN
    assert finding.message == (
        "can0 is a vcan that canwharf made; the adapter can1 is on no bus: create the network "
        "again, with can.interface=can1, or with can.type=physical if the adapter should be can0"
    )
    daemon.kernel.plug("can2")
    [finding] = told("buses", WELL._replace(status=seen(daemon)))
    assert "the adapters can1, can2 are on no bus" in finding.message


@pytest.mark.parametrize("name", ["vcan0", "drive"])
def test_a_vcan_of_another_name_takes_no_place(daemon: Daemon, name: str) -> None:
    daemon.service.create_network("n1", {"can.interface": name})
    daemon.kernel.plug("can1")
    [finding] = told("buses", WELL._replace(status=seen(daemon)))
    assert finding.level == OK


def test_an_adapter_that_has_its_bus_is_used(daemon: Daemon) -> None:
    daemon.kernel.plug("can1")
    daemon.service.create_network("n1", {"vxcan.dev": "can", "vxcan.id": "0"})
    daemon.service.create_network("n2", {"can.interface": "can1", "can.bitrate": "500k"})
    findings = told("buses", WELL._replace(status=seen(daemon)))
    assert [each.level for each in findings] == [OK, OK]


def test_a_moved_adapter_at_rest_is_well(daemon: Daemon) -> None:
    """After a boot it is down until a container has it, and has no carrier, as it is not open."""
    link = daemon.kernel.plug("can0")
    given = {"can.interface": "can0", "can.mode": "move", "can.bitrate": "500k"}
    daemon.service.create_network("n1", given)
    link.up = link.carrier = False
    [finding] = told("buses", WELL._replace(status=seen(daemon)))
    assert (finding.level, finding.message) == (OK, "can0 is present")
    daemon.kernel.set_up("can0")
    [finding] = told("buses", WELL._replace(status=seen(daemon)))
    assert finding.level == FAILURE
    assert "can0 has no carrier" in finding.message


def test_a_vcan_of_ours_that_is_down_is_reported_once(daemon: Daemon) -> None:
    """By what brings it up again, and not as a wire without a carrier."""
    daemon.service.create_network("n1", {"can.interface": "vcan0"})
    daemon.kernel.set_up("vcan0", up=False)
    daemon.kernel.link("vcan0").carrier = False
    facts = WELL._replace(status=seen(daemon))
    assert [each.level for each in told("buses", facts)] == [OK]
    [finding] = told("differences", facts)
    assert (finding.level, finding.fix) == (FAILURE, "canwharf sync")
    assert "bring up and name interface vcan0" in finding.message


def test_a_rule_for_error_frames_towards_an_adapter_is_not_called_duplicate(daemon: Daemon) -> None:
    """There is one of it, and no frame arrives twice: error frames would be data on the wire."""
    adapter = daemon.kernel.plug("can0")
    daemon.service.create_network("n1", {"can.interface": "can0", "can.bitrate": "500k"})
    daemon.run_container("n1", "e1")
    port = daemon.port("n1", "e1")
    ends = daemon.kernel.link(port).index, adapter.index
    daemon.kernel.batch([gateway.add(Rule(*ends, ERRORS, echo=True), "")])
    status = seen(daemon)
    line = f"delete unwanted gateway rule {port} -> can0 (error frames)"
    assert [each.line for each in status.changes] == [line]
    assert [each.healthy for each in status.reports] == [True]
    facts = WELL._replace(status=status)
    assert [each.level for each in told("duplicates", facts)] == [OK]
    [finding] = told("differences", facts)
    assert (finding.level, finding.fix) == (FAILURE, "canwharf sync")
    assert line in finding.message
    daemon.maintenance.sync()
    [said] = daemon.said(events.RULE_UNWANTED)
    assert said.fields == {"source": port, "destination": "can0"}
    assert not daemon.said(events.RULE_DUPLICATE)
