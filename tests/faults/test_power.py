"""What a user has again when the power is cut at whatever moment: all that Docker knows."""

from __future__ import annotations

import json
import os
import random
import threading
from typing import Any, NamedTuple

import pytest

from tests.faults.conftest import Keep
from tests.world.board import Board, wait_running

LONGEST = 9.0  # seconds from the workload's beginning to the cut; a turn takes about three

STEADY = ("steady1", "steady2")  # containers that are there all the while, on a bus of their own

# Networks and containers come and go, as fast as Docker can.
WORKLOAD = """
n=0
while :; do
    n=$((n+1))
    docker network create -d canwharf --ipam-driver null -o can.interface=vcan$((n%3)) \
        -o can.name=can work$n || :
    docker run -d --network work$n --name box$n ecu sleep 100000 || :
    [ $((n%2)) = 0 ] || docker rm -f box$n
    [ $((n%2)) = 0 ] || docker network rm work$n || :
    old=$((n-4))
    if [ $old -gt 0 ]; then docker rm -f box$old || :; docker network rm work$old || :; fi
done >/dev/null 2>&1
"""

REMOVE_OTHERS = "docker network ls -q -f driver=canwharf -f name=work | xargs -r docker network rm"


class Found(NamedTuple):
    """What there was after a boot: networks Docker knows, unknown to us, known to us alone."""

    moment: float
    docker: int
    forgotten: int
    ghosts: int


def known_to_docker(board: Board) -> set[str]:
    """Docker's networks of this driver."""
    listed = board.sh("docker network ls -q --no-trunc --filter driver=canwharf")
    return set(listed.split())


def on_disk(board: Board) -> set[str]:
    """Our networks on disk."""
    text = board.sh("cat /var/lib/canwharf/state.json 2>/dev/null || echo '{\"networks\": {}}'")
    content: dict[str, Any] = json.loads(text)
    return set(content["networks"])


def one_cut(board: Board, moment: float) -> Found:
    """Cut the power this long after the workload's beginning, boot, and see."""
    board.guest.start(["/bin/sh", "-c", WORKLOAD])
    threading.Event().wait(moment)  # nothing to wait for: any moment is as good
    board.guest.power_cut()
    board.guest.boot()
    board.start()
    wait_running(board, *STEADY)
    docker, ours = known_to_docker(board), on_disk(board)
    found = Found(moment, len(docker), len(docker - ours), len(ours - docker))
    assert docker <= ours, f"forgotten: {docker - ours}\n{board.state()}"
    everything_works(board, sorted(docker))
    board.sh(f"docker ps -aq -f name=box -f name=probe | xargs -r docker rm -f; {REMOVE_OTHERS}")
    return found


def everything_works(board: Board, networks: list[str]) -> None:
    """A container on each network; on each bus every frame arrives exactly once."""
    board.sh("docker ps -aq -f name=box | xargs -r docker rm -f")
    interfaces = {"vcan9": [board.member(name) for name in STEADY]}
    inspect = "docker network inspect -f '{{index .Options \"can.interface\"}}'"
    for place, network in enumerate(networks):
        board.container(f"probe{place}", network)
        interface = board.sh(f"{inspect} {network}")
        interfaces.setdefault(interface, []).append(board.member(f"probe{place}"))
    for interface, members in interfaces.items():
        board.assert_exactly_once(f"host:{interface}", *members)


def cuts(board: Board, number: int) -> list[Found]:
    """Many cuts in a row, on the same disk."""
    seed = int(os.environ.get("CANWHARF_SEED", random.SystemRandom().randrange(1 << 32)))
    moments = random.Random(seed)
    print(f"CANWHARF_SEED={seed}")  # noqa: T201 (shown by pytest when it fails, or with -s)
    board.network("steady", "-o can.interface=vcan9 -o can.name=can")
    for name in STEADY:
        board.container(name, "steady", "--restart always")
    board.sh("sync")  # Docker does not fsync that a container runs
    found = []
    for _cut in range(number):
        found.append(one_cut(board, moments.uniform(0.0, LONGEST)))
        print(found[-1], flush=True)  # noqa: T201
    return found


@pytest.mark.short
def test_a_power_cut_at_some_moment(fresh: Board) -> None:
    cuts(fresh, 1)


def test_power_cuts(fresh: Board, keep: Keep) -> None:
    """CANWHARF_CUTS of them; the ghosts are counted, as Docker never mentions them again."""
    number = int(os.environ.get("CANWHARF_CUTS", "50"))
    found = cuts(fresh, number)
    figures = {
        "cuts": number,
        "networks Docker knew": sum(each.docker for each in found),
        "forgotten": sum(each.forgotten for each in found),
        "ghosts after the last": found[-1].ghosts,
        "each": [each._asdict() for each in found],
    }
    print(figures)  # noqa: T201
    keep("power_cuts", figures)
