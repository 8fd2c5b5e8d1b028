"""A bus of an earlier version, a mesh, becomes linear; and a mesh again without a module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from canwharf.bus import events
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from tests.fake import wire
from tests.fake.answers import Crash
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.links import FakeRule

ENDS = (wire.SRC_IF, wire.DST_IF)
ENDPOINTS = ("e1", "e2", "e3")
MODULES = ["sch_ingress", "cls_fw", "act_gact", "act_skbedit", "cls_matchall, cls_basic"]


def meshed(directory: Path, hops: int = 1, *, old: bool = True) -> Daemon:
    """Three containers and their rules of an earlier version (`old`: without a hop limit)."""
    kernel = FakeKernel(max_hops=hops)
    kernel.modules.remove("cls_fw")
    daemon = Daemon(directory, kernel)
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    for endpoint in ENDPOINTS:
        daemon.run_container("n1", endpoint)
    daemon.assert_exactly_once("vcan0")
    assert not {*daemon.hub("vcan0")} & kernel.names()
    kernel.modules.add("cls_fw")
    if old:
        made = [rule for rule in kernel.rules if rule.kind != "errors"]
        kernel.rules = [rule._replace(flags=rule.flags | wire.ECHO, more=b"") for rule in made]
    return daemon.restarted()


def assert_linear(daemon: Daemon) -> None:
    """Each frame once, and a constant number of rules for each container."""
    daemon.assert_exactly_once("vcan0")
    assert len(daemon.kernel.rules) == 12 * len(ENDPOINTS)
    assert {rule.limit for rule in daemon.kernel.rules} == {1}
    assert {*daemon.hub("vcan0")} <= daemon.kernel.names()


def assert_mesh(daemon: Daemon) -> None:
    """Each frame once, by rules from each to each; and no hub is left."""
    daemon.assert_exactly_once("vcan0")
    assert len(daemon.kernel.rules) == 3 * (len(ENDPOINTS) + 1) * len(ENDPOINTS)
    assert not {*daemon.hub("vcan0")} & daemon.kernel.names()


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_an_upgrade_leads_to_exactly_once(tmp_path: Path, hops: int) -> None:
    """For any limit of can-gw; the log says once that the bus is linear, and has no warning."""
    daemon = meshed(tmp_path, hops)
    host = daemon.kernel.deliveries("vcan0")
    assert (max(host.values()) == 1) == (hops == 1)
    assert daemon.maintenance.recover()
    assert_linear(daemon)
    [event] = daemon.said(events.BUS_RESHAPED)
    assert event.fields == {"interface": "vcan0", "shape": "linear", "frames-lost": "0"}
    [event] = daemon.said(events.RULES_REPLACED)
    assert event.fields == {"rules": "12"}, "those with the host"
    assert not [event for event in daemon.events if event.level != "info"]


def test_the_newest_direct_rules_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all containers, before any is on the hub: else 100 containers take over a minute."""
    daemon = meshed(tmp_path, old=False)
    kernel, sent = daemon.kernel, list[Request]()
    batch = kernel.batch

    def watched(requests: Sequence[Request]) -> list[Message]:
        sent.extend(requests)
        return batch(requests)

    monkeypatch.setattr(kernel, "batch", watched)
    assert daemon.maintenance.recover()
    assert_linear(daemon)
    entry, leaving = (kernel.link(name).index for name in daemon.hub("vcan0"))
    ways = [
        (each.type, *(wire.number(wire.read_rtcan(each.body).attributes[end]) for end in ENDS))
        for each in sent
        if each.type in (wire.NEWROUTE, wire.DELROUTE)
    ]
    gone = [way for way in ways if way[0] == wire.DELROUTE and leaving not in way[1:]]
    assert len(gone) == 3 * len(ENDPOINTS) * (len(ENDPOINTS) - 1)
    newest = [max(way[1:]) for way in gone]
    assert newest == sorted(newest, reverse=True)
    first = min(place for place, way in enumerate(ways) if way[2] == entry)
    assert first > max(map(ways.index, gone))


def test_the_newest_rules_are_replaced_first(tmp_path: Path) -> None:
    """The kernel looks through all that are newer: else 100 containers would take a minute.

    Calls wait meanwhile, and one that works for a minute is taken for hung.
    """
    daemon = meshed(tmp_path)
    host = daemon.kernel.link("vcan0").index
    assert daemon.maintenance.recover()
    made = [rule for rule in reversed(daemon.kernel.rules) if rule.kind != "errors"]
    newest = [max(rule[:2]) for rule in made if host in rule[:2]]
    assert newest == sorted(newest, reverse=True)


@pytest.mark.parametrize("sends", range(1, 12))
@pytest.mark.parametrize("linear", [True, False])
def test_a_change_that_is_cut_off_goes_on(tmp_path: Path, sends: int, linear: bool) -> None:
    """After any send the process may end: the next one makes it whole, in either direction."""
    daemon = meshed(tmp_path)
    if not linear:
        assert daemon.maintenance.recover()
        lose_module(daemon.kernel, "cls_fw")
        daemon = daemon.restarted()
    daemon.kernel.crash_after(sends)
    try:
        daemon.maintenance.recover()
    except Crash:
        daemon.kernel.stop_faults()
        daemon = daemon.restarted()
        assert daemon.maintenance.recover()
    else:
        assert sends > 4, "there are sends to be cut off after"
    assert_linear(daemon) if linear else assert_mesh(daemon)


@pytest.mark.parametrize("place", range(1, 70, 3))
def test_a_message_that_is_refused_is_made_good(tmp_path: Path, place: int) -> None:
    daemon = meshed(tmp_path)
    daemon.kernel.refuse(place)
    daemon.maintenance.recover()
    daemon.kernel.stop_faults()
    assert daemon.restarted().maintenance.recover()
    assert_linear(daemon)


def lose_module(kernel: FakeKernel, names: str) -> None:
    """Filters that need a module keep it; so they went before."""
    for link in kernel.links():
        if link.qdisc:
            kernel.delete_filters(link.name, "all")
    for name in names.split(", "):
        kernel.remove_module(name)


@pytest.mark.parametrize("module", MODULES)
def test_a_bus_is_a_mesh_again_where_a_module_is_missing(tmp_path: Path, module: str) -> None:
    """From the next start on; the log names the module. And linear, when that has come."""
    daemon = meshed(tmp_path)
    assert daemon.maintenance.recover()
    lose_module(daemon.kernel, module)
    daemon = daemon.restarted()
    assert daemon.maintenance.recover()
    assert_mesh(daemon)
    [event] = daemon.said(events.BUS_RESHAPED)
    assert event.fields == {"interface": "vcan0", "shape": "mesh", "frames-lost": "0"}
    [event] = daemon.said(events.BUS_NOT_LINEAR)
    assert event.fields["modules"] in module
    daemon.run_container("n1", "e4")
    daemon.assert_exactly_once("vcan0")
    daemon.service.delete_endpoint("n1", "e4")
    daemon.kernel.modules.update(module.split(", "))
    assert not daemon.maintenance.sync().faults
    assert_linear(daemon)


@pytest.mark.parametrize("linear", [True, False])
def test_lost_frames_are_counted_and_told(tmp_path: Path, linear: bool) -> None:
    """What a container sent after its old rules went and before its new ones came.

    Each was to reach two others, and counts once; all witnesses that count them are gone then.
    """
    daemon = meshed(tmp_path, old=False)
    if not linear:
        assert not daemon.maintenance.sync().faults
        lose_module(daemon.kernel, "cls_fw")
    kernel = daemon.kernel
    host = kernel.link("vcan0").index
    ports = [kernel.link(daemon.port("n1", each)).index for each in ENDPOINTS]

    def handled(rule: FakeRule) -> int:
        """The first sends 9 frames, five of them too early; another one 3 that all arrive."""
        if rule.kind != "classic" or rule.destination == host:
            return 0
        name = daemon.hub("vcan0")[1]
        witness = name in kernel.names() and rule.destination == kernel.link(name).index
        if rule.source == ports[0]:
            return 9 if witness else 4
        return 3 if rule.source == ports[1] else 0

    kernel.handled = handled
    outcome = daemon.maintenance.sync()
    assert outcome.lost == 5
    shape = "linear" if linear else "mesh"
    last = daemon.said(events.BUS_RESHAPED)[-1]
    assert last.fields == {"interface": "vcan0", "shape": shape, "frames-lost": "5"}
    assert "5 frames were lost while containers were connected" in [
        each.line for each in outcome.changes
    ]
    assert_linear(daemon) if linear else assert_mesh(daemon)


def test_the_first_request_gets_them(tmp_path: Path) -> None:
    daemon = meshed(tmp_path)
    told = [each.line for each in daemon.maintenance.sync().changes]
    port = daemon.port("n1", "e1")
    line = f"replace an earlier version's gateway rule vcan0 -> {port} (classic, FD)"
    assert line in told
    assert f"connect {port} by the hub in place of directly (classic, FD)" in told
