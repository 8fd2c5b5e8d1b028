"""The facts that the doctor gathers: modules, the socket's file, the service and its program."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from time import monotonic

import pytest

from canwharf.bus.model import State
from canwharf.bus.store import Store
from canwharf.daemon.instance import usual
from canwharf.errors import CallError, StartError
from canwharf.kernel import modules, needed
from canwharf.operator.doctor import gather
from canwharf.operator.doctor.facts import Program
from canwharf.operator.doctor.finding import OK, WARN
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.operator.doctor.well import WELL, told


def test_where_modules_stand(tmp_path: Path) -> None:
    """As kmod keeps them, packed or not."""
    files = {
        "proc/modules": "can_gw 40960 0 - Live 0x0\ncls_fw 20480 2 - Live 0x0\n",
        "lib/modules/6.1/modules.builtin": "kernel/net/can/can.ko\nkernel/net/can/can-raw.ko\n",
        "lib/modules/6.1/modules.dep": "kernel/drivers/net/can/vcan.ko.xz: kernel/x.ko\n"
        "kernel/net/sched/act_gact.ko:\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert modules.states(str(tmp_path), "6.1") == {
        "can": needed.BUILT_IN,
        "can-raw": needed.BUILT_IN,
        "can-gw": needed.LOADED,
        "vcan": needed.LOADABLE,
        "vxcan": needed.MISSING,
        "sch_ingress": needed.MISSING,
        "cls_fw": needed.LOADED,
        "cls_matchall": needed.MISSING,
        "cls_basic": needed.MISSING,
        "act_gact": needed.LOADABLE,
        "act_skbedit": needed.MISSING,
        **dict.fromkeys((*needed.IMPAIRMENT, *needed.INJECTION), needed.MISSING),
        **dict.fromkeys(("em_u32", "em_canid", "act_police"), needed.MISSING),
    }


def test_a_kernel_without_lists_of_its_modules(tmp_path: Path) -> None:
    """Which it could load for a linear bus is not known, so none of them is missing."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").write_text("can_gw 40960 0\nact_gact 20480 2\n")
    assert modules.states(str(tmp_path), "7") == {
        **dict.fromkeys(needed.NEEDED, needed.MISSING),
        "can-gw": needed.LOADED,
        "act_gact": needed.LOADED,
    }


@pytest.mark.parametrize("linear", [True, False])
def test_a_kernel_that_made_a_linear_bus_has_the_modules_for_it(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, linear: bool
) -> None:
    """Whatever files say: those of a kernel of one's own may list nothing."""
    if linear:
        daemon.service.create_network("n1", {"vxcan.id": "1"})
        daemon.run_container("n1", "e1")
    monkeypatch.setattr(modules, "states", lambda: dict.fromkeys(needed.LINEAR, needed.MISSING))
    state = needed.BUILT_IN if linear else needed.MISSING
    assert modules.known(daemon.kernel) == dict.fromkeys(needed.LINEAR, state)


def test_what_is_loaded_at_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what systemd reads there counts; a link that leads nowhere ends no look."""
    monkeypatch.setattr(gather, "_LOAD_DIRECTORIES", (str(tmp_path), "/nowhere"))
    (tmp_path / "dangling.conf").symlink_to(tmp_path / "gone")
    (tmp_path / "canwharf.conf.old").write_text("can-gw\n")
    assert not gather._at_boot()
    (tmp_path / "canwharf.conf").write_text("# ours\ncan_gw\n")
    assert gather._at_boot()


def test_the_kernels_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sysctl shows it; where it cannot be read, nothing is said of it."""
    path = tmp_path / "netdev_max_backlog"
    monkeypatch.setattr(gather, "_BACKLOG", str(path))
    assert gather._limit(gather._BACKLOG) == 0
    path.write_text("1000\n")
    assert gather._limit(gather._BACKLOG) == 1000


def test_a_state_of_another_driver_is_a_wrong_question(tmp_path: Path) -> None:
    """It is told; nothing is found wrong with a daemon that keeps its state elsewhere."""
    other = Store(str(tmp_path))
    other.acquire()
    other.save(State("canwharf", {}))
    with pytest.raises(StartError, match="the state of the driver canwharf"):
        gather._status(usual("rusty")._replace(state_dir=str(tmp_path)), FakeKernel())


def test_a_socket_whose_file_is_gone_is_not_found(tmp_path: Path) -> None:
    """The kernel still lists it by its name."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        assert gather._listens(path)
        os.unlink(path)
        assert not gather._listens(path)
        Path(path).touch()
        assert not gather._listens(path)


def test_a_listening_socket_whose_file_only_root_sees_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/run/docker is root's: the doctor advised every other user to kill a daemon that is well."""

    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    path = str(tmp_path / "s")
    monkeypatch.setattr(os, "stat", refuse)
    assert not gather._listens(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        assert gather._listens(path)


SHOWN = """\
{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 %s serve --socket /run/x.sock ; \
ignore_errors=no ; pid=0 ; code=(null) ; status=0/0 }"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("print('canwharf 7.1')", ("7.1", "")),
        ("import nonesuch", ("", "ModuleNotFoundError: No module named 'nonesuch'")),
        ("raise SystemExit(3)", ("", "--version ends with status 3")),
    ],
)
def test_the_services_program_is_tried(
    text: str, expected: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps it from starting is told in its own words."""
    made = tmp_path / "canwharf.py"
    made.write_text(text)
    started = {"ExecStart": SHOWN % made}
    monkeypatch.setattr(gather, "_shown", lambda *_words: started)
    tried = gather._program("canwharf.service")
    assert tried is not None
    assert (tried.path, tried.version) == (str(made), expected[0])
    assert tried.fault.endswith(expected[1])
    assert bool(tried.fault) == bool(expected[1])


def test_a_wrapper_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would do with other words is not known."""
    shown = {"ExecStart": "{ path=/bin/sh ; argv[]=/bin/sh -c exec canwharf serve --socket x ; }"}
    monkeypatch.setattr(gather, "_shown", lambda *_words: shown)
    assert gather._program("canwharf.service") is None


@pytest.mark.parametrize(
    ("seconds_ago", "expected"),
    [
        (600, (WARN, "failed and was restarted 10 minutes ago")),
        (0, (OK, "the daemon runs")),
        (None, (OK, "the daemon runs")),
    ],
)
def test_one_that_dies_now_and_then_is_not_well(
    seconds_ago: float | None, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs at every check, and Docker's calls in between fail."""
    at = seconds_ago and monotonic() - seconds_ago
    shown = {} if at is None else {"InactiveExitTimestampMonotonic": f"{at * 1e6:.0f}"}
    monkeypatch.setattr(gather, "_shown", lambda *_words: shown)
    ago = gather._failed_ago(usual("canwharf"))
    assert (ago is None) == (not at)
    facts = WELL._replace(failed_ago=ago)
    last = told("daemon", facts)[-1]
    assert (last.level, expected[1] in last.message) == (expected[0], True)
    assert told("daemon", facts._replace(failed_ago=100_000.0))[-1].level == OK


@pytest.mark.parametrize(
    ("state", "failing"),
    [
        ("ActiveState=failed\nSubState=failed\nResult=timeout", "timeout: the last line"),
        (
            "ActiveState=activating\nSubState=auto-restart\nResult=exit-code",
            "exit-code: the last line",
        ),
        ("ActiveState=active\nSubState=running\nResult=success", ""),
    ],
)
def test_a_service_that_fails_every_second_is_failing(
    state: str, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the units of an older version, which is never failed and never active."""
    shown = f"LoadState=loaded\nUnitFileState=enabled\nBefore=docker.service\n{state}\n"
    tries = iter(range(1, 9))  # meanwhile it is tried again, and that try has said nothing yet
    monkeypatch.setattr(
        "canwharf.operator.command.run",
        lambda *_words, **_limit: f"{shown}InvocationID={next(tries)}\n",
    )
    monkeypatch.setattr(
        "canwharf.operator.journal.last_line",
        lambda _unit, invocation: "the last line" if invocation == "1" else "",
    )
    assert gather._unit("canwharf.service").failing == failing


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"Fault": "", "Version": "0.9"}, "of version 0.9, and its program is version 1.0"),
        ({"Fault": ""}, "of an earlier version, and its program is version 1.0"),
        (None, "of an earlier version"),  # 0.1 before it had the call
        ({"Fault": "", "Version": "1.0"}, ""),
    ],
)
def test_a_daemon_that_was_not_restarted_after_an_upgrade(
    answer: dict[str, object] | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its program is replaced, and what it imports later is another version's, or not there."""

    def call(socket: str, name: str, **_limit: float) -> dict[str, object]:
        if answer is None:
            raise CallError(name, socket, "no such call")
        return answer

    monkeypatch.setattr(gather, "call", call)
    facts = WELL._replace(runs=gather._said("/x.sock").version)
    (runs, *others) = told("daemon", facts)
    assert runs.level == OK
    assert [(each.level, each.fix) for each in others] == (
        [(WARN, "systemctl restart canwharf.service")] if expected else []
    )
    assert all(expected in each.message for each in others)


def test_a_program_of_another_version_is_reported_once() -> None:
    """A restart would not help there; and of a managed plugin Docker has the version."""
    other = WELL._replace(runs="0.9", program=Program("/usr/local/bin/canwharf", "0.9"))
    assert [each.level for each in told("daemon", other)] == [OK]
    assert [each.level for each in told("program", other)] == [WARN]
    plugin = WELL._replace(runs="0.9", program=None, plugin="canwharf:latest")
    assert [each.level for each in told("daemon", plugin)] == [OK]
