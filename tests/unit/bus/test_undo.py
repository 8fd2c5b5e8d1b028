"""What fails leaves kernel, disk and memory as they were; a crash leaves nothing for ever."""

from __future__ import annotations

import errno
import os
import posix
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from canwharf.bus import events, naming
from canwharf.bus.maintain import GRACE
from canwharf.errors import CanwharfError, KernelError, StateError
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from tests.fake.answers import Crash
from tests.fake.daemon import Daemon
from tests.fake.links import HOST

CALLS: dict[str, Callable[[Daemon], object]] = {
    "create_network": lambda daemon: daemon.service.create_network("n2", {"vxcan.id": "2"}),
    "create_endpoint": lambda daemon: daemon.service.create_endpoint("n1", "new", {}),
    "join": lambda daemon: daemon.service.join("n1", "waiting"),
    "join unknown": lambda daemon: daemon.service.join("n1", "lost"),
}
REMOVALS: dict[str, Callable[[Daemon], object]] = {
    "delete_endpoint": lambda daemon: stop_container(daemon, "n1", "e1"),
    "delete_network": lambda daemon: daemon.service.delete_network("n0"),
}


def stop_container(daemon: Daemon, network: str, endpoint: str) -> None:
    """As the engine does it: Leave, move the interface back, DeleteEndpoint."""
    daemon.service.leave(network, endpoint)
    for inside in daemon.kernel.links(endpoint):
        back = naming.container_end(network, endpoint)
        daemon.kernel.move(inside.name, HOST, endpoint, back)
    daemon.service.delete_endpoint(network, endpoint)


MESSAGES = range(1, 30)
SENDS = range(1, 4)


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """Two containers on one bus, a third about to join, and an empty network beside it."""
    daemon.service.create_network("n1", {})
    daemon.service.create_network("n0", {"vxcan.id": "9"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    daemon.service.create_endpoint("n1", "waiting", {})
    return daemon


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(posix, "fsync", full)


def messages_of(busy: Daemon, name: str) -> int:
    """How many messages this call takes, found by making it once."""
    before = len(busy.kernel.applied)
    {**CALLS, **REMOVALS}[name](busy)
    return len(busy.kernel.applied) - before


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("place", MESSAGES)
def test_a_refused_message_leaves_all_as_before(busy: Daemon, name: str, place: int) -> None:
    """Whichever it is; and the call succeeds when it is made again."""
    kernel, state, disk = busy.kernel, busy.service.state, Path(busy.store.path).read_bytes()
    before = kernel.snapshot()
    kernel.refuse(place)
    try:
        CALLS[name](busy)
    except KernelError:
        assert kernel.snapshot() == before
        assert busy.service.state == state
        assert Path(busy.store.path).read_bytes() == disk
        assert not busy.said(events.CALL_NOT_UNDONE)
        CALLS[name](busy)
    kernel.stop_faults()
    for interface in busy.service.state.interfaces():
        busy.assert_exactly_once(interface)
    assert len(busy.present("vcan0")) == (4 if name.startswith("join") else 3)


@pytest.mark.parametrize("name", CALLS)
def test_the_places_above_are_enough(busy: Daemon, name: str) -> None:
    """Each message of each call is among those refused."""
    assert messages_of(busy, name) < len(MESSAGES)


@pytest.mark.parametrize("name", CALLS)
def test_a_full_disk_leaves_all_as_before(
    busy: Daemon, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that is not written down would be gone after the next power cut."""
    kernel, state, disk = busy.kernel, busy.service.state, Path(busy.store.path).read_bytes()
    before = kernel.snapshot()
    with monkeypatch.context() as patch:
        fill_disk(patch)
        if name == "join":  # writes nothing: the endpoint is known
            CALLS[name](busy)
            return
        with pytest.raises(StateError, match="No space left on device"):
            CALLS[name](busy)
    assert kernel.snapshot() == before
    assert busy.service.state == state
    assert Path(busy.store.path).read_bytes() == disk
    CALLS[name](busy)
    busy.assert_exactly_once("vcan0")


@pytest.mark.parametrize("name", REMOVALS)
@pytest.mark.parametrize("fault", ["disk", 1, 2, 3])
def test_a_removal_that_fails_is_finished_later(
    busy: Daemon, name: str, fault: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine forgets it whatever we answer: so do we, and see to the rest."""
    failed = False
    busy.service.adopt_networks({})  # nothing is left to be asked
    with monkeypatch.context() as patch:
        if isinstance(fault, int):
            busy.kernel.refuse(fault)
        else:
            fill_disk(patch)
        try:
            REMOVALS[name](busy)
        except CanwharfError:
            failed = True
    busy.kernel.stop_faults()
    messages = {"delete_endpoint": 1, "delete_network": 3}[name]  # its vcan, and both hub ends
    assert failed == (fault == "disk" or int(fault) <= messages)
    gone = busy.service.state
    assert ("n0" in gone.networks) == (name == "delete_endpoint")
    assert ("e1" in gone.networks["n1"].endpoints) == (name == "delete_network")
    assert busy.maintenance.run(0.0, active=False) == GRACE, "it is not tried again and again"
    assert busy.service.state == gone == busy.store.load(gone.driver)[0]
    REMOVALS[name](busy)
    busy.assert_exactly_once("vcan0")
    assert len(busy.present("vcan0")) == (2 if name == "delete_endpoint" else 3)
    assert ("vcan9" in busy.kernel.names()) == (name == "delete_endpoint")


@pytest.mark.parametrize("place", MESSAGES)
def test_a_refusal_while_a_bus_is_being_recovered_is_made_good(busy: Daemon, place: int) -> None:
    """The bus interface vanished, a Join makes it again, one message is refused.

    Whatever the engine does then, the containers that were there must be connected again.
    """
    busy.kernel.delete_link("vcan0")
    busy.kernel.refuse(place)
    try:
        busy.service.join("n1", "waiting")
    except KernelError:
        busy.kernel.stop_faults()
        busy.maintenance.repair()
    assert len(busy.present("vcan0")) >= 3
    assert "vcan0" in busy.kernel.names()
    busy.assert_exactly_once("vcan0")


@pytest.mark.parametrize("name", [*CALLS, *REMOVALS])
@pytest.mark.parametrize("sends", SENDS)
def test_a_crash_after_any_send_is_recovered_from(busy: Daemon, name: str, sends: int) -> None:
    """The next life finds what is there, leaves nothing over, and the engine's next try succeeds.

    Between the two sends of a call there are links that are ours and do not say so yet.
    """
    call = {**CALLS, **REMOVALS}[name]
    before = busy.kernel.snapshot()
    busy.kernel.crash_after(sends)
    crashed = False
    try:
        call(busy)
    except Crash:
        crashed = True
    busy.kernel.stop_faults()
    later = busy.restarted()
    later.maintenance.recover()
    if crashed and name in ("create_network", "join unknown"):
        assert later.kernel.snapshot() == before
    call(later)
    for interface in later.service.state.interfaces():
        later.assert_exactly_once(interface)
    wanted = {"lo", *later.service.state.interfaces()}
    for interface in later.service.state.interfaces():
        wanted |= {*later.present(interface), *later.hub(interface)}
    assert {each for each in later.kernel.names() if not each.startswith("cwc")} == wanted
    assert all(later.kernel.link(each).up for each in wanted)
    owned = {each.name for each in later.kernel.links() if each.alias.startswith("canwharf ")}
    assert owned == wanted - {"lo"}
    assert not later.said(events.BUS_NOT_REPAIRED)


@pytest.mark.parametrize("name", ["create_network", "join"])
def test_there_are_two_sends_to_crash_between(busy: Daemon, name: str) -> None:
    """Or the test above would test less than it says."""
    before = busy.kernel.sends
    CALLS[name](busy)
    assert busy.kernel.sends - before == 2


def test_a_foreigner_that_takes_the_name_meanwhile_is_left_alone(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look and our act: the call fails, and undoing it does not delete theirs."""
    kernel, batch = busy.kernel, busy.kernel.batch

    def meanwhile(requests: Sequence[Request]) -> list[Message]:
        monkeypatch.setattr(kernel, "batch", batch)
        kernel.add_link("vcan2", "vcan", up=False)
        return batch(requests)

    monkeypatch.setattr(kernel, "batch", meanwhile)
    with pytest.raises(KernelError, match="create bus interface vcan2: File exists"):
        CALLS["create_network"](busy)
    theirs = kernel.link("vcan2")
    assert (theirs.up, theirs.alias) == (False, "")
    CALLS["create_network"](busy)
    assert (theirs.up, theirs.alias) == (False, "")


@pytest.mark.parametrize("send", [1, 2])
@pytest.mark.parametrize("times", [1, 2])
def test_a_peer_that_dies_during_a_join_is_looked_for_and_left_out(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch, send: int, times: int
) -> None:
    """Somebody else's container ends between our look and our act: that is not our failure."""
    kernel, batch = busy.kernel, busy.kernel.batch
    for number in range(3):
        busy.run_container("n1", f"dying{number}")
    sends = 0

    def meanwhile(requests: Sequence[Request]) -> list[Message]:
        nonlocal sends
        makes = any("interface pair" in request.target for request in requests)
        if makes == (send == 1) and sends < times:
            kernel.kill_namespace(f"dying{sends}")
            sends += 1
        return batch(requests)

    monkeypatch.setattr(kernel, "batch", meanwhile)
    joined = busy.service.join("n1", "waiting")
    monkeypatch.undo()
    kernel.move(joined.interface, "waiting")
    busy.maintenance.repair()
    assert set(busy.present("vcan0")) >= {busy.port("n1", each) for each in ("e1", "waiting")}
    assert not [name for name in kernel.names() if name.startswith("cwc")]
    busy.assert_exactly_once("vcan0")


def test_an_undo_that_fails_is_said_and_the_first_error_goes_on(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator must know that something stayed behind."""
    fill_disk(monkeypatch)
    sent = messages_of_join_unknown()
    busy.kernel.refuse(sent + 1)
    with pytest.raises(StateError, match="No space left"):
        busy.service.join("n1", "lost")
    (event,) = busy.said(events.CALL_NOT_UNDONE)
    assert event.level == "error"
    assert "Cannot allocate memory" in event.fields["error"]


def messages_of_join_unknown() -> int:
    """Pair, alias, the two answers, clsact and two filters; six rules with each of host and hub."""
    return 2 + 2 + 3 + 2 * 6
