"""The filters that keep a container's own frames from it: restored, or one port is left out."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from canwharf.bus import events
from canwharf.bus.maintain import GRACE
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

ENDPOINTS = ("e1", "e2", "e3")


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """Three containers on one bus."""
    daemon.service.create_network("n1", {})
    daemon.service.adopt_networks({})  # nothing is left to be asked
    for endpoint in ENDPOINTS:
        daemon.run_container("n1", endpoint)
    daemon.maintenance.repair()
    daemon.events.clear()
    return daemon


def assert_among(daemon: Daemon, names: Collection[str]) -> None:
    """These members receive each frame of each other one once, and none of their own."""
    for sender in names:
        arrived = daemon.kernel.deliveries(sender)
        for receiver in names:
            for kind in ("classic", "fd", "errors"):
                assert arrived[receiver, kind] == int(receiver != sender), (sender, receiver, kind)


@pytest.mark.parametrize("which", ["ingress", "egress", "all"])
def test_filters_that_somebody_deleted_come_back(
    busy: Daemon, kernel: FakeKernel, which: str
) -> None:
    """With the next resync, as the kernel announces them to nobody who listens; it is said once."""
    port = busy.port("n1", "e1")
    kernel.delete_filters(port, which)
    assert kernel.deliveries(port)[port, "classic"] == 1, "it receives its own frames"
    busy.resync()
    busy.assert_exactly_once("vcan0")
    [event] = busy.said(events.MARKS_RESTORED)
    assert (event.level, event.fields) == ("warning", {"interface": port})


@pytest.mark.parametrize("order", [("ingress", "egress"), ("egress", "ingress")])
def test_of_two_deletions_one_is_told_and_one_is_not(
    busy: Daemon, kernel: FakeKernel, order: tuple[str, str]
) -> None:
    """What was told before the notices got lost among too many is not all that is gone."""
    for which in order:
        kernel.delete_filters(busy.port("n1", "e1"), which)
    kernel.overrun(keep=1)
    assert busy.maintenance.repair()
    busy.assert_exactly_once("vcan0")


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_filters_that_somebody_changed_are_made_anew(
    busy: Daemon, kernel: FakeKernel, direction: str
) -> None:
    port = busy.port("n1", "e1")
    kernel.change_filter(port, direction)
    assert busy.maintenance.sync().faults == ()
    assert kernel.marks(port).whole
    busy.assert_exactly_once("vcan0")


@pytest.mark.parametrize("place", range(1, 17))
def test_a_container_is_deaf_rather_than_hears_itself(
    busy: Daemon, kernel: FakeKernel, place: int
) -> None:
    """Whichever message is refused: the first three end its own frames, of each kind one."""
    port = busy.port("n1", "e1")
    kernel.delete_filters(port, "all")
    kernel.refuse(place)
    outcome = busy.maintenance.sync()
    assert len(outcome.faults) == 1
    own = [kernel.deliveries(port)[port, kind] for kind in ("classic", "fd", "errors")]
    assert sum(own) == int(place <= 3)
    kernel.stop_faults()
    assert busy.maintenance.recover()
    busy.assert_exactly_once("vcan0")


def in_its_place(kernel: FakeKernel, port: str) -> None:
    kernel.delete_filters(port, "all")
    kernel.add_qdisc(port, "ingress")


def before_ours(kernel: FakeKernel, port: str) -> None:
    kernel.delete_filters(port, "egress")
    kernel.add_filter(port, "egress", priority=1)


@pytest.mark.parametrize("hub", ["", "and the hub is gone", "and all rules are gone"])
@pytest.mark.parametrize(
    ("disturb", "remedy"),
    [
        (in_its_place, "'tc qdisc delete dev {port} ingress' makes room"),
        (before_ours, "'pref 10' would be a priority for it"),
    ],
)
def test_a_port_that_cannot_be_repaired_does_not_keep_the_others(
    busy: Daemon,
    disturb: Callable[[FakeKernel, str], None],
    remedy: str,
    hub: str,
) -> None:
    """Somebody's tc on it is left alone; the error names the port and says what to do."""
    kernel = busy.kernel
    ports = {each: busy.port("n1", each) for each in ENDPOINTS}
    disturb(kernel, ports["e1"])
    if "hub" in hub:
        kernel.delete_link(busy.hub("vcan0")[0])
    if "rules" in hub:
        kernel.rules.clear()
    kernel.delete_filters(ports["e2"], "all")
    theirs = [each for each in kernel.link(ports["e1"]).filters if each.priority == 1]
    outcome = busy.maintenance.sync()
    [fault] = outcome.faults
    assert ports["e1"] in fault
    assert remedy.format(port=ports["e1"]) in fault
    assert [event.fields["error"] for event in busy.said(events.BUS_NOT_REPAIRED)] == [fault]
    assert_among(busy, ["vcan0", ports["e2"], ports["e3"]])
    assert kernel.deliveries(ports["e1"])[ports["e1"], "classic"] == 0, "rather deaf"
    assert [each for each in kernel.link(ports["e1"]).filters if each in theirs] == theirs
    busy.run_container("n1", "e4")
    assert_among(busy, ["vcan0", ports["e2"], ports["e3"], busy.port("n1", "e4")])
    assert busy.maintenance.run(0.0, active=True) == 1.0, "it is tried again"
    if disturb is in_its_place:
        kernel.link(ports["e1"]).qdisc = ""
    else:
        kernel.delete_filters(ports["e1"], "egress")
    assert busy.maintenance.run(1.0, active=False) == GRACE
    busy.assert_exactly_once("vcan0")


def test_all_hubs_go_when_one_finds_a_module_missing(daemon: Daemon, kernel: FakeKernel) -> None:
    """At once: one of two hubs is made again, and cannot be."""
    for number in (0, 1):
        daemon.service.create_network(f"n{number}", {"can.interface": f"vcan{number}"})
    for link in kernel.links():
        if link.qdisc:
            kernel.delete_filters(link.name, "all")
    kernel.modules.discard("act_gact")
    daemon.maintenance.sync()
    kernel.delete_link(daemon.hub("vcan0")[0])
    assert daemon.maintenance.repair()
    assert kernel.names() == {"lo", "vcan0", "vcan1"}


def test_a_hub_of_which_an_end_was_moved_away_goes_too(daemon: Daemon, kernel: FakeKernel) -> None:
    """Its end that is left is in no use, other than a host end whose peer is elsewhere."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    kernel.move(daemon.hub("vcan0")[0], "elsewhere")
    kernel.delete_filters(daemon.port("n1", "e1"), "all")
    kernel.modules.discard("cls_fw")
    daemon.maintenance.sync()
    assert not {*daemon.hub("vcan0")} & kernel.names()
    daemon.assert_exactly_once("vcan0")
