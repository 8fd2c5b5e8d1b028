"""What Prometheus is told of a board, and its node exporter."""

from __future__ import annotations

from pathlib import Path

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from lab.machine import REPOSITORY
from tests.world.board import UP, Board

WHERE = "127.0.0.1:9273"
FILE = "/run/canwharf/canwharf.prom"
ASK = f"import urllib.request as r; print(r.urlopen('http://{WHERE}/metrics').read().decode())"
FRAMES = "canwharf_frames_received_total"


def start(board: Board, where: str) -> None:
    """Canwharf with metrics; the guest has the library from this repository's environment."""
    packages = Path(prometheus_client.__file__).parents[1].relative_to(REPOSITORY)
    board.end_daemon("TERM")
    words = ["env", f"PYTHONPATH=/repo/src:/repo/{packages}", "python3", "-m", "canwharf", "serve"]
    board.daemon = board.guest.start([*words, "--metrics", where])
    board.daemon.wait_for("serving", UP)


def figures(text: str, name: str, **labels: str) -> list[float]:
    """The values of a name, of those that have these labels."""
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def test_asked_by_prometheus_and_in_a_file(board: Board) -> None:
    """Frames, recoveries, calls; and the daemon goes on as ever."""
    start(board, WHERE)
    id = board.network()
    board.container("ecu1")
    board.sh("cansend vcan0 123#11; cansend vcan0 123##122")
    board.sh("ip link del vcan0")
    board.daemon.wait_for("restored rules", 10)
    board.sh("cansend vcan0 123#33")
    told = board.sh(f'python3 -c "{ASK}"')
    assert figures(told, FRAMES, bus="vcan0", network_id=id) == [1]  # the others went with vcan0
    assert figures(told, "canwharf_recoveries_total", kind="bus-recreated") == [1]
    assert figures(told, "canwharf_call_duration_seconds_count", call="Join") == [1]
    assert figures(told, "canwharf_start_time_seconds")[0] > 0
    assert "_created" not in told
    start(board, FILE)
    board.sh(f"timeout 30 sh -c 'until test -e {FILE}; do :; done'")
    assert figures(board.sh(f"cat {FILE}"), FRAMES, bus="vcan0", network_id=id) == [1]
    board.assert_exactly_once("host:vcan0", board.member("ecu1"))
    board.end_daemon("TERM")
    board.start_daemon()
