"""Install and uninstall, where a group may have a rootless Podman."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest

from canwharf.cli import main
from tests.unit.cli.machine import System, files

UNIT = "units/canwharf-rootless.socket"
GROUP = grp.getgrgid(os.getgid()).gr_name


def unit(tmp_path: Path) -> list[str]:
    return (tmp_path / UNIT).read_text().splitlines()


def test_a_group_is_allowed(
    tmp_path: Path, system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a socket for the same service, on which nothing waits while the daemon does not start."""
    assert main(["install", "--allow-group", GROUP]) == 0
    assert f"wrote {tmp_path / UNIT}" in capsys.readouterr().out
    expected = {
        "PartOf=canwharf.socket",
        "Service=canwharf.service",
        f"ListenStream={tmp_path}/users/canwharf.sock",
        "SocketMode=0660",
        f"SocketGroup={GROUP}",
        "WantedBy=canwharf.socket",
    }
    assert expected <= set(unit(tmp_path))
    assert "canwharf-rootless.socket" in system.enabled


def test_the_daemon_gets_a_socket_that_is_new(system: System) -> None:
    """Systemd starts none while its service runs."""
    assert main(["install"]) == 0
    system.ran.clear()
    assert main(["install", "--allow-group", GROUP]) == 0
    stopped = "systemctl stop canwharf.service canwharf.socket"
    assert system.ran.index(stopped) < system.ran.index("systemctl start canwharf.socket")


def test_it_stays_allowed_over_an_upgrade_and_off_if_root_has_disabled_it(
    tmp_path: Path, system: System
) -> None:
    """An upgrade is the same command without the option."""
    assert main(["install", "--allow-group", GROUP]) == 0
    written = unit(tmp_path)
    (tmp_path / UNIT).write_text(f"[Socket]\nSocketGroup={GROUP}\n")
    system.enabled.discard("canwharf-rootless.socket")
    assert main(["install"]) == 0
    assert unit(tmp_path) == written
    assert "canwharf-rootless.socket" not in system.enabled


def test_a_group_that_there_is_not(
    tmp_path: Path, system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    assert main(["install", "--allow-group", "no-such-group"]) == 1
    assert "'groupadd --system no-such-group'" in capsys.readouterr().err
    name = ["--driver-name", "somebody/vxcan:latest"]
    assert main(["install", *name, "--allow-group", GROUP]) == 1
    assert "has no socket for rootless Podman" in capsys.readouterr().err
    assert (files(tmp_path), system.ran) == ({}, [])


@pytest.mark.parametrize("others", [False, True])
def test_uninstalled(tmp_path: Path, system: System, others: bool) -> None:
    """Nothing is left of it; another driver's socket stays."""
    (tmp_path / "users").mkdir()
    (tmp_path / "users/canwharf.sock").touch()
    if others:
        (tmp_path / "users/second.sock").touch()
    assert main(["install", "--allow-group", GROUP]) == 0
    assert main(["uninstall"]) == 0
    assert "canwharf-rootless.socket" not in system.enabled
    assert not (tmp_path / UNIT).exists()
    assert (tmp_path / "users").exists() == others


def test_a_failed_install_allows_nobody(tmp_path: Path, system: System) -> None:
    """All is as before."""
    system.broken = "systemctl restart"
    assert main(["install", "--allow-group", GROUP]) == 1
    assert files(tmp_path) == {}
    assert system.enabled == set()
