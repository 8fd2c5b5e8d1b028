"""What `canwharf status` sees of the real kernel: names inside containers, counters, adapters."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree import ElementTree as ET

from canwharf.bus import fault_options, injection
from canwharf.bus.injection import Place
from canwharf.daemon.instance import Instance
from canwharf.kernel.netlink import Netlink
from canwharf.operator.collect import collect
from canwharf.operator.doctor.checks import CHECKS
from canwharf.operator.doctor.facts import Facts
from canwharf.operator.doctor.finding import OK, Finding
from canwharf.operator.render import svg, terminal, text
from canwharf.operator.render.layout import draw
from canwharf.operator.status import Status
from tests.kernel.site import Site
from tests.world.adapter import Adapter
from tests.world.host import ip, run, wait_until
from tests.world.member import entered, raw_socket

N = "n" * 64
SOCKET = "/nowhere/canwharf.sock"
FRAME = struct.Struct("=IB3xQ")  # struct can_frame, with eight bytes


def seen(directory: Path, netlink: Netlink) -> Status:
    return collect(Instance("canwharf", SOCKET, str(directory / "state")), netlink)


def test_names_inside_the_containers_and_counters(
    site: Site, netlink: Netlink, tmp_path: Path
) -> None:
    """Asked from the host: no container is entered, and Docker is not needed."""
    site.network(N)
    site.start(N, "e1", "e2")
    report = site.assert_whole()
    assert not report.faults
    site.containers[N, "e2"].give_back("can0", "back0")
    (bus,) = seen(tmp_path, netlink).reports
    host, one, two = bus.members
    assert (host.interface, host.container_link) == ("vcan0", None)
    assert one.container_link is not None
    assert (one.container_link.name, one.container_link.up) == ("can0", True)
    assert two.container_link is None
    assert two.link is not None
    assert not two.link.peer_away
    # exchange() sends as many from each, and each arrives at both others
    assert host.frames.sent == one.frames.sent == two.frames.sent > 0
    assert host.frames.received == 2 * host.frames.sent
    assert host.frames.dropped == 0
    assert {each.reason for each in bus.delivery_errors} == {"not-in-container"}


def test_an_adapter_that_an_operator_took_down(
    site: Site, adapter: Adapter, netlink: Netlink, tmp_path: Path
) -> None:
    """A daemon that runs leaves it down; without one, the next start brings it up."""
    adapter.start()
    site.service.create_network(N, {"can.interface": adapter.name, "can.bitrate": "500000"})
    site.start(N)
    ip(f"link set {adapter.name} down")
    status = seen(tmp_path, netlink)
    line = f"set adapter {adapter.name} up: can.bitrate=500000"
    assert [each.line for each in status.changes] == [line]
    told = text.render(status, terminal.plain)
    assert f"{adapter.name}  adapter, driver unknown, down, classic CAN, 500000 bit/s" in told
    assert "STOPPED" in told
    site.daemon.maintenance.repair()
    assert seen(tmp_path, netlink).changes == status.changes


def test_the_doctors_advice_brings_an_adapter_back(
    site: Site, adapter: Adapter, netlink: Netlink, tmp_path: Path
) -> None:
    """BUS-OFF of an adapter whose driver knows no restart, and one that is down."""

    def finding() -> Finding:
        facts = Facts("canwharf", SOCKET, status=seen(tmp_path, netlink))
        (only,) = CHECKS["buses"](facts)
        return only

    def controller_is(state: str) -> bool:
        (bus,) = seen(tmp_path, netlink).reports
        found = bus.link and bus.link.controller
        return bool(found and found.state_name == state)

    adapter.start()
    site.service.create_network(N, {"can.interface": adapter.name, "can.bitrate": "500000"})
    site.start(N)
    adapter.change_state("b", 255, 3)
    wait_until(lambda: controller_is("BUS-OFF"))
    told = text.render(seen(tmp_path, netlink), terminal.plain)
    assert f"nothing goes to or from {adapter.name}: it is BUS-OFF" in told
    assert "all members are connected" not in told
    run("sh", "-ec", finding().fix)
    assert controller_is("ERROR-ACTIVE")
    ip(f"link set {adapter.name} down")
    run("sh", "-ec", finding().fix)
    assert controller_is("ERROR-ACTIVE")
    assert finding().level == OK


def test_a_container_that_gives_its_interface_a_hostile_name(
    site: Site, netlink: Netlink, tmp_path: Path
) -> None:
    """The kernel takes nearly any character. Nothing of it reaches the operator's terminal."""
    site.network(N)
    site.start(N, "e1")
    with entered(site.containers[N, "e1"].path):
        ip("link set can0 down")
        run("ip", "link", "set", "can0", "name", '\033[2J<&"')
    status = seen(tmp_path, netlink)
    assert '?[2J<&" (down)' in text.render(status, terminal.plain)
    ET.fromstring(svg.render(draw(status)))


def test_trouble_on_purpose(site: Site, netlink: Netlink, tmp_path: Path) -> None:
    """What was lost on purpose is counted where it was meant, and nowhere as a fault of the bus."""
    site.service.create_network(N, {"can.name": "can", "can.loss": "100%"})
    site.start(N, "e1", "e2")
    fault = fault_options.parse({"id": "001", "set": "data[0]=FF"})
    injection.begin(site.service, Place(N, "e1"), fault)
    sender = site.members()[1]
    with raw_socket(sender) as opened:
        for id in range(5):
            opened.send(FRAME.pack(id, 8, 0))
    (bus,) = seen(tmp_path, netlink).reports
    _host, member, other = bus.members
    assert bus.impaired.lost == 5
    assert [each.frames(member.injected) for each in member.faults] == [{"changed": 1}]
    assert (bus.healthy, other.faults, other.frames.dropped) == (True, (), 0)
    told = text.render(seen(tmp_path, netlink), terminal.colored)
    assert terminal.colored("trouble on purpose: loss 100%; 5 frames lost on purpose", "31") in told
