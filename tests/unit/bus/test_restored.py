"""A pair that is lost while its container runs is made again in there."""

from __future__ import annotations

import pytest

from canwharf.bus import events, naming
from canwharf.kernel import namespace
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel


@pytest.fixture(autouse=True)
def _namespaces(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "opened", kernel.opened)


def lost(daemon: Daemon, kernel: FakeKernel, *, by_hand: bool = True) -> None:
    """Somebody deletes the interface of e1, and the daemon has its turn."""
    if by_hand:
        kernel.delete_link(naming.host_end("n1", "e1"))
    else:
        kernel.kill_namespace("c")
    assert daemon.maintenance.repair()


@pytest.mark.parametrize("options", [{}, {"can.ifname": "can7"}])
def test_an_interface_that_was_deleted_comes_back_at_once(
    daemon: Daemon, kernel: FakeKernel, options: dict[str, str]
) -> None:
    """Under its name; the container need not be started again."""
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.run_container("n1", "e2")
    daemon.service.create_endpoint("n1", "e1", options)
    daemon.service.join("n1", "e1", "/ns/c")
    before = kernel.snapshot()
    lost(daemon, kernel)
    assert kernel.snapshot() == before
    assert [link.name for link in kernel.links("c")] == [options.get("can.ifname", "can0")]
    daemon.assert_exactly_once("vcan0")
    assert len(daemon.said(events.PAIR_RECREATED)) == 1


def test_also_one_that_an_older_engine_moved(daemon: Daemon, kernel: FakeKernel) -> None:
    """By now its namespace is there."""
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.service.create_endpoint("n1", "e1", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(namespace, "opened", lambda _path, what: kernel.opened("", what))
        daemon.service.join("n1", "e1", "/ns/c")
    kernel.move(naming.container_end("n1", "e1"), "c", new_name="can0")
    lost(daemon, kernel)
    assert [link.name for link in kernel.links("c")] == ["can0"]


def test_one_whose_container_has_ended_does_not(
    daemon: Daemon, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that has not joined again since it was created, or left, neither."""
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.service.join("n1", "e1", "/ns/c")
    with monkeypatch.context() as patch:
        patch.setattr(namespace, "opened", lambda _path, what: kernel.opened("", what))
        lost(daemon, kernel, by_hand=False)
    assert kernel.names() == {"lo", "vcan0", *daemon.hub("vcan0")}
    daemon.service.delete_endpoint("n1", "e1")
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.maintenance.sync()
    assert kernel.names() == {"lo", "vcan0", *daemon.hub("vcan0")}


def test_a_number_in_proc_may_be_another_processs_later(
    daemon: Daemon, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an interface is never made again by such a path."""
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.service.create_endpoint("n1", "e1", {})
    inside = lambda _path, what: kernel.opened("/ns/c", what)  # noqa: E731
    monkeypatch.setattr(namespace, "opened", inside)
    assert daemon.service.join("n1", "e1", "/proc/7/ns/net").placed
    lost(daemon, kernel)
    assert kernel.links("c") == []


def test_one_that_cannot_be_made_again_does_not_hold_up_the_others(
    daemon: Daemon, kernel: FakeKernel
) -> None:
    """Its name was taken meanwhile: that is reported, and tried again."""
    daemon.service.create_network("n1", {"can.ifname": "can1"})
    for endpoint in ("e1", "e2"):
        daemon.service.create_endpoint("n1", endpoint, {})
        daemon.service.join("n1", endpoint, f"/ns/{endpoint}")
        kernel.delete_link(naming.host_end("n1", endpoint))
    theirs = kernel.add_link("can1", "vcan")
    kernel.move("can1", "e1")
    assert not daemon.maintenance.repair()
    [event] = daemon.said(events.BUS_NOT_REPAIRED)
    assert "can1 is taken in this container" in event.fields["error"]
    assert [link.name for link in kernel.links("e2")] == ["can1"]
    kernel._delete(theirs)
    assert daemon.maintenance.recover()
    assert [link.kind for link in kernel.links("e1")] == ["vxcan"]
    daemon.assert_exactly_once("vcan0")
