"""`canwharf sync` on a board: what was deleted by hand is back at once."""

from __future__ import annotations

import json

from tests.world.board import Board


def disturb(board: Board) -> None:
    """Rules deleted or duplicated by hand, and an unowned bus interface."""
    board.sh(
        "cangw -L | sed -n 's/.*cangw -A \\(.*\\) # .*/\\1/p' >/tmp/rules; "
        "sed -n 1,5p /tmp/rules | while read -r rule; do cangw -D $rule; done; "
        "sed -n 6p /tmp/rules | while read -r rule; do cangw -A $rule; done; "
        "ip link add vcan9 type vcan && ip link set vcan9 alias 'canwharf canwharf bus'"
    )


def assert_fixed(board: Board) -> None:
    assert len(board.rules()) == 24
    assert "vcan9" not in board.interfaces()
    members = [board.member(name) for name in ("ecu1", "ecu2")]
    board.assert_exactly_once("host:vcan0", *members)
    nothing = "nothing to do: all is as it should be"
    assert board.sh("python3 -m canwharf sync") == nothing
    assert board.sh("python3 -m canwharf sync --dry-run") == nothing


def test_with_the_daemon_and_without_it(board: Board) -> None:
    """A daemon that runs would not notice for a minute; one that is stopped, not at all."""
    board.network()
    # A daemon that began without a state looks at everything when Docker tells its networks, some
    # seconds later: in the middle of this. One that finds a state asks before it serves.
    board.end_daemon("TERM")
    board.start_daemon()
    board.container("ecu1")
    board.container("ecu2")
    for stopped in (False, True):
        if stopped:
            board.end_daemon("TERM")
        disturb(board)
        dry = board.guest.run("python3 -m canwharf sync --dry-run --json", check=False)
        assert dry.status == 3, dry
        told = json.loads(dry.stdout)
        assert (told["dry_run"], told["errors"]) == (True, [])
        assert "delete unowned interface vcan9" in told["changes"]
        assert len(board.rules()) == 20
        done = json.loads(board.sh("python3 -m canwharf sync --json"))
        assert done == {"dry_run": False, "changes": told["changes"], "errors": []}
        assert_fixed(board)
    board.start_daemon()


def test_without_a_state_nothing_is_removed(board: Board) -> None:
    """All our interfaces would be unowned."""
    board.network()
    board.end_daemon("TERM")
    said = board.refused("python3 -m canwharf sync --state-dir /tmp/none")
    assert "No such file: no network was created yet, or the state was lost" in said
    assert "'canwharf doctor' says how to start one" in said
    assert board.interfaces() == ["vcan0"]
    board.start_daemon()
