"""The examples, run as they are: what a reader copies works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.world.board import Board

EXAMPLES = Path("/repo/examples")
IMAGE = "canwharf-can-utils"
# Compose would build it from examples/can-utils, of packages that the lab cannot fetch. The lab's
# own image has the same tools but one.
STAND_IN = f"""
container=$(docker create ecu) &&
docker cp -q -L /usr/bin/canplayer "$container:/bin/canplayer" &&
docker commit "$container" {IMAGE} && docker rm "$container"
"""


class Example:
    """One folder with a compose.yaml."""

    def __init__(self, board: Board, name: str) -> None:
        self.board = board
        self._compose = f"docker compose -f {EXAMPLES}/{name}/compose.yaml"

    def up(self) -> None:
        """Start it."""
        self.board.sh(f"{self._compose} up -d", timeout=180)

    def down(self) -> None:
        """Take it away."""
        self.board.sh(f"{self._compose} down -t 1", timeout=180)

    def heard(self, service: str, *frames: str) -> list[tuple[str, str]]:
        """What a service's candump has shown, as pairs of interface and frame.

        Returns when each of these (regular expressions on a line) is among it.
        """
        logs = f"{self._compose} logs --no-log-prefix {service}"
        for frame in frames:
            self.board.sh(
                f"timeout 60 sh -c 'until {logs} | grep -q \"{frame}\"; do :; done'", timeout=80
            )
        return re.findall(r"\)\s+(\S+) (\S+)", self.board.sh(logs))


@pytest.fixture
def example(board: Board, request: pytest.FixtureRequest) -> Iterator[Example]:
    """The example that a test names, up."""
    if board.guest.suite.name == "bookworm":
        pytest.skip("Debian 12 has no Compose v2")
    if not board.sh(f"docker images -q {IMAGE}"):
        board.sh(STAND_IN)
    made = Example(board, request.param)
    try:
        made.up()
        yield made
    finally:
        made.down()


def payloads(frames: list[tuple[str, str]], interface: str, id: str) -> list[int]:
    """The numbers that a counting sender sent, in the order in which they came."""
    parted = ((where, *frame.split("#")) for where, frame in frames)
    # cangen -D i counts in the first byte, and then in the next.
    return [
        int.from_bytes(bytes.fromhex(data), "little")
        for where, name, data in parted
        if (where, name) == (interface, id)
    ]


@pytest.mark.parametrize("example", ["logger"], indirect=True)
def test_three_ecus_and_a_logger_on_two_buses(example: Example) -> None:
    """The logger hears all three, each on its own bus, each frame once."""
    heard = example.heard("logger", "drive0 0C9", "drive0 0F1", "body0 340")
    assert {(where, frame.split("#")[0]) for where, frame in heard} == {
        ("drive0", "0C9"),
        ("drive0", "0F1"),
        ("body0", "340"),
    }
    for where, id in (("drive0", "0C9"), ("drive0", "0F1"), ("body0", "340")):
        counted = payloads(heard, where, id)
        assert counted == list(range(counted[0], counted[0] + len(counted)))


@pytest.mark.parametrize("example", ["gateway"], indirect=True)
def test_a_gateway_between_two_buses(example: Example) -> None:
    """The tester has its answers, and nothing else of the drive train."""
    heard = example.heard("tester", "diag0 7E8#04410C1AF8000000")
    assert {frame.split("#")[0] for _where, frame in heard} == {"7E0", "7E8"}
    asked = sum(frame.startswith("7E0") for _where, frame in heard)
    answered = sum(frame.startswith("7E8") for _where, frame in heard)
    assert answered <= asked


@pytest.mark.parametrize("example", ["firewall"], indirect=True)
def test_a_firewall_on_one_bus(example: Example) -> None:
    """Each hears what it may, and what it says itself; of what it may not, nothing arrives."""

    def ids(service: str, *frames: str) -> set[str]:
        heard = example.heard(service, *frames)
        return {frame.split("#")[0] for _where, frame in heard}

    assert ids("infotainment", "drive0 0C9", "drive0 123") == {"0C9", "123"}
    assert ids("tester", "diag0 7E8#04410C1AF8000000") == {"7E0", "7E8"}
    assert ids("engine", "drive0 7E0", "drive0 7E8") == {"0C9", "7E0", "7E8"}
    status = json.loads(example.board.sh("python3 -m canwharf status --json"))
    [bus] = (each for each in status["buses"] if each["interface"] == "vcan0")
    kept_back = {
        each["policy"]["send"]: each["frames_kept_back"]["send"]
        for each in bus["members"]
        if each["policy"]
    }
    assert kept_back.keys() == {"", "none", "7E0-7E7"}
    assert kept_back["none"] > 0


@pytest.mark.parametrize("example", ["faults"], indirect=True)
def test_trouble_on_purpose(example: Example) -> None:
    """Frames are lost, and none arrives twice; a fault is there while its command runs."""
    fault = "python3 -m canwharf fault add drive --from engine --id 0C9 --set data[1]=EE --for"
    wrong = example.board.guest.start(f"{fault} 60s")
    wrong.wait_for("engine")
    heard = example.heard("dashboard", "drive0 0C9#..EE")
    cleared = example.board.sh("python3 -m canwharf fault clear drive")
    assert "0C9: set data[1]=EE" in cleared
    assert wrong.wait(30).status == 0
    deadline = monotonic() + 60
    while True:  # until a fifth of them, by chance, was lost at least once
        heard = example.heard("dashboard", "drive0 0C9#")
        counted = payloads(heard, "drive0", "0C9")
        right = [number for number in counted if number >> 8 & 0xFF != 0xEE]
        assert len(set(right)) == len(right)
        if right and right[-1] - right[0] >= len(counted):
            break
        assert monotonic() < deadline, counted
    [bus] = json.loads(example.board.sh("python3 -m canwharf status --json"))["buses"]
    assert bus["impairment"]["loss_ppm"] == 200_000
    assert bus["impairment"]["frames_lost_on_purpose"] > 0


@pytest.mark.parametrize("example", ["adapter"], indirect=True)
def test_a_board_with_a_real_adapter(example: Example) -> None:
    """It is plugged in later, set to the right bit rate, and unplugged and plugged in again."""
    plug = ["python3", "-m", "tests.world.adapter", "--name", "can0", "--bitrate", "500000"]
    for frame in ("BEEF", "CAFE"):
        adapter = example.board.guest.start(plug, input=True)
        adapter.wait_for("plugged can0")
        # The wire goes on, with or without a receiver.
        deadline = monotonic() + 60
        while ("can0", f"456#{frame}") not in example.heard("logger"):
            assert monotonic() < deadline, example.board.state()
            adapter.write(f"t4562{frame}\n".encode())
        example.heard("logger", "can0 123#")
        adapter.write(b"")
        sent = adapter.wait(30).stdout.split()[2:]
        assert sent
        assert all(line.startswith("t1238") for line in sent)
