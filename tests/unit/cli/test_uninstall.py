"""Uninstall, on a machine of files: what goes, what stays, and what fails."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from canwharf.bus.naming import group_of
from canwharf.cli import main, uninstall
from canwharf.daemon import sockets
from canwharf.daemon.instance import Instance, usual
from canwharf.errors import InstallError
from canwharf.operator.service import units
from tests.fake.kernel import FakeKernel
from tests.unit.cli.machine import System, files


def test_uninstall_goes_on_after_each_failure(
    tmp_path: Path,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A unit that stays, or a helper that does not stop, leaves no daemon running."""
    assert main(["install"]) == 0
    system.ran.clear()
    system.broken = "systemctl stop"
    kept = str(tmp_path / "units" / "canwharf.socket")
    unlink = os.unlink

    def refuse(path: str) -> None:
        if path == kept:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", refuse)
    capsys.readouterr()
    assert main(["uninstall"]) == 1
    said = capsys.readouterr()
    assert "it is broken" in said.err
    assert f"Read-only file system: '{kept}'" in said.err
    assert "stopped and disabled canwharf.service, canwharf.socket" in said.out
    assert [str(path) for path in (tmp_path / "units").iterdir()] == [kept]
    assert "systemctl daemon-reload" in system.ran


@pytest.mark.parametrize("purge", [[], ["--purge"]])
def test_uninstalls_dry_run_says_all_that_it_would_do(
    purge: list[str],
    tmp_path: Path,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And does nothing of it; root is not needed for that."""
    kernel = FakeKernel()
    kernel.add_link("vcan7", "vcan", alias="canwharf canwharf bus", group=group_of("canwharf"))
    monkeypatch.setattr(uninstall, "Netlink", lambda: kernel)
    monkeypatch.setattr(uninstall, "LinkEvents", lambda: kernel)
    monkeypatch.setattr(kernel, "close", lambda: None, raising=False)
    elsewhere = usual("canwharf")._replace(state_dir=str(tmp_path / "state"))
    monkeypatch.setattr(units, "usual", lambda _name: elsewhere)
    reserve = partial(sockets.reserve, directory=str(tmp_path))
    monkeypatch.setattr(sockets, "reserve", reserve)
    # Not the file of a daemon that runs on this machine.
    monkeypatch.setattr(Instance, "lock", str(tmp_path / "no.lock"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.json").write_text("{}")
    (tmp_path / "canwharf.spans").write_text("{}")
    (tmp_path / "names").mkdir()
    main(["install"])
    before, links = files(tmp_path), kernel.snapshot()
    system.ran.clear()
    capsys.readouterr()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["uninstall", "--dry-run", *purge]) == 0
    assert (files(tmp_path), kernel.snapshot(), system.ran) == (before, links, [])
    told = capsys.readouterr().out.splitlines()
    assert all(line.startswith("would ") for line in told)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["uninstall", *purge]) == 0
    done = capsys.readouterr().out.splitlines()
    gone = set(before) - set(files(tmp_path))
    assert {f"would remove {tmp_path / each}" for each in gone} <= {
        *told,
        f"would remove {tmp_path}/state/state.json",
    }
    silent = ("would stop canwharf-", "would reload systemd")
    dry = [line.replace(" and all in it", "") for line in told if not line.startswith(silent)]
    assert len(dry) == len(done)
    assert ("would delete unowned interface vcan7" in told) == bool(purge)
    assert ("vcan7" in kernel.names()) != bool(purge)
    assert (tmp_path / "canwharf.spans").exists() != bool(purge)
    assert not (tmp_path / "names").exists()


def test_uninstall_goes_on_after_a_failure(
    tmp_path: Path, system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is away then; the failure is told and is the exit status."""
    main(["install"])
    system.broken = "systemctl disable"
    assert main(["uninstall"]) == 1
    assert "it is broken" in capsys.readouterr().err
    assert files(tmp_path) == {}


@pytest.mark.usefixtures("system")
def test_the_modules_stay_for_another_driver(tmp_path: Path) -> None:
    """Its buses would be gone after the next boot."""
    main(["install"])
    main(["install", "--driver-name", "other"])
    assert main(["uninstall"]) == 0
    assert set(files(tmp_path)) == {
        "modules/canwharf.conf",
        *(f"units/{unit}" for unit in usual("other").units),
    }
    assert main(["uninstall", "--driver-name", "other"]) == 0
    assert files(tmp_path) == {}


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_no_purge_under_a_daemon_that_was_started_by_hand(
    dry: list[str],
    tmp_path: Path,
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its interfaces would be gone, and its lock: a second daemon of the name could start."""
    main(["install"])
    system.active.clear()
    before = files(tmp_path)
    monkeypatch.setattr(sockets, "process_of", lambda _name: 412)
    assert main(["uninstall", "--purge", *dry]) == 1
    assert "(process 412), and it is not canwharf.service: stop it" in capsys.readouterr().err
    assert files(tmp_path) == before


def test_the_lock_of_a_daemon_that_did_not_end_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its service could not be stopped: a second daemon of the name could start beside it."""
    lock = tmp_path / "canwharf.lock"
    lock.touch()
    monkeypatch.setattr(Instance, "lock", str(lock))
    monkeypatch.setattr(sockets, "process_of", lambda _name: 412)
    with pytest.raises(InstallError, match="process 412 serves"):
        uninstall._remove_lock(usual("canwharf"))
    assert lock.exists()
