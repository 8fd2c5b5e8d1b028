"""When maintenance wants to be called again: with a clock of the test's own, in seconds."""

from __future__ import annotations

import ast
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import canwharf.bus
from canwharf.bus import events
from canwharf.bus.maintain import GRACE, PATIENCE
from canwharf.bus.model import State
from canwharf.errors import StateError
from tests import REPOSITORY
from tests.fake.daemon import Daemon


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """One bus with two containers, at rest."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    daemon.service.adopt_networks({})  # nothing is left to be asked
    assert daemon.maintenance.run(-2 * GRACE, active=False) == -GRACE, "one look after each start"
    assert daemon.maintenance.run(0.0, active=False) is None
    return daemon


def test_an_idle_daemon_is_not_woken(busy: Daemon) -> None:
    """After the one look that follows its start, never."""
    dumps = busy.kernel.dumps
    for now in (1.0, 100.0, 10_000.0):
        assert busy.maintenance.run(now, active=False) is None
    assert busy.kernel.dumps == dumps
    assert busy.restarted().maintenance.run(0.0, active=False) == GRACE


def test_some_time_after_any_event_there_is_one_resync(busy: Daemon) -> None:
    """Which finds what the kernel does not announce; after that, nothing wakes us."""
    assert busy.maintenance.run(10.0, active=True) == 10.0 + GRACE
    busy.kernel.rules.pop()
    dumps = busy.kernel.dumps
    assert busy.maintenance.run(11.0, active=True) == 10.0 + GRACE, "it is not put off for ever"
    assert busy.maintenance.run(9.0 + GRACE, active=False) == 10.0 + GRACE
    assert busy.kernel.dumps == dumps
    assert busy.maintenance.run(10.0 + GRACE, active=False) is None
    assert busy.kernel.dumps > dumps
    busy.assert_exactly_once("vcan0")
    assert busy.maintenance.run(10.0 + 9 * GRACE, active=False) is None


@pytest.mark.parametrize("start", [0.0, 1517.7])
def test_an_abandoned_endpoint_is_removed_after_a_long_wait(busy: Daemon, start: float) -> None:
    """Then it is gone, and there is rest again; also where 1577.7 + 600 - 1577.7 is below 600."""
    busy.kernel.kill_namespace("e1")
    assert busy.maintenance.run(start, active=True) == start + GRACE
    assert busy.maintenance.run(start + GRACE, active=False) == start + GRACE + PATIENCE
    assert set(busy.service.state.networks["n1"].endpoints) == {"e1", "e2"}
    assert busy.maintenance.run(start + GRACE + PATIENCE, active=False) is None
    assert set(busy.service.state.networks["n1"].endpoints) == {"e2"}


def test_a_container_that_takes_minutes_to_start_keeps_its_interface(busy: Daemon) -> None:
    """Eight at once on a busy board: Docker takes an interface more than a minute after its Join.

    What else happens meanwhile has its own resync, which is not put off, and collects nothing.
    """
    busy.service.create_endpoint("n1", "slow", {})
    busy.service.join("n1", "slow")
    assert busy.maintenance.run(0.0, active=True) == GRACE
    now = GRACE
    assert busy.maintenance.run(now, active=False) == now + PATIENCE
    for _minute in range(4):
        busy.kernel.rules.pop()
        assert busy.maintenance.run(now + 1, active=True) == now + 1 + GRACE
        now += 1 + GRACE
        assert busy.maintenance.run(now, active=False) == GRACE + PATIENCE
        assert "slow" in busy.service.state.networks["n1"].endpoints
        busy.assert_exactly_once("vcan0")


def test_a_bus_that_cannot_be_repaired_is_tried_again_at_growing_intervals(busy: Daemon) -> None:
    """Until it can be, or for ever: never at once, never less than once a grace period."""
    busy.kernel.delete_link("vcan0")
    busy.kernel.modules.remove("vcan")
    now, due = 0.0, busy.maintenance.run(0.0, active=False)
    tried: list[float] = [now]
    for _try in range(10):
        assert due is not None
        errors = len(busy.said(events.BUS_NOT_REPAIRED))
        tried.append(due)
        due = busy.maintenance.run(due, active=False)
        assert len(busy.said(events.BUS_NOT_REPAIRED)) > errors
    assert [round(b - a) for a, b in pairwise(tried)] == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    busy.kernel.modules.add("vcan")
    assert due is not None
    assert busy.maintenance.run(due, active=False) is None
    busy.assert_exactly_once("vcan0")


def test_after_a_success_the_intervals_begin_anew(busy: Daemon) -> None:
    """The next fault is another one."""
    for start in (0.0, 1000.0):
        busy.kernel.delete_link("vcan0")
        busy.kernel.modules.remove("vcan")
        assert busy.maintenance.run(start, active=False) == start + 1
        assert busy.maintenance.run(start + 1, active=False) == start + 3
        busy.kernel.modules.add("vcan")
        assert busy.maintenance.run(start + 3, active=False) is None


@pytest.mark.parametrize("active", [False, True])
def test_a_fault_that_is_seen_to_in_between_needs_no_retry(busy: Daemon, active: bool) -> None:
    """Somebody else makes what we could not: that is announced."""
    busy.kernel.delete_link("vcan0")
    busy.kernel.modules.remove("vcan")
    assert busy.maintenance.run(0.0, active=False) == 1.0
    busy.kernel.add_link("vcan0", "vcan")
    assert busy.maintenance.run(0.5, active=active) == (0.5 + GRACE if active else None)
    busy.assert_exactly_once("vcan0")


def test_other_events_do_not_make_the_retry_forgotten(busy: Daemon) -> None:
    """A call for another network comes while a bus waits for its retry."""
    busy.kernel.delete_link("vcan0")
    busy.kernel.modules.remove("vcan")
    assert busy.maintenance.run(0.0, active=False) == 1.0
    assert busy.maintenance.run(0.5, active=True) == 1.0
    busy.kernel.modules.add("vcan")
    assert busy.maintenance.run(1.0, active=False) == 0.5 + GRACE
    busy.assert_exactly_once("vcan0")


def test_a_retry_looks_at_everything_anew(busy: Daemon) -> None:
    """What we believe of the kernel may be why it fails."""
    busy.kernel.delete_link("vcan0")
    busy.kernel.modules.remove("vcan")
    due = busy.maintenance.run(0.0, active=False)
    assert due is not None
    busy.kernel.modules.add("vcan")
    busy.kernel.rules.clear()
    assert busy.maintenance.run(due, active=False) is None
    busy.assert_exactly_once("vcan0")


def test_what_could_not_be_written_is_written_later(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion on a full disk: the engine has forgotten it, so it must not come back."""
    save = busy.store.save

    def full(_state: State) -> None:
        raise StateError("write", busy.store.path, "No space left on device")

    monkeypatch.setattr(busy.store, "save", full)
    with pytest.raises(StateError):
        busy.service.delete_endpoint("n1", "e1")
    assert busy.maintenance.run(0.0, active=False) == 1.0
    assert busy.maintenance.run(1.0, active=False) == 3.0
    assert len(busy.said(events.STATE_NOT_WRITTEN)) == 2
    monkeypatch.setattr(busy.store, "save", save)
    assert busy.maintenance.run(3.0, active=False) is None
    assert set(busy.restarted().service.state.networks["n1"].endpoints) == {"e2"}


def test_a_program_that_was_replaced_in_the_first_minute_does_not_end_the_daemon(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that needs what is not there any more is refused; the containers have their bus."""
    monkeypatch.setitem(sys.modules, "canwharf.bus.spelling", None)
    monkeypatch.delattr(canwharf.bus, "spelling", raising=False)
    assert busy.maintenance.run(0.0, active=True) == GRACE
    busy.kernel.rules.pop()
    assert busy.maintenance.run(GRACE, active=False) is None
    busy.assert_exactly_once("vcan0")


def _imported_in_functions(path: Path) -> set[str]:
    """The modules of ours that a file's functions import when they are called."""
    functions = (each for each in ast.walk(ast.parse(path.read_text())) if _is_function(each))
    inner = (each for function in functions for each in ast.walk(function))
    return {
        f"{each.module}.{alias.name}"
        for each in inner
        if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("canwharf")
        for alias in each.names
    }


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef)


def test_a_daemon_at_rest_has_loaded_what_its_calls_need() -> None:
    """A zipapp that was replaced cannot be read again: each new network was refused."""
    rooms = ("bus", "docker", "control", "kernel")
    source = REPOSITORY / "src/canwharf"
    files = [path for room in rooms for path in (source / room).glob("*.py")]
    late = {name for path in files for name in _imported_in_functions(path)}
    assert "canwharf.bus.spelling" in late
    assert late <= _imported_in_functions(source / "bus/maintain.py")


@pytest.mark.parametrize("part", ["repair", "resync"])
def test_a_mistake_of_ours_does_not_end_the_daemon(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Containers could not start until somebody looks; the log has it, and it is tried again."""
    assert busy.maintenance.run(0.0, active=True) == GRACE

    def mistaken(*_arguments: object) -> bool:
        raise ValueError("list.remove(x): x not in list")

    monkeypatch.setattr(busy.maintenance, part, mistaken)
    busy.kernel.rules.pop()
    assert busy.maintenance.run(GRACE, active=False) == GRACE + 1
    (event,) = busy.said(events.INTERNAL)
    assert "x not in list" in event.fields["error"]
    monkeypatch.undo()
    assert busy.maintenance.run(GRACE + 1, active=False) == 2 * GRACE
    busy.assert_exactly_once("vcan0")
