"""An adapter that moves into a container by a runtime's call; the move is seen in the lab."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping

import pytest

from canwharf.bus.attach import Collector
from canwharf.daemon.calls import RUNTIME, front_ends
from canwharf.daemon.server import Sender
from canwharf.errors import SocketNeededError
from canwharf.kernel.netlink import Netlink
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.runtime import body

MOTOR = {"can.interface": "motor", "can.mode": "move", "can.bitrate": "500000"}
CONTENT = {
    "container_id": "c1",
    "container_name": "ecu1",
    "network": {"name": "motor", "options": MOTOR},
    "network_options": {"interface_name": "eth0"},
}


def call(
    daemon: Daemon, verb: str, descriptor: int, content: Mapping[str, object] = CONTENT
) -> tuple[int, bytes]:
    answer = front_ends(daemon.service, daemon.maintenance.sync).answer
    return answer(RUNTIME, body([verb, "/ns/ecu1"], content), Sender(descriptor))


def test_the_executable_is_asked_to_enter(daemon: Daemon, kernel: FakeKernel) -> None:
    """And until it has, nothing is changed: neither the adapter nor the state."""
    kernel.plug("motor")
    before = kernel.snapshot()
    namespace = os.open("/dev/null", os.O_RDONLY)
    assert call(daemon, "setup", namespace) == (428, b"")
    assert daemon.service.state.networks == {}
    assert kernel.snapshot().links == before.links
    assert call(daemon, "teardown", namespace) == (200, b"")
    os.close(namespace)


def test_without_a_namespace_it_stays(daemon: Daemon, kernel: FakeKernel) -> None:
    """Also with something that came along in the place of one."""
    kernel.plug("motor")
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    status, output = call(daemon, "setup", -1)
    assert (status, "the engine named none" in json.loads(output)["error"]) == (400, True)
    for each in (ours, theirs):
        assert call(daemon, "setup", each.fileno())[0] in (400, 428)
        each.close()
    assert daemon.service.state.networks == {}
    assert kernel.names() == {"lo", "motor"}


def test_its_container_has_no_policy(daemon: Daemon, kernel: FakeKernel) -> None:
    """Podman's options of one container; nothing on the host could filter."""
    kernel.plug("motor")
    there = {"interface_name": "eth0", "options": {"can.send": "none"}}
    status, output = call(daemon, "setup", -1, {**CONTENT, "network_options": there})
    assert (status, "can.mode=share" in json.loads(output)["error"]) == (400, True)
    assert daemon.service.state.networks == {}


def test_another_socket_is_none() -> None:
    """One of another family, or of another netlink protocol."""
    with (
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as route,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as generic,
    ):
        for other in (unix, generic):
            with pytest.raises(SocketNeededError):
                Netlink.inside(other.fileno())
        Netlink.inside(route.fileno()).close()
        route.getsockname()  # it is still open


def test_an_endpoint_is_collected_when_its_adapter_is_back(
    daemon: Daemon, kernel: FakeKernel
) -> None:
    """And not while the container has it, over a restart of the daemon, too."""
    kernel.plug("motor")
    daemon.service.create_network("podman.motor", MOTOR)
    daemon.service.create_endpoint("podman.motor", "ecu1.1", {})
    daemon.start_container("podman.motor", "ecu1.1")
    later = daemon.restarted()
    collector = Collector(later.service, lambda _network: True)
    for now in (0.0, 2.0, 4.0):
        collector.run(now)
    assert list(later.service.state.networks["podman.motor"].endpoints) == ["ecu1.1"]
    kernel.kill_namespace("ecu1.1")
    later.maintenance.repair()
    assert "motor" in kernel.names()
    collector.run(6.0)
    assert not later.service.state.networks["podman.motor"].endpoints
