"""Which instance a verb looks at: by its name, by its paths, or the one that runs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from canwharf.bus.model import State
from canwharf.bus.store import Store
from canwharf.cli import doctor, graph, install, main, selection, status, sync
from canwharf.cli.selection import Selection
from canwharf.daemon.instance import Instance, usual
from canwharf.daemon.running import Running
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.service import units
from canwharf.operator.status import Status
from tests.fake.kernel import FakeKernel

LOOKING = ("status", "graph", "doctor", "sync")
RUSTY = Instance("rusty", "/run/docker/plugins/rusty.sock", "/data/rusty")
OWN = Instance("canwharf", "/run/docker/plugins/canwharf.sock", "/data/own")


@pytest.fixture(autouse=True)
def daemons(monkeypatch: pytest.MonkeyPatch) -> dict[str, Running]:
    """The daemons that run: none, and no trace of one."""
    running: dict[str, Running] = {}
    monkeypatch.setattr(selection, "running", lambda: running)
    monkeypatch.setattr("os.path.exists", lambda _path: False)
    monkeypatch.setattr("canwharf.bus.store.exists", lambda _path: False)
    return running


def run(daemons: dict[str, Running], *instances: Instance) -> None:
    for each in instances:
        daemons[each.name] = Running(412, each)


def chosen(words: str) -> Selection:
    """By these words of a command line."""
    return selection.of(values(words))


def values(words: str) -> Mapping[str, str]:
    given = shlex.split(words)
    told = {word[2:]: value for word, value in zip(given[::2], given[1::2], strict=True)}
    return {row.name: row.default for row in selection.WHICH} | told


def test_all_verbs_that_look_take_the_name_and_the_paths() -> None:
    for verb in (status, graph, doctor, sync):
        assert set(selection.WHICH) <= set(verb.OPTIONS)


@pytest.mark.parametrize("driver", ["canwharf", "rustyvxcan", "wsovalle/vxcan:latest"])
def test_a_name_finds_what_install_made_of_it(driver: str) -> None:
    """Whoever installed a second driver by its name need not know where its files are."""
    made = usual(driver)
    unit = units.files(made, ["/opt/canwharf"])[units.path(made.service)]
    found = chosen(f"--driver-name {driver}")
    there = found.instance
    assert f"serve --socket {there.socket} --state-dir {there.state_dir}\n" in unit
    assert found.where == f" --driver-name {driver}"
    assert install.NAME.name == "driver-name"


def test_paths_win_over_what_the_name_would_say() -> None:
    """A daemon that does not run, of a version that says nothing: as it was started."""
    assert chosen("") == Selection(usual("canwharf"), "")
    words = "--driver-name rusty --socket /run/docker/plugins/rusty/rusty.sock --state-dir '/a b'"
    there = Instance("rusty", "/run/docker/plugins/rusty/rusty.sock", "/a b")
    assert chosen(words) == Selection(there, f" {words}")
    socket = "/run/docker/plugins/rusty.sock"
    assert chosen("--driver-name rusty --state-dir /x").instance.socket == socket
    state_dir = chosen("--socket /tmp/rusty.sock").instance.state_dir
    assert state_dir == "/var/lib/canwharf"  # as serve has it


def test_the_daemon_that_runs_says_where_its_state_is(daemons: dict[str, Running]) -> None:
    """`status` said "no network was ever kept here", and the doctor that all was well."""
    run(daemons, OWN, RUSTY)
    assert chosen("") == Selection(OWN, "")
    assert chosen("").serving == " --state-dir /data/own"
    assert chosen("--driver-name rusty") == Selection(RUSTY, " --driver-name rusty")
    by_socket = chosen("--socket /run/docker/plugins/rusty.sock")
    assert (by_socket.instance, by_socket.conflict) == (RUSTY, "")
    by_state = chosen("--state-dir /data/rusty")
    assert by_state.instance == RUSTY
    assert by_state.where == " --driver-name rusty --state-dir /data/rusty"


def test_the_only_daemon_is_the_one_that_is_meant(
    daemons: dict[str, Running], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said which, and each command that is printed names it."""
    run(daemons, RUSTY)
    found = selection.announced(values(""))
    assert (found.instance, found.where) == (RUSTY, " --driver-name rusty")
    assert capsys.readouterr().err == "canwharf: this is rusty, the daemon that runs\n"
    selection.announced(values("--driver-name rusty"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "trace", ["/run/docker/plugins/canwharf.sock", "/var/lib/canwharf/state.json"]
)
def test_a_canwharf_that_does_not_run_is_not_hidden_by_one_that_does(
    trace: str, daemons: dict[str, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor would say that all is well, and its containers would not start."""
    for where in ("os.path.exists", "canwharf.bus.store.exists"):
        monkeypatch.setattr(where, lambda path: path == trace)
    run(daemons, RUSTY)
    assert chosen("") == Selection(usual("canwharf"), "")


@pytest.mark.parametrize("verb", LOOKING)
def test_of_several_daemons_one_must_be_named(
    verb: str, daemons: dict[str, Running], capsys: pytest.CaptureFixture[str]
) -> None:
    """Or `sync` would put right another one's buses."""
    run(daemons, RUSTY, RUSTY._replace(name="vxcan"))
    assert main([verb]) == 2
    assert capsys.readouterr().err == (
        "canwharf: the daemons rusty, vxcan run, and canwharf does not: say which one is meant, "
        "as in --driver-name rusty\n"
    )
    run(daemons, OWN)
    assert chosen("") == Selection(OWN, "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--state-dir /tmp/x", "keeps its state in /data/own, not in /tmp/x"),
        (
            "--socket /tmp/canwharf.sock",
            "listens on /run/docker/plugins/canwharf.sock, not on /tmp",
        ),
    ],
)
def test_sync_does_nothing_by_another_state_than_the_daemons(
    words: str, told: str, daemons: dict[str, Running], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is in use is in no network of that state, and would be removed."""
    run(daemons, OWN)
    for dry in ([], ["--dry-run"]):
        assert main(["sync", *dry, *words.split()]) == 2
        error = capsys.readouterr().err
        assert error.startswith("canwharf: the daemon canwharf (process 412) ")
        assert told in error
        assert error.endswith(": leave that option out\n")


def test_a_state_by_another_path_is_the_same(daemons: dict[str, Running], tmp_path: Path) -> None:
    """As by a link to another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    run(daemons, OWN._replace(state_dir=str(tmp_path / "disk")))
    assert chosen(f"--state-dir {tmp_path}/link").conflict == ""
    assert chosen(f"--state-dir {tmp_path}").conflict != ""


def test_status_says_where_the_daemon_is_another(
    daemons: dict[str, Running],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The buses are those of the state that was asked for; what `sync` refuses is not offered."""
    run(daemons, OWN)
    store = Store(str(tmp_path))
    store.acquire()
    store.save(State("canwharf", {}))
    kernel = FakeKernel()
    kernel.add_link("vcan8", "vcan", alias="canwharf canwharf bus")
    monkeypatch.undo()
    monkeypatch.setattr(selection, "running", lambda: daemons)
    monkeypatch.setattr(status, "Netlink", lambda: kernel)
    monkeypatch.setattr("canwharf.docker.names.ask", lambda _driver: None)
    assert main(["status", "--state-dir", str(tmp_path)]) == 0
    told = f"the daemon canwharf (process 412) keeps its state in /data/own, not in {tmp_path}"
    shown = capsys.readouterr().out
    assert shown.splitlines()[1] == told
    assert "differs" not in shown
    assert main(["status", "--json", "--state-dir", str(tmp_path)]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["conflict"], read["state_dir"]) == (told, str(tmp_path))


def test_a_daemon_that_does_not_say_where_its_state_is(
    daemons: dict[str, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of an earlier version; or we are not root. Then the name tells, and that is said."""
    daemons["canwharf"] = Running(412, None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = chosen("")
    assert found.instance == usual("canwharf")
    assert "earlier version" in found.unseen
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = chosen("")
    nothing = Status(
        "canwharf", 412, stored=False, state_dir="/var/lib/canwharf", unseen=found.unseen
    )
    shown = text.render(nothing, terminal.plain)
    assert "; there is no state in /var/lib/canwharf; root sees where" in shown
    assert to_dict(nothing)["conflict"] is None


@pytest.mark.parametrize("verb", LOOKING)
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (
            "--driver-name rusty --socket /run/docker/plugins/canwharf.sock",
            2,
            "contradict each other, as that is the socket of the driver canwharf: leave one",
        ),
        ("--driver-name canwharf --socket /tmp/other.sock", 2, "socket of the driver other"),
        ("--driver-name ../x", 1, "driver-name=../x"),
    ],
)
def test_what_contradicts_itself_is_refused(
    verb: str, words: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is looked at: one of the two is not the driver that is meant."""
    assert main([verb, *shlex.split(words)]) == status
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err


def test_the_command_that_is_named_is_for_the_same_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`canwharf sync` alone would put another driver's buses right."""
    asked: list[Instance] = []

    def look(which: Instance, _requests: object) -> Status:
        asked.append(which)
        return Status("rusty", adopted=("e1",))

    monkeypatch.setattr(status, "collect", look)
    assert main(["status", "--driver-name", "rusty"]) == 0
    assert "'canwharf sync --driver-name rusty' would:" in capsys.readouterr().out
    assert asked == [usual("rusty")]
    assert "'canwharf sync' would:" in text.render(Status("x", adopted=("e1",)), terminal.plain)


@pytest.mark.parametrize("verb", ["sync", "sync --dry-run", "graph", "graph --format svg"])
def test_another_state_than_the_daemons_is_neither_synchronized_nor_drawn(
    verb: str, daemons: dict[str, Running], capsys: pytest.CaptureFixture[str]
) -> None:
    """It would remove what is in use; and an empty drawing says that there is no bus."""
    run(daemons, OWN)
    assert main([*verb.split(), "--state-dir", "/srv/other"]) == 2
    told = capsys.readouterr()
    assert "keeps its state in /data/own, not in /srv/other: leave that option out" in told.err
    assert told.out == ""
