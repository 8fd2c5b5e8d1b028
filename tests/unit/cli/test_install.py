"""Install, on a machine of files and a systemd that only remembers."""

from __future__ import annotations

import errno
import os
import posix
import subprocess
from pathlib import Path

import pytest

from canwharf import __version__
from canwharf.cli import install, main
from canwharf.daemon.instance import usual
from canwharf.errors import CallError
from canwharf.kernel import modules as kernel_modules
from canwharf.operator.service import modules, portable, units
from tests.unit.cli.machine import System, files


def test_a_second_install_changes_no_file_and_starts_the_new_program(
    tmp_path: Path, system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is what an upgrade needs."""
    assert main(["install"]) == 0
    first = files(tmp_path)
    assert set(first) == {
        "modules/canwharf.conf",
        *(f"units/{unit}" for unit in usual("canwharf").units),
    }
    assert capsys.readouterr().out.count("wrote ") == 10
    system.ran.clear()
    assert main(["install"]) == 0
    assert files(tmp_path) == first
    told = capsys.readouterr().out
    assert told.count("unchanged ") == 10
    assert "restarted canwharf.service" in told
    assert "systemctl restart canwharf.service" in system.ran
    assert not [line for line in system.ran if line.startswith("systemctl stop")]


@pytest.mark.parametrize(
    "broken",
    [
        "systemctl daemon-reload",
        "systemctl enable",
        "systemctl start canwharf.socket",
        "systemctl restart",
    ],
)
def test_what_fails_half_way_is_undone(
    tmp_path: Path, system: System, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is left of a first one; of an upgrade, the units are as they were."""
    system.broken = broken
    assert main(["install"]) == 1
    assert files(tmp_path) == {}
    assert "it is broken" in capsys.readouterr().err
    assert not system.active | system.enabled

    system.broken = ""
    assert main(["install"]) == 0
    service = tmp_path / "units" / "canwharf.service"
    service.write_text("an older version's")
    service.with_name("canwharf.service.old").write_text("one before that")
    system.enabled = {"canwharf.service"}  # by hand, as before there was a socket
    before = files(tmp_path)
    system.broken = broken
    assert main(["install"]) == 1
    assert (files(tmp_path), system.enabled) == (before, {"canwharf.service"})


@pytest.mark.parametrize("chosen", [{"canwharf.socket"}, {"canwharf.socket", "canwharf.service"}])
def test_what_starts_at_a_boot_stays_as_it_was_chosen(system: System, chosen: set[str]) -> None:
    """The socket alone, for a quick boot; all of it, where a broken daemon starts over and over."""
    main(["install"])
    system.enabled = set(chosen)
    assert main(["install"]) == 0
    assert system.enabled == chosen
    system.active -= {"canwharf.service"}
    system.broken = "systemctl restart"
    assert main(["install"]) == 1
    assert system.enabled == chosen


def test_a_new_socket_unit_takes_the_old_ones_place(tmp_path: Path, system: System) -> None:
    """Systemd refuses to start one while a service of before has the socket."""
    main(["install"])
    old = f"# an older version's\n{units.listening(usual('canwharf'))}\n"
    (tmp_path / "units" / "canwharf.socket").write_text(old)
    system.ran.clear()
    assert main(["install"]) == 0
    stopped = system.ran.index("systemctl stop canwharf.service canwharf.socket")
    assert stopped < system.ran.index("systemctl start canwharf.socket")


def test_a_socket_file_that_was_removed_comes_back(system: System) -> None:
    """By a cleaner, or `rm -rf`: systemd holds the socket all the same, and calls it active."""
    main(["install"])
    system.file = False
    assert main(["install"]) == 0
    assert system.file


def test_that_docker_finds_the_driver_is_seen_before_it_is_said(
    tmp_path: Path,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A service that systemd has started may still answer no call."""

    def silent(name: str, path: str) -> None:
        raise CallError(name, path, "no answer within 10 seconds")

    monkeypatch.setattr(install, "call", lambda path, name, **_limit: silent(name, path))
    assert main(["install"]) == 1
    told = capsys.readouterr()
    assert "Docker finds" not in told.out
    assert "Docker would not find it: cannot call Plugin.Activate" in told.err
    assert not system.active
    assert files(tmp_path) == {}


@pytest.mark.usefixtures("system")
def test_a_program_in_a_virtual_environment_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be gone with that Python's version; a second install leaves an equal copy alone."""
    monkeypatch.setattr(portable, "wanted", lambda: True)
    assert main(["install"]) == 0
    unit = (tmp_path / "units" / "canwharf.service").read_text()
    assert f"ExecStart={portable.FILE} serve" in unit
    assert main(["install"]) == 0
    assert f"unchanged {portable.FILE}" in capsys.readouterr().out
    Path(portable.FILE).write_bytes(b"an older version's")
    assert main(["install"]) == 0
    said = subprocess.run([portable.FILE, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"canwharf {__version__}\n"
    assert main(["uninstall"]) == 0
    assert files(tmp_path) == {}
    assert not (tmp_path / "lib").exists()


@pytest.mark.usefixtures("system")
def test_an_edited_unit_is_kept_beside_the_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An administrator's own unit, or changes in ours; only --purge takes them."""
    theirs = tmp_path / "units" / "canwharf.service"
    theirs.write_text("[Service]\nExecStart=/usr/bin/theirs\n")
    assert main(["install"]) == 0
    beside = tmp_path / "units" / "canwharf.service.old"
    assert f"rewrote {theirs}, the old one is {beside}" in capsys.readouterr().out.splitlines()
    assert beside.read_text() == "[Service]\nExecStart=/usr/bin/theirs\n"
    assert main(["uninstall"]) == 0
    assert beside.exists()


@pytest.mark.parametrize("verb", [["install"], ["uninstall"], ["uninstall", "--purge"]])
def test_units_of_another_driver_whose_name_is_spelled_alike_are_left_alone(
    tmp_path: Path, system: System, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """They would be overwritten, or its networks removed."""
    main(["install", "--driver-name", "some/vxcan:latest"])
    before = files(tmp_path)
    system.ran.clear()
    assert main([*verb, "--driver-name", "some-vxcan/latest"]) == 1
    assert "is the socket of another driver than some-vxcan/latest" in capsys.readouterr().err
    assert (files(tmp_path), system.ran) == (before, [])


def test_a_missing_module_is_told_before_anything_is_written(
    tmp_path: Path,
    system: System,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With where to get it."""
    monkeypatch.setattr(kernel_modules, "works", lambda _module, _netlink: False)
    system.broken = "modprobe vxcan"
    assert main(["install"]) == 1
    assert "modprobe vxcan failed" in capsys.readouterr().err
    assert files(tmp_path) == {}


def test_a_kernel_without_module_files_that_has_all_built_in_is_right(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a board's own, or one that was upgraded and not booted: modprobe knows nothing then."""
    monkeypatch.setattr(kernel_modules, "works", lambda _module, _netlink: True)
    system.broken = "modprobe"
    assert main(["install"]) == 0


@pytest.mark.usefixtures("system")
def test_a_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk; and the only words are the reason."""

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(posix, "fsync", full)
    assert main(["install"]) == 1
    said = capsys.readouterr().err
    assert said == f"canwharf: cannot write {modules.FILE}: No space left on device\n"
    assert files(tmp_path) == {}


def test_dry_run_shows_the_files(
    tmp_path: Path, system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """To read before, or to keep elsewhere; it needs neither root nor systemd."""
    assert main(["install", "--dry-run"]) == 0
    assert (files(tmp_path), system.ran) == ({}, [])
    told = capsys.readouterr().out
    for words in ("ListenStream=", "ExecStart=/opt/canwharf/bin/canwharf serve", "vxcan"):
        assert words in told


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_only_root_and_only_with_systemd(
    verb: str,
    tmp_path: Path,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A sentence, before anything is done."""
    monkeypatch.setattr(install, "_BOOTED", str(tmp_path / "none"))
    assert main([verb]) == 1
    assert f"{verb} needs systemd" in capsys.readouterr().err
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main([verb]) == 1
    assert f"sudo canwharf {verb}" in capsys.readouterr().err
    assert system.ran == []
