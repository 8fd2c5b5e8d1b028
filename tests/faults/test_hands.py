"""What an operator breaks by hand, and when it is fixed; foreign objects are left alone."""

from __future__ import annotations

from time import monotonic

import pytest

from tests.faults.bench import (
    PATIENCE,
    REAL_PATIENCE,
    restart_daemon,
    start_all,
    start_impatient,
    wait_interfaces,
    whole,
)
from tests.faults.conftest import Keep
from tests.world.board import Board

NAMES = ("ecu1", "ecu2")


@pytest.fixture
def broken(board: Board) -> Board:
    """Two containers on a bus, and a daemon whose log is empty."""
    start_all(board, NAMES)
    restart_daemon(board)
    whole(board, *NAMES)
    return board


def ports(board: Board) -> list[str]:
    """The host ends of the containers' pairs."""
    return [name for name in board.interfaces() if name != "vcan0"]


def fixed(board: Board, command: str, words: str) -> float:
    """Break something; how long until the daemon says these words, in seconds."""
    assert words not in board.daemon.stderr
    board.sh(command)
    started = monotonic()
    board.daemon.wait_for(words, 3 * REAL_PATIENCE)
    return monotonic() - started


@pytest.mark.short
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ip link delete vcan0", "restored rules"),
        ("ip link set vcan0 down", "brought interface up again"),
    ],
)
def test_the_bus_interface_is_back_within_a_second(
    broken: Board, keep: Keep, command: str, words: str
) -> None:
    """Without a Join, and without anybody asking."""
    took = fixed(broken, command, words)
    keep("hands-" + command.replace(" ", "-"), took)
    assert took < 1.0
    whole(broken, *NAMES)


def test_a_pairs_host_end_that_was_set_down(broken: Board) -> None:
    assert fixed(broken, f"ip link set {ports(broken)[0]} down", "brought interface up") < 1.0
    whole(broken, *NAMES)


def test_a_deleted_pair_is_made_again_with_its_container(broken: Board) -> None:
    """The others keep talking; a daemon that was restarted does not know its namespace any more."""
    before = ports(broken)
    broken.end_daemon("KILL")
    start_impatient(broken)
    broken.sh(f"ip link delete {min(before)}")
    alive = [
        name
        for name in NAMES
        if broken.sh(f"docker exec {name} cat /sys/class/net/can0/type", check=False) == "280"
    ]
    assert len(alive) == 1
    whole(broken, *alive)
    [dead] = set(NAMES) - set(alive)
    broken.daemon.wait_for("garbage collecting an endpoint without container", 10 * PATIENCE)
    broken.sh(f"docker restart -t 0 {dead}")
    whole(broken, *NAMES)


def test_deleted_and_duplicate_rules_are_restored_by_a_resync_after_activity(
    broken: Board, keep: Keep
) -> None:
    """The kernel announces no rules, and a duplicate rule duplicates frames: so they are listed."""
    one, two = ports(broken)
    duplicates = f"cangw -A -s vcan0 -d {one} -i -l 1; cangw -A -X -s {two} -d vcan0 -e -i -l 1"
    deleted = f"cangw -D -s {one} -d vcan0 -e -i -l 1; cangw -D -X -s vcan0 -d {two} -i -l 1"
    broken.sh(f"{duplicates}; {deleted}", check=False)
    assert len(broken.rules()) == 24
    activity = "ip link add unrelated type vcan; ip link delete unrelated"
    took = fixed(broken, activity, "restored rules")
    assert took < REAL_PATIENCE + 5
    assert broken.daemon.stderr.count("removed duplicate gateway rule") == 2
    keep("hands-rules", took)
    whole(broken, *NAMES)


def test_other_peoples_rules_and_interfaces_stay(board: Board) -> None:
    """Through a bus's whole life, and a recovery."""
    board.sh(
        "ip link add mine0 type vcan; ip link add mine1 type vcan; ip link set mine0 up;"
        "ip link add cwh000000000000 type vcan; ip link add minev type vxcan peer name minep;"
        "ip link set mine1 alias 'canwharf other bus'"
    )
    own = ("cwh000000000000", "mine0", "mine1", "minep", "minev")
    start_all(board, NAMES)
    rules = (
        "-s mine0 -d mine1 -e",
        "-s mine0 -d mine1 -e -i",
        "-s mine0 -d mine1 -e -i",
        "-s mine1 -d vcan0 -e -f 123:7FF",
        f"-s mine0 -d {next(each for each in ports(board) if each not in own)} -e",
    )
    for rule in rules:
        board.sh(f"cangw -A {rule}", check=False)
    links = "; ".join(f"ip -d link show {name}" for name in own)
    before = board.sh(links)
    listed = [rule for rule in board.rules() if "mine" in rule]
    assert len(listed) == len(rules)
    board.sh("ip link delete vcan0")
    restart_daemon(board)
    board.container("ecu3")
    board.assert_exactly_once("host:vcan0", *(board.member(name) for name in (*NAMES, "ecu3")))
    now = [rule for rule in board.rules() if "mine" in rule]
    assert now == [rule for rule in listed if "vcan0" not in rule]  # that went with vcan0
    board.sh("docker rm -f ecu1 ecu2 ecu3; docker network rm bus0")
    assert board.sh(links) == before
    assert len([rule for rule in board.rules() if "mine" in rule]) == 3
    for name in ("mine0", "mine1", "minev", "cwh000000000000"):
        board.sh(f"ip link delete {name}")
    wait_interfaces(board, 0, 10)


def test_more_announcements_than_fit(broken: Board) -> None:
    """The kernel drops some; what they would have told is found by a new look at once."""
    number = 1500
    (broken.guest.share / "storm").write_text(
        "".join(f"link add storm{each} type vcan\n" for each in range(number))
        + "link delete vcan0\n"
        + "".join(f"link delete storm{each}\n" for each in range(number))
    )
    drops = "awk 'NR > 1 { n += $9 } END { print n }' /proc/net/netlink"
    before = int(broken.sh(drops))
    broken.sh("pkill -STOP -f '[c]anwharf serve'")
    broken.sh("ip -batch /share/storm")
    assert int(broken.sh(drops)) > before
    took = fixed(broken, "pkill -CONT -f '[c]anwharf serve'", "restored rules")
    assert took < 2.0
    whole(broken, *NAMES)
