"""The unit of `canwharf span`: it comes with an install, and the operator starts it."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest

from canwharf.cli import main
from canwharf.daemon.instance import usual
from canwharf.operator.service import package, units
from canwharf.span import directory, extra
from canwharf.span.settings import Settings
from tests import REPOSITORY
from tests.unit.cli.machine import System, files

UNIT = "canwharf-span.service"


def service(name: str) -> dict[str, str]:
    """The service's settings, each with its last value, as a driver of this name has them."""
    instance = usual(name)
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(units.files(instance, ["/usr/bin/canwharf"])[units.path(instance.span_unit)])
    return {key: value for section in unit.sections() for key, value in unit[section].items()}


def test_it_has_no_right_and_reads_what_init_and_join_make() -> None:
    """The private key only as a credential, and of the authority's key nothing."""
    unit = service("canwharf")
    where = directory.DEFAULT
    assert unit["ExecStart"] == f"/usr/bin/canwharf span --directory {where}"
    assert unit["AssertPathExists"] == f"{where}/{directory.SETTINGS}"
    assert unit["LoadCredential"] == f"{directory.HOST}:{where}/{directory.HOST}"
    assert (unit["DynamicUser"], unit["CapabilityBoundingSet"]) == ("yes", "")
    assert (unit["After"].split()[0], unit["Restart"]) == ("canwharf.service", "always")
    assert "Requires" not in unit
    assert service("rusty")["ExecStart"].endswith(f"{where} --driver-name rusty")


def test_what_no_second_start_mends_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong settings, no zenoh: systemd would start it again every two seconds, for ever."""
    left = service("canwharf")["RestartPreventExitStatus"].split()
    where, listen = tmp_path / "span", ("tls/192.0.2.1:7447",)
    command = ["span", "--directory", str(where)]
    wrong = {
        "name = 1": "settings.toml: a line like name",
        'nmae = "a"': "settings.toml: nmae is not expected",
        'name = "Bench"\nlisten = ["tls/192.0.2.1:7447"]': "settings.toml: name Bench: a host's",
        'name = "a"': "settings.toml: say where other hosts are: connect tls/",
    }
    where.mkdir()
    for text, said in wrong.items():
        (where / directory.SETTINGS).write_text(text)
        assert str(main(command)) in left
        assert said in capsys.readouterr().err
    (where / directory.SETTINGS).write_bytes(directory.written(Settings("a", listen=listen)))
    monkeypatch.setitem(sys.modules, "zenoh", None)
    assert str(main(command)) in left
    assert "zenoh, which connects hosts, is not installed: pip install" in capsys.readouterr().err


def test_an_address_that_comes_later_is_tried_again() -> None:
    listen = ["--listen", "tcp/192.0.2.1:7447", "--insecure"]
    assert str(main(["span", *listen])) not in service("canwharf")["RestartPreventExitStatus"]


def test_one_that_leaks_memory_harms_no_container() -> None:
    """The kernel ends it, and it comes back: without a limit, it may end anything else."""
    unit = service("canwharf")
    assert (unit["MemoryMax"], unit["Restart"]) == ("256M", "always")


def test_the_key_is_read_where_systemd_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit of the user's own that has other credentials goes on with the file."""
    where, credentials = tmp_path / "span", tmp_path / "credentials"
    content = directory.written(Settings("a", listen=("tls/192.0.2.1:7447",)))
    directory.create(str(where), {directory.SETTINGS: content})
    assert directory.settings(str(where)).key == f"{where}/host.pem"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert directory.settings(str(where)).key == f"{where}/host.pem"
    (credentials / "host.pem").touch()
    found = directory.settings(str(where))
    assert found.key == found.certificate == f"{credentials}/host.pem"
    assert found.ca == f"{where}/ca.pem"


def test_an_install_does_not_start_it_and_an_upgrade_starts_its_new_program(
    tmp_path: Path, system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it does not come back, the driver's upgrade is done all the same."""
    assert main(["install"]) == 0
    assert (tmp_path / "units" / UNIT).exists()
    assert not {each for each in (*system.active, *system.enabled) if "span" in each}
    system.active.add(UNIT)
    system.enabled.add(UNIT)
    assert main(["install"]) == 0
    assert f"restarted {UNIT}" in capsys.readouterr().out
    system.broken = f"systemctl restart {UNIT}"
    assert main(["install"]) == 0
    assert f"{UNIT} does not start: systemctl status {UNIT}" in capsys.readouterr().out
    system.broken = ""
    assert main(["uninstall"]) == 0
    assert UNIT not in {*system.active, *system.enabled}
    assert files(tmp_path) == {}


@pytest.mark.usefixtures("system")
def test_init_names_the_unit_where_there_is_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It runs with the usual directory only."""
    monkeypatch.chdir(tmp_path)
    where = str(tmp_path / "span")
    listen = ("--listen", "tls/192.0.2.1:7447")
    assert main(["span", "init", "--name", "a", *listen, "--directory", where]) == 0
    assert f"  canwharf span --directory {where}" in capsys.readouterr().out
    assert main(["install"]) == 0
    monkeypatch.setattr(directory, "DEFAULT", where)
    assert main(["span", "invite", "a", "--directory", where]) == 0
    assert main(["span", "join", "a.join", "--directory", where]) == 0
    assert "for it: systemctl restart canwharf-span\n" in capsys.readouterr().out
    (tmp_path / "units" / UNIT).unlink()
    (tmp_path / "packaged").mkdir()
    (tmp_path / "packaged" / UNIT).touch()
    monkeypatch.setattr(package, "_DIRECTORIES", (str(tmp_path / "packaged"),))
    (tmp_path / "span").rename(tmp_path / "old")
    assert main(["span", "join", "a.join", "--directory", where]) == 0
    assert "  systemctl enable --now canwharf-span" in capsys.readouterr().out


def test_a_package_says_where_its_program_finds_zenoh(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees nothing else of pip's, and Debian's pip would refuse."""
    assert extra.command() == "pip install 'canwharf[span]'"
    launcher = (REPOSITORY / "packaging/debian/launcher").read_text()
    assert f'sys.path.append("{extra.FOLDER}")' in launcher
    monkeypatch.setattr(sys, "path", [*sys.path, extra.FOLDER])
    assert extra.command().startswith(f"pip install --target {extra.FOLDER} ")
