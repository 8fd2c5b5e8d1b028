"""From one bus to another: what a rule of a user's own does, and what a gateway container does."""

from __future__ import annotations

import pytest

from tests.kernel.site import Site
from tests.world.container import Container
from tests.world.frames import exchange
from tests.world.host import run

N, M = "n" * 64, "m" * 64


@pytest.fixture
def two(site: Site) -> Site:
    """Two buses with a container each."""
    for network, interface in ((N, "vcan0"), (M, "vcan1")):
        site.network(network, interface)
        site.start(network, "e1", "e2")
    return site


def crossed(site: Site) -> dict[tuple[str, str], int]:
    """How often frames from the first bus arrive at the second: of whom, at whom."""
    ones, others = site.members("vcan0"), site.members("vcan1")
    report = exchange(ones, others)
    names = {str(member): "containers" for member in (*ones, *others)}
    names |= {str(ones[0]): "host", str(others[0]): "host"}
    counts: dict[tuple[str, str], int] = {}
    for one in map(str, ones):
        for other in map(str, others):
            got = report.matrix[one][other]["standard"]
            assert len(set(got)) == 1
            counts.setdefault((names[one], names[other]), got[0])
            assert counts[names[one], names[other]] == got[0]
    return counts


def test_a_rule_on_the_host_forwards_what_the_doctor_says(hops: int, two: Site) -> None:
    """What the host's programs send; to the containers only where can-gw forwards twice."""
    run("cangw", "-A", "-s", "vcan0", "-d", "vcan1", "-e", "-i")
    assert crossed(two) == {
        ("host", "host"): 1,
        ("host", "containers"): int(hops > 1),
        ("containers", "host"): 0,
        ("containers", "containers"): 0,
    }
    run("cangw", "-D", "-s", "vcan0", "-d", "vcan1", "-e", "-i")
    run("cangw", "-A", "-s", "vcan0", "-d", "vcan1", "-e", "-i", "-l", "1")
    assert crossed(two)["host", "containers"] == 0


@pytest.mark.usefixtures("hops")
def test_a_container_on_both_buses_is_a_gateway(two: Site) -> None:
    """Each frame once everywhere, none back to its sender; by the kernel, both ways."""
    with Container() as gateway:
        for network, name in ((N, "can0"), (M, "can1")):
            two.service.create_endpoint(network, "gateway", {})
            gateway.take(two.service.join(network, "gateway").interface, name)
        for source, destination in (("can0", "can1"), ("can1", "can0")):
            for fd in ((), ("-X",)):
                words = ("cangw", "-A", "-s", source, "-d", destination, "-i", "-l", "1", *fd)
                run("nsenter", f"--net={gateway.path}", *words)
        members = [*two.members("vcan0"), *two.members("vcan1")]
        assert exchange(members).faults == []
