"""Members that are not connected, seen from the host: real pairs in every possible state."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from canwharf.bus.report import BusReport, Names
from canwharf.daemon.instance import Instance
from canwharf.kernel.netlink import Netlink
from canwharf.operator.collect import collect
from canwharf.operator.doctor.checks import CHECKS
from canwharf.operator.doctor.facts import Facts
from canwharf.operator.doctor.finding import OK
from canwharf.operator.render.json import to_dict
from canwharf.operator.status import Status
from tests.kernel.site import Site
from tests.world.container import Container, _move
from tests.world.frames import exchange
from tests.world.host import index_of, ip, requests, run, wait_until
from tests.world.member import entered

N = "n" * 64
SOCKET = "/nowhere/canwharf.sock"


class Watched:
    """A bus of three, and what is said of it."""

    def __init__(self, site: Site, directory: Path, netlink: Netlink) -> None:
        self.site = site
        self._which = Instance("canwharf", SOCKET, str(directory / "state"))
        self._netlink = netlink
        site.network(N)
        site.start(N, "e1", "e2")
        site.assert_whole()

    def status(self) -> Status:
        return collect(self._which, self._netlink)

    @property
    def report(self) -> BusReport:
        (report,) = self.status().reports
        return report

    def faults(self) -> list[str]:
        return [each.reason for each in self.report.members]

    def inside(self, endpoint: str, *commands: str) -> None:
        with entered(self.site.containers[N, endpoint].path):
            for each in commands:
                ip(each)

    def agree(self, whole: bool) -> bool:
        """Whether all who tell say this."""
        status = self.status()
        (bus,) = json.loads(json.dumps(to_dict(status)))["buses"]
        levels = {
            each.level for each in CHECKS["members"](Facts("canwharf", SOCKET, status=status))
        }
        assert {bus["healthy"], not bus["delivery_errors"], levels == {OK}} == {whole}
        return True


@pytest.fixture
def watched(site: Site, tmp_path: Path, netlink: Netlink) -> Watched:
    return Watched(site, tmp_path, netlink)


def _moved(watched: Watched, container: Container) -> None:
    """As `ip link set can0 netns …` in the container."""
    there = os.open(container.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with entered(watched.site.containers[N, "e1"].path), requests() as netlink:
            netlink.batch([_move(index_of("can0"), there, "can0")])
    finally:
        os.close(there)


Disturb = Callable[[Watched, Container], None]


@pytest.mark.parametrize(
    ("disturb", "fault"),
    [
        (lambda watched, _other: watched.inside("e1", "link set can0 down"), "no-carrier"),
        (lambda watched, _other: watched.inside("e1", "link delete can0"), "missing"),
        (_moved, "no-carrier"),
        (
            lambda watched, _other: watched.site.containers[N, "e1"].give_back("can0", "back0"),
            "not-in-container",
        ),
        (lambda watched, _other: ip(f"link set {watched.site.port(N, 'e1')} down"), "down"),
        (lambda watched, _other: ip(f"link delete {watched.site.port(N, 'e1')}"), "missing"),
    ],
    ids=["down", "deleted", "moved", "given back", "host end down", "host end deleted"],
)
def test_a_container_that_is_not_connected_is_reported(
    watched: Watched, container: Container, disturb: Disturb, fault: str
) -> None:
    """And no output says that all is well, with the daemon or without."""
    assert watched.agree(whole=True)
    disturb(watched, container)
    assert watched.faults() == ["", fault, ""]
    assert {each.reason for each in watched.report.delivery_errors} == {fault}
    assert watched.agree(whole=False)
    watched.site.daemon.maintenance.repair()
    fixed = fault == "down"
    assert watched.faults() == ["", "" if fixed else fault, ""]
    assert watched.agree(whole=fixed)


def test_one_that_was_moved_and_brought_up_elsewhere(
    watched: Watched, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its carrier, and its container has nothing: Docker says where that is."""
    path = watched.site.containers[N, "e1"].path
    told = Names({N: "bus0"}, {"e1": "ecu1"}, {N: {"e1", "e2"}}, {"e1": "c1", "e2": "c2"})
    monkeypatch.setattr("canwharf.docker.names.ask", lambda _driver: told)
    monkeypatch.setattr(
        "canwharf.docker.names.sandboxes", lambda _ids: {"e1": path, "e2": "/nowhere"}
    )
    assert watched.agree(whole=True)
    _moved(watched, container)
    with entered(container.path):
        ip("link set can0 up")
    assert watched.faults() == ["", "wrong-namespace", ""]
    assert watched.agree(whole=False)


def test_what_does_not_matter_is_not_told(watched: Watched) -> None:
    """Renamed in the container it stays connected; brought up again, too."""
    watched.inside("e1", "link set can0 down", "link set can0 name mine", "link set mine up")
    assert watched.faults() == ["", "", ""]
    assert watched.agree(whole=True)
    assert watched.report.members[1].container_link is not None
    assert watched.report.members[1].container_link.name == "mine"


def test_one_that_was_never_taken(site: Site, tmp_path: Path, netlink: Netlink) -> None:
    """Docker was told to take it, and died."""
    site.network(N)
    site.create(N, "e1")
    site.service.join(N, "e1")
    (report,) = collect(Instance("canwharf", SOCKET, str(tmp_path / "state")), netlink).reports
    assert [each.reason for each in report.members] == ["", "not-in-container"]
    assert not report.healthy


def test_the_host_interface_is_down_or_gone(watched: Watched) -> None:
    """The host is not connected then, and the containers still are."""
    site = watched.site
    ip("link set vcan0 down")
    assert watched.faults() == ["down", "", ""]
    assert not watched.report.healthy
    ip("link delete vcan0")
    assert watched.faults() == ["missing", "", ""]
    others = {site.port(N, "e1"), site.port(N, "e2")}
    assert not any(
        {each.source, each.destination} == others for each in watched.report.delivery_errors
    )
    site.daemon.maintenance.repair()
    assert watched.agree(whole=True)
    site.assert_whole()


def test_one_direction_is_missing(watched: Watched) -> None:
    """Somebody deletes one rule, of CAN FD alone."""
    port = watched.site.port(N, "e1")
    for rule in _rules(port):
        if rule[:4] == ["-s", "vcan0", "-d", port] and "-X" in rule:
            run("cangw", "-D", *rule)
    (error,) = watched.report.delivery_errors
    assert error == ("vcan0", port, "FD", "no-rule")


def _rules(port: str) -> list[list[str]]:
    """The words of the rules at this interface, as `cangw -A` would have them."""
    listed = run("cangw", "-L", check=False).splitlines()
    lines = [line.split("#")[0].split("cangw -A ")[1].split() for line in listed if "-A " in line]
    return [line for line in lines if port in line]


def test_a_host_end_that_is_renamed_stays_on_its_bus(watched: Watched) -> None:
    """Its alias has its owner: none of its rules is foreign, and a Join adds the missing ones."""
    site = watched.site
    port = site.port(N, "e1")
    ip(f"link set {port} down")
    ip(f"link set {port} name front")
    ip("link set front up")
    site.daemon.maintenance.repair()
    wait_until(lambda: watched.faults() == ["", "", ""])
    assert watched.agree(whole=True)
    assert watched.report.foreign_rules == ()
    assert watched.report.members[1].interface == "front"
    site.start(N, "e3")
    ip("link delete vcan0")
    site.daemon.maintenance.repair()
    assert watched.agree(whole=True)
    assert exchange(site.members()).faults == []
    with closing(site.containers.pop((N, "e1"))) as container:
        container.give_back("can0", "back0")
        site.service.delete_endpoint(N, "e1")
    assert not Path("/sys/class/net/front").exists()
