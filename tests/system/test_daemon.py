"""What a user keeps when the daemon ends, in whatever way."""

from __future__ import annotations

import json
from time import monotonic

from tests.world.board import SOCKET, Board


def test_killed_with_containers_running(board: Board) -> None:
    """They keep talking, and the next container reaches all of them."""
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    board.end_daemon("KILL")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))
    board.start_daemon()
    board.container("ecu3")
    members = [board.member(name) for name in ("ecu1", "ecu2", "ecu3")]
    board.assert_exactly_once("host:vcan0", *members)
    assert len(board.rules()) == 36


def test_ended_in_order_with_containers_running(board: Board) -> None:
    board.network()
    board.container("ecu1")
    before = board.interfaces(), board.rules()
    started = monotonic()
    done = board.end_daemon("TERM")
    assert done.status == 0
    assert monotonic() - started < 2  # with the guest's own pkill
    assert (board.interfaces(), len(board.rules())) == (before[0], len(before[1]))
    board.assert_exactly_once("host:vcan0", board.member("ecu1"))
    board.start_daemon()
    board.container("ecu2")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))


def test_a_container_that_went_while_the_daemon_was_away(board: Board) -> None:
    """Docker removes it without us; nothing of it is left when we are back."""
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    board.end_daemon("KILL")
    removal = board.guest.start("docker rm -f ecu1")
    board.start_daemon()
    removal.wait(60, check=False)
    board.sh("docker rm -f ecu1", check=False)
    board.assert_exactly_once("host:vcan0", board.member("ecu2"))


def test_a_second_daemon_is_refused_and_steals_nothing(board: Board) -> None:
    for options in ("", "--state-dir /tmp/other", "--state-dir /tmp/x --socket /tmp/canwharf.sock"):
        said = board.refused(f"python3 -m canwharf serve {options}")
        assert "another daemon serves the driver canwharf" in said
    said = board.refused("python3 -m canwharf serve --socket /tmp/other.sock")
    assert "another daemon keeps its state in /var/lib/canwharf" in said
    board.network()
    assert board.interfaces() == ["vcan0"]


def test_the_socket_is_roots_alone_and_a_stale_one_is_replaced(board: Board) -> None:
    assert board.sh(f"stat -c %a:%U {SOCKET}") == "600:root"
    board.end_daemon("KILL")
    assert board.sh(f"test -S {SOCKET} && echo stale") == "stale"
    board.start_daemon()
    assert board.sh(f"stat -c %a:%U {SOCKET}") == "600:root"
    board.network()


def test_served_under_the_ancestors_name(board: Board) -> None:
    """Networks that were made under another driver's name are served by another socket."""
    socket = "/run/docker/plugins/rustyvxcan.sock"
    options = ("--socket", socket, "--state-dir", "/var/lib/rusty")
    other = board.guest.start(["python3", "-m", "canwharf", "serve", *options])
    other.wait_for("driver=rustyvxcan", 30)
    board.sh("docker network create -d rustyvxcan -o vxcan.peer=can -o vxcan.dev=old old")
    board.container("ecu1", "old")
    board.network()
    board.container("ecu2")
    board.assert_exactly_once("host:old0", board.member("ecu1"))
    board.assert_exactly_once("host:vcan0", board.member("ecu2"))
    board.sh("docker rm -f ecu1 && docker network rm old")
    other.kill()


def test_the_bus_is_healed_when_its_interface_is_deleted(board: Board) -> None:
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    board.sh("ip link del vcan0")
    board.daemon.wait_for("recreated bus interface", 10)
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))


def test_the_state_is_one_file_that_a_person_can_read(board: Board) -> None:
    id = board.network(options="-o can.interface=vcan7 -o can.name=can")
    content = json.loads(board.sh("cat /var/lib/canwharf/state.json"))
    assert content["networks"][id]["interface"] == "vcan7"
    board.sh("docker network rm bus0")
    assert json.loads(board.sh("cat /var/lib/canwharf/state.json"))["networks"] == {}


def findings(board: Board, options: str = "") -> dict[str, dict[str, str]]:
    """The doctor's line for each check (the last one)."""
    done = board.guest.run(f"python3 -m canwharf doctor --json {options}", check=False)
    return {each["check"]: each for each in json.loads(done.stdout)["findings"]}


def test_a_state_elsewhere_is_found_without_an_option(board: Board) -> None:
    """The daemon says where it is. By any other one, what is in use would be removed."""
    board.end_daemon("TERM")
    board.start_daemon("--state-dir", "/data/canwharf")
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    for verb in ("status", "graph"):
        assert "ecu1" in board.sh(f"python3 -m canwharf {verb}")
    state = findings(board)["state"]
    assert (state["level"], state["message"]) == ("ok", "/data/canwharf/state.json is readable")
    nothing = "nothing to do: all is as it should be"
    assert board.sh("python3 -m canwharf sync --dry-run") == nothing
    assert board.sh("python3 -m canwharf sync") == nothing
    wrong = "--state-dir /var/lib/canwharf"
    told = "keeps its state in /data/canwharf, not in /var/lib/canwharf"
    for dry in ("", "--dry-run"):
        assert told in board.refused(f"python3 -m canwharf sync {dry} {wrong}")
    assert told in board.sh(f"python3 -m canwharf status {wrong}")
    state = findings(board, wrong)["state"]
    assert (state["level"], state["fix"]) == ("failure", "canwharf doctor")
    assert told in state["message"]
    members = [board.member(name) for name in ("ecu1", "ecu2")]
    board.assert_exactly_once("host:vcan0", *members)
    board.clean()
    board.end_daemon("TERM")
    board.start_daemon()


def test_the_only_daemon_is_found_without_its_name(board: Board) -> None:
    """And what is printed for it is for it, also when canwharf is back."""
    board.end_daemon("TERM")
    board.sh("rm -f /var/lib/canwharf/state.json")  # nothing of it is there
    options = ("--socket", "/run/docker/plugins/rustyvxcan.sock", "--state-dir", "/data/rusty")
    other = board.guest.start(["python3", "-m", "canwharf", "serve", *options])
    other.wait_for("driver=rustyvxcan", 30)
    board.sh("docker network create -d rustyvxcan -o vxcan.peer=can -o vxcan.dev=old old")
    board.container("ecu1", "old")
    board.sh("cangw -F", check=False)
    shown = board.sh("python3 -m canwharf status")
    assert shown.startswith("rustyvxcan: the daemon runs")
    board.start_daemon()
    command = "canwharf sync --driver-name rustyvxcan"
    assert f"'{command}' would:" in shown
    board.sh(f"python3 -m {command}")
    board.assert_exactly_once("host:old0", board.member("ecu1"))
    board.sh("docker rm -f ecu1 && docker network rm old")
    other.kill()
