"""The listening socket's file."""

from __future__ import annotations

import fcntl
import grp
import os
import posix
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from canwharf.daemon import instance, sockets
from canwharf.errors import StartError
from canwharf.lean import Socket


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "plugins" / "canwharf.sock")


def test_the_socket_is_roots_alone(path: str) -> None:
    """Whoever may write to it can take every container off its bus."""
    with sockets.listen(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_umask_is_as_before(path: str) -> None:
    """The state file and others get the modes that they ask for."""
    old = os.umask(0o027)
    try:
        with sockets.listen(path):
            assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)


def test_a_caller_gets_through(path: str) -> None:
    """It listens when the call returns: what connects from then on is served."""
    with sockets.listen(path) as listening, socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        accepted, _address = listening.accept()
        accepted.close()


def test_a_socket_without_a_listener_is_replaced(path: str) -> None:
    """A daemon that was killed leaves one; the next must start."""
    sockets.listen(path).close()
    assert os.path.exists(path)
    test_a_caller_gets_through(path)


def test_a_socket_with_a_listener_is_not_stolen(path: str) -> None:
    """The other daemon's containers would be lost to it; the error says what to do."""
    with sockets.listen(path):
        with pytest.raises(StartError, match=r"another daemon listens on .*--socket"):
            sockets.listen(path)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(path)


@contextmanager
def started_by_systemd(held: int, number: str = "1") -> Iterator[None]:
    """As a service with a socket unit: the socket is descriptor 3, the environment says so."""
    kept = fcntl.fcntl(3, fcntl.F_DUPFD_CLOEXEC, 10) if os.path.exists("/proc/self/fd/3") else -1
    os.dup2(held, 3)
    words = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": number}
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in words.items():
                patch.setitem(posix.environ, name.encode(), value.encode())
            yield
    finally:
        if kept >= 0:
            os.dup2(kept, 3)
            os.close(kept)
        else:
            with suppress(OSError):  # closed with the socket that was passed
                os.close(3)


def test_a_socket_that_systemd_holds_is_used(path: str) -> None:
    """Docker may have called before we were there; its call is not lost."""
    with (
        sockets.listen(path) as held,
        socket.socket(socket.AF_UNIX) as caller,
        started_by_systemd(held.fileno()),
    ):
        caller.connect(path)
        [(where, listening)] = sockets.passed(path).items()
        assert where == path
        with listening:
            listening.accept()[0].close()
    assert os.path.exists(path)


def test_another_programs_socket_is_not_taken(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment may have been meant for the program that started us."""
    assert sockets.passed(path) == {}
    monkeypatch.setitem(posix.environ, b"LISTEN_FDS", b"1")
    monkeypatch.setitem(posix.environ, b"LISTEN_PID", b"1")
    assert sockets.passed(path) == {}


def test_a_socket_unit_that_does_not_fit_is_an_error(path: str) -> None:
    """Docker would call a socket without a daemon, or networks would be under another name."""
    with (
        sockets.listen(path) as held,
        started_by_systemd(held.fileno()),
        pytest.raises(StartError, match=r"ListenStream=.*--socket"),
    ):
        sockets.passed(path.replace("canwharf", "other"))
    with (
        Socket(socket.AF_UNIX) as held,
        started_by_systemd(held.fileno()),
        pytest.raises(StartError, match="does not listen"),
    ):
        sockets.passed(path)
    with (
        sockets.listen(path + "2") as held,
        started_by_systemd(held.fileno()),
        pytest.raises(StartError, match="passes no socket at this path"),
    ):
        sockets.passed(path, path + "2")


def test_a_second_socket_is_for_users(path: str) -> None:
    """Systemd holds both, in whatever order."""
    users = path.replace("canwharf", "users")
    with (
        sockets.listen(users) as first,
        started_by_systemd(first.fileno(), "2"),
        sockets.listen(path) as second,
        _at(4, second.fileno()),
    ):
        held = sockets.passed(path, users)
        assert sorted(held) == sorted([path, users])
        for each in held.values():
            each.close()


@contextmanager
def _at(number: int, held: int) -> Iterator[None]:
    """One more descriptor that systemd passes."""
    kept = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    os.dup2(held, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def test_a_group_may_use_a_socket(path: str) -> None:
    """Its members and root, and nobody else; a group that there is not is an error."""
    own = grp.getgrgid(os.getgid()).gr_name
    with sockets.listen_for_group(path, own):
        found = os.stat(path)
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert found.st_gid == os.getgid()
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o755
    with pytest.raises(StartError, match="there is no group no-such-group: 'groupadd"):
        sockets.listen_for_group(path, "no-such-group")
    with pytest.raises(StartError, match="a managed plugin"):
        sockets.listen_for_group("", own)


def test_what_is_passed_and_no_socket_is_an_error(path: str, tmp_path: Path) -> None:
    """A unit with StandardInput= or a file where a socket should be."""
    with (
        open(tmp_path / "file", "w") as file,
        started_by_systemd(file.fileno()),
        pytest.raises(StartError, match="socket that systemd passes"),
    ):
        sockets.passed(path)


def test_what_is_no_socket_is_not_removed(path: str) -> None:
    """A slip in --socket must not delete a file."""
    os.makedirs(os.path.dirname(path))
    Path(path).write_text("precious")
    with pytest.raises(StartError):
        sockets.listen(path)
    assert Path(path).read_text() == "precious"


def test_a_directory_in_its_place_is_an_error(path: str) -> None:
    """With the path."""
    os.makedirs(path)
    with pytest.raises(StartError, match=r"canwharf\.sock"):
        sockets.listen(path)
    assert os.path.isdir(path)


def test_a_path_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """Linux takes 107 bytes; the error is a sentence, not a traceback."""
    with pytest.raises(StartError, match="cannot listen on"):
        sockets.listen(str(tmp_path / ("x" * 120) / "canwharf.sock"))


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """With the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"file/canwharf\.sock: "):
        sockets.listen(str(tmp_path / "file" / "canwharf.sock"))


def test_one_daemon_a_drivers_name(tmp_path: Path) -> None:
    """Its interfaces are known by that name alone: two would remove each other's."""
    locks = str(tmp_path)
    words = "another daemon serves the driver test/1:x: .*--socket"
    with sockets.reserve("test/1:x", locks), pytest.raises(StartError, match=words):
        sockets.reserve("test/1:x", locks)
    sockets.reserve("test/1:x", locks).close()


def test_the_lock_is_no_way_to_another_file(tmp_path: Path) -> None:
    """It is opened for writing, and would be emptied."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    Path(instance.lock_path("x", str(tmp_path))).symlink_to(victim)
    with pytest.raises(StartError, match="cannot open"):
        sockets.reserve("x", str(tmp_path))
    assert victim.read_text() == "precious"


def test_our_own_socket_file_is_forgotten(path: str) -> None:
    """At the end of the daemon; it does not listen any more either."""
    listening = sockets.listen(path)
    sockets.forget(path, listening)
    assert not os.path.exists(path)
    assert listening.fileno() == -1


@pytest.mark.parametrize(
    "other",
    [
        "nothing",
        "file",
        "listening",
        "leftover",
    ],
)
def test_what_is_not_our_socket_is_not_forgotten(path: str, other: str) -> None:
    """Somebody removed ours, and maybe put something else there."""
    listening = sockets.listen(path)
    os.rename(path, path + ".old")
    another = None
    if other == "file":
        Path(path).write_text("precious")
    elif other != "nothing":
        another = sockets.listen(path)
        if other == "leftover":
            another.close()
    sockets.forget(path, listening)
    assert os.path.exists(path) == (other in ("file", "listening"))
    if another:
        another.close()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/run/docker/plugins/canwharf.sock", "canwharf"),
        ("rustyvxcan.sock", "rustyvxcan"),
        ("/x/my.driver.sock", "my.driver"),
        ("/x/plain", "plain"),
        ("/x/y/z.sock", "z"),
        # of a managed plugin, whose networks are served without it
        ("/run/docker/plugins/somebody/vxcan:latest.sock", "somebody/vxcan:latest"),
        ("/var/run/docker/plugins/a/b/c.sock", "a/b/c"),
        # the other place where Docker looks for one
        ("/run/docker/plugins/canwharf/canwharf.sock", "canwharf"),
    ],
)
def test_docker_knows_the_driver_by_the_sockets_name(path: str, name: str) -> None:
    """The same name must stand in the aliases."""
    assert instance.name_of(path) == name


@pytest.mark.parametrize("path", ["/run/.sock", "/run/", "", "/run/a b.sock", f"/{'x' * 65}.sock"])
def test_a_path_without_a_drivers_name_is_refused(path: str) -> None:
    """Such a name would make aliases that cannot be read back."""
    with pytest.raises(StartError, match=r"no driver's name.*canwharf\.sock"):
        instance.name_of(path)
