"""Members that are not connected, seen from the host end: the same in all outputs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from canwharf.bus.delivery import FAULTS, REASONS
from canwharf.bus.report import BusReport, Names
from canwharf.daemon.bus_metrics import Buses
from canwharf.kernel.can import Controller
from canwharf.operator.doctor.checks import CHECKS
from canwharf.operator.doctor.finding import FAILURE, OK, Finding
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.render.layout import draw
from canwharf.operator.status import Status
from tests.fake import wire
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.operator.doctor.well import WELL
from tests.unit.operator.seen import NAMES, seen

SANDBOX = "$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' ecu1)"
Disturb = Callable[[FakeKernel, str], object]


def inside_down(kernel: FakeKernel, _port: str) -> None:
    kernel.link("can0", "e1").up = False


def deleted(kernel: FakeKernel, port: str) -> None:
    kernel.delete_link(port)


def given_back(kernel: FakeKernel, _port: str) -> None:
    kernel.move("can0", "", "e1", "back0")


def host_end_down(kernel: FakeKernel, port: str) -> None:
    kernel.link(port).up = False


def foreign_link(kernel: FakeKernel, port: str) -> None:
    kernel.delete_link(port)
    kernel.add_link(port, "vcan")


def findings(check: str, status: Status) -> list[Finding]:
    return list(CHECKS[check](WELL._replace(status=status)))


def only(status: Status) -> BusReport:
    (report,) = status.reports
    return report


@pytest.mark.parametrize(
    ("disturb", "fault", "words", "fix"),
    [
        (
            inside_down,
            "no-carrier",
            "can0 is down in the container",
            f"nsenter --net={SANDBOX} ip link set can0 up",
        ),
        (deleted, "missing", "it has no interface", "docker restart ecu1"),
        (foreign_link, "missing", "it has no interface", "docker restart ecu1"),
        (given_back, "not-in-container", "its interface is on the host", "docker restart ecu1"),
        (host_end_down, "down", " is down", "canwharf sync"),
    ],
)
def test_a_container_that_is_not_connected(
    busy: Daemon, disturb: Disturb, fault: str, words: str, fix: str
) -> None:
    """No reader is told that all is well: neither a person, nor a program, nor the doctor."""
    port = busy.port("n1", "e1")
    disturb(busy.kernel, port)
    status = seen(busy)
    told = text.render(status, terminal.plain)
    assert "all members are connected" not in told
    (line,) = [each for each in told.splitlines() if "is not connected" in each]
    assert line.startswith("  ecu1 is not connected: ")
    assert words in line
    (bus,) = json.loads(json.dumps(to_dict(status)))["buses"]
    assert bus["healthy"] is False
    assert [each["reason"] for each in bus["members"]] == [None, fault, None]
    told_ends = [(each["from"], each["to"]) for each in bus["delivery_errors"]]
    assert told_ends == [(port, None), (None, port)], "from it to all others, and back"
    assert {(each["reason"], each["error"]) for each in bus["delivery_errors"]} == {(fault, "lost")}
    (finding,) = findings("members", status)
    assert (finding.level, finding.fix) == (FAILURE, fix)
    assert words in finding.message
    assert finding.safe == (fault == "down")
    (drawn,) = draw(status).buses
    assert [each.connected for each in drawn.connections] == [False, True]


def test_the_command_of_a_container_with_a_hostile_interface(busy: Daemon) -> None:
    """Its name is the container's choice, and the command is root's."""
    busy.kernel.link("can0", "e1").up = False
    status = seen(busy)
    members = [
        each._replace(container_link=each.container_link._replace(name="a;reboot"))
        if each.container_link
        else each
        for each in only(status).members
    ]
    hostile = status._replace(reports=(only(status)._replace(members=tuple(members)),))
    (finding,) = findings("members", hostile)
    assert finding.fix.endswith("ip link set 'a;reboot' up")


def test_without_docker_the_doctor_knows_no_command(busy: Daemon) -> None:
    """A container has no name then; the fault is reported all the same."""
    busy.kernel.delete_link(busy.port("n1", "e1"))
    (finding,) = findings("members", seen(busy, None))
    assert (finding.level, finding.fix) == (FAILURE, "")
    assert "endpoint e1 is not connected" in finding.message


def test_all_is_well(busy: Daemon) -> None:
    (finding,) = findings("members", seen(busy))
    assert finding == Finding(OK, "all members of vcan0 are connected")


def test_a_container_that_only_docker_knows(busy: Daemon) -> None:
    """Its interface was deleted and its record collected; it runs, and is on the bus for Docker."""
    busy.service.delete_endpoint("n1", "e1")
    known = NAMES._replace(members={"n1": {"e1", "e2", "not an id"}})
    status = seen(busy, known)
    assert not only(status).healthy
    assert "ecu1 is not connected: it has no interface" in text.render(status, terminal.plain)
    assert findings("members", status)[0].fix == "docker restart ecu1"


def test_a_container_that_docker_does_not_know_is_no_error(busy: Daemon) -> None:
    """It ended while the daemon was away; its record goes by itself."""
    busy.kernel.kill_namespace("e1")
    assert not only(seen(busy)).healthy  # Docker has not said that it has ended
    status = seen(busy, NAMES._replace(members={"n1": {"e2"}}))
    assert only(status).healthy
    told = text.render(status, terminal.plain)
    assert "all members are connected" in told
    assert "has ended" in told
    (bus,) = json.loads(json.dumps(to_dict(status)))["buses"]
    assert [each["orphaned"] for each in bus["members"]] == [False, True, False]


def test_an_adapter_that_no_member_receives(daemon: Daemon, kernel: FakeKernel) -> None:
    """Whatever the rules; and alone on its bus."""
    link = kernel.add_link("can0", "can", mtu=16)
    daemon.service.create_network("n1", {"can.interface": "can0"})
    assert only(seen(daemon, NAMES, Controller(0))).healthy
    daemon.run_container("n1", "e1")
    assert only(seen(daemon, NAMES, Controller(0))).healthy
    assert not only(seen(daemon, NAMES, Controller(3))).healthy
    link.carrier = False
    status = seen(daemon, NAMES, Controller(0))
    assert only(status).members[0].reason == "no-carrier"
    assert "nothing goes to or from can0: it has no carrier" in text.render(status, terminal.plain)
    assert [each.level for each in findings("buses", status)] == [FAILURE]
    link.carrier = True
    kernel.set_up("can0", up=False)
    assert only(seen(daemon, NAMES, Controller(4))).members[0].reason == "down"
    kernel.unplug("can0")
    status = seen(daemon)
    assert [each.reason for each in only(status).members] == ["missing", ""]
    kernel.add_link("can0", "vcan")  # and takes its name
    assert only(seen(daemon)).members[0].reason == "missing"


def test_a_moved_adapter_that_no_container_took(daemon: Daemon, kernel: FakeKernel) -> None:
    """It is on the host, and its container without it."""
    kernel.plug("can0")
    given = {"can.interface": "can0", "can.mode": "move", "can.name": "can"}
    given["can.bitrate"] = "500000"
    daemon.service.create_network("n1", given)
    daemon.run_container("n1", "e1")
    assert only(seen(daemon)).healthy
    kernel.move("can0", "", "e1", "can0")
    status = seen(daemon)
    assert only(status).members[0].reason == "not-in-container"
    assert "ecu1 is not connected" in text.render(status, terminal.plain)


def test_one_direction_and_fd_alone(busy: Daemon, kernel: FakeKernel) -> None:
    """A rule is a direction and a kind of frames; each is missed for itself."""
    port = busy.port("n1", "e1")
    ends = kernel.link("vcan0").index, kernel.link(port).index
    kernel.rules = [
        each
        for each in kernel.rules
        if (each.source, each.destination) != ends or not each.flags & 8
    ]
    (error,) = only(seen(busy)).delivery_errors
    assert error == ("vcan0", port, "FD", "no-rule")
    kernel.add_rule("vcan0", port)
    assert {each.reason for each in only(seen(busy)).delivery_errors} == {
        "no-rule",
        "duplicate-rule",
    }


def test_a_foreign_rule_within_the_bus(busy: Daemon, kernel: FakeKernel) -> None:
    """It duplicates frames, and no output says that all members are connected."""
    port = busy.port("n1", "e1")
    kernel.add_rule("vcan0", port, flags=wire.ECHO)
    kernel.add_rule("vcan0", port, fd=True, flags=wire.ECHO)
    status = seen(busy)
    report = only(status)
    kinds = "FD", "classic"
    assert report.delivery_errors == tuple(
        ("vcan0", port, kind, "duplicate-rule") for kind in kinds
    )
    told = text.render(status, terminal.plain)
    assert "all members are connected" not in told
    assert "  frames from host reach ecu1 more than once (FD, classic)" in told
    assert "  a foreign gateway rule: vcan0 -> " in told
    (bus,) = json.loads(json.dumps(to_dict(status)))["buses"]
    assert bus["healthy"] is False
    assert {each["error"] for each in bus["delivery_errors"]} == {"duplicated"}
    assert findings("members", status) == []
    assert [each.level for each in findings("foreign", status)] == [FAILURE]
    figures = {
        each.labels["reason"]: each.value
        for family in Buses(busy.service, busy.reconciler, kernel, dict).collect()
        for each in family.samples
        if each.name == "canwharf_bus_delivery_errors"
    }
    assert figures == {each: 2 * (each == "duplicate-rule") for each in REASONS}
    kernel.link(port).up = False  # no frame arrives there, so none twice
    assert {each.reason for each in only(seen(busy)).delivery_errors} == {"down"}


def test_a_host_end_that_takes_no_fd(busy: Daemon, kernel: FakeKernel) -> None:
    """We make pairs for CAN FD; where one takes none, its rules forward nothing."""
    port = busy.port("n1", "e1")
    kernel.link(port).mtu = 16
    errors = only(seen(busy)).delivery_errors
    assert {each.reason for each in errors} == {"no-fd"}
    assert {each.kind for each in errors} == {"FD"}
    assert {port in each[:2] for each in errors} == {True}
    kernel.link("vcan0").mtu = 16  # the bus is classic: what its containers miss is each other
    assert not any("vcan0" in each[:2] for each in only(seen(busy)).delivery_errors)


def test_a_renamed_host_end_is_known_by_its_alias(busy: Daemon, kernel: FakeKernel) -> None:
    """It is on the bus under its new name; no command would cut the container off."""
    kernel.rename(busy.port("n1", "e1"), "front")
    status = seen(busy)
    report = only(status)
    assert report.healthy
    assert [each.interface for each in report.members][1] == "front"
    assert {each.source for each in report.directions} >= {"front"}
    assert report.foreign_rules == ()
    assert "all members are connected" in text.render(status, terminal.plain)
    assert {each.level for each in findings("foreign", status)} == {OK}
    rule = kernel.rules.pop()
    assert (
        "front" in only(seen(busy)).delivery_errors[0][:2]
        or rule.source != kernel.link("front").index
    )


def test_every_reason_is_a_word_for_programs() -> None:
    """Labels of figures are made of them."""
    assert all(each.replace("-", "").isalpha() for each in REASONS)
    assert set(FAULTS) < set(REASONS)


def test_names_that_docker_did_not_tell_in_time_change_nothing(busy: Daemon) -> None:
    """In a network that the engine did not list, no member is orphaned."""
    assert only(seen(busy, Names({"n1": "bus0"}, {}, {}))).healthy
    busy.kernel.delete_link(busy.port("n1", "e1"))
    assert not only(seen(busy, Names({"n1": "bus0"}, {}, {}))).healthy
