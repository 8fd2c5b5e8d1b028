"""What a daemon says of itself in its lock file, and who believes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from canwharf.bus import events
from canwharf.bus.events import Event
from canwharf.daemon import instance, run, running, sockets
from canwharf.daemon.instance import Instance, usual
from canwharf.daemon.running import Running
from canwharf.errors import StartError

HERE = os.getpid()


@pytest.fixture
def locks() -> Iterator[str]:
    """On a tmpfs, as /run is."""
    with TemporaryDirectory(dir="/dev/shm") as directory:
        yield directory


def test_it_says_where_its_socket_and_its_state_are(locks: str, tmp_path: Path) -> None:
    """Paths of its working directory, too; for as long as it runs, and not after that."""
    own = Instance("somebody/vxcan:latest", "x.sock", str(tmp_path / "b\u00fcs\n"))
    with sockets.reserve(own.name, locks) as lock:
        assert running.running(locks) == {own.name: Running(HERE, None)}
        sockets.announce(lock, own)
        said = own._replace(socket=f"{os.getcwd()}/x.sock")
        assert running.running(locks) == {own.name: Running(HERE, said)}
    assert running.running(locks) == {}


def test_several_daemons(locks: str) -> None:
    """Each by its name; what else is in the directory is none."""
    Path(locks, "canwharf.prom").touch()
    Path(locks, "ended.lock").touch()
    with sockets.reserve("rusty", locks) as one, sockets.reserve("canwharf", locks):
        sockets.announce(one, usual("rusty"))
        assert running.running(locks) == {
            "canwharf": Running(HERE, None),
            "rusty": Running(HERE, usual("rusty")),
        }
    assert running.running("/nowhere") == {}


def test_the_next_daemon_does_not_say_what_the_last_one_said(locks: str) -> None:
    """A daemon of an earlier version leaves the file as it is, or empties it."""
    with sockets.reserve("canwharf", locks) as lock:
        sockets.announce(lock, usual("canwharf")._replace(state_dir="/data"))
    with sockets.reserve("canwharf", locks):
        assert running.running(locks) == {"canwharf": Running(HERE, None)}


def test_a_daemon_that_is_refused_does_not_empty_what_the_other_said(locks: str) -> None:
    with sockets.reserve("canwharf", locks) as lock:
        sockets.announce(lock, usual("canwharf"))
        with pytest.raises(StartError):
            sockets.reserve("canwharf", locks)
        assert running.running(locks) == {"canwharf": Running(HERE, usual("canwharf"))}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"socket": "/x"}', '{"socket": 1, "state_dir": 2}']
)
def test_what_is_not_of_the_form_is_not_believed(text: str, locks: str) -> None:
    """As half a line, where /run was full."""
    with sockets.reserve("canwharf", locks) as lock:
        os.write(lock.fileno(), text.encode())
        assert running.running(locks) == {"canwharf": Running(HERE, None)}


def test_the_file_is_roots_alone(locks: str) -> None:
    """Whoever may open it may lock it, and keep the daemon from starting."""
    with sockets.reserve("canwharf", locks):
        found = os.stat(instance.lock_path("canwharf", locks))
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_a_full_run_does_not_keep_the_daemon_from_serving() -> None:
    """Only commands of ours miss what could not be written; it is said in the log."""
    said: list[Event] = []
    with open("/dev/full", "w") as full:
        run._announce(full, usual("canwharf"), said.append)
    (event,) = said
    assert event.type == events.PATHS_NOT_WRITTEN
    assert event.fields == {
        "file": "/run/canwharf/canwharf.lock",
        "error": "No space left on device",
    }


def test_a_directory_in_mounts_of_its_own_is_found(tmp_path: Path) -> None:
    """A managed plugin may keep its state elsewhere than where it sees it."""
    assert running._as_seen(str(tmp_path), HERE) == str(tmp_path)
    assert running._as_seen("/not/there/for/anybody", HERE) == "/not/there/for/anybody"
