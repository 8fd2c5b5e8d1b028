"""`canwharf doctor`: each check provoked by facts, and the command that fixes it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from canwharf import cli
from canwharf.bus.report import Names
from canwharf.cli import doctor
from canwharf.daemon.instance import Instance
from canwharf.errors import CanwharfError
from canwharf.kernel import needed
from canwharf.kernel.can import Controller
from canwharf.operator.doctor import gather
from canwharf.operator.doctor.checks import CHECKS, examine
from canwharf.operator.doctor.facts import Facts, Program
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding
from canwharf.operator.status import Status
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen

SERVICE, HELD = WELL.units or ()
UNHELD = (SERVICE, HELD._replace(active=False))
FAILING = (SERVICE._replace(failing="exit-code: No module named 'canwharf'"), UNHELD[1])
NONE = tuple(unit._replace(there=False, enabled=False) for unit in WELL.units or ())


SUDO_X = "sudo canwharf doctor --driver-name x"


def one(check: str, facts: Facts) -> tuple[str, str]:
    """The level and the command of the one line of a check."""
    (finding,) = told(check, facts)
    return finding.level, finding.fix


def test_a_machine_that_is_well(daemon: Daemon) -> None:
    """A line for each check, all ok."""
    daemon.service.create_network("n1", {})
    findings = examine(WELL._replace(status=seen(daemon)))
    assert {check for check, _finding in findings} == set(CHECKS)
    assert {finding.level for _check, finding in findings} == {OK}
    assert not any(finding.fix for _check, finding in findings)


def test_units_that_came_with_a_package() -> None:
    """It is said; and those that `canwharf install` wrote before, and that stand before them."""
    facts = WELL._replace(packaged="/usr/lib/systemd/system/canwharf.service")
    (finding,) = told("units", facts)
    assert finding.message.endswith("canwharf.service, canwharf.socket (a package's)")
    well, shadowed = told("units", facts._replace(shadowed=True))
    assert well.level == OK
    assert (shadowed.level, shadowed.fix) == (WARN, "/usr/bin/canwharf install")


@pytest.mark.parametrize(
    ("check", "changes", "level", "fix"),
    [
        ("privileges", {"root": False}, WARN, "sudo canwharf doctor"),
        # Of another daemon: the command is for that one.
        ("privileges", {"root": False, "where": " --driver-name x"}, WARN, SUDO_X),
        # Another state than the daemon's; a daemon of an earlier version, which says none.
        (
            "state",
            {"conflict": "it is in /x", "where": " --state-dir /y"},
            FAILURE,
            "canwharf doctor",
        ),
        ("state", {"unseen": "it does not say"}, WARN, "systemctl restart canwharf.service"),
        ("state", {"unseen": "root sees it", "root": False}, WARN, "sudo canwharf doctor"),
        ("boot", {"at_boot": False}, WARN, "canwharf install"),
        (
            "boot",
            {"at_boot": False, "units": None},
            WARN,
            "echo can-gw >>/etc/modules-load.d/canwharf.conf",
        ),
        ("boot", {"at_boot": False, "modules": {"can-gw": needed.BUILT_IN}}, OK, ""),
        ("docker", {"docker": ""}, FAILURE, "systemctl restart docker"),
        ("docker", {"docker": "", "units": None}, FAILURE, "dockerd"),
        ("docker", {"docker": "", "docker_there": False}, FAILURE, "systemctl start docker"),
        ("docker", {"docker": "", "root": False}, WARN, "sudo canwharf doctor"),
        ("daemon", {"process": 0}, WARN, "systemctl start canwharf.service"),
        (
            "daemon",
            {"process": 0, "listens": False, "units": UNHELD},
            FAILURE,
            "systemctl start canwharf.service",
        ),
        # Its file was removed, while systemd listens.
        (
            "daemon",
            {"process": 0, "listens": False},
            FAILURE,
            "systemctl restart canwharf.socket",
        ),
        # An operator's own changes keep systemd from starting it.
        (
            "daemon",
            {"process": 0, "units": (SERVICE._replace(load="masked"), HELD)},
            FAILURE,
            "systemctl unmask canwharf.service",
        ),
        (
            "daemon",
            {"process": 0, "units": (SERVICE._replace(load="bad-setting"), HELD)},
            FAILURE,
            "systemctl edit canwharf.service",
        ),
        # Docker's calls are refused, on a socket that is there.
        ("daemon", {"process": 0, "units": FAILING}, FAILURE, "systemctl restart canwharf.service"),
        (
            "daemon",
            {"process": 0, "units": FAILING, "program": Program("/c", fault="no such file")},
            FAILURE,
            "canwharf install",
        ),
        (
            "daemon",
            {"process": 0, "listens": False, "units": NONE},
            FAILURE,
            "canwharf install",
        ),
        (
            "daemon",
            {"process": 0, "listens": False, "units": None},
            FAILURE,
            "canwharf serve",
        ),
        ("daemon", {"listens": False}, FAILURE, "systemctl restart canwharf.socket"),
        (
            "daemon",
            {"listens": False, "units": UNHELD},
            FAILURE,
            "systemctl restart canwharf.service",
        ),
        ("program", {"program": Program("/c", fault="no such file")}, FAILURE, "canwharf install"),
        (
            "program",
            {"program": Program("/c", fault="denied"), "root": False},
            WARN,
            "sudo canwharf doctor",
        ),
        ("program", {"program": Program("/c", "0.9")}, WARN, "canwharf install"),
        ("daemon", {"refusal": "no answer"}, FAILURE, "systemctl restart canwharf.service"),
        (
            "daemon",
            {"refusal": "no answer", "units": None},
            FAILURE,
            "kill -KILL 412 && canwharf serve",
        ),
        ("daemon", {"listens": False, "plugin": "canwharf:latest"}, OK, ""),
        (
            "daemon",
            {"process": 0, "listens": False, "plugin": "p:1"},
            FAILURE,
            "systemctl start canwharf.service",
        ),
        ("units", {"units": None}, OK, ""),
        ("units", {"units": NONE}, FAILURE, "canwharf install"),
        (
            "units",
            {"units": NONE, "driver": "rusty"},
            FAILURE,
            "canwharf install --driver-name rusty",
        ),
        ("units", {"units": NONE, "plugin": "p:1"}, OK, ""),
        (
            "units",
            {"units": tuple(unit._replace(enabled=False) for unit in WELL.units or ())},
            FAILURE,
            "systemctl enable canwharf.service canwharf.socket",
        ),
        (
            "units",
            {"units": tuple(unit._replace(before_docker=False) for unit in WELL.units or ())},
            FAILURE,
            "canwharf install",
        ),
        ("state", {"state_fault": "garbled"}, FAILURE, "systemctl restart canwharf.service"),
        ("state", {"state_fault": "denied", "root": False}, WARN, "sudo canwharf doctor"),
        ("state", {"status": Status("canwharf", stored=False)}, OK, ""),
    ],
)
def test_what_facts_tell(check: str, changes: dict[str, object], level: str, fix: str) -> None:
    """One thing is wrong, and its command fixes it."""
    assert one(check, WELL._replace(**changes)) == (level, fix)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("module", "state", "expected"),
    [
        ("vxcan", needed.LOADED, Finding(OK, "vxcan is loaded")),
        ("vxcan", needed.BUILT_IN, Finding(OK, "vxcan is built in")),
        (
            "vxcan",
            needed.LOADABLE,
            Finding(
                WARN,
                "vxcan is loadable, not loaded; the kernel loads it when it is needed",
                "modprobe vxcan",
                safe=True,
            ),
        ),
        (
            "can-gw",
            needed.LOADABLE,
            Finding(FAILURE, "can-gw is loadable, not loaded", "modprobe can-gw", safe=True),
        ),
        ("vxcan", needed.MISSING, Finding(FAILURE, "vxcan is missing", "apt install it")),
    ],
)
def test_modules(module: str, state: str, expected: Finding) -> None:
    """The kernel loads types of links by itself, but not the gateway."""
    facts = WELL._replace(modules={module: state}, advice={"vxcan": "apt install it"})
    assert told("modules", facts) == [expected]


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    daemon.service.create_network("n1", {"can.interface": "vcan0"})
    daemon.run_container("n1", "e1")
    return daemon


def disturbed(daemon: Daemon, disturb: Callable[[FakeKernel, str], object]) -> Facts:
    disturb(daemon.kernel, daemon.port("n1", "e1"))
    return WELL._replace(status=seen(daemon))


@pytest.mark.parametrize(
    ("check", "disturb", "words"),
    [
        ("differences", lambda kernel, _port: kernel.rules.pop(), "add gateway rule"),
        (
            "duplicates",
            lambda kernel, port: kernel.add_rule("vcan0", port),
            "by duplicate rules (1): vcan0 -> ",
        ),
        (
            "orphans",
            lambda kernel, _port: kernel.add_link("vcan8", "vcan", alias="canwharf canwharf bus"),
            "vcan8 was made by canwharf and belongs to no network",
        ),
    ],
)
def test_what_sync_fixes(
    check: str, disturb: Callable[[FakeKernel, str], object], words: str, busy: Daemon
) -> None:
    """Each under its own check, and under no other."""
    facts = disturbed(busy, disturb)
    for name in ("differences", "duplicates", "orphans"):
        assert one(name, facts) == ((FAILURE, "canwharf sync") if name == check else (OK, ""))
    (finding,) = told(check, facts)
    assert words in finding.message
    assert finding.safe
    busy.maintenance.sync()
    assert one(check, WELL._replace(status=seen(busy))) == (OK, "")


def test_rules_of_others(busy: Daemon) -> None:
    """Within a bus they double frames; others do what they say (operator/test_foreign.py)."""
    port = busy.port("n1", "e1")

    def disturb(kernel: FakeKernel, port: str) -> None:
        kernel.add_link("can7")
        kernel.add_rule("vcan0", port, flags=1)
        kernel.add_rule("can7", "vcan0", fd=True)

    across, within = told("foreign", disturbed(busy, disturb))
    assert (within.level, within.fix) == (FAILURE, f"cangw -D -s vcan0 -d {port} -e")
    assert (across.level, across.fix) == (WARN, "cangw -D -s can7 -d vcan0 -e -i -X")
    assert not within.safe


def test_adapters(daemon: Daemon, kernel: FakeKernel) -> None:
    """Down, BUS-OFF, or pulled out."""
    kernel.add_link("can0", "can", up=False)
    daemon.service.create_network("n1", {"can.interface": "can0"})
    down = seen(daemon, None, Controller(4, bitrate=500000))
    assert one("buses", WELL._replace(status=down)) == (FAILURE, "ip link set can0 up")
    unset = seen(daemon, None, Controller(4))
    fix = "ip link set can0 up type can bitrate RATE"
    assert one("buses", WELL._replace(status=unset)) == (FAILURE, fix)
    kernel.set_up("can0")
    off = seen(daemon, None, Controller(3))
    fix = "ip link set can0 down && ip link set can0 up"
    assert one("buses", WELL._replace(status=off)) == (FAILURE, fix)
    well = seen(daemon, None, Controller(0))
    assert one("buses", WELL._replace(status=well)) == (OK, "")
    kernel.delete_link("can0")
    assert one("buses", WELL._replace(status=seen(daemon))) == (WARN, "")


def test_a_network_that_docker_does_not_know(busy: Daemon) -> None:
    """A network that Docker does not know; without Docker's answer there is no finding."""
    status = seen(busy, Names({}, {}))
    facts = WELL._replace(status=status, unknown_networks=gather._unknown_networks(status))
    assert one("networks", facts) == (WARN, "canwharf doctor --forget n1")
    assert gather._unknown_networks(seen(busy)) == {}
    silent = seen(busy, None)
    assert gather._unknown_networks(silent) == {}
    assert told("networks", WELL._replace(status=silent)) == []


@pytest.mark.parametrize(
    "where",
    [
        "--socket /run/docker/plugins/rusty.sock --state-dir /var/lib/r",
        "--state-dir '/srv/my cans'",
        "--driver-name rusty",
        "",
    ],
)
def test_a_command_is_for_the_state_that_was_checked(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With another one's state, our interfaces would all be unowned: --fix would delete them."""
    monkeypatch.setattr(doctor, "gather", lambda *_arguments: WELL._replace(process=0, units=None))
    assert cli.main(["doctor", *shlex.split(where), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["findings"]
    (daemon,) = [each for each in told if each["check"] == "daemon"]
    assert daemon["level"] == WARN  # systemd listens, as WELL has it
    paths = "--socket /run/docker/plugins/rusty.sock --state-dir /var/lib/canwharf-rusty"
    serving = where.replace("--driver-name rusty", paths)  # which serve does not take
    assert daemon["fix"] == f"canwharf serve {serving}".strip()


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (None, "Docker does not answer"),
        (Names({"n1": "bus0"}, {}), "docker network rm bus0"),
        (Names({}, {}), "NetworkDriver.DeleteNetwork"),  # it goes as far as the daemon
    ],
)
def test_what_docker_may_know_is_not_forgotten(
    known: Names | None, words: str, monkeypatch: pytest.MonkeyPatch, busy: Daemon, tmp_path: Path
) -> None:
    """Nor is a network "removed" that never was: a wrong id is told."""
    monkeypatch.setattr("canwharf.docker.names.ask", lambda *_arguments: known)
    which = Instance("canwharf", str(tmp_path / "canwharf.sock"), busy.store.directory)
    with pytest.raises(CanwharfError, match=words):
        gather.forget(which, "n1")
    with pytest.raises(CanwharfError, match="no network n9"):
        gather.forget(which, "n9")


def test_a_state_that_cannot_be_written_is_a_failure() -> None:
    """No container can start: that the file is readable is not all."""
    readable, fault = told("state", WELL._replace(write_fault="cannot write …: No space left"))
    assert (readable.level, fault.level) == (OK, FAILURE)
    assert "No space left" in fault.message


def test_states_that_were_set_aside_are_reported() -> None:
    """They would lie there for ever; the newest is the one to look at."""
    _ok, aside = told("state", WELL._replace(aside=("/s/state.json.1.bad", "/s/state.json.2.bad")))
    assert aside.level == WARN
    assert "/s/state.json.2.bad (2)" in aside.message
    assert aside.fix == "rm -r /var/lib/canwharf/state.json.*.bad"


def test_containers_that_docker_could_not_start(daemon: Daemon) -> None:
    """It does not try again by itself; where it does not answer, nothing is known."""
    status = seen(daemon, Names({}, {}))
    facts = WELL._replace(status=status, stranded={"ecu1": "refused", "ecu2": "too"})
    (finding,) = told("containers", facts)
    assert (finding.level, finding.fix) == (FAILURE, "docker start ecu1 ecu2")
    assert finding.safe
    assert "(refused)" in finding.message
    assert told("containers", WELL._replace(status=seen(daemon, None))) == []


def test_what_it_prints_and_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line a check; --fix runs what is safe and looks again."""
    ill = WELL._replace(modules={"can-gw": needed.LOADABLE}, at_boot=False)
    looks = [ill, ill, ill, WELL]
    ran: list[str] = []
    monkeypatch.setattr(doctor, "gather", lambda *_arguments: looks.pop(0))
    monkeypatch.setattr(doctor, "_run", ran.append)
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    line = "failure  modules:      can-gw is loadable, not loaded; fix it: modprobe can-gw"
    assert line in lines
    assert len(lines) == len(examine(ill))
    assert cli.main(["doctor", "--json"]) == 1
    content: Mapping[str, object] = json.loads(capsys.readouterr().out)
    assert content["ok"] is False
    assert cli.main(["doctor", "--fix"]) == 0
    assert ran == ["modprobe can-gw"]
