"""Install and uninstall on a machine of files and a systemd that only remembers."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from canwharf import __version__
from canwharf.bus.naming import group_of
from canwharf.cli import install, main, uninstall
from canwharf.daemon.instance import usual
from canwharf.errors import CallError, InstallError
from canwharf.kernel import modules as kernel_modules
from canwharf.operator import command
from canwharf.operator.service import modules, package, portable, program, units
from tests.fake.kernel import FakeKernel


class System:
    """What was run; `broken` fails, `active` and `enabled` are units."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken = ""
        self.file = True  # the socket's
        self.active: set[str] = set()
        self.enabled: set[str] = set()

    def run(self, *words: str) -> str:
        line = " ".join(words)
        self.ran.append(line)
        if self.broken and line.startswith(self.broken):
            raise InstallError(f"{line} failed: it is broken")
        match words:
            case ["systemctl", "is-active", _, unit] if unit not in self.active:
                raise InstallError("inactive")
            case ["systemctl", "is-enabled", _, unit] if unit not in self.enabled:
                raise InstallError("disabled")
            case ["systemctl", "enable", *_, unit]:
                self.enabled |= {unit, unit.replace(".service", ".socket")}
            case ["systemctl", "start" | "restart", unit]:
                self.file = self.file or (unit.endswith(".socket") and unit not in self.active)
                self.active.add(unit)
            case ["systemctl", "stop", *stopped]:
                self.active -= set(stopped)
            case ["systemctl", "disable", "--now", *stopped]:
                self.active -= set(stopped)
                self.enabled -= set(stopped)
        return ""

    def call(self, path: str, name: str, limit: float) -> None:
        """Docker's own first question."""
        assert limit > 0
        if not self.file:
            raise CallError(name, path, "No such file or directory")

    def succeeds(self, *words: str) -> bool:
        try:
            self.run(*words)
        except InstallError:
            return False
        return True


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """Root's machine with systemd; its files are below tmp_path."""
    made = System()
    for module in (install, uninstall, modules):
        monkeypatch.setattr(module, "run" if module is modules else "command", made.run)
    monkeypatch.setattr(install, "succeeds", made.succeeds)
    monkeypatch.setattr(install, "_BOOTED", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(modules, "FILE", str(tmp_path / "modules" / "canwharf.conf"))
    monkeypatch.setattr(units, "_DIRECTORY", str(tmp_path / "units"))
    monkeypatch.setattr(package, "_DIRECTORIES", ())
    monkeypatch.setattr(portable, "wanted", lambda: False)
    monkeypatch.setattr(portable, "FILE", str(tmp_path / "lib" / "canwharf.pyz"))
    monkeypatch.setattr(install, "call", made.call)
    monkeypatch.setattr(install, "_is_socket", lambda _path: made.file)
    monkeypatch.setattr(program, "check", lambda _words: None)
    monkeypatch.setattr(program, "words", lambda: ["/opt/canwharf/bin/canwharf"])
    (tmp_path / "units").mkdir()
    return made


def files(tmp_path: Path) -> dict[str, str]:
    """All files, by their path below tmp_path."""
    found = (path for path in tmp_path.rglob("*") if path.is_file())
    return {str(path.relative_to(tmp_path)): path.read_text() for path in found}


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
    assert capsys.readouterr().out.count("wrote ") == 7
    system.ran.clear()
    assert main(["install"]) == 0
    assert files(tmp_path) == first
    told = capsys.readouterr().out
    assert told.count("unchanged ") == 7
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
    """What systemd calls started may answer nobody."""

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
def test_what_somebody_had_in_a_unit_is_kept_beside_the_new_one(
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

    monkeypatch.setattr(os, "fsync", full)
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
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.json").write_text("{}")
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
    silent = ("would stop canwharf-", "would have systemd")
    dry = [line.replace(" and all in it", "") for line in told if not line.startswith(silent)]
    assert len(dry) == len(done)
    assert ("would delete interface vcan7, which nobody owns" in told) == bool(purge)
    assert ("vcan7" in kernel.names()) != bool(purge)


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


def test_a_programs_own_words_are_told() -> None:
    """A reason is better than a status."""
    assert command.run("sh", "-c", "echo yes") == "yes\n"
    with pytest.raises(InstallError, match="failed: the reason"):
        command.run("sh", "-c", "echo the reason >&2; exit 3")
    with pytest.raises(InstallError, match="exit status 3"):
        command.run("sh", "-c", "exit 3")
    with pytest.raises(InstallError, match="there is no program nonesuch"):
        command.run("nonesuch")
    assert not command.succeeds("false")


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
    said = f"{packaged / 'canwharf.service'} came with a package: 'apt remove canwharf' takes it"
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
