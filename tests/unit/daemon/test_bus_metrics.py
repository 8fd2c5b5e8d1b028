"""The figures of buses, containers and adapters."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from canwharf.bus.delivery import REASONS
from canwharf.bus.reconcile import Snapshot
from canwharf.bus.report import Kernel, bus_reports
from canwharf.daemon import bus_metrics
from canwharf.docker.containers import PAUSE
from canwharf.kernel import gateway
from canwharf.kernel.can import Controller, Statistics
from canwharf.kernel.link import Link
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.daemon.scraped import Scraped, labels

COUNTED = Statistics(1, 2, 3, 4, 5, 6)


def test_frames_by_bus_and_endpoint(
    daemon: Daemon, scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's interface is one of them; another bus is another one."""
    daemon.service.create_network("n1", {})
    daemon.service.create_network("n2", {"vxcan.id": "7"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n2", "e2")
    view = daemon.reconciler.observe()
    index = {link.name: link.ifindex for link in view.links()}
    port = daemon.port("n1", "e1")
    rules = [
        gateway.Entry(gateway.Rule(index["vcan0"], index[port], gateway.CLASSIC), True, 5, 1),
        gateway.Entry(gateway.Rule(index[port], index["vcan0"], gateway.FD), True, 3, 0),
    ]
    monkeypatch.setattr(gateway, "entries", lambda _requests: rules)
    found = scraped.samples()
    host, own = labels("vcan0", "", "", "vcan0"), labels("vcan0", "n1", "e1", port)
    assert found["canwharf_frames_sent_total", *host] == 5
    assert found["canwharf_frames_received_total", *host] == 3
    assert found["canwharf_frames_sent_total", *own] == 3
    assert found["canwharf_frames_received_total", *own] == 5
    assert found["canwharf_frames_dropped_total", *own] == 1
    other = daemon.port("n2", "e2")
    assert found["canwharf_frames_sent_total", *labels("vcan7", "", "", "vcan7")] == 0
    assert found["canwharf_frames_sent_total", *labels("vcan7", "n2", "e2", other)] == 0


def test_the_real_rules_are_read(daemon: Daemon, scraped: Scraped) -> None:
    """From the kernel, at the moment of the request."""
    daemon.service.create_network("n1", {})
    host = ("canwharf_frames_sent_total", *labels("vcan0", "", "", "vcan0"))
    assert host in scraped.samples()
    daemon.run_container("n1", "e1")
    own = ("canwharf_frames_sent_total", *labels("vcan0", "n1", "e1", daemon.port("n1", "e1")))
    assert own in scraped.samples()
    daemon.service.delete_endpoint("n1", "e1")
    assert own not in scraped.samples()
    assert host in scraped.samples()


def test_a_container_that_is_not_connected_is_an_alarm(
    daemon: Daemon, scraped: Scraped, kernel: FakeKernel
) -> None:
    """Its frames are counted all the same: received grows, and dropped stays where it is."""
    daemon.service.create_network("n1", {"can.name": "can"})
    for endpoint in ("e1", "e2"):
        daemon.run_container("n1", endpoint)
    port = daemon.port("n1", "e1")
    own = ("canwharf_member_connected", *labels("vcan0", "n1", "e1", port))
    host = ("canwharf_member_connected", *labels("vcan0", "", "", "vcan0"))
    found = scraped.samples()
    gaps = {each: found["canwharf_bus_delivery_errors", "vcan0", each] for each in REASONS}
    assert (found[own], found[host], set(gaps.values())) == (1, 1, {0})
    kernel.link("can0", "e1").up = False
    found = scraped.samples()
    assert (found[own], found[host]) == (0, 1)
    assert (
        found["canwharf_bus_delivery_errors", "vcan0", "no-carrier"] == 2
    )  # from it to all, and back
    kernel.delete_link(port)
    kernel.rules.pop()
    found = scraped.samples()
    assert found[own] == 0
    assert found["canwharf_bus_delivery_errors", "vcan0", "missing"] == 2
    assert found["canwharf_bus_delivery_errors", "vcan0", "no-rule"] == 1


def test_what_docker_calls_a_container(daemon: Daemon, scraped: Scraped, tmp_path: Path) -> None:
    """Its name is beside the ids as soon as Docker has told it, and the loop does not wait."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    own = ("canwharf_endpoint_info", "vcan0", "", "e1", daemon.port("n1", "e1"), "", "n1")
    # Sorted: bus, container, endpoint_id, interface, network, network_id
    assert scraped.samples()[own] == 1
    networks = {"bus0": {"EndpointID": "e1"}, "other": {"EndpointID": ""}, "odd": None}
    listed = [{"Names": ["/ecu1"], "NetworkSettings": {"Networks": networks}}, None, {}]
    containers = scraped.metrics._containers
    with socket.socket(socket.AF_UNIX) as docker:
        containers._path = str(tmp_path / "docker.sock")
        docker.bind(containers._path)
        docker.listen()
        containers._asked_at = -1000.0
        assert scraped.samples()[own] == 1  # Docker has not answered
        answering, _address = docker.accept()
        with answering:
            assert answering.recv(4096).startswith(b"GET /containers/json HTTP/1.0\r\n")
            told = b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(listed).encode()
            answering.send(told[:40])
            assert scraped.samples()[own] == 1
            answering.send(told[40:])
        scraped.step()
        named = ("canwharf_endpoint_info", "vcan0", "ecu1", *own[3:5], "bus0", "n1")
        assert scraped.samples()[named] == 1
        docker.settimeout(0)
        with pytest.raises(BlockingIOError):  # not again so soon, for any number of requests
            docker.accept()
        for nonsense in (b"HTTP/1.0 500 no\r\n\r\n[]", b"", b"HTTP/1.0 200 OK\r\n\r\n{", b"\0"):
            containers.ask(containers._asked_at + PAUSE)
            answering, _address = docker.accept()
            answering.send(nonsense)
            answering.close()
            scraped.step()
            scraped.step()
            assert scraped.samples()[named] == 1
        containers.ask(containers._asked_at + PAUSE)  # and this one is never answered
        containers.ask(containers._asked_at + PAUSE)
        assert scraped.samples()[named] == 1
        containers.close()


def test_an_adapter(daemon: Daemon, scraped: Scraped, kernel: FakeKernel) -> None:
    """Its state, the controller's counters, and how often what happened."""
    kernel.plug("can0")
    daemon.service.create_network("n1", {"can.interface": "can0", "can.bitrate": "500000"})
    found = scraped.samples()
    assert found["canwharf_adapter_state", "can0", "error-active"] == 1
    assert found["canwharf_adapter_state", "can0", "bus-off"] == 0
    assert found["canwharf_adapter_bus_offs_total", "can0"] == 0
    link = Link(9, "can0", "can", controller=Controller(3, errors=(255, 7), statistics=COUNTED))
    bus = daemon.service.state
    (report,) = bus_reports(bus, Kernel(Snapshot([link])))
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in bus_metrics._adapters([report])
        for sample in family.samples
    }
    assert told["canwharf_adapter_state", "can0", "bus-off"] == 1
    assert told["canwharf_adapter_error_counter", "can0", "transmit"] == 255
    assert told["canwharf_adapter_error_counter", "can0", "receive"] == 7
    assert told["canwharf_adapter_bus_errors_total", "can0"] == 1
    assert told["canwharf_adapter_bus_offs_total", "can0"] == 4
    assert told["canwharf_adapter_restarts_total", "can0"] == 6
