"""Trouble on purpose as a person and a machine see it: never taken for trouble of another kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import Metric

from canwharf.bus.delivery import ALL, NO_IFB, DeliveryError
from canwharf.bus.fault import Fault
from canwharf.bus.fault_options import parse
from canwharf.bus.report import BusReport
from canwharf.cli import main
from canwharf.daemon import bus_metrics
from canwharf.kernel import needed
from canwharf.kernel.impairment import Found, Impairment
from canwharf.kernel.injection import CHANGE, LOSS, OFF_RECEIVE, OFF_SEND, Key
from canwharf.kernel.injection import Found as Filter
from canwharf.operator.doctor.finding import FAILURE, OK
from canwharf.operator.render import svg, terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.render.layout import draw
from canwharf.operator.status import Status
from tests.fake.daemon import Daemon
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen

SLOW = Impairment(500_000, 20_000, 5_000, 10_000)
MANNERS = "bandwidth 500000, delay 20ms, loss 0.5%, duplicate 1%"
COUNTED = Found(lost=7, overflowed=2)
BYTES = parse({"id": "123", "set": "data[2]^=FF", "loss": "5%"})._replace(number=1)
OFF = Fault(2, bus_off=True)
FILTERS = {(LOSS, 1): 3, (CHANGE, 1): 40, (OFF_SEND, 2): 5, (OFF_RECEIVE, 2): 6}


def troubled(
    daemon: Daemon,
    *faults: Fault,
    impairment: Impairment = SLOW,
    filters: Mapping[Key, int] = FILTERS,
) -> Status:
    """The bus with two containers does this to frames; the first has these faults."""
    status = seen(daemon)
    (report,) = status.reports
    host, one, two = report.members
    there = {key: Filter(1, frames) for key, frames in filters.items()}
    one = one._replace(faults=faults, injected=there)
    members = (host, one, two)
    return status._replace(
        reports=(report._replace(impairment=impairment, impaired=COUNTED, members=members),)
    )


def read(status: Status) -> dict[str, Any]:
    """Its one bus, as a machine reads it."""
    whole: dict[str, Any] = json.loads(json.dumps(to_dict(status)))
    (bus,) = whole["buses"]
    assert isinstance(bus, dict)
    return bus


def samples(family: Metric) -> dict[str, float]:
    """By the bus or, where it has one, the endpoint."""
    return {
        each.labels.get("endpoint_id", each.labels["bus"]): each.value for each in family.samples
    }


def test_status_says_in_red_what_is_meant_to_be_wrong(busy: Daemon) -> None:
    """The bus's manners, and each fault of a container, with what each did so far."""
    status = troubled(busy, BYTES, OFF)
    lines = text.render(status, terminal.plain).splitlines()
    red = text.render(status, terminal.colored).splitlines()
    for line in (
        f"trouble on purpose: {MANNERS}; 7 frames lost on purpose; 2 more than the bandwidth took",
        "a fault on purpose: ecu1: 123: lose 5%, set data[2]^=FF (frames: 3 lost, 40 changed)",
        "a fault on purpose: ecu1: bus-off (frames: 5 not sent, 6 not received)",
    ):
        assert f"  {line}" in lines
        assert f"  {terminal.colored(line, terminal.BAD)}" in red
    assert "  all members are connected" in lines


def test_a_count_is_shown_only_of_what_there_is(busy: Daemon) -> None:
    lines = text.render(
        troubled(busy, impairment=Impairment(delay=1500), filters={}), terminal.plain
    ).splitlines()
    assert "  trouble on purpose: delay 1500us" in lines
    assert not [line for line in lines if "a fault" in line]
    whole = text.render(troubled(busy, impairment=Impairment(), filters={}), terminal.plain)
    assert "on purpose" not in whole


def test_a_fault_that_is_left_over_has_the_command_that_ends_it(busy: Daemon) -> None:
    told = text.render(troubled(busy, BYTES), terminal.plain)
    assert "  a fault that is left over: ecu1: 'canwharf sync' ends it" in told.splitlines()
    assert "left over" not in text.render(troubled(busy, BYTES, OFF), terminal.plain)


def test_a_machine_reads_the_same(busy: Daemon) -> None:
    bus = read(troubled(busy, BYTES, OFF))
    assert bus["impairment"] == {
        "bandwidth": 500_000,
        "delay_us": 20_000,
        "loss_ppm": 5_000,
        "duplicate_ppm": 10_000,
        "frames_lost_on_purpose": 7,
        "frames_over_bandwidth": 2,
    }
    host, one, two = bus["members"]
    assert (host["faults"], two["faults"]) == (None, [])
    assert one["faults"] == [
        {
            "number": 1,
            "fault": "123: lose 5%, set data[2]^=FF",
            "frames": {"lost": 3, "changed": 40},
        },
        {"number": 2, "fault": "bus-off", "frames": {"not_sent": 5, "not_received": 6}},
    ]
    assert read(seen(busy))["impairment"] is None


def test_a_drawing_says_so(busy: Daemon) -> None:
    """Or a picture in a report would show a bus that is as others are."""
    assert "trouble on purpose" in svg.render(draw(troubled(busy)))
    assert "trouble on purpose" not in svg.render(draw(seen(busy)))


def test_the_metrics_tell_how_many(busy: Daemon) -> None:
    """Of buses with an impairment alone; of every container, so that an alarm can be cleared."""
    reports = troubled(busy, BYTES, OFF).reports
    lost, over = bus_metrics._impaired(reports)
    assert (samples(lost), samples(over)) == ({"vcan0": 7}, {"vcan0": 2})
    assert samples(bus_metrics._faults(reports)) == {"e1": 2, "e2": 0}
    plain = seen(busy).reports
    assert not any(family.samples for family in bus_metrics._impaired(plain))
    assert samples(bus_metrics._faults(plain)) == {"e1": 0, "e2": 0}


def test_the_doctor_tells_what_the_kernel_lacks_for_it() -> None:
    """It is no failure: a bus works without."""
    (finding,) = told("trouble", WELL)
    assert (finding.level, finding.fix) == (OK, "")
    (finding,) = told("trouble", WELL._replace(modules={"sch_netem": needed.MISSING}))
    assert (finding.level, finding.fix) == (OK, "")
    assert "the kernel lacks sch_netem" in finding.message
    assert "can.delay" in finding.message


def test_the_doctor_mends_what_loses_more_than_was_meant(busy: Daemon) -> None:
    """The interface through which frames go was deleted, so all of them are lost."""
    status = troubled(busy)
    errors = (DeliveryError(status.reports[0].members[1].interface, ALL, "all", NO_IFB),)
    broken: tuple[BusReport, ...] = (status.reports[0]._replace(delivery_errors=errors),)
    facts = WELL._replace(status=status._replace(reports=broken))
    _kernel, finding = told("trouble", facts)
    assert (finding.level, finding.fix, finding.safe) == (FAILURE, "canwharf sync", True)
    assert "on vcan0, what containers send is lost" in finding.message
    assert len(told("trouble", WELL._replace(status=status))) == 1


def test_help_names_each_option_of_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """And how to end it."""
    with pytest.raises(SystemExit):
        main(["fault", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("--from CONTAINER", "--id IDS", "--set CHANGE", "--loss PERCENT", "--delay TIME"):
        assert words in shown
    for words in (
        "--drop",
        "--for TIME",
        "--keep",
        "add, list, clear, bus-off or bus-on",
        "Ctrl-C",
    ):
        assert words in shown
