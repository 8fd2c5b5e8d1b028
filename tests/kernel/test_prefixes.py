"""Prefixes on the real kernel: an interface has the lowest number that is free in its container."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from canwharf.bus import events
from tests.kernel.site import Site, shown
from tests.world.container import Container
from tests.world.host import index_of, ip, run, wait_until
from tests.world.member import entered

N, M = "n" * 64, "m" * 64
A, B, C = (letter * 64 for letter in "abc")


@pytest.fixture
def mounted(container: Container, stack: ExitStack, tmp_path: Path) -> Container:
    """A container whose namespace has a path of its own, as an engine mounts it."""
    path = tmp_path / "namespace"
    path.touch()
    run("mount", "--bind", container.path, str(path))
    stack.callback(run, "umount", "--lazy", str(path), check=False)
    container.path = str(path)
    return container


def behind(container: Container) -> dict[str, int]:
    """The index of the host end behind each interface in a container."""
    return {name: link.peer for name, link in container.links().items() if name != "lo"}


def start(site: Site, network: str, endpoint: str, container: Container) -> int:
    """Start an endpoint by its network's prefix; the index of its host end."""
    site.create(network, endpoint)
    site.join_placed(network, endpoint, container)
    return index_of(site.port(network, endpoint))


def test_it_is_there_numbered_and_up_when_the_join_returns(site: Site) -> None:
    """Its record says the prefix, as that of one that an engine moves."""
    site.network(N)
    site.create(N, A)
    site.join_placed(N, A)
    inside = site.containers[N, A].links()["can0"]
    assert (inside.kind, inside.up, inside.mtu, inside.alias) == ("vxcan", True, 72, "")
    assert shown(site.port(N, A))["ifalias"] == f"canwharf canwharf endpoint {N} {A} vcan0 can"
    assert site.daemon.resync() is False
    site.start(N, B)
    site.assert_whole()


@pytest.mark.parametrize("order", [(N, M), (M, N)])
def test_two_buses_in_one_container(site: Site, container: Container, order: list[str]) -> None:
    """They are numbered as they come; a number that was given up is the next one's."""
    site.network(N, "vcan0")
    site.network(M, "vcan1")
    first, second = (start(site, network, A, container) for network in order)
    assert behind(container) == {"can0": first, "can1": second}
    site.service.leave(order[0], A)
    site.service.delete_endpoint(order[0], A)
    third = start(site, M, B, container)
    assert behind(container) == {"can0": third, "can1": second}
    site.containers.clear()


def test_beside_foreign_interfaces(site: Site, container: Container) -> None:
    """Of the host they take no number, and of the container each its own."""
    ip("link add can0 type vcan")
    with entered(container.path):
        ip("link add can0 type vcan")
        ip("link add can2 type vcan")
    site.network(N)
    start(site, N, A, container)
    start(site, N, B, container)
    assert set(container.links()) == {"lo", "can0", "can1", "can2", "can3"}
    site.containers.clear()


@pytest.mark.parametrize("inside", [False, True], ids=["on-the-host", "in-the-container"])
@pytest.mark.parametrize("name", ["", "can5"], ids=["prefix", "exact"])
def test_deleted_by_hand_it_comes_back(
    site: Site, mounted: Container, inside: bool, name: str
) -> None:
    """With all that it had, while its container runs."""
    site.network(N)
    site.start(N, B)
    site.service.create_endpoint(N, A, {"can.ifname": name} if name else {})
    site.join_placed(N, A, mounted)
    before = mounted.links()[name or "can0"].ifindex
    if inside:
        with entered(mounted.path):
            ip(f"link delete {name or 'can0'}")
    else:
        ip(f"link delete {site.port(N, A)}")
    assert site.daemon.maintenance.repair()
    assert mounted.links()[name or "can0"].ifindex == before
    site.assert_whole()
    assert len(site.daemon.said(events.PAIR_RECREATED)) == 1


def test_its_container_has_ended(site: Site, mounted: Container) -> None:
    """What is mounted at the path is no namespace any more; nothing is made, nothing is wrong."""
    site.network(N)
    site.start(N, B)
    site.create(N, A)
    site.join_placed(N, A, mounted)
    run("umount", "--lazy", mounted.path)
    site.containers.pop((N, A)).close()
    wait_until(lambda: not Path("/sys/class/net", site.port(N, A)).exists())
    assert site.daemon.maintenance.repair()
    site.assert_whole()
