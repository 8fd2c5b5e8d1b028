"""`canwharf sync`: the daemon's own recovery when somebody asks for it, and its dry run."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest

from canwharf import __version__
from canwharf.bus.describe import SORTS, Change, changes, touched
from canwharf.bus.dryrun import dry_run
from canwharf.bus.maintain import Outcome
from canwharf.bus.model import Hub, Port
from canwharf.bus.naming import BusOwner
from canwharf.bus.steps import (
    AddMarks,
    AddRule,
    BringUp,
    Configure,
    DeleteLink,
    DeleteRule,
    Inject,
    MakeBus,
    MakeHub,
    MakeIfb,
    MakePair,
    Redirect,
    Rename,
    ReplaceRule,
    SetPolicy,
    Step,
    TakeDown,
)
from canwharf.cli import main, sync
from canwharf.daemon import sockets
from canwharf.daemon.calls import front_ends
from canwharf.errors import CallError
from canwharf.kernel.can import CanSettings
from canwharf.kernel.firewall import NO_FIREWALL
from canwharf.kernel.gateway import CLASSIC, Rule
from canwharf.kernel.impairment import Impairment
from canwharf.kernel.link import Link
from canwharf.kernel.traffic_control import NOTHING
from tests.fake.daemon import Daemon


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """A bus of two containers."""
    daemon.service.create_network("n1", {"vxcan.id": "1"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    daemon.maintenance.repair()
    return daemon


def dry_run_of(daemon: Daemon, *, served: bool = True) -> Outcome:
    return dry_run(daemon.service.state, daemon.store, daemon.kernel, served=served).outcome


def answered(daemon: Daemon) -> dict[str, list[Any]]:
    """As `canwharf sync` asks for it."""
    status, body = front_ends(daemon.service, daemon.maintenance.sync).answer("/Canwharf.Sync", b"")
    assert status == 200
    answer: dict[str, list[Any]] = json.loads(body)
    return answer


def lines(changes: Iterable[Change]) -> list[str]:
    return [each.line for each in changes]


def synced(daemon: Daemon) -> tuple[list[str], list[str]]:
    """The lines about changes and about faults."""
    answer = answered(daemon)
    return [each["line"] for each in answer["Changes"]], answer["Faults"]


def disturb(daemon: Daemon) -> list[str]:
    """Changes made by hand; the lines of the steps that fix them."""
    kernel = daemon.kernel
    one, two = (daemon.port("n1", endpoint) for endpoint in ("e1", "e2"))
    entry, _exit = daemon.hub("vcan1")
    ends = kernel.link(one).index, kernel.link(entry).index
    kernel.rules = [rule for rule in kernel.rules if (rule.source, rule.destination) != ends]
    kernel.add_rule(two, "vcan1", fd=True)
    kernel.set_up(two, up=False)
    kernel.add_link("vcan8", "vcan", alias="canwharf canwharf bus")
    return [
        f"bring up and name interface {two}",
        f"delete duplicate gateway rule {two} -> vcan1 (FD)",
        f"add gateway rule {one} -> {entry} (classic, FD, error frames)",
        "delete unowned interface vcan8",
    ]


def test_nothing_to_do(busy: Daemon) -> None:
    assert dry_run_of(busy) == Outcome()
    assert synced(busy) == ([], [])


def test_a_dry_run_says_what_sync_does_and_changes_nothing(busy: Daemon) -> None:
    """Rules deleted or duplicated by hand are not announced: only a full resync finds them."""
    expected = disturb(busy)
    before, applied = busy.kernel.snapshot(), len(busy.kernel.applied)
    assert lines(dry_run_of(busy).changes) == expected
    assert busy.kernel.snapshot() == before
    assert len(busy.kernel.applied) == applied
    assert synced(busy) == (expected, [])
    busy.assert_exactly_once("vcan1")
    assert "vcan8" not in busy.kernel.names()
    assert dry_run_of(busy) == Outcome()


@pytest.mark.parametrize("dry", [False, True])
def test_the_last_line_sums_up(
    dry: bool,
    busy: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After hundreds of lines about rules, how much it was, and whether all of it went well."""

    def ask(_socket: str, _call: str) -> dict[str, list[Any]]:
        return answered(busy)

    monkeypatch.setattr(sync, "call", ask)
    monkeypatch.setattr(sync, "Netlink", lambda: busy.kernel)
    monkeypatch.setattr(sockets, "process_of", lambda _driver: 412)
    monkeypatch.setattr(sync, "Store", lambda _directory: busy.store)
    words = ["sync", *["--dry-run"] * dry]
    assert main(words) == 0
    assert capsys.readouterr().out == "nothing to do: all is as it should be\n"
    expected = disturb(busy)
    assert main(words) == (3 if dry else 0)
    assert capsys.readouterr().out.splitlines() == [
        *(f"would {line}" if dry else line for line in expected),
        f"{'it would be: ' if dry else ''}1 made, 2 removed, 1 repaired",
    ]


def test_a_failure_is_in_the_sum(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    busy.kernel.delete_link("vcan1")
    busy.kernel.refuse(1, errno.ENOMEM)
    monkeypatch.setattr(sync, "call", lambda _socket, _call: answered(busy))
    monkeypatch.setattr(sockets, "process_of", lambda _driver: 412)
    assert main(["sync", "--state-dir", os.path.dirname(busy.store.path)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("failed: ")
    assert last == "1 failed"


def test_a_daemon_of_another_version_is_reported(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a summary of nothing: one before 0.2 answers with the lines alone."""
    answer = {"Changes": ["make bus interface vcan1"], "Faults": []}
    monkeypatch.setattr(sync, "call", lambda _socket, _call: answer)
    monkeypatch.setattr(sockets, "process_of", lambda _driver: 412)
    assert main(["sync", "--state-dir", os.path.dirname(busy.store.path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "a daemon of another version" in told.err


@pytest.mark.parametrize(
    ("version", "expected"), [("0.1.9", True), ("", True), (__version__, False), (None, False)]
)
def test_a_daemon_whose_program_was_replaced_is_to_be_restarted(
    version: str | None,
    expected: bool,
    busy: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It needs a module that is in its zipapp no more: the import's error says nothing to do."""

    def call(socket: str, name: str) -> dict[str, object]:
        if name == "Canwharf.State" and version is not None:
            return {"Fault": "", **({"Version": version} if version else {})}
        raise CallError(name, socket, "internal error in Canwharf.Sync: ZipImportError(…)")

    monkeypatch.setattr(sync, "call", call)
    monkeypatch.setattr(sockets, "process_of", lambda _driver: 412)
    assert main(["sync", "--state-dir", os.path.dirname(busy.store.path)]) == 1
    told = capsys.readouterr().err
    assert "ZipImportError" in told
    assert ("of another version than this program; restart it" in told) == expected


def test_each_kind_of_step_has_a_line_and_is_in_the_sum() -> None:
    """One that is in none would be done and not counted."""
    port, found = Port("cwh1", BusOwner("canwharf")), Link(3, "can0")
    rule = Rule(1, 2, CLASSIC)
    steps: list[tuple[str, Step]] = [
        ("made", MakeBus(port)),
        ("made", MakePair(port)),
        ("made", MakeHub(Hub(port, port._replace(name="cwo1")))),
        ("made", MakeIfb(port, Impairment(delay=20_000))),
        ("repaired", Redirect(port, port._replace(name="cwb1"))),
        ("made", AddRule("a", "b", CLASSIC)),
        ("removed", DeleteLink(found)),
        ("removed", DeleteRule(rule, "a", "b")),
        ("repaired", ReplaceRule(rule, rule, "a", "b")),
        ("repaired", AddMarks(port, NOTHING)),
        ("repaired", SetPolicy(port, NO_FIREWALL)),
        ("repaired", Inject(port, {})),
        ("repaired", BringUp(port, found)),
        ("repaired", Configure(found, CanSettings(), None)),
        ("repaired", TakeDown(found)),
        ("repaired", Rename(found, "can1")),
    ]
    assert {type(step) for _sort, step in steps} == set(get_args(Step))
    for sort, step in steps:
        [change] = changes((), [step])
        assert change.sort == sort
        assert sort in SORTS
        assert any(name in change.line for name in touched(step))
    assert [each.sort for each in Outcome(adopted=("e1",)).changes] == ["repaired"]


def test_an_endpoint_that_the_state_forgot_is_taken_over(busy: Daemon) -> None:
    """And is on disk then."""
    busy.service._write(busy.service.state.without_endpoint("n1", "e2"))
    assert lines(dry_run_of(busy).changes) == ["adopt endpoint e2"]
    assert "e2" not in busy.service.state.endpoints()
    assert synced(busy) == (["adopt endpoint e2"], [])
    state, _left = busy.store.load("canwharf")
    assert state.endpoints() == {"e1", "e2"}


def test_what_could_not_be_put_right_is_told(busy: Daemon) -> None:
    """With what the kernel said; the daemon tries again by itself."""
    busy.kernel.delete_link("vcan1")
    busy.kernel.refuse(1, errno.ENOMEM)
    changes, faults = synced(busy)
    assert changes == []
    assert "Cannot allocate memory" in faults[0]
    assert synced(busy)[0][0] == "make bus interface vcan1"
    busy.assert_exactly_once("vcan1")


def test_the_lock_shows_the_serving_process() -> None:
    """Without taking it, even for a moment: a daemon that starts then would be refused."""
    with TemporaryDirectory(dir="/dev/shm") as directory:  # a tmpfs, as /run is
        assert sockets.process_of("canwharf", directory) == 0
        lock = sockets.reserve("canwharf", directory)
        assert sockets.process_of("canwharf", directory) == os.getpid()
        assert sockets.process_of("other", directory) == 0
        lock.close()
        assert sockets.process_of("canwharf", directory) == 0
