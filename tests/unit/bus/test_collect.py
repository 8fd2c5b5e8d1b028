"""Which endpoints are collected, and which pairs are adopted, without a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.bus import events
from tests.fake.daemon import Daemon
from tests.unit.bus.two_buses import assert_whole


def test_an_endpoint_is_collected_only_when_it_was_a_candidate_twice(busy: Daemon) -> None:
    """A container that is just being started has minutes to take its interface."""
    busy.kernel.kill_namespace("e1a")
    busy.service.create_endpoint("n2", "created", {})
    busy.service.create_endpoint("n2", "joined", {})
    busy.service.join("n2", "joined")
    assert busy.resync()
    assert set(busy.service.state.networks["n1"].endpoints) == {"e1a", "e1b"}
    assert not busy.said(events.ENDPOINT_COLLECTED)
    busy.start_container("n2", "created")
    assert not busy.resync()
    assert set(busy.service.state.networks["n1"].endpoints) == {"e1b"}
    assert set(busy.service.state.networks["n2"].endpoints) == {"e2a", "e2b", "created"}
    gone = {event.fields["endpoint"] for event in busy.said(events.ENDPOINT_COLLECTED)}
    assert gone == {"e1a", "joined"}
    assert len(busy.present("vcan2")) == 4
    busy.assert_exactly_once("vcan2")


def test_an_endpoint_with_container_is_never_collected(busy: Daemon) -> None:
    """However often one looks, over restarts of the daemon too."""
    later = busy.restarted()
    before = busy.kernel.snapshot()
    for _look in range(4):
        assert not later.resync()
    assert busy.kernel.snapshot() == before


def test_a_doubt_that_was_cleared_counts_anew(busy: Daemon) -> None:
    """In doubt, back, and in doubt again: that is once."""
    busy.kernel.kill_namespace("e1a")
    assert busy.resync()
    busy.start_container("n1", "e1a")
    assert not busy.resync()
    busy.kernel.kill_namespace("e1a")
    assert busy.resync()
    assert "e1a" in busy.service.state.networks["n1"].endpoints


def test_a_collection_that_fails_is_tried_again(busy: Daemon) -> None:
    """Or the endpoint would stay for ever."""
    busy.service.create_endpoint("n1", "joined", {})
    busy.service.join("n1", "joined")
    assert busy.resync()
    before = busy.kernel.names()
    busy.kernel.refuse(1)
    assert busy.resync(), "there would be no other resync"
    (event,) = busy.said(events.ENDPOINT_NOT_COLLECTED)
    assert event.fields["endpoint"] == "joined"
    assert busy.kernel.names() == before
    assert busy.maintenance.repair()
    assert len(before - busy.kernel.names()) == 2
    assert not busy.resync()
    assert "joined" not in busy.service.state.networks["n1"].endpoints
    assert_whole(busy)


@pytest.mark.parametrize("noticed", [False, True])
def test_a_pair_in_a_container_is_adopted_and_not_removed(busy: Daemon, noticed: bool) -> None:
    """Its record was lost (an older state was put back): a running container is not cut off."""
    record = Path(busy.store.path).read_bytes()
    busy.run_container("n1", "e1c")
    if noticed:
        busy.resync()
    before = busy.kernel.snapshot()
    busy.end()
    Path(busy.store.path).write_bytes(record)
    later = Daemon(busy.directory, busy.kernel)
    assert later.maintenance.repair()
    assert busy.kernel.snapshot() == before
    (event,) = later.said(events.ENDPOINT_ADOPTED)
    assert event.fields["endpoint"] == "e1c"
    later.maintenance.run(0.0, active=True)
    assert "e1c" in later.restarted().service.state.networks["n1"].endpoints


def test_a_pair_that_no_container_took_is_not_adopted(busy: Daemon) -> None:
    """It is the leftover of a call whose record did not reach the disk."""
    record = Path(busy.store.path).read_bytes()
    busy.service.create_endpoint("n1", "e1c", {})
    busy.service.join("n1", "e1c")
    busy.end()
    Path(busy.store.path).write_bytes(record)
    later = Daemon(busy.directory, busy.kernel)
    assert later.maintenance.repair()
    assert not later.said(events.ENDPOINT_ADOPTED)
    assert not [name for name in busy.kernel.names() if name.startswith("cwc")]
    assert_whole(later)
