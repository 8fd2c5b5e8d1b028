"""`canwharf doctor` on a board: each failure is provoked, and its own advice followed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.world.board import SOCKET, Board

STATE = "/var/lib/canwharf/state.json"
RULES = "cangw -L | sed -n 's/.*cangw -A \\(.*\\) # .*/\\1/p'"


def findings(board: Board, check: str, words: str = "") -> list[dict[str, object]]:
    """What a check says, without what is well."""
    done = board.guest.run(f"python3 -m canwharf doctor --json {words}", check=False)
    told = json.loads(done.stdout)
    failed = [each for each in told["findings"] if each["level"] == "failure"]
    assert (done.status, told["ok"]) == (bool(failed), not failed)
    return [each for each in told["findings"] if each["check"] == check and each["level"] != "ok"]


def the_fix(board: Board, check: str, level: str = "failure") -> str:
    """The one command that a check names."""
    (finding,) = findings(board, check)
    assert finding["level"] == level, finding
    return str(finding["fix"])


def follow(board: Board, command: str) -> None:
    """Do as advised."""
    board.sh(command.replace("canwharf ", "python3 -m canwharf "))


@pytest.fixture
def busy(board: Board) -> Board:
    """Two containers on a bus, and nothing wrong."""
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    shown = board.sh("python3 -m canwharf doctor")
    assert "failure" not in shown, shown
    return board


def without(board: Board, module: str) -> None:
    board.sh(f"rmmod {module.replace('-', '_')}")


def test_modules_that_are_not_loaded(board: Board) -> None:
    """The kernel loads the types of links by itself, but not the gateway."""
    for module, level in (("can-gw", "failure"), ("vxcan", "warning"), ("vcan", "warning")):
        without(board, module)
        fix = the_fix(board, "modules", level)
        assert fix == f"modprobe {module}"
        follow(board, fix)
        assert findings(board, "modules") == []
    for module in ("can-gw", "vxcan", "vcan"):
        without(board, module)
    assert findings(board, "modules", "--fix") == []


def test_a_module_that_the_kernel_does_not_have(board: Board) -> None:
    """Neither in its lists nor in itself: where to get it."""
    without(board, "vxcan")
    lists = "/lib/modules/$(uname -r)/modules.dep"
    board.sh(
        f"grep -v vxcan {lists} >/tmp/modules.dep && mount --bind /tmp/modules.dep {lists} && "
        "echo /bin/false >/proc/sys/kernel/modprobe"
    )
    try:
        (finding,) = findings(board, "modules")
        assert (finding["level"], finding["message"]) == ("failure", "vxcan is missing")
        assert finding["fix"]
        board.sh("echo /sbin/modprobe >/proc/sys/kernel/modprobe")
        # Now the kernel says that it does have it.
        assert findings(board, "modules") == []
    finally:
        board.sh(f"echo /sbin/modprobe >/proc/sys/kernel/modprobe; umount {lists}")


def test_the_daemon_and_its_state(busy: Board) -> None:
    """It is not there; it cannot be reached, as its socket is gone; its state is garbled.

    Starting anew rebuilds that from the kernel and Docker, and what runs is not touched.
    """
    busy.end_daemon("KILL")
    assert the_fix(busy, "daemon") == "canwharf serve"
    busy.start_daemon()
    assert findings(busy, "daemon") == []
    busy.sh(f"rm {SOCKET}")
    kill, start = the_fix(busy, "daemon").split(" && ")
    assert start == "canwharf serve"
    follow(busy, kill)
    busy.daemon.wait(10, check=False)
    busy.sh(f"echo garbage >{STATE}")
    assert the_fix(busy, "state") == "canwharf serve"
    busy.start_daemon()
    busy.daemon.wait_for("adopted network", 10)
    for check in ("daemon", "networks"):
        assert findings(busy, check) == []
    follow(busy, the_fix(busy, "state", "warning"))  # what was set aside
    assert findings(busy, "state") == []
    members = [busy.member(name) for name in ("ecu1", "ecu2")]
    busy.assert_exactly_once("host:vcan0", *members)


def deleted_rules(board: Board) -> None:
    board.sh(f"{RULES} | head -3 | while read -r rule; do cangw -D $rule; done")


def duplicate_rules(board: Board) -> None:
    board.sh(f"{RULES} | head -2 >/tmp/two; while read -r rule; do cangw -A $rule; done </tmp/two")


def foreign_rule(board: Board) -> None:
    board.sh("cangw -A -s vcan0 -d $(ip -br link | grep -o '^cwh[0-9a-f]*' | head -1) -e -f 0:0")


def orphan(board: Board) -> None:
    board.sh("ip link add vcan9 type vcan && ip link set vcan9 alias 'canwharf canwharf bus'")


WRONG: dict[str, Callable[[Board], None]] = {
    "differences": deleted_rules,
    "duplicates": duplicate_rules,
    "foreign": foreign_rule,
    "orphans": orphan,
}


def test_what_is_wrong_on_a_bus(busy: Board) -> None:
    """One after the other, and all at once.

    --fix leaves what may be on purpose to the operator. Real frames tell that all is well then.
    """
    for check, provoke in WRONG.items():
        provoke(busy)
        follow(busy, the_fix(busy, check))
        assert findings(busy, check) == []
    for provoke in WRONG.values():
        provoke(busy)
    assert findings(busy, "differences", "--fix") == []
    follow(busy, the_fix(busy, "foreign"))
    assert "failure" not in busy.sh("python3 -m canwharf doctor")
    members = [busy.member(name) for name in ("ecu1", "ecu2")]
    busy.assert_exactly_once("host:vcan0", *members)


def test_a_network_that_docker_does_not_know(board: Board) -> None:
    """A network that Docker forgot; one that it knows is not forgotten."""
    id = board.network()
    call = (
        "from canwharf.control.client import call; "
        f'call("{SOCKET}", "NetworkDriver.CreateNetwork", {{"NetworkID": "ab" * 32, "Options": '
        '{"com.docker.network.generic": {"can.interface": "vcan5"}}})'
    )
    board.sh(f"python3 -c '{call}'")
    follow(board, the_fix(board, "networks", "warning"))
    assert findings(board, "networks") == []
    assert "vcan5" not in board.interfaces()
    said = board.refused(f"python3 -m canwharf doctor --forget {id}")
    assert "'docker network rm bus0' removes it" in said
