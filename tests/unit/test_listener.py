"""The listening socket's file."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from canwharf.docker import listener
from canwharf.errors import StartError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "plugins" / "canwharf.sock")


def test_the_socket_is_roots_alone(path: str) -> None:
    """Whoever may write to it can take every container off its bus."""
    with listener.listen(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_umask_is_as_before(path: str) -> None:
    """The state file and others get the modes that they ask for."""
    old = os.umask(0o027)
    try:
        with listener.listen(path):
            assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)


def test_a_caller_gets_through(path: str) -> None:
    """It listens when the call returns: what connects from then on is served."""
    with listener.listen(path) as listening, socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        accepted, _address = listening.accept()
        accepted.close()


def test_a_socket_that_nobody_listens_on_is_replaced(path: str) -> None:
    """A daemon that was killed leaves one; the next must start."""
    listener.listen(path).close()
    assert os.path.exists(path)
    test_a_caller_gets_through(path)


def test_a_socket_that_somebody_listens_on_is_not_stolen(path: str) -> None:
    """The other daemon's containers would be lost to it; the error says what to do."""
    with listener.listen(path):
        with pytest.raises(StartError, match=r"another daemon listens on .*--socket"):
            listener.listen(path)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(path)


def test_what_is_no_socket_is_not_removed(path: str) -> None:
    """A slip in --socket must not cost somebody a file."""
    os.makedirs(os.path.dirname(path))
    Path(path).write_text("precious")
    with pytest.raises(StartError):
        listener.listen(path)
    assert Path(path).read_text() == "precious"


def test_a_directory_in_its_place_is_an_error(path: str) -> None:
    """With the path."""
    os.makedirs(path)
    with pytest.raises(StartError, match=r"canwharf\.sock"):
        listener.listen(path)
    assert os.path.isdir(path)


def test_a_path_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """Linux takes 107 bytes; the error is a sentence, not a traceback."""
    with pytest.raises(StartError, match="cannot listen on"):
        listener.listen(str(tmp_path / ("x" * 120) / "canwharf.sock"))


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """With the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"file/canwharf\.sock: "):
        listener.listen(str(tmp_path / "file" / "canwharf.sock"))


def test_one_daemon_a_drivers_name(tmp_path: Path) -> None:
    """Its interfaces are known by that name alone: two would remove each other's."""
    name = f"test-{os.getpid()}-{tmp_path.name}"
    words = f"another daemon serves the driver {name}: .*--socket"
    with listener.reserve(name), pytest.raises(StartError, match=words):
        listener.reserve(name)
    listener.reserve(name).close()


def test_our_own_socket_file_is_forgotten(path: str) -> None:
    """At the end of the daemon; it does not listen any more either."""
    listening = listener.listen(path)
    listener.forget(path, listening)
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
    listening = listener.listen(path)
    os.rename(path, path + ".old")
    another = None
    if other == "file":
        Path(path).write_text("precious")
    elif other != "nothing":
        another = listener.listen(path)
        if other == "leftover":
            another.close()
    listener.forget(path, listening)
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
    ],
)
def test_docker_knows_the_driver_by_the_sockets_name(path: str, name: str) -> None:
    """The same name must stand in the aliases."""
    assert listener.driver_name(path) == name


@pytest.mark.parametrize("path", ["/run/.sock", "/run/", "", "/run/a b.sock", f"/{'x' * 65}.sock"])
def test_a_path_without_a_drivers_name_is_refused(path: str) -> None:
    """Such a name would make aliases that cannot be read back."""
    with pytest.raises(StartError, match=r"no driver's name.*canwharf\.sock"):
        listener.driver_name(path)
