"""Install and uninstall where a package has its own units."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.cli import main
from canwharf.daemon.instance import usual
from canwharf.operator.service import package, program, units
from tests.unit.cli.machine import System, files


@pytest.fixture
def packaged(tmp_path: Path, system: System, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package's units, which run the program that is called; they are enabled."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    monkeypatch.setattr(package, "_DIRECTORIES", (str(folder),))
    monkeypatch.setattr(program, "words", lambda: ["/usr/bin/canwharf"])
    for path, text in units.files(usual("canwharf"), ["/usr/bin/canwharf"]).items():
        (folder / Path(path).name).write_text(text)
    system.enabled = {"canwharf.service", "canwharf.socket"}
    return folder


def test_a_packages_units_are_started_and_not_written_over(
    tmp_path: Path, system: System, packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For who knows `canwharf install` from before, and for what the doctor advises."""
    before = files(tmp_path)
    assert main(["install", "--dry-run"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told
    assert all(line.endswith("none, as the package has it") for line in told)
    assert main(["install"]) == 0
    assert files(tmp_path) == before
    assert "systemctl restart canwharf.service" in system.ran
    system.enabled.clear()
    assert main(["install"]) == 0
    assert "canwharf.socket" in system.enabled
    assert main(["uninstall", "--purge"]) == 1
    said = f"{packaged / 'canwharf.service'} came with a package: 'apt remove canwharf' removes it"
    assert said in capsys.readouterr().err
    assert files(tmp_path) == before


def test_the_units_of_before_the_package_are_set_aside(
    tmp_path: Path,
    system: System,
    packaged: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They would go on standing before the package's; what fails half-way leaves them."""
    monkeypatch.setattr(package, "_DIRECTORIES", ())
    monkeypatch.setattr(program, "words", lambda: ["/opt/canwharf/bin/canwharf"])
    assert main(["install"]) == 0
    before = files(tmp_path)
    monkeypatch.setattr(package, "_DIRECTORIES", (str(packaged),))
    assert main(["install"]) == 1
    assert "starts another program than /opt/canwharf/bin/canwharf" in capsys.readouterr().err
    assert files(tmp_path) == before
    monkeypatch.setattr(program, "words", lambda: ["/usr/bin/canwharf"])
    system.broken = "systemctl restart"
    assert main(["install"]) == 1
    assert files(tmp_path) == before
    system.broken = ""
    assert main(["install"]) == 0
    left = {name for name in files(tmp_path) if not name.startswith("packaged/")}
    assert left == {f"{name}.old" for name in before if not name.startswith("packaged/")}
    assert "systemctl reenable --quiet canwharf.service canwharf.socket" in system.ran


@pytest.mark.usefixtures("packaged")
def test_a_second_name_beside_a_package_has_units_of_its_own(tmp_path: Path) -> None:
    """The package brings those of the first name only."""
    assert main(["install", "--driver-name", "other"]) == 0
    text = files(tmp_path)["units/canwharf-other.service"]
    assert "\nExecStart=/usr/bin/canwharf serve " in text
    assert main(["uninstall", "--driver-name", "other"]) == 0
