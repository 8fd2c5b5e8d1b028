"""Install, where Podman and CNI runtimes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.cli import main
from canwharf.daemon.instance import usual
from canwharf.operator.service import executables
from tests import REPOSITORY
from tests.unit.cli.machine import System, files

PLUGIN = (REPOSITORY / "src/canwharf/plugin.py").read_text()


@pytest.fixture
def both(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine with Podman and a folder of CNI plugins."""
    monkeypatch.setattr(executables, "_PROGRAM", "sh")
    (tmp_path / "cni").mkdir()
    return system


@pytest.mark.usefixtures("both")
def test_podman_and_cni_find_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each in its own folder, and the words of the first command are said."""
    assert main(["install"]) == 0
    said = capsys.readouterr().out
    for path, runtime in (("netavark/canwharf", "Podman"), ("cni/canwharf", "CNI")):
        assert f"wrote {tmp_path}/{path}, for {runtime}" in said
        assert (tmp_path / path).read_text() == PLUGIN
        assert (tmp_path / path).stat().st_mode & 0o777 == 0o755
    assert "podman network create --driver canwharf --opt can.interface=vcan0 bus0" in said
    assert main(["install"]) == 0
    assert capsys.readouterr().out.count("unchanged ") == 12


@pytest.mark.usefixtures("both")
def test_an_old_one_is_replaced_and_comes_back_if_that_fails(tmp_path: Path, both: System) -> None:
    """By a rename: it may be running."""
    old = tmp_path / "cni/canwharf"
    old.write_text("of an older version")
    with old.open() as running:
        both.broken = "systemctl restart"
        assert main(["install"]) == 1
        assert files(tmp_path) == {"cni/canwharf": "of an older version"}
        both.broken = ""
        assert main(["install"]) == 0
        assert running.read() == "of an older version"
    assert old.read_text() == PLUGIN
    old.chmod(0o644)
    assert main(["install"]) == 0
    assert old.stat().st_mode & 0o777 == 0o755


@pytest.mark.usefixtures("both")
def test_a_dry_run_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--dry-run"]) == 0
    assert f"# {tmp_path}/netavark/canwharf: the executable for Podman" in capsys.readouterr().out
    assert files(tmp_path) == {}


@pytest.mark.usefixtures("both")
def test_uninstalled(tmp_path: Path) -> None:
    """Of both, nothing is left; and of a machine without either, nothing is asked."""
    assert main(["install"]) == 0
    assert main(["uninstall"]) == 0
    assert files(tmp_path) == {}


@pytest.mark.usefixtures("both")
def test_what_a_package_has_is_not_written_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Podman would take the older one."""
    assert main(["install"]) == 0
    assert (tmp_path / "netavark/canwharf").exists()
    monkeypatch.setattr(executables, "_PACKAGED", str(tmp_path / "packaged"))
    (tmp_path / "packaged").mkdir()
    (tmp_path / "packaged/canwharf").touch()
    assert main(["install"]) == 0
    assert not (tmp_path / "netavark/canwharf").exists()
    assert list(executables.wanted(usual("canwharf"))) == [f"{tmp_path}/cni/canwharf"]
    assert executables.wanted(usual("somebody/vxcan:latest")) == {}
