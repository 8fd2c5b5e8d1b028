"""A state that was lost is rebuilt from what the kernel and the engine still know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from canwharf.bus import events, naming
from canwharf.bus.events import ERROR, WARNING
from canwharf.bus.maintain import GRACE
from canwharf.bus.model import Settings
from canwharf.daemon import run
from canwharf.docker import engine
from canwharf.errors import KernelError, StartError, StateError
from canwharf.kernel import namespace
from tests.fake.daemon import DRIVER, Daemon
from tests.fake.kernel import FakeKernel

Known = Mapping[str, Mapping[str, object]] | None


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """Two buses with containers, one of them on an adapter, and a network without any."""
    daemon.kernel.add_link("can0", "can", mtu=16)
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.service.create_network("n2", {"can.interface": "can0"})
    daemon.service.create_network("idle", {"vxcan.id": "5"})
    daemon.run_container("n1", "e1")
    daemon.service.create_endpoint("n1", "e2", {"can.name": "own"})
    daemon.start_container("n1", "e2")
    daemon.run_container("n2", "e3")
    return daemon


ALL: Known = {
    "n1": {"can.name": "can"},
    "n2": {"can.interface": "can0"},
    "idle": {"vxcan.id": "5"},
}


def lose(busy: Daemon) -> Daemon:
    """The next life, without the file."""
    Path(busy.store.path).unlink()
    return busy.restarted()


def rebuild(daemon: Daemon, known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the daemon's start does it, with an engine that knows this."""

    def networks(driver: str, limit: float) -> Known:
        assert (driver, limit) == (DRIVER, 0.2)
        return known

    monkeypatch.setattr(engine, "networks", networks)
    run._rebuild(daemon.service, 0.2, {})


def test_with_the_engines_help_nothing_is_lost(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one interface or rule is touched, neither by the rebuilding nor by what follows."""
    before = busy.kernel.snapshot()
    later = lose(busy)
    rebuild(later, ALL, monkeypatch)
    assert later.service.state.networks == busy.service.state.networks
    applied = len(later.kernel.applied)
    assert later.maintenance.repair()
    assert later.kernel.applied[applied:] == []
    assert later.kernel.snapshot() == before
    later.maintenance.run(0.0, active=True)
    again = later.restarted().service.state
    assert again.networks == busy.service.state.networks
    assert again.complete


def test_without_the_engine_what_the_kernel_holds_is_adopted(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endpoints and their networks; an idle network's interface is unowned then."""
    later = lose(busy)
    rebuild(later, None, monkeypatch)
    state = later.service.state
    assert {id: set(network.endpoints) for id, network in state.networks.items()} == {
        "n1": {"e1", "e2"},
        "n2": {"e3"},
    }
    assert state.networks["n2"].settings == Settings("can0", "vcanp", physical=True)
    assert {state.networks["n1"].ifname_of(endpoint).prefix for endpoint in ("e1", "e2")} == {
        "can",
        "own",
    }
    assert later.maintenance.repair()
    for interface, members in (("vcan0", 3), ("can0", 2)):
        assert len(later.present(interface)) == members
        later.assert_exactly_once(interface)
    assert len(later.said(events.ENDPOINT_ADOPTED)) == 3
    later.run_container("n1", "e4")
    later.assert_exactly_once("vcan0")


def test_an_empty_host_and_no_engine_is_asked_again_at_the_next_start(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine starts after us: its networks are not lost because it was not there yet."""
    rebuild(daemon, None, monkeypatch)
    daemon.service.create_network("n1", {})
    assert not daemon.restarted().service.state.complete


def test_an_engine_that_starts_after_us_is_asked_when_it_runs(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a boot Docker does not answer; a minute after the first call it does."""
    later = lose(busy)
    rebuild(later, None, monkeypatch)
    assert "idle" not in later.service.state.networks
    later.maintenance.run(0.0, active=True)
    later.engine = ALL
    later.maintenance.run(GRACE, active=False)
    assert "idle" in later.service.state.networks
    assert "vcan5" in later.kernel.names()
    later.engine = {}  # from now on it is not asked again
    again = later.restarted().service.state
    assert again.complete
    assert again.networks == busy.service.state.networks


@pytest.mark.parametrize("asked", [{"can.ifname": "can7"}, {"can.name": "own"}, {}])
def test_what_a_pair_said_of_its_network_is_put_right_by_the_engine(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, asked: Mapping[str, object]
) -> None:
    """Or what one container asked for, all that start later would get, whatever they expect."""
    monkeypatch.setattr(namespace, "opened", daemon.kernel.opened)
    daemon.kernel.add_link("can0", "can", mtu=16)
    told = {"n1": {"can.interface": "can0", "can.name": "can", "can.errors": "off"}}
    daemon.service.create_network("n1", told["n1"])
    daemon.service.create_endpoint("n1", "e1", asked)
    joined = daemon.service.join("n1", "e1", "/ns/e1")
    if not joined.placed:
        daemon.kernel.move(joined.interface, "e1", new_name=f"{joined.prefix}0")
    before, state = daemon.kernel.snapshot(), daemon.service.state._replace(complete=True)
    later = lose(daemon)
    rebuild(later, None, monkeypatch)
    assert later.service.state.networks["n1"].ifname_of("e1") == state.networks["n1"].ifname_of(
        "e1"
    )
    later.maintenance.run(0.0, active=True)
    later.engine = told
    later.maintenance.run(GRACE, active=False)
    assert later.service.state == state
    assert later.kernel.snapshot() == before
    later.maintenance.run(2 * GRACE, active=False)
    assert later.restarted().service.state == state


def test_an_adapter_that_is_unplugged_meanwhile_keeps_its_name(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No vcan takes it, though its settings are unknown; they come when the engine runs."""
    given = {"can.interface": "can0", "can.name": "can", "can.bitrate": "500000"}
    daemon.kernel.plug("can0")
    daemon.service.create_network("n1", given)
    daemon.run_container("n1", "e1")
    daemon.service.create_endpoint("n1", "e2", {"can.name": "own"})
    daemon.start_container("n1", "e2")
    before = daemon.service.state.networks
    daemon.kernel.unplug("can0")
    later = lose(daemon)
    rebuild(later, None, monkeypatch)
    later.maintenance.run(0.0, active=True)
    assert "can0" not in later.kernel.names()
    assert later.said(events.ADAPTER_MISSING)
    later.engine = {"n1": given}
    later.maintenance.run(GRACE, active=False)
    assert later.service.state.networks == before
    link = later.kernel.plug("can0")
    later.maintenance.run(GRACE + 1, active=True)
    assert link.up
    later.assert_exactly_once("can0")


def test_a_first_start_with_an_engine_is_remembered(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was lost; the engine is not asked at each start."""
    rebuild(daemon, {}, monkeypatch)
    daemon.maintenance.run(0.0, active=False)
    assert daemon.restarted().service.state.complete
    assert daemon.events == []


def test_one_network_that_cannot_be_adopted_does_not_keep_the_others(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported with its reason."""
    later = lose(busy)
    rebuild(later, {"bad": {"can.interface": "no/name"}, **(ALL or {})}, monkeypatch)
    assert set(later.service.state.networks) == {"n1", "n2", "idle"}
    (event,) = later.said(events.NETWORK_NOT_ADOPTED)
    assert (event.level, event.fields["network"]) == (ERROR, "bad")
    assert "can.interface=no/name" in event.fields["error"]


def test_adopting_a_network_touches_nothing(daemon: Daemon, kernel: FakeKernel) -> None:
    """It is written down; recovery makes what is missing."""
    before = kernel.snapshot()
    daemon.service.adopt_networks({"n1": {"can.name": "can"}, "n2": {"can.name": "a/b"}})
    assert kernel.snapshot() == before
    assert daemon.service.state.networks["n1"].settings == Settings("vcan0", "can")
    (event,) = daemon.said(events.NETWORK_ADOPTED)
    assert (event.level, event.fields) == (WARNING, {"network": "n1", "interface": "vcan0"})
    daemon.maintenance.run(0.0, active=True)
    assert kernel.link("vcan0").up
    assert "n1" in daemon.restarted().service.state.networks


def test_pairs_of_others_are_not_adopted(busy: Daemon, kernel: FakeKernel) -> None:
    """Another driver's, one whose alias only looks like ours, and one without any."""
    kernel.add_link("cwh000000000001", "vxcan", alias="canwharf other endpoint n7 e7 vcan7 can")
    kernel.add_link("cwh000000000002", "vxcan", alias="canwharf canwharf endpoint n8 e8")
    kernel.add_link("cwh000000000003", "vxcan")
    later = lose(busy)
    later.service.adopt_pairs(lost=True)
    assert set(later.service.state.networks) == {"n1", "n2"}
    later.maintenance.repair()
    assert {f"cwh00000000000{number}" for number in (1, 2, 3)} <= kernel.names()


def test_a_pair_that_was_half_made_is_not_adopted(busy: Daemon) -> None:
    """It has no alias yet; recovery removes it."""
    busy.service.create_endpoint("n1", "half", {})
    busy.kernel.crash_after(1)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - a crash is no error
        busy.service.join("n1", "half")
    busy.kernel.stop_faults()
    before = {each for each in busy.kernel.names() if each.startswith("cw")}
    later = lose(busy)
    later.service.adopt_pairs(lost=True)
    assert "half" not in later.service.state.networks["n1"].endpoints
    later.maintenance.repair()
    idle = {naming.hub_end(DRIVER, "vcan5", end) for end in ("in", "out")}
    assert len(before - idle - later.kernel.names()) == 2
    assert len(later.present("vcan0")) == 3
    later.assert_exactly_once("vcan0")


def test_nothing_to_adopt_writes_nothing(daemon: Daemon) -> None:
    """Or the next start would not ask the engine."""
    daemon.service.adopt_pairs(lost=True)
    assert not daemon.service.pending.dirty


# How the daemon's start tells that the state is lost.


def load(daemon: Daemon) -> bool:
    """Whether the state is lost."""
    state = run._load(daemon.store, DRIVER, daemon.events.append)
    assert state.complete or not state.networks
    return not state.complete


def test_no_file_is_a_lost_state_without_complaint(daemon: Daemon) -> None:
    """It may be the first start of all."""
    assert load(daemon)
    assert daemon.events == []


def test_a_good_file_is_not(daemon: Daemon) -> None:
    """The engine is not asked."""
    daemon.service.adopt_networks({})
    daemon.service.create_network("n1", {})
    daemon.events.clear()
    assert not load(daemon)
    assert daemon.events == []


def test_a_garbled_file_is_set_aside_and_said_so(daemon: Daemon) -> None:
    """The daemon starts: without it, every container's start would fail."""
    Path(daemon.store.path).write_text("{")
    assert load(daemon)
    (lost,) = daemon.said(events.STATE_LOST)
    (aside,) = daemon.said(events.STATE_SET_ASIDE)
    assert (lost.level, aside.level) == (ERROR, WARNING)
    assert "state.json" in lost.fields["error"]
    assert Path(aside.fields["file"]).read_text() == "{"
    assert not Path(daemon.store.path).exists()


def test_a_file_that_cannot_be_set_aside_is_said_too(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the daemon starts all the same."""
    Path(daemon.store.path).write_text("{")

    def refuse(*_arguments: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("posix.replace", refuse)
    assert load(daemon)
    assert daemon.said(events.STATE_NOT_SET_ASIDE)


def test_endpoints_of_an_earlier_boot_are_no_loss(busy: Daemon, tmp_path: Path) -> None:
    """That is how each boot begins."""
    busy.service.adopt_networks({})
    busy.service.save()
    busy.end()
    later = Daemon(tmp_path, FakeKernel(), boot="boot-2")
    assert not load(later)
    (event,) = later.said(events.ENDPOINTS_FORGOTTEN)
    assert event.fields == {"endpoints": "3"}


def test_a_lost_state_on_a_bad_disk_disconnects_no_container(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is adopted is in memory if it cannot be written; it is written when it can."""
    before = busy.kernel.snapshot()
    later = lose(busy)
    save = later.store.save

    def refuse(_state: object) -> None:
        raise StateError("write", later.store.path, "Read-only file system")

    monkeypatch.setattr(later.store, "save", refuse)
    rebuild(later, ALL, monkeypatch)
    again = later.maintenance.run(0.0, active=False)
    assert later.kernel.snapshot() == before
    assert again is not None
    monkeypatch.setattr(later.store, "save", save)
    later.maintenance.run(again, active=False)
    assert later.restarted().service.state.networks == busy.service.state.networks


def test_a_garbled_driver_does_not_keep_the_daemon_from_starting(daemon: Daemon) -> None:
    """Another driver's state does: it is in use."""
    Path(daemon.store.path).write_text('{"version": 1, "driver": 5, "networks": {}}')
    assert load(daemon)
    assert daemon.said(events.STATE_SET_ASIDE)
    Path(daemon.store.path).write_text('{"version": 1, "driver": "rusty", "networks": {}}')
    with pytest.raises(StartError, match="the state of the driver rusty"):
        load(daemon)


def test_a_removal_that_the_kernel_refuses_is_not_adopted_again(busy: Daemon) -> None:
    """Its container's end is still away; it is removed by the next recovery."""
    busy.kernel.refuse(1)
    with pytest.raises(KernelError):
        busy.service.delete_endpoint("n1", "e1")
    busy.kernel.stop_faults()
    busy.maintenance.run(0.0, active=True)
    assert not busy.said(events.ENDPOINT_ADOPTED)
    assert len(busy.present("vcan0")) == 2
    busy.assert_exactly_once("vcan0")
