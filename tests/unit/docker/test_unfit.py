"""What Docker would put on an interface that CAN does not have: said before its start fails."""

from __future__ import annotations

import json

import pytest

from canwharf.bus import events, naming
from canwharf.daemon.calls import Calls, front_ends
from canwharf.kernel import namespace
from tests.fake.daemon import Daemon

POOL = [{"AddressSpace": "LocalDefault", "Pool": "fd00::/64", "Gateway": "fd00::1/64"}]
MAC = {"MacAddress": "02:42:ac:11:00:09"}
IPV6 = {"Address": "172.18.0.2/16", "AddressIPv6": "fd00::2/64", "MacAddress": ""}
INTERNAL = naming.host_end("n1", "e1")


def call(daemon: Daemon, what: str, **content: object) -> str:
    """What Docker is told of a call; empty if all went well."""
    body = json.dumps({"NetworkID": "n1", **content}).encode()
    _status, answer = routes(daemon).answer(f"/NetworkDriver.{what}", body)
    return str(json.loads(answer).get("Err", ""))


def routes(daemon: Daemon) -> Calls:
    return front_ends(daemon.service, daemon.maintenance.sync)


def network(daemon: Daemon, pool: object, **given: str) -> str:
    named = {f"can.{name}": value for name, value in given.items()}
    options = {"com.docker.network.generic": named, "com.docker.network.enable_ipv6": True}
    return call(daemon, "CreateNetwork", Options=options, IPv6Data=pool)


def endpoint(daemon: Daemon, interface: object, path: str = "", **options: str) -> str:
    """What the user reads of a container's start; `path` is that of its namespace."""
    ids = {"EndpointID": "e1"}
    said = call(daemon, "CreateEndpoint", **ids, Interface=interface, Options=options)
    return said or call(daemon, "Join", **ids, SandboxKey=path)


@pytest.fixture(autouse=True)
def _namespaces(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "opened", daemon.kernel.opened)


def test_a_network_with_ipv6_addresses_is_refused(daemon: Daemon) -> None:
    """No container would start on it, and the error would name an interface of ours."""
    said = network(daemon, POOL, name="can")
    assert said.startswith("a CAN interface takes no IPv6 address, so no container would start.")
    assert all(each in said for each in ("without --ipv6", "enable_ipv6", "--ipam-driver null"))
    assert daemon.kernel.names() == {"lo"}
    assert not daemon.service.state.networks


@pytest.mark.parametrize(
    "pool", [None, [], [{"AddressSpace": "null", "Pool": "::/0"}], "?", [None], [{}]]
)
def test_one_without_is_made(daemon: Daemon, pool: object) -> None:
    """The null driver has a pool, and gives no address of it."""
    assert network(daemon, pool, name="can") == ""


def test_an_exact_name_can_be_had_with_addresses(daemon: Daemon) -> None:
    """The interface is put in place, and Docker does not touch it."""
    assert network(daemon, POOL, ifname="can0") == ""
    assert endpoint(daemon, IPV6, "/ns/c") == ""


def test_docker_that_moves_no_interface_gives_none(daemon: Daemon) -> None:
    """Since version 28, which asks about the network's gateways first."""
    docker = routes(daemon)
    generic = {"com.docker.network.generic": {"can.name": "can"}}
    asked = json.dumps({"NetworkID": "n1", "Options": generic, "IPv6Data": POOL}).encode()
    answers = [
        json.loads(docker.answer(f"/NetworkDriver.{name}", asked)[1])
        for name in ("CreateNetwork", "GwAllocCheck", "CreateNetwork")
    ]
    assert "no IPv6 address" in answers[0]["Err"]
    assert answers[1:] == [{"SkipIPv4": True, "SkipIPv6": True}, {}]
    for interface in (IPV6, MAC):
        assert endpoint(daemon, interface, "/ns/c") == ""


def test_a_network_that_is_there_already_goes_on(daemon: Daemon) -> None:
    daemon.service.create_network("n1", {"can.name": "can"})
    assert network(daemon, POOL, name="can") == ""
    assert "no IPv6 address" in endpoint(daemon, IPV6)
    assert endpoint(daemon, IPV6, "/ns/c") == ""


@pytest.mark.parametrize(("pool", "told"), [("172.18.0.0/16", True), ("0.0.0.0/0", False)])
def test_unused_addresses_are_reported(daemon: Daemon, pool: str, told: bool) -> None:
    """There are about 30 pools for all drivers; the null driver takes none."""
    ipv4 = [{"AddressSpace": "x", "Pool": pool}]
    assert call(daemon, "CreateNetwork", Options={}, IPv4Data=ipv4) == ""
    said = daemon.said(events.ADDRESSES_UNUSED)
    assert [event.fields["pool"] for event in said] == ([pool] if told else [])


@pytest.mark.parametrize("given", [{}, {"can.name": "x"}])
def test_a_mac_address_is_refused(daemon: Daemon, given: dict[str, str]) -> None:
    """Compose's mac_address is for the first network, whatever that is."""
    daemon.service.create_network("n1", {"can.name": "can"})
    said = endpoint(daemon, MAC, **given)
    assert said.startswith('a CAN interface takes no MAC address ("02:42:ac:11:00:09")')
    assert "mac_address under that network of the service" in said
    assert daemon.kernel.names() == {"lo", "vcan0", *daemon.hub("vcan0")}
    assert endpoint(daemon, {"MacAddress": ""}, **given) == ""


def test_a_moved_adapter_has_none(daemon: Daemon) -> None:
    """Docker moves it with every version."""
    daemon.kernel.plug("can0")
    moved = {"can.interface": "can0", "can.mode": "move", "can.type": "physical"}
    daemon.service.create_network("n1", moved)
    assert "no MAC address" in endpoint(daemon, MAC, "/ns/c")


def test_no_user_ever_reads_an_internal_name(daemon: Daemon) -> None:
    """The log has it, for whom the sentence is not enough."""
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.kernel.add_link(INTERNAL, "vcan")
    said = call(daemon, "Join", EndpointID="e1")
    assert said.startswith("cannot make a container's interface: the host has an interface")
    [event] = daemon.said(events.CALL_REFUSED)
    assert INTERNAL in event.fields["error"]


@pytest.mark.parametrize("place", range(1, 9))
def test_nor_in_the_kernels_errors(daemon: Daemon, place: int) -> None:
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.kernel.refuse(place)
    said = call(daemon, "Join", EndpointID="e1")
    assert "cwc" not in said
    assert "cwh" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot create interface pair cwh0123456789ab: No", "cannot create X: No"),
        ("cannot add gateway rule cwh0123456789ab -> vcan0: No", "cannot add gateway rule X -> va"),
        ("cannot find interface cwc0123456789ab: No", "cannot find X: No"),
        ("cannot create hub cwi0123456789ab: No", "cannot create the hub of a bus: No"),
        ("cannot set netem of cwb0123456789ab: No", "cannot set netem of the ifb of a bus: No"),
        ("interface cwharf is mine, cwc0 too", "interface cwharf is mine, cwc0 too"),
    ],
)
def test_how_a_sentence_reads_then(text: str, shown: str) -> None:
    wanted = shown.replace("X", "a container's interface")
    assert naming.without_internal(text).startswith(wanted.replace("-> va", "-> vcan0"))
