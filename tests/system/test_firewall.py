"""What a container may send and receive, with real Docker: from its start on, and no way around."""

from __future__ import annotations

import json

import pytest

from tests.world.board import Board

# Write the state as version 0.2 does, which knows no policies.
FORGET = r"""sed -i -E 's/, "policy": \{[^}]*\}//g' /var/lib/canwharf/state.json"""
IDS = ("100", "1FF", "200", "7DF", "18FEF100")


def heard(board: Board, *members: str, packets: bool = False) -> list[list[str]]:
    """The ids that each of the others hears of the first, each once."""
    more = "--packets" if packets else ""
    words = f"python3 -m tests.world.said {' '.join(members)} --ids {' '.join(IDS)} {more}"
    told: list[dict[str, int]] = json.loads(board.sh(words))
    assert all(number == 1 for each in told for number in each.values())
    return [sorted(each) for each in told]


@pytest.fixture
def bus(board: Board) -> Board:
    """A bus where an infotainment container may say nothing and hear little; the gateway all."""
    board.network(options="-o can.name=can -o can.send=none -o can.receive=100-1ff+18FEF100")
    board.container("infotainment")
    all_ids = "driver-opt=can.send=all,driver-opt=can.receive=all"
    board.container("gateway", network=f"name=bus0,{all_ids}")
    board.container("logger", network="name=bus0,driver-opt=can.receive=all")
    return board


def test_a_gateway_and_an_infotainment_container(bus: Board) -> None:
    """The network's words, and one container's own; after a restart of each, too.

    The last is a daemon of version 0.2 in between.
    """
    for again in (
        "true",
        "docker restart -t 0 infotainment gateway",
        "pkill -9 -f '[c]anwharf serve'",
        f"pkill -9 -f '[c]anwharf serve'; {FORGET}",
    ):
        if again.startswith("pkill"):
            bus.sh(again)
            bus.start_daemon()
        else:
            bus.sh(again)
        gateway, info, logger = map(bus.member, ("gateway", "infotainment", "logger"))
        assert heard(bus, gateway, "host:vcan0", info, logger) == [
            sorted(IDS),
            ["100", "18FEF100", "1FF"],
            sorted(IDS),
        ]
        assert heard(bus, info, "host:vcan0", gateway, logger) == [[], [], []]
        assert heard(bus, "host:vcan0", gateway, info)[1] == ["100", "18FEF100", "1FF"]
    bus.sh("docker restart -t 0 infotainment")
    assert heard(bus, bus.member("infotainment"), "host:vcan0") == [[]]
    bus.end_daemon("TERM")
    bus.start_daemon()


def test_it_is_changed_while_it_runs(bus: Board) -> None:
    """At once; it says what was before, and the next start has the options again."""
    member = bus.member("infotainment")
    said = bus.sh("python3 -m canwharf filter bus0 infotainment --send 100+7DF")
    assert "before: none" in said
    assert "back: canwharf filter bus0 infotainment --send none" in said
    assert 'driver_opts: {can.send: "100+7DF"}' in said
    assert heard(bus, member, "host:vcan0") == [["100", "7DF"]]
    shown = json.loads(bus.sh("python3 -m canwharf filter bus0 infotainment --json"))
    assert shown["after"] == {"send": "100+7DF", "receive": "100-1FF+18FEF100", "rate": ""}
    assert shown["kept_back"]["send"] == 3
    text = bus.sh("python3 -m canwharf status")
    assert "may send 100+7DF (3 kept back)" in text
    dry = bus.sh("python3 -m canwharf filter bus0 infotainment --send all --dry-run")
    assert "would" in dry
    assert heard(bus, member, "host:vcan0") == [["100", "7DF"]]
    bus.sh("docker restart -t 0 infotainment")
    assert heard(bus, bus.member("infotainment"), "host:vcan0") == [[]]
    bus.sh("docker stop -t 0 infotainment")
    pasted = [line for line in said.splitlines() if line.startswith("  docker network ")]
    bus.sh(" && ".join(pasted))
    bus.sh("docker start infotainment")
    for again in ("true", "docker restart -t 0 infotainment"):  # Docker keeps what was pasted
        bus.sh(again)
        assert heard(bus, bus.member("infotainment"), "host:vcan0") == [["100", "7DF"]]


def test_a_container_on_a_bus_by_two_networks(bus: Board) -> None:
    """Each of its interfaces has a policy of its own: the network says which is meant."""
    bus.network("second", "-o can.interface=vcan0 -o can.name=two")
    bus.sh("docker network connect second infotainment")
    told = bus.refused("python3 -m canwharf filter vcan0 infotainment --send 100")
    assert "give one of its networks in place of the bus (bus0, second)" in told
    bus.sh("python3 -m canwharf filter second infotainment --send 200 --rate off")
    assert "rate" not in bus.sh("python3 -m canwharf filter second infotainment")
    assert "off" not in bus.sh("python3 -m canwharf status")
    member = bus.member("infotainment")
    assert heard(bus, member, "host:vcan0") == [[]]
    assert heard(bus, member.replace("can0", "two0"), "host:vcan0") == [["200"]]


REFUSED = {
    "nothere infotainment": "there is no bus nothere",
    "bus0 nothere": "there is no container nothere",
    "bus0": "say the bus and the container",
    "bus0 infotainment --send 1234": "1234 has 4 digits",
    "bus0 infotainment --send ''": "--send is empty",
    "bus0 infotainment --rate fast": "frames a second",
    "bus0 infotainment --dry-run": "needs a change",
}


def test_what_is_refused(bus: Board) -> None:
    """With what is wrong, and nothing is changed."""
    for words, reason in REFUSED.items():
        assert reason in bus.refused(f"python3 -m canwharf filter {words}"), words
    assert heard(bus, bus.member("infotainment"), "host:vcan0") == [[]]


def test_a_network_or_container_with_bad_words_is_refused(bus: Board) -> None:
    """By Docker, with our sentence."""
    made = "docker network create -d canwharf --ipam-driver null -o can.interface=vcan7"
    assert "1234 has 4 digits" in bus.refused(f"{made} -o can.send=1234 bus7")
    run = "docker run --rm --network name=bus0,driver-opt=can.send=pgn:1FFFFF ecu true"
    assert "pgn:1FFFFF" in bus.refused(run)


def test_there_is_no_way_around_it(bus: Board) -> None:
    """A container with CAP_NET_ADMIN: packets, tc, other links, rules and namespaces of its own."""
    bus.container("attacker", more="--cap-add NET_ADMIN --cap-add NET_RAW")
    attacker, logger = bus.member("attacker"), bus.member("logger")
    inside = f"nsenter -t {attacker.partition(':')[0]} -n"
    for attempt in (
        "true",
        "tc qdisc add dev can0 clsact",
        "tc qdisc del dev can0 clsact",
        "ip link set can0 down; ip link set can0 up",
        "ip link set can0 alias x; ip link set can0 name can5; ip link set can5 name can0",
        (
            "ip link add vx0 type vxcan peer name vx1; ip link set vx0 up; ip link set vx1 up; "
            "cangw -A -s vx1 -d can0 -e"
        ),
        "ip netns add other; ip link add vy0 type vxcan peer name vy1 netns other",
    ):
        bus.sh(f"{inside} sh -c '{attempt}'", check=False)
        assert heard(bus, attacker, "host:vcan0", logger) == [[], []], attempt
        assert heard(bus, attacker, "host:vcan0", logger, packets=True) == [[], []], attempt
        assert heard(bus, "host:vcan0", attacker) == [["100", "18FEF100", "1FF"]], attempt
