"""A bus is linear where the kernel can do it, else a mesh; and it goes from one to the other.

Real frames are sent meanwhile, and the daemon dies in the middle of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

import pytest

from canwharf.bus import events
from canwharf.bus.naming import hub_end
from canwharf.kernel import gateway, traffic_control
from canwharf.kernel.gateway import FRAMES, Rule
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from canwharf.kernel.traffic_control import Ability
from tests.kernel.senders import Sender, heard
from tests.kernel.site import DRIVER, Site
from tests.world.container import Container
from tests.world.frames import exchange
from tests.world.host import gateway_rules, hubs, index_of, ip, requests, run, wait_until
from tests.world.member import raw_socket
from tests.world.rules import mesh

N = "n" * 64
ENTRY, EXIT = (hub_end(DRIVER, "vcan0", end) for end in ("in", "out"))
MODULES = pytest.mark.parametrize(
    "no_module",
    ["sch_ingress", "cls_fw", "act_skbedit", "act_gact"],
    indirect=True,
)
LACKING = Ability("", ("cls_fw",))
PAUSE = 0.001  # seconds between two frames: a recovery may take one
SLACK = 2  # frames that a witness counts and that are not lost, at either end of a change


def make_mesh(ports: Sequence[str]) -> None:
    """Connect these directly, as where the kernel lacks a module: without a hub."""
    ip(f"link delete {hub_end(DRIVER, ports[0], 'in')}")
    with requests() as netlink:
        netlink.batch(
            [
                gateway.add(Rule(index_of(one), index_of(other), frames, echo=False), "")
                for one in ports[1:]
                for other in ports[1:]
                if one != other
                for frames in FRAMES
            ]
        )
    for port in ports[1:]:
        run("tc", "qdisc", "delete", "dev", port, "clsact")
    with requests() as netlink:  # for a moment a dump still has them, and no daemon is told
        wait_until(lambda: not traffic_control.find(netlink))


def assert_none_twice(faults: Iterable[str]) -> None:
    """Whatever is wrong, frames are only lost."""
    for fault in faults:
        [counts] = re.findall(r"arrived \[([\d, ]+)\]", fault)
        assert set(counts.split(", ")) <= {"0", "1"}, fault
        assert "right is 1" in fault, fault


def assert_mesh(site: Site) -> None:
    assert gateway_rules() == mesh(site.ports())
    assert exchange(site.members(), errors=True).faults == []
    assert hubs() == set()


@MODULES
def test_without_a_module_a_bus_is_a_mesh_and_says_why(site: Site, no_module: str) -> None:
    """A board's kernel was built without it: everybody hears everybody all the same."""
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    assert_mesh(site)
    site.daemon.maintenance.run(0.0, active=True)
    [told] = site.daemon.said(events.BUS_NOT_LINEAR)
    assert no_module in told.fields["modules"]
    site.restart()
    site.daemon.maintenance.recover()
    assert_mesh(site)
    assert not site.daemon.said(events.RULES_RESTORED)
    site.daemon.maintenance.sync()
    assert_mesh(site)
    site.stop(N, "e1")
    assert_mesh(site)


@pytest.mark.parametrize("count", [2, 4])
def test_a_mesh_becomes_linear_under_traffic_and_what_is_lost_is_told(
    site: Site, stack: ExitStack, count: int
) -> None:
    """A start of this version over an earlier one's containers: no frame twice."""
    site.network(N)
    site.start(N, *(f"e{number}" for number in range(count)))
    make_mesh(site.ports())
    members = site.members()
    assert exchange(members, errors=True).faults == []
    listening = [stack.enter_context(raw_socket(member)) for member in members]
    senders = {who: stack.enter_context(Sender(members[who], who, 50, PAUSE)) for who in (0, 1, 2)}
    site.restart()
    site.daemon.maintenance.recover()
    sent = [(who, number) for who, sender in senders.items() for number in range(sender.stop())]
    lost: list[tuple[int, int]] = []
    for who, opened in enumerate(listening):
        found = heard(opened, sent)  # a sender's as well: another program's, on its own interface
        found.subtract(sent)
        assert set(found.values()) <= {0, -1}, f"{members[who]}: twice, or its own came back"
        lost += (each for each, times in found.items() if times)
    [told] = site.daemon.said(events.BUS_RESHAPED)
    assert told.fields["shape"] == "linear"
    # A filter costs frames for one container, a witness counts those for all.
    assert len(set(lost)) <= int(told.fields["frames-lost"]) <= len(lost) + SLACK * 3 * 2
    site.assert_whole()


def test_a_module_that_went_makes_it_a_mesh_and_one_that_came_a_linear_bus(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a start with another kernel's modules, and at `canwharf sync`."""
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    with monkeypatch.context() as patch:
        patch.setattr("canwharf.kernel.traffic_control.probe", lambda *_: LACKING)
        for port in site.ports()[1:]:
            run("tc", "qdisc", "delete", "dev", port, "clsact")
        site.restart()
        site.daemon.maintenance.recover()
        assert_mesh(site)
        [told] = site.daemon.said(events.BUS_RESHAPED)
        assert told.fields["shape"] == "mesh"
    site.daemon.maintenance.recover()
    assert_mesh(site)
    outcome = site.daemon.maintenance.sync()
    site.assert_whole()
    assert any("by the hub" in change.line for change in outcome.changes)
    assert site.daemon.maintenance.sync().steps == ()


class Crash(BaseException):
    """The daemon's end."""


@pytest.mark.parametrize("shape", ["linear", "mesh"])
def test_the_daemon_dies_at_every_message_of_a_change(
    site: Site, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    """At none of them a frame arrives twice or comes back; the next daemon goes on."""
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    members = site.members()
    place = 0
    while True:
        with monkeypatch.context() as patch:
            if shape == "linear":
                make_mesh(site.ports())
            site.restart()
            if shape == "mesh":
                site.daemon.reconciler.observe().ability = LACKING
            cut_off = dying(site, patch, place)
        assert_none_twice(exchange(members, limit=0.3).faults)
        site.restart()
        site.daemon.maintenance.recover()
        site.assert_whole()
        if not cut_off:
            return
        place += 7 if place > 6 else 1


def dying(
    site: Site, patch: pytest.MonkeyPatch, place: int, work: Callable[[], object] | None = None
) -> bool:
    """A recovery, or other work, that ends after so many messages; whether it did."""
    batch, done = site.daemon.netlink.batch, 0

    def counted(requests: Sequence[Request]) -> list[Message]:
        nonlocal done
        left = place - done
        done += len(requests)
        answers = batch(requests[:left]) if left else []
        if len(requests) > left:
            raise Crash
        return answers

    patch.setattr(site.daemon.netlink, "batch", counted)
    try:
        (work or site.daemon.maintenance.recover)()
    except Crash:
        return True
    return False


@pytest.mark.parametrize("half", ["ingress", "egress", ""])
def test_filters_that_were_deleted_by_hand_come_back(site: Site, half: str) -> None:
    """And the container hears none of its own frames while they do."""
    site.network(N)
    site.start(N, "e1", "e2")
    port = site.port(N, "e1")
    run(
        "tc",
        *(
            ("filter", "delete", "dev", port, half)
            if half
            else f"qdisc delete dev {port} clsact".split()
        ),
    )
    site.daemon.maintenance.repair()
    site.assert_whole()
    [told] = site.daemon.said(events.MARKS_RESTORED)
    assert told.fields == {"interface": port}


@pytest.mark.parametrize(
    "command",
    [
        f"link delete {ENTRY}",
        f"link delete {EXIT}",
        f"link set {ENTRY} down",
        f"link set {EXIT} down",
        f"link set {EXIT} alias foreign",
    ],
)
def test_a_hub_that_somebody_changes_is_repaired(site: Site, command: str) -> None:
    """At once, from the kernel's announcements."""
    site.network(N)
    site.start(N, "e1", "e2")
    ip(command)
    site.daemon.maintenance.repair()
    site.assert_whole()
    told = site.daemon.said(events.HUB_RECREATED)
    assert [each.fields for each in told] == [{"interface": "vcan0"}] * ("delete" in command)


def test_a_hub_that_was_moved_away_or_renamed(site: Site, container: Container) -> None:
    site.network(N)
    site.start(N, "e1", "e2")
    ip(f"link set {EXIT} down")
    ip(f"link set {EXIT} name mine")
    site.daemon.maintenance.repair()
    ip(f"link set mine netns {container.path}")
    site.daemon.maintenance.repair()
    site.assert_whole()


def test_a_users_qdisc_on_one_host_end_costs_that_container_alone(site: Site) -> None:
    """Its own frames would come back, so it hears no other container until there is room."""
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    port = site.port(N, "e1")
    run("tc", "qdisc", "delete", "dev", port, "clsact")
    with requests() as netlink:  # as in make_mesh
        wait_until(lambda: index_of(port) not in traffic_control.find(netlink))
    run("tc", "qdisc", "add", "dev", port, "ingress")
    run("cangw", "-F")
    site.restart()
    assert not site.daemon.maintenance.recover()
    [told] = site.daemon.said(events.BUS_NOT_REPAIRED)
    assert f"'tc qdisc delete dev {port} ingress' makes room" in told.fields["error"]
    deaf = str(site.members()[1])
    faults = exchange(site.members(), limit=0.3).faults
    assert faults
    assert all(deaf in fault for fault in faults), faults
    assert_none_twice(faults)
    run("tc", "qdisc", "delete", "dev", port, "ingress")
    assert site.daemon.maintenance.recover()
    site.assert_whole()
