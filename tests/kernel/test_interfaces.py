"""Every kind of bus interface on the real kernel, other people's among them."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path

import pytest

from canwharf.bus import events
from canwharf.errors import ConflictError, KernelError, OptionError
from tests.kernel.site import Daemon, Site, shown
from tests.world.adapter import Adapter
from tests.world.frames import exchange
from tests.world.host import can_interfaces, cangw_lines, gateway_rules, index_of, ip, run
from tests.world.member import raw_socket
from tests.world.rules import adapters, linear

N = "n" * 64


def cangw(words: str) -> None:
    run("cangw", *words.split())


def ids(number: int) -> list[str]:
    """Ids as Docker makes them; they share their first characters."""
    return [f"{'e' * 60}{place:04x}" for place in range(number)]


def test_a_foreign_vcan_is_used_as_it_is_and_left(site: Site) -> None:
    ip("link add vcan0 mtu 72 type vcan")
    ip("link set vcan0 up alias mine")
    before = shown("vcan0")
    site.network(N)
    site.start(N, *ids(2))
    site.assert_whole()
    for endpoint in ids(2):
        site.stop(N, endpoint)
    site.service.delete_network(N)
    assert can_interfaces() == {"vcan0"}
    after = shown("vcan0")
    assert (after["ifindex"], after["ifalias"]) == (before["ifindex"], "mine")
    assert cangw_lines() == []


def test_our_own_vcan_goes_with_its_network(site: Site) -> None:
    site.network(N)
    assert shown("vcan0")["ifalias"] == "canwharf canwharf bus"
    site.service.delete_network(N)
    assert can_interfaces() == set()
    site.service.delete_network(N)


def test_other_peoples_interfaces_and_rules_are_untouched(site: Site) -> None:
    ip("link add theirs0 type vxcan peer name theirs1")
    ip("link add theirs2 type vcan")
    ip("link set theirs0 up")
    ip("link set theirs2 up")
    cangw("-A -s theirs0 -d theirs2 -e -i")
    cangw("-A -s theirs0 -d theirs2 -e -i")
    ip("link add vcan0 mtu 72 type vcan")
    ip("link set vcan0 up")
    cangw("-A -s vcan0 -d theirs2 -e -f 123:7FF")
    before = sorted(cangw_lines())
    [one, two] = ids(2)
    site.network(N)
    site.start(N, one, two)
    site.daemon.maintenance.recover()
    assert exchange(site.members()).faults == []
    site.stop(N, one)
    site.restart()
    site.daemon.maintenance.recover()
    site.daemon.resync()
    site.daemon.resync()
    site.stop(N, two)
    site.service.delete_network(N)
    assert sorted(cangw_lines()) == before
    assert can_interfaces() == {"theirs0", "theirs1", "theirs2", "vcan0"}


def test_someone_elses_rules_on_a_pair_of_ours_do_not_count(site: Site) -> None:
    """A filtered rule does not stand in for ours; one of an earlier version is replaced."""
    [one] = ids(1)
    site.network(N)
    site.create(N, one)
    site.join(N, one)
    port = site.port(N, one)
    run("cangw", "-F")
    run("cangw", "-A", "-s", port, "-d", "vcan0", "-e", "-i", "-f", "123:7FF")
    run("cangw", "-A", "-s", "vcan0", "-d", port, "-e", "-i")
    site.restart()
    site.daemon.maintenance.recover()
    assert gateway_rules() == linear(["vcan0", port])
    assert len(cangw_lines()) == 13


def test_another_drivers_interfaces_are_untouched(site: Site, tmp_path: Path) -> None:
    """Two daemons under two names on one machine, also where one recovers or collects."""
    other = Daemon(str(tmp_path / "other"), driver="rustyvxcan")
    try:
        other.service.create_network("m" * 64, {"can.interface": "vcan1"})
        other.service.create_endpoint("m" * 64, "a", {})
        other.service.join("m" * 64, "a")
        theirs = can_interfaces(), sorted(cangw_lines())
        site.network(N)
        site.start(N, *ids(1))
        site.daemon.maintenance.recover()
        site.stop(N, *ids(1))
        site.service.delete_network(N)
        site.daemon.resync()
        site.daemon.resync()
        assert (can_interfaces(), sorted(cangw_lines())) == theirs
    finally:
        other.close()


def test_equal_indexes_of_the_bus_and_of_a_containers_interface(site: Site) -> None:
    """They collide across namespaces; the kernel must not take one for the other."""
    [one, two] = ids(2)
    site.network(N)
    site.start(N, one, two)
    same = site.containers[N, one].index_of("can0")
    ip("link delete vcan0")
    ip(f"link add vcan0 index {same} mtu 72 type vcan")
    ip("link set vcan0 up")
    site.daemon.maintenance.repair()
    assert index_of("vcan0") == same
    site.assert_whole()


def test_a_classic_bus_interface_gets_no_fd_rules(site: Site) -> None:
    """The containers still have FD among themselves."""
    ip("link add vcan0 mtu 16 type vcan")
    ip("link set vcan0 up")
    site.network(N)
    site.start(N, *ids(2))
    report = site.assert_whole(classic_only=["vcan0"])
    assert all("fd" not in row for row in report.matrix["host:vcan0"].values())


def test_a_real_adapter(site: Site, adapter: Adapter, stack: ExitStack) -> None:
    """Frames from the wire reach each container once, theirs reach the wire once."""
    adapter.start()
    site.network(N, adapter.name)
    site.start(N, *ids(2))
    assert gateway_rules() == adapters(site.ports(adapter.name))
    members = site.members(adapter.name)
    listening = [stack.enter_context(raw_socket(member)) for member in members]
    adapter.send("t1232BEEF")
    adapter.send("T1234567811A")
    for opened in listening:
        opened.settimeout(5)
        assert opened.recv(72) == struct.pack("=IB3x8s", 0x123, 2, b"\xbe\xef")
        assert opened.recv(72) == struct.pack("=IB3x8s", 0x92345678, 1, b"\x1a")
    for number, opened in enumerate(listening):
        opened.send(struct.pack("=IB3x8s", 0x300 + number, 1, b"\x0b"))
        adapter.wait_for(f"t3{number:02}10B")
    written = adapter.written()
    assert [written.count(f"t3{number:02}10B") for number in range(3)] == [1, 1, 1]
    assert "t1232BEEF" not in written, "what comes from the wire does not go back to it"
    assert exchange(members[1:]).faults == [], "FD frames too, past the adapter"


def test_an_adapter_is_not_brought_up_and_not_deleted(site: Site, adapter: Adapter) -> None:
    site.network(N, adapter.name)
    assert "UP" not in shown(adapter.name)["flags"]
    site.start(N, *ids(1))
    site.stop(N, *ids(1))
    site.service.delete_network(N)
    assert can_interfaces() == {adapter.name}


@pytest.mark.parametrize("name", ["lo", "dummy"])
def test_an_interface_that_cannot_be_a_bus_is_refused(site: Site, name: str) -> None:
    if name == "dummy":
        site.network(N)
        site.start(N, *ids(1))
        name = site.port(N, *ids(1))  # the host end of a pair
    before = can_interfaces()
    with pytest.raises(OptionError, match=name):
        site.network("m" * 64, name)
    assert can_interfaces() == before
    assert set(site.service.state.networks) <= {N}


def test_a_network_with_other_options_is_refused(site: Site) -> None:
    site.network(N)
    with pytest.raises(ConflictError):
        site.network(N, "vcan1")
    assert can_interfaces() == {"vcan0"}


@pytest.mark.usefixtures("no_gateway")
def test_without_can_gw_a_join_fails_and_leaves_nothing(site: Site) -> None:
    site.network(N)
    site.create(N, *ids(1))
    with pytest.raises(KernelError, match="modprobe can-gw"):
        site.join(N, *ids(1))
    assert can_interfaces() == {"vcan0"}
    assert not site.daemon.said(events.CALL_NOT_UNDONE)


@pytest.mark.usefixtures("no_vxcan")
def test_without_vxcan_a_network_fails_and_leaves_nothing(site: Site) -> None:
    with pytest.raises(KernelError, match="modprobe vxcan"):
        site.network(N)
    assert can_interfaces() == set()
    assert not site.daemon.said(events.CALL_NOT_UNDONE)


def test_a_network_on_an_interface_that_left_a_bridge(site: Site) -> None:
    """The bridge's announcement of a port that leaves is no announcement of a link that goes."""
    ip("link add bridge0 type bridge")
    try:
        ip("link add port0 type dummy")
        ip("link set port0 master bridge0")
        site.daemon.reconciler.observe()
        ip("link set port0 nomaster")
        with pytest.raises(OptionError, match="not a CAN interface"):
            site.network(N, "port0")
        assert "ifalias" not in shown("port0")
    finally:
        run("ip", "link", "delete", "port0", check=False)
        ip("link delete bridge0")
