"""A whole adapter for one container: given, and taken back."""

from __future__ import annotations

import socket

import pytest

from canwharf.bus import events
from canwharf.daemon.calls import RUNTIME, front_ends
from canwharf.daemon.server import Sender
from canwharf.errors import CanwharfError, ConflictError, OptionError
from tests.fake.runtime import body
from tests.kernel.site import Site, shown
from tests.kernel.wired import (
    NAME,
    UP,
    Ear,
    M,
    N,
    Plug,
    make,
    never_virtual,
    settings,
)
from tests.world.container import Container
from tests.world.host import can_interfaces, cangw_lines, gateway_rules, ip, wait_until
from tests.world.member import entered


def move(site: Site, endpoint: str = "e1", prefix: str = "can") -> None:
    """Start a container with the adapter in it."""
    site.create(N, endpoint)
    joined = site.service.join(N, endpoint)
    assert joined[:2] == (NAME, prefix)
    site.settle(N, endpoint, joined)


def test_a_container_has_the_adapter_itself(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site, mode="move")
    move(site)
    container = site.containers[N, "e1"]
    assert can_interfaces() == set()
    assert container.links()["can0"].up
    ear = Ear(container.member("can0"))
    adapter.send("t1230")
    assert ear.until(0x123) == [0x123]
    ear.say(0x321)
    adapter.wait_for("t3210")
    ear.close()
    assert cangw_lines() == []
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.create(N, "e2")
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.service.join(N, "e2")


def test_a_second_container_is_refused_at_every_moment(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    site.create(N, "e1")
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.create(N, "e2")
    site.service.join(N, "e1")  # and the engine has not taken it yet
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        site.create(N, "e2")
    assert set(site.service.state.networks[N].endpoints) == {"e1"}
    assert site.service.join(N, "e1").interface == NAME  # asked again


def test_it_is_taken_back_when_the_container_leaves(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    for endpoint in ("e1", "e2"):
        move(site, endpoint)
        site.service.leave(N, endpoint)
        with site.containers.pop((N, endpoint)) as container:
            container.give_back("can0", NAME)
        site.service.delete_endpoint(N, endpoint)
        site.daemon.maintenance.repair()
        assert settings() == UP | {"up": False}
    site.service.delete_network(N)
    assert can_interfaces() == {NAME}
    assert "ifalias" not in shown(NAME)


@pytest.mark.parametrize("restart", [False, True], ids=["", "and the daemon was away"])
def test_it_comes_back_from_a_namespace_that_died(site: Site, plug: Plug, restart: bool) -> None:
    """Under the name that it had in there; it gets its own, and the next container gets it."""
    plug()
    make(site, mode="move")
    move(site)
    if restart:
        site.restart()
    site.containers.pop((N, "e1")).close()
    wait_until(lambda: site.daemon.maintenance.repair() and can_interfaces() == {NAME})
    assert site.daemon.said(events.ADAPTER_RENAMED)
    move(site, "e2")
    assert set(site.service.state.networks[N].endpoints) == {"e2"}


def test_one_that_came_back_under_another_buss_name_is_not_that_buss(
    site: Site, plug: Plug
) -> None:
    """can0's adapter is unplugged, and motor's comes back as can0."""
    make(site, M, interface="can0", type="physical", bitrate="250000")
    site.start(M, "a")
    plug()
    make(site, mode="move")
    move(site)
    site.containers.pop((N, "e1")).close()
    wait_until(lambda: bool(can_interfaces() & {"can0", NAME}))
    wait_until(lambda: site.daemon.maintenance.repair() and NAME in can_interfaces())
    assert "can0" not in can_interfaces()
    assert settings()["bitrate"] == 500000
    ends = {end for rule in gateway_rules() for end in rule[:2]}
    assert not ends & {"can0", NAME}


def test_an_endpoint_whose_container_died_is_garbage_collected(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    move(site)
    for _look in range(3):
        site.daemon.resync()
    assert set(site.service.state.networks[N].endpoints) == {"e1"}
    site.containers.pop((N, "e1")).close()
    wait_until(lambda: site.daemon.maintenance.repair() and can_interfaces() == {NAME})
    for _look in range(3):
        site.daemon.resync()
    assert not site.service.state.networks[N].endpoints


def test_a_network_that_lends_has_the_adapter_alone(site: Site, plug: Plug) -> None:
    plug()
    make(site, mode="move")
    with pytest.raises(OptionError, match="a moved adapter is for one alone"):
        make(site, M, bitrate="")
    site.service.delete_network(N)
    make(site)
    with pytest.raises(OptionError, match="a moved adapter is for one alone"):
        make(site, M, mode="move")


def test_an_adapter_that_is_not_ready_is_not_moved(site: Site, plug: Plug) -> None:
    make(site, type="physical", mode="move", bitrate="")
    site.create(N, "e1")
    with pytest.raises(ConflictError, match="it is not there"):
        site.service.join(N, "e1")
    adapter = plug()
    with pytest.raises(ConflictError, match="it has no bit rate"):
        site.service.join(N, "e1")
    adapter.start(250000)
    assert site.service.join(N, "e1")[:2] == (NAME, "can")
    assert settings()["bitrate"] == 250000


def test_an_adapter_with_another_rate_is_not_moved(site: Site, plug: Plug) -> None:
    """A program that speaks at the wrong rate takes the whole bus down."""
    adapter = plug()
    make(site, mode="move")
    ip(f"link set {NAME} down")
    adapter.start(250000)
    site.create(N, "e1")
    with pytest.raises(ConflictError, match="bitrate 250000 instead of 500000"):
        site.service.join(N, "e1")
    ip(f"link set {NAME} down")
    move(site)
    adapter.wait_for_last("S6", "O")


@never_virtual
def test_one_that_is_pulled_out_of_its_container_and_plugged_in_waits_for_the_next(
    site: Site, plug: Plug
) -> None:
    adapter = plug()
    make(site, mode="move")
    move(site)
    adapter.unplug()
    site.daemon.maintenance.repair()
    plug()
    site.daemon.maintenance.repair()
    site.service.delete_endpoint(N, "e1")
    site.containers.pop((N, "e1")).close()
    move(site, "e2")


def test_a_failed_write_leaves_the_adapter_as_it_was(
    site: Site, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug()
    before = settings() | {"bitrate": 500000}

    def full(_state: object) -> None:
        raise CanwharfError("the disk is full")

    monkeypatch.setattr(site.daemon.store, "save", full)
    with pytest.raises(CanwharfError, match="full"):
        make(site)
    assert settings() == before
    assert "ifalias" not in shown(NAME)


def podman(site: Site, verb: str, container: Container) -> None:
    """A call of Podman's executable, which has entered the container; it must succeed."""
    options = {"can.interface": NAME, "can.bitrate": "500000", "can.mode": "move"}
    content = {
        "container_id": "c" * 64,
        "container_name": "ecu",
        "network": {"name": "drive", "options": options},
        "network_options": {"interface_name": "can0"},
    }
    with entered(container.path):
        inside = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with inside:
        answer = front_ends(site.service, site.daemon.maintenance.sync).answer
        sent = body([verb, container.path], content)
        status, output = answer(RUNTIME, sent, Sender(inside.fileno()))
        assert status == 200, output


def test_a_runtime_that_lost_an_answer_asks_again(site: Site, plug: Plug) -> None:
    """The adapter is in the container already, under the name that it is to have."""
    plug()
    with Container() as container:
        for _call in range(2):
            podman(site, "setup", container)
            assert can_interfaces() == set()
            assert container.links()["can0"].up
        podman(site, "teardown", container)
        assert settings() == UP | {"up": False}
