"""What fails leaves kernel, disk and memory as they were; a crash leaves nothing for ever."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from canwharf.errors import CanwharfError, KernelError, StateError
from tests.fake.daemon import Daemon
from tests.fake.kernel import Crash

CALLS: dict[str, Callable[[Daemon], object]] = {
    "create_network": lambda daemon: daemon.service.create_network("n2", {"vxcan.id": "2"}),
    "create_endpoint": lambda daemon: daemon.service.create_endpoint("n1", "new", {}),
    "join": lambda daemon: daemon.service.join("n1", "waiting"),
    "join unknown": lambda daemon: daemon.service.join("n1", "lost"),
}
REMOVALS: dict[str, Callable[[Daemon], object]] = {
    "delete_endpoint": lambda daemon: daemon.service.delete_endpoint("n1", "e1"),
    "delete_network": lambda daemon: daemon.service.delete_network("n0"),
}
MESSAGES = range(1, 30)


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

    patch.setattr(os, "fsync", full)


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
        assert not busy.said("could not undo a failed call")
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
def test_a_removal_that_fails_is_not_forgotten(
    busy: Daemon, name: str, fault: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine asks again, and then it is gone; until then it is the engine's."""
    state, disk = busy.service.state, Path(busy.store.path).read_bytes()
    failed = False
    with monkeypatch.context() as patch:
        if isinstance(fault, int):
            busy.kernel.refuse(fault)
        else:
            fill_disk(patch)
        try:
            REMOVALS[name](busy)
        except CanwharfError:
            failed = True
            assert busy.service.state == state
            assert Path(busy.store.path).read_bytes() == disk
    busy.kernel.stop_faults()
    assert failed or fault not in ("disk", 1)
    REMOVALS[name](busy)
    busy.assert_exactly_once("vcan0")
    assert len(busy.present("vcan0")) == (2 if name == "delete_endpoint" else 3)
    assert ("vcan9" in busy.kernel.names()) == (name == "delete_endpoint")


@pytest.mark.parametrize("place", MESSAGES)
def test_a_refusal_while_a_bus_is_being_recovered_is_made_good(busy: Daemon, place: int) -> None:
    """The bus interface vanished, a Join makes it again, one message is refused.

    Whatever the engine does then, the containers that were there must hear each other again.
    """
    busy.kernel.delete_link("vcan0")
    busy.kernel.refuse(place)
    try:
        busy.service.join("n1", "waiting")
    except KernelError:
        busy.kernel.stop_faults()
        busy.upkeep.repair()
    assert len(busy.present("vcan0")) >= 3
    assert "vcan0" in busy.kernel.names()
    busy.assert_exactly_once("vcan0")


@pytest.mark.parametrize("name", [*CALLS, *REMOVALS])
@pytest.mark.parametrize("place", MESSAGES)
def test_a_crash_between_any_two_messages_is_recovered_from(
    busy: Daemon, name: str, place: int
) -> None:
    """The next life finds what is there, and the engine's next try succeeds."""
    call = {**CALLS, **REMOVALS}[name]
    busy.kernel.crash_after(place)
    try:
        call(busy)
    except Crash:
        busy.kernel.stop_faults()
    busy.kernel.stop_faults()
    later = busy.restarted()
    later.upkeep.recover()
    call(later)
    for interface in later.service.state.interfaces():
        later.assert_exactly_once(interface)
    wanted = {"lo", *later.service.state.interfaces()}
    for interface in later.service.state.interfaces():
        wanted |= set(later.present(interface))
    assert {each for each in later.kernel.names() if not each.startswith("cwc")} == wanted
    assert all(later.kernel.link(each).up for each in wanted)
    owned = {each.name for each in later.kernel.links() if each.alias.startswith("canwharf ")}
    assert owned == wanted - {"lo"}
    assert not later.said("could not repair a bus")


def test_an_undo_that_fails_is_said_and_the_first_error_goes_on(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator must know that something stayed behind."""
    fill_disk(monkeypatch)
    sent = messages_of_join_unknown(busy)
    busy.kernel.refuse(sent + 1)
    with pytest.raises(StateError, match="No space left"):
        busy.service.join("n1", "lost")
    (event,) = busy.said("could not undo a failed call")
    assert event.level == "error"
    assert "Cannot allocate memory" in event.fields["error"]


def messages_of_join_unknown(busy: Daemon) -> int:
    """Pair, alias, the two answers, and for each of three others four rules."""
    return 2 + 2 + 4 * len(busy.present("vcan0"))
