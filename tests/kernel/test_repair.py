"""Behind the daemon's back, on the real kernel: announcements, then repair; and collection."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest

from canwharf.bus import events, naming
from canwharf.errors import NetlinkOverrunError
from canwharf.kernel.netlink import LinkEvents
from tests.kernel.site import Site, shown
from tests.world.adapter import Adapter
from tests.world.container import Container
from tests.world.frames import exchange
from tests.world.host import (
    can_interfaces,
    cangw_lines,
    gateway_rules,
    index_of,
    ip,
    run,
    wait_until,
)
from tests.world.rules import adapters

N = "n" * 64
A, B, C, D = (letter * 64 for letter in "abcd")


# Behind our back, while the daemon runs: announcements, then repair.


def test_the_bus_interface_is_deleted(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    ip("link delete vcan0")
    site.daemon.maintenance.repair()
    assert [event.type for event in site.daemon.complaints()] == [events.BUS_RECREATED]
    site.assert_whole()
    site.daemon.events.clear()
    site.daemon.maintenance.repair()
    assert site.daemon.events == []


def test_the_bus_interface_is_deleted_again_and_again(site: Site) -> None:
    site.network(N)
    site.start(N, A)
    for _ in range(5):
        ip("link delete vcan0")
        site.daemon.maintenance.repair()
    site.assert_whole()


def test_the_bus_interface_is_replaced_by_a_foreign_one(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    ip("link delete vcan0")
    ip("link add vcan0 mtu 72 type vcan")
    ip("link set vcan0 up")
    site.daemon.maintenance.repair()
    site.assert_whole()
    assert "ifalias" not in shown("vcan0")


@pytest.mark.parametrize("alias", ["another", "mine"])
def test_the_bus_interface_is_replaced_by_one_of_the_same_index(site: Site, alias: str) -> None:
    """All its rules are gone, though its index is there."""
    ip("link add vcan0 mtu 72 type vcan")
    ip("link set vcan0 up alias mine")
    site.network(N)
    site.start(N, A, B)
    index = index_of("vcan0")
    site.daemon.maintenance.repair()
    ip("link delete vcan0")
    ip(f"link add vcan0 index {index} mtu 72 type vcan")
    ip(f"link set vcan0 up alias {alias}")
    site.daemon.maintenance.repair()
    assert index_of("vcan0") == index
    site.assert_whole()


def test_the_bus_interface_is_renamed(site: Site) -> None:
    """The bus is its name: another interface is made; the old one still bears our alias."""
    site.network(N)
    site.start(N, A)
    ip("link set vcan0 down")
    ip("link set vcan0 name old0")
    ip("link set old0 up")
    site.daemon.maintenance.repair()
    assert "vcan0" in can_interfaces()
    site.restart()
    site.daemon.maintenance.recover()
    assert "old0" not in can_interfaces()
    site.assert_whole()


@pytest.mark.parametrize("which", ["bus", "port"])
def test_an_interface_of_ours_is_set_down(site: Site, which: str) -> None:
    site.network(N)
    site.start(N, A, B)
    name = "vcan0" if which == "bus" else site.port(N, A)
    ip(f"link set {name} down")
    site.daemon.maintenance.repair()
    assert "UP" in shown(name)["flags"]
    [event] = site.daemon.complaints()
    assert (event.type, event.fields) == (events.INTERFACE_BROUGHT_UP, {"interface": name})
    site.assert_whole()


def test_a_foreign_interface_that_is_set_down_stays_so(site: Site) -> None:
    ip("link add vcan0 mtu 72 type vcan")
    ip("link set vcan0 up")
    site.network(N)
    site.start(N, A)
    ip("link set vcan0 down")
    site.daemon.maintenance.repair()
    assert "UP" not in shown("vcan0")["flags"]
    ip("link set vcan0 up")
    site.daemon.maintenance.repair()
    site.assert_whole()


def test_a_foreign_interface_that_learns_fd_gets_the_fd_rules(site: Site) -> None:
    ip("link add vcan0 mtu 16 type vcan")
    ip("link set vcan0 up")
    site.network(N)
    site.start(N, A)
    ip("link set vcan0 down")
    ip("link set vcan0 mtu 72")
    ip("link set vcan0 up")
    site.daemon.maintenance.repair()
    site.assert_whole()


def test_a_foreign_interface_that_unlearns_fd(site: Site) -> None:
    """The rules may stay: what does not fit is dropped, and everything else goes through."""
    ip("link add vcan0 mtu 72 type vcan")
    ip("link set vcan0 up")
    site.network(N)
    site.start(N, A, B)
    ip("link set vcan0 down")
    ip("link set vcan0 mtu 16")
    ip("link set vcan0 up")
    site.daemon.maintenance.repair()
    assert exchange(site.members()).faults == []


def test_the_bus_interface_is_moved_away(site: Site, container: Container) -> None:
    site.network(N)
    site.start(N, A, B)
    container.take("vcan0", "taken0")
    site.daemon.maintenance.repair()
    site.assert_whole()


def test_a_container_sets_its_own_end_down_and_up(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    for state in ("down", "up"):
        inside = site.containers[N, A].path
        run("nsenter", f"--net={inside}", "ip", "link", "set", "can0", state)
        site.daemon.maintenance.repair()
    assert site.daemon.events[-1].type == events.ENDPOINT_JOINED, "nothing to repair"
    site.assert_whole()


def test_a_namespace_that_dies(site: Site) -> None:
    site.network(N)
    site.start(N, A, B, C)
    site.die(N, B)
    site.daemon.maintenance.repair()
    site.assert_whole()
    assert site.port(N, B) not in can_interfaces()
    site.service.delete_endpoint(N, B)
    site.start(N, D)
    site.assert_whole()


def test_a_pair_that_was_deleted_comes_back_with_the_next_join(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    ip(f"link delete {site.port(N, A)}")
    site.daemon.maintenance.repair()
    site.containers.pop((N, A)).close()
    site.assert_whole()
    site.join(N, A)
    site.assert_whole()


def test_an_adapter_unplugged_and_plugged_in_again(site: Site, stack: ExitStack) -> None:
    first = Adapter()
    stack.callback(first.unplug)
    first.start()
    site.network(N, first.name)
    site.start(N, A, B)
    first.unplug()
    site.daemon.maintenance.repair()
    assert exchange(site.members(first.name)[1:]).faults == [], "the containers still talk"
    second = Adapter()
    stack.callback(second.unplug)
    assert second.name == first.name
    second.start()
    site.daemon.maintenance.repair()
    assert gateway_rules() == adapters(site.ports(first.name))


def test_more_announcements_than_fit(site: Site, stack: ExitStack) -> None:
    """Lost announcements are no loss: everything is looked at again."""
    stack.callback(ip, "link set lo mtu 65536")
    site.network(N)
    site.start(N, A)
    lost = LinkEvents()
    ip("link delete vcan0")
    flood = "".join(f"link set lo mtu {65536 - place % 2}\n" for place in range(4000))
    run("ip", "-batch", "-", input=flood)
    with closing(lost), pytest.raises(NetlinkOverrunError):
        lost.take()
    site.daemon.maintenance.repair()
    assert "vcan0" in can_interfaces()
    site.assert_whole()


# Garbage collection: endpoints without a container.


def test_a_pair_left_on_the_host_is_collected(site: Site) -> None:
    site.network(N)
    site.start(N, A)
    site.create(N, B)
    site.service.join(N, B)  # and Docker dies before it takes the container's end
    assert naming.container_end(N, B) in can_interfaces()
    assert site.daemon.resync() is True
    assert site.port(N, B) in can_interfaces(), "not at first sight"
    assert site.daemon.resync() is False
    assert can_interfaces() == {"vcan0", site.port(N, A)}
    [event] = site.daemon.said(events.ENDPOINT_COLLECTED)
    assert event.fields == {"network": N, "endpoint": B}
    site.assert_whole()


def test_a_pair_in_a_namespace_is_not_collected(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    site.restart()
    for _ in range(3):
        assert site.daemon.resync() is False
    assert set(site.service.state.networks[N].endpoints) == {A, B}
    site.assert_whole()


def test_a_pair_that_is_taken_in_time_is_not_collected(site: Site) -> None:
    site.network(N)
    site.create(N, A)
    joined = site.service.join(N, A)
    assert site.daemon.resync() is True
    site.settle(N, A, joined)
    assert site.daemon.resync() is False
    site.assert_whole()


def test_an_endpoint_whose_namespace_died_is_collected(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    site.die(N, A)
    assert site.daemon.resync() is True
    assert site.daemon.resync() is False
    assert set(site.service.state.networks[N].endpoints) == {B}
    site.assert_whole()


def test_deleting_a_network_takes_its_endpoints(site: Site) -> None:
    site.network(N)
    site.start(N, A)
    site.create(N, B)
    site.service.join(N, B)
    inside = site.containers.pop((N, A))
    site.service.delete_network(N)
    assert can_interfaces() == set()
    assert cangw_lines() == []
    wait_until(lambda: set(inside.links()) == {"lo"})
    inside.close()
