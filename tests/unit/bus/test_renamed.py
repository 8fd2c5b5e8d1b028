"""Host interfaces that get another name while they are up: their rules stay with them."""

from __future__ import annotations

import pytest

from canwharf.bus import events
from canwharf.bus.delivery import MISSING
from canwharf.bus.reconcile import snapshot
from canwharf.bus.report import Kernel, bus_reports
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel


def rename(kernel: FakeKernel, name: str, new: str) -> None:
    """By udev, or by hand; newer kernels allow it for a link that is up."""
    link = kernel.link(name)
    link.name = new
    kernel._announce(link)


def test_a_host_end_that_is_renamed_is_still_its_endpoints(daemon: Daemon) -> None:
    """Its alias tells: it stays on the bus, whoever joins, and goes with its container."""
    kernel = daemon.kernel
    daemon.service.create_network("n1", {})
    for endpoint in ("e1", "e2"):
        daemon.run_container("n1", endpoint)
    kernel.rename(daemon.port("n1", "e1"), "front")
    assert daemon.maintenance.repair()
    daemon.run_container("n1", "e3")
    kernel.delete_link("vcan0")
    assert daemon.maintenance.repair()
    members = ["vcan0", "front", daemon.port("n1", "e2"), daemon.port("n1", "e3")]
    for sender in members:
        assert set(kernel.deliveries(sender).values()) == {1}
        assert {name for name, _fd in kernel.deliveries(sender)} == {*members} - {sender}
    kernel.set_up("front", up=False)
    assert daemon.maintenance.repair()
    assert kernel.link("front").up
    next_life = daemon.restarted()
    assert not next_life.maintenance.sync().steps
    next_life.service.delete_endpoint("n1", "e1")
    assert "front" not in kernel.names()


def test_another_drivers_host_end_is_not_taken_for_ours(daemon: Daemon) -> None:
    """Two engines may give the same ids; each driver's aliases tell of its own alone."""
    daemon.service.create_network("n1", {})
    daemon.kernel.add_link("theirs", "vxcan", alias="canwharf other endpoint n1 e1 vcan0 can")
    daemon.run_container("n1", "e1")
    daemon.service.delete_endpoint("n1", "e1")
    assert "theirs" in daemon.kernel.names()


def test_a_host_end_that_is_renamed_before_its_container_took_the_other(daemon: Daemon) -> None:
    """By its name alone it is unowned; a full resync would have deleted it."""
    kernel = daemon.kernel
    daemon.service.create_network("n1", {})
    daemon.service.create_endpoint("n1", "e1", {})
    joined = daemon.service.join("n1", "e1")
    kernel.rename(daemon.port("n1", "e1"), "front")
    daemon.maintenance.sync()
    kernel.move(joined.interface, "e1", new_name="can0")
    assert kernel.link("can0", "e1").peer is kernel.link("front")


@pytest.mark.parametrize("lost", [False, True], ids=["", "and the kernel lost its announcements"])
def test_two_adapters_that_change_names_change_buses(daemon: Daemon, lost: bool) -> None:
    """Rules stay with a renamed interface: no container may receive the frames of two buses."""
    kernel = daemon.kernel
    for network, name in (("n1", "can0"), ("n2", "can1")):
        kernel.plug(name)
        daemon.service.create_network(network, {"can.interface": name, "can.bitrate": "500000"})
        daemon.run_container(network, f"of-{name}")
    for names in (("can0", "x"), ("can1", "can0"), ("x", "can1")):
        rename(kernel, *names)
    if lost:
        kernel.overrun()
    assert daemon.maintenance.repair()
    daemon.assert_exactly_once("can0")
    daemon.assert_exactly_once("can1")
    assert len(kernel.rules) == 2 * (3 + 4)
    assert daemon.said(events.RULE_LEFT_BEHIND)
    assert not daemon.said(events.RULE_DUPLICATE)


def test_a_sync_does_not_call_a_rule_duplicate_that_was_left_behind(daemon: Daemon) -> None:
    """Its output names the reason, in the words of the log."""
    kernel = daemon.kernel
    kernel.plug("can0")
    daemon.service.create_network("n1", {"can.interface": "can0", "can.bitrate": "500000"})
    daemon.run_container("n1", "e1")
    daemon.maintenance.repair()
    rename(kernel, "can0", "can7")
    told = [each.line for each in daemon.maintenance.sync().changes]
    port = daemon.port("n1", "e1")
    line = f"delete a renamed interface's gateway rule can7 -> {port} (classic, error frames)"
    assert line in told
    assert not [each for each in told if "duplicate" in each]


def test_an_adapter_that_got_another_name_is_off_the_bus(daemon: Daemon) -> None:
    """And on it again when it has its own back."""
    kernel = daemon.kernel
    kernel.plug("can0")
    daemon.service.create_network("n1", {"can.interface": "can0", "can.bitrate": "500000"})
    for endpoint in ("e1", "e2"):
        daemon.run_container("n1", endpoint)
    daemon.maintenance.repair()
    before = set(kernel.rules)
    rename(kernel, "can0", "motor")
    daemon.maintenance.repair()
    assert len(kernel.rules) == 2 * 4, "the containers among each other"
    rename(kernel, "motor", "can0")
    daemon.maintenance.repair()
    assert set(kernel.rules) == before
    daemon.assert_exactly_once("can0")


def test_a_host_end_that_takes_the_name_of_its_bus(daemon: Daemon) -> None:
    """It is still its endpoint's, and not the bus interface: it was given that one's alias, too.

    Its rules were planned for twice, once for each, and the daemon ended.
    """
    kernel = daemon.kernel
    daemon.service.create_network("n1", {})
    for endpoint in ("e1", "e2"):
        daemon.run_container("n1", endpoint)
    ends = [daemon.port("n1", endpoint) for endpoint in ("e1", "e2")]
    alias = kernel.link(ends[0]).alias
    kernel.delete_link("vcan0")
    kernel.rename(ends[0], "vcan0")
    kernel.add_rule(ends[1], "vcan0")
    daemon.maintenance.sync()
    assert kernel.link("vcan0").alias == alias
    assert set(kernel.deliveries("vcan0").values()) == {1}
    assert set(kernel.deliveries(ends[1]).values()) == {1}
    [report] = bus_reports(daemon.service.state, Kernel(snapshot(kernel)))
    host = report.members[0]
    assert (host.link, host.reason) == (None, MISSING), "and status says so"
