"""`canlab --docker`, before a guest starts: what is missing is said."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from canlab import cli, docker, system
from canlab.errors import CanlabError, UsageError
from canlab.guest.docker import SYSTEM, Setup

EXT4 = bytes(1080) + b"\x53\xef" + bytes(1000)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system that Docker runs in, but for all that is in it."""
    path = tmp_path / "system.img"
    path.write_bytes(EXT4)
    monkeypatch.setenv(SYSTEM, str(path))
    return path


def test_the_command_finds_the_guests_docker() -> None:
    """Not the one that the caller's environment leads to."""
    given = {"PATH": "/usr/bin", "DOCKER_HOST": "tcp://a:1", "DOCKER_TLS_VERIFY": "1", "A": "b"}
    assert docker.environment(given) == {
        "PATH": "/run/canlab/bin:/usr/bin",
        "DOCKER_HOST": "unix:///run/docker.sock",
        "A": "b",
    }


def test_what_is_missing_for_the_system_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the packages that bring it, before anything is made."""
    monkeypatch.delenv(SYSTEM, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(system, "PATH", str(tmp_path))
    with pytest.raises(CanlabError, match="apt-get install mmdebstrap uidmap e2fsprogs"):
        docker.disks(None)


def test_a_cache_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SYSTEM, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CanlabError, match="XDG_CACHE_HOME names one"):
        docker.disks(None)


def test_a_failed_build_leaves_nothing_and_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where user namespaces are forbidden."""
    monkeypatch.delenv(SYSTEM, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(system, "missing", list)

    def as_caller(command: list[str]) -> list[str]:
        script = 'echo "I: a stage"; echo "it went wrong"; touch "$2"; mkdir "$2.d"; exit 1'
        return command if command[0] == "rm" else ["sh", "-c", script, *command]

    monkeypatch.setattr(system, "_as_root", as_caller)
    told: list[str] = []
    with pytest.raises(CanlabError, match=r"(?s)it went wrong.*/etc/subuid"):
        system.find(told.append)
    assert told[1:] == [f"{system.SUITE}: a stage"]
    assert [path.suffix for path in (tmp_path / "canlab").iterdir()] == [".lock"]


def test_a_file_that_is_no_system_is_said(image: Path) -> None:
    image.write_text("x" * 2000)
    with pytest.raises(CanlabError, match="no file system ext4"):
        docker.disks(None)
    image.unlink()
    with pytest.raises(CanlabError, match=r"CANLAB_DOCKER names .*, which is not a file"):
        docker.disks(None)


@pytest.mark.usefixtures("image")
def test_a_new_disk_is_sparse_and_used_again(tmp_path: Path) -> None:
    kept = tmp_path / "disk.img"
    for _ in range(2):
        for fd in docker.disks(str(kept)):
            os.close(fd)
        found = kept.stat()
        assert (found.st_size, found.st_blocks) == (docker.SIZE, 0)


@pytest.mark.usefixtures("image")
def test_a_disk_that_is_something_else_or_in_use_is_said(tmp_path: Path) -> None:
    kept = tmp_path / "disk.img"
    kept.write_text("a letter")
    with pytest.raises(CanlabError, match="no disk with ext4"):
        docker.disks(str(kept))
    assert kept.read_text() == "a letter"
    kept.write_bytes(EXT4)
    with kept.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CanlabError, match="another canlab uses it"):
            docker.disks(str(kept))


def test_without_canwharf_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "find_spec", lambda _name: None)
    with pytest.raises(CanlabError, match="pip install canwharf"):
        cli.run(["--docker", "true"])


@pytest.mark.parametrize(
    ("said", "error"),
    [(b"up", ""), (b"mount: no", "mount: no"), (b"", "Docker's setup was killed")],
)
def test_the_command_starts_only_when_docker_is_up(said: bytes, error: str) -> None:
    """However its setup ends."""
    setup = object.__new__(Setup)
    setup._told, tell = os.pipe()
    with os.fdopen(tell, "wb") as file:
        file.write(said)
    assert setup.error() == error


def test_a_disk_without_docker_is_refused() -> None:
    with pytest.raises(UsageError, match="--disk is for --docker"):
        cli.run(["--disk", "file", "true"])
