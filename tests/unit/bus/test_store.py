"""The state on disk: never half, never a guess, never two daemons."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import posix
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus.model import Endpoint, Network, Settings, State
from canwharf.bus.naming import Ifname
from canwharf.bus.store import KEPT, Store
from canwharf.errors import StartError, StateError

ENDPOINTS = {"e1": Endpoint(), "e2": Endpoint(Ifname("own"))}
OLD = State("canwharf", {"n1": Network("n1", Settings("vcan0", "can"), ENDPOINTS)})
STATES = Path(__file__).with_name("states")
NEW = OLD.with_network(Network("n2", Settings("can1", "vx"), {}))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "deep" / "state"))
    store.acquire()
    return store


def test_what_is_saved_is_loaded(store: Store) -> None:
    """Networks and endpoints, over a restart of the daemon."""
    store.save(NEW)
    assert store.load("canwharf") == (NEW, 0)
    assert Store(store.directory).load("canwharf") == (NEW, 0)


@pytest.mark.parametrize("path", sorted(STATES.glob("*.json")), ids=lambda path: path.stem)
def test_what_earlier_versions_wrote_is_read(store: Store, path: Path) -> None:
    """An upgrade keeps every network and, within a boot, every endpoint.

    Each file is what a commit of that time wrote; one is added with each change of the form.
    """
    shutil.copy(path, store.path)
    store._boot = json.loads(path.read_text())["boot"]
    state, left = store.load("canwharf")
    assert (state.driver, state.complete, left) == ("canwharf", True, 0)
    first, second, *_more = state.networks.values()  # see test_impairment.py
    assert (first.id, first.settings) == ("a" * 64, Settings("vcan0", "can"))
    assert first.endpoints == {"b" * 64: Endpoint(), "c" * 64: Endpoint(Ifname("battery"))}
    assert second.settings[:2] == ("can1", "can")
    assert second.settings.physical is (path.stem != "1-first")
    assert second.settings.adapter.options == (
        {"can.bitrate": "500000"} if path.stem >= "5" else {}
    )
    store.save(state)
    assert store.load("canwharf") == (state, 0)


def test_the_first_start_has_an_empty_state(store: Store) -> None:
    """No file is no fault."""
    assert store.load("other") == (State("other", {}, complete=False), 0)


def test_after_another_boot_networks_stay_and_endpoints_do_not(store: Store) -> None:
    """The engine never mentions the old endpoints again; it is said how many there were."""
    store.save(NEW)
    later = Store(store.directory)
    later._boot = "another"
    state, left = later.load("canwharf")
    assert left == 2
    assert {id: network.settings for id, network in state.networks.items()} == {
        "n1": Settings("vcan0", "can"),
        "n2": Settings("can1", "vx"),
    }
    assert not any(network.endpoints for network in state.networks.values())
    assert later.load("canwharf") == (state, 2)  # until a change is saved
    later._lock = store._lock
    later.save(state)
    assert later.load("canwharf") == (state, 0)


def test_a_person_can_read_it(store: Store) -> None:
    """It is JSON of more than one line."""
    store.save(OLD)
    text = Path(store.path).read_text()
    assert text.count("\n") > 5
    assert json.loads(text)["networks"]["n1"]["interface"] == "vcan0"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_state(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A call that failed must not be remembered as done."""
    store.save(OLD)

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(posix, call, full)
        with pytest.raises(StateError, match="No space left") as caught:
            store.save(NEW)
    assert caught.value.path == store.path
    assert store.load("canwharf") == (OLD, 0)
    store.save(NEW)
    assert store.load("canwharf") == (NEW, 0)


def test_it_is_written_aside_synced_renamed_and_synced(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order, or a power cut leaves an empty file."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor: int) -> None:
        done.append("sync directory" if descriptor == store._lock else "sync file")
        fsync(descriptor)

    def record_replace(source: str, destination: str) -> None:
        done.append("rename")
        assert json.loads(Path(source).read_text())
        replace(source, destination)

    monkeypatch.setattr(posix, "fsync", record_fsync)
    monkeypatch.setattr(posix, "replace", record_replace)
    store.save(OLD)
    assert done == ["sync file", "rename", "sync directory"]


def good() -> dict[str, object]:
    endpoints = {"e1": {"prefix": ""}}
    network = {"interface": "vcan0", "prefix": "can", "endpoints": endpoints}
    return {"version": 1, "boot": "b", "networks": {"n1": network}}


def network(**changes: object) -> dict[str, object]:
    one: dict[str, object] = {"interface": "vcan0", "prefix": "can", "endpoints": {}, **changes}
    return {**good(), "networks": {"n1": one}}


GARBLED: dict[str, object] = {
    "a list": [],
    "a number": 5,
    "null": None,
    "no version": {"networks": {}},
    "a later version": {**good(), "version": 2},
    "an earlier version": {**good(), "version": 0},
    "a version in words": {**good(), "version": "1"},
    "no networks": {"version": 1, "boot": "b"},
    "a list of networks": {**good(), "networks": []},
    "a network that is text": {**good(), "networks": {"n1": "vcan0"}},
    "an id with a space": {**good(), "networks": {"n 1": good()["networks"]}},
    "no interface": network(interface=None),
    "a number for interface": network(interface=0),
    "an interface with a slash": network(interface="../x"),
    "an interface that is too long": network(interface="x" * 16),
    "an empty prefix": network(prefix=""),
    "a prefix that is too long": network(prefix="x" * 15),
    "no endpoints": network(endpoints=None),
    "a list of endpoints": network(endpoints=["e1"]),
    "an endpoint that is text": network(endpoints={"e1": ""}),
    "an endpoint without prefix": network(endpoints={"e1": {}}),
    "an endpoint whose prefix is bad": network(endpoints={"e1": {"prefix": "a b"}}),
    "an endpoint's id with a space": network(endpoints={"e 1": {"prefix": ""}}),
    "an endpoint's empty id": network(endpoints={"": {"prefix": ""}}),
}


@pytest.mark.parametrize("name", GARBLED)
def test_json_that_is_not_ours_is_refused_with_its_path(store: Store, name: str) -> None:
    """Never a guess: a bus on the wrong interface would be worse than none."""
    Path(store.path).write_text(json.dumps(GARBLED[name]))
    with pytest.raises(StateError, match=r"state\.json"):
        store.load("canwharf")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b"{", b"\xff\xfe", b'{"version": 1', b"[" * 100_000, b"1" * 5000],
)
def test_what_is_no_json_is_refused_with_its_path(store: Store, content: bytes) -> None:
    """A file that a dying disk left says where it is."""
    Path(store.path).write_bytes(content)
    with pytest.raises(StateError, match=r"state\.json"):
        store.load("canwharf")


@given(place=st.integers(0, 250), byte=st.binary(min_size=1, max_size=1))
def test_one_wrong_byte_is_refused_or_still_valid(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: bytes
) -> None:
    """No other exception than the one that names the file."""
    store = Store(str(tmp_path_factory.mktemp("s")))
    content = json.dumps(good()).encode()
    Path(store.path).write_bytes(content[:place] + byte + content[place + 1 :])
    with contextlib.suppress(StateError):
        state, _left = store.load("canwharf")
        assert len(state.networks) == 1


def test_a_file_that_cannot_be_read_is_refused_with_its_path(store: Store) -> None:
    """A directory in its place, say."""
    os.mkdir(store.path)
    with pytest.raises(StateError, match="Is a directory"):
        store.load("canwharf")


def test_a_file_that_cannot_be_used_is_set_aside_and_kept(store: Store) -> None:
    """Under a dated name beside the old one: its content may be the only copy."""
    Path(store.path).write_text("{")
    kept = Path(store.set_aside())
    assert re.fullmatch(r"state\.json\.\d{8}T\d{6}\.bad", kept.name)
    assert kept.parent == Path(store.directory)
    assert kept.read_text() == "{"
    assert store.load("canwharf") == (State("canwharf", {}, complete=False), 0)
    store.save(NEW)
    assert kept.read_text() == "{"


def test_setting_aside_what_is_not_there_is_a_state_error(store: Store) -> None:
    """Not a traceback."""
    with pytest.raises(StateError, match=r"cannot set aside .*state\.json"):
        store.set_aside()


def test_whether_an_interface_was_an_adapter_is_kept(store: Store) -> None:
    """Or a vcan would be made in its place when it is unplugged at the next start."""
    state = OLD.with_network(Network("n3", Settings("can0", "can", physical=True), {}))
    store.save(state)
    assert store.load("canwharf") == (state, 0)


def test_the_state_of_another_driver_is_refused(store: Store) -> None:
    """It is not garbled, so it is not set aside; the words say what to do."""
    store.save(OLD)
    with pytest.raises(StartError, match=r"state of the driver canwharf.*other.*--state-dir"):
        store.load("other")
    content = json.loads(Path(store.path).read_text())
    del content["driver"]  # as an earlier version wrote it
    Path(store.path).write_text(json.dumps(content))
    assert store.load("canwharf") == (OLD, 0)


def test_a_second_daemon_is_refused(store: Store) -> None:
    """Two that write one file would lose each other's networks; it says what to do."""
    with pytest.raises(StartError, match=f"another daemon.*{store.directory}.*--state-dir"):
        Store(store.directory).acquire()


def test_the_lock_goes_with_the_daemon(store: Store) -> None:
    """However it ended, the next one starts."""
    os.close(store._lock)
    Store(store.directory).acquire()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """With its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="file/state"):
        Store(str(tmp_path / "file" / "state")).acquire()


def test_the_file_has_a_line_for_each_network(store: Store) -> None:
    """For a person to read, and written by json's encoder in C: it is written at every endpoint."""
    state = State("canwharf", {})
    for id in ("n1", "n2"):
        state = state.with_network(Network(id, Settings("vcan0", "can"), {"e": Endpoint()}))
    for each in (State("canwharf", {}), state):
        store.save(each)
        lines = Path(store.path).read_text().splitlines()
        assert len([line for line in lines if line.startswith('  "n')]) == len(each.networks)
        assert json.loads("\n".join(lines))["networks"].keys() == each.networks.keys()


def test_nothing_is_written_through_a_link(store: Store, tmp_path: Path) -> None:
    """Whatever waits under the name that the daemon writes to is left as it is."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    aside = Path(f"{store.path}.new")
    aside.symlink_to(victim)
    store.save(OLD)
    assert victim.read_text() == "precious"
    os.link(victim, aside)
    store.save(NEW)
    assert victim.read_text() == "precious"
    os.mkfifo(aside)  # to open it would wait for a reader
    store.save(OLD)
    assert store.load("canwharf") == (OLD, 0)
    assert not aside.exists()


def test_a_directory_under_the_name_to_be_written_is_left_and_reported(store: Store) -> None:
    """With what a user has in it; the words say how to go on, as every call fails until then."""
    mine = Path(f"{store.path}.new/mine")
    mine.parent.mkdir()
    mine.write_text("precious")
    with pytest.raises(StateError, match=f"{mine.parent} is a directory, .*: move it away"):
        store.save(OLD)
    assert mine.read_text() == "precious"
    mine.parent.rename(mine.parent.with_name("away"))
    store.save(OLD)
    assert store.load("canwharf") == (OLD, 0)


def test_a_fifo_in_the_states_place_holds_up_no_start(store: Store) -> None:
    """It is no state, and reading it never waits for a writer."""
    os.mkfifo(store.path)
    with pytest.raises(StateError, match="not a plain file"):
        store.load("canwharf")


def test_a_network_that_stands_twice_is_not_guessed_at(store: Store) -> None:
    """JSON readers take the last, silently: half of the containers would be another's."""
    store.save(OLD)
    path = Path(store.path)
    twice = path.read_text().replace('"n1": {', '"n1": {"interface": "vcan9"}, "n1": {')
    path.write_text(twice)
    with pytest.raises(StateError, match="'n1' stands twice"):
        store.load("canwharf")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text(""), "Not a directory"),
        (
            lambda path: path.symlink_to("/mnt/away"),
            "it is a link to /mnt/away, which is not there",
        ),
    ],
)
def test_what_is_no_directory_is_reported_as_that(
    make: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    """The system's word for both is "File exists"."""
    make(tmp_path / "state")
    with pytest.raises(StateError, match=words):
        Store(str(tmp_path / "state")).acquire()


def test_files_that_were_set_aside_are_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is lost again and again would fill the disk: the newest are kept."""
    for second in range(12):
        monkeypatch.setattr("canwharf.bus.store.strftime", lambda _form, at=second: f"2026{at:02}")
        Path(store.path).write_text(f"garbage {second}")
        store.set_aside()
    kept = [Path(each).read_text() for each in store.aside()]
    assert kept == [f"garbage {second}" for second in range(12 - KEPT, 12)]


def test_a_state_that_could_not_be_written_is_remembered_until_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor reports it: only the daemon knows how its own disk looks."""

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(posix, "fsync", full)
        with pytest.raises(StateError):
            store.save(NEW)
    assert store.fault == f"cannot write {store.path}: No space left on device"
    store.save(NEW)
    assert store.fault == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"f_flag": os.ST_RDONLY}, "Read-only file system"),
        ({"f_bfree": 0}, "No space left on device"),
        ({"f_ffree": 0}, "No space left on device"),
        ({"f_files": 0, "f_ffree": 0}, ""),  # a file system that does not count them
    ],
)
def test_a_disk_that_takes_nothing_is_seen_without_writing(
    changes: dict[str, int], words: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a container's start meets it."""
    fields = {"f_flag": 0, "f_bfree": 1000, "f_frsize": 4096, "f_files": 100, "f_ffree": 50}
    monkeypatch.setattr(posix, "statvfs", lambda _path: SimpleNamespace(**{**fields, **changes}))
    told = store.write_fault()
    assert told == (f"cannot write {store.path}: {words}" if words else "")


def test_a_directory_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    """The daemon makes it."""
    assert Store(str(tmp_path / "none")).write_fault() == ""
