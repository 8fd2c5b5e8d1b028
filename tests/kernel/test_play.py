"""`canwharf play`: a recorded bus again, and the rest of it around one real container."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from time import monotonic

import pytest

from canwharf.frames import formats
from canwharf.frames.frame import Frame
from tests.kernel.seen import EFF, RTR, N, frame_of, start
from tests.kernel.site import Site
from tests.world.host import LIMIT, run, wait_until
from tests.world.member import raw_socket

FRAMES = [
    Frame(1_000_000_000, "bus0", "ecu1", 0x123, b"\x01"),
    Frame(1_010_000_000, "bus0", "ecu2", 0x18FEF100 | EFF, bytes(8)),
    Frame(1_010_500_000, "bus0", "ecu2", 0x42, bytes(range(12)), 1),
    Frame(1_011_000_000, "bus0", "host", 0x7FF | RTR, bytes(4)),
    Frame(1_012_000_000, "bus0", "ecu1", 0x20000004, bytes(8)),
    Frame(1_500_000_000, "bus0", "ecu1", 0x123, b"\x02"),
]

Play = Callable[..., "subprocess.Popen[str]"]
Ears = list[socket.socket]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "drive.log"
    writer = formats.create(str(path))
    writer.write(FRAMES)
    writer.close()
    return path


@pytest.fixture(name="bus")
def _bus(site: Site) -> Site:
    site.network(N)
    site.start(N, "e1", "e2")
    return site


@pytest.fixture(name="play")
def _play(bus: Site, stack: ExitStack) -> Play:
    """Starts the command."""

    def started(*words: str) -> subprocess.Popen[str]:
        return start(bus, stack, "play", *words)

    return started


@pytest.fixture(name="ears")
def _ears(bus: Site, stack: ExitStack) -> Ears:
    """A socket in each of the two containers."""
    sockets = [stack.enter_context(closing(raw_socket(each))) for each in bus.members()[1:]]
    for each in sockets:
        each.setblocking(False)
    return sockets


def received(member: socket.socket) -> list[tuple[int, bytes]]:
    """What a container has received, with the id of each."""
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(parsed(member.recv(72)))
    return found


def parsed(frame: bytes) -> tuple[int, bytes]:
    """The id and the data."""
    return int.from_bytes(frame[:4], sys.byteorder), frame[8 : 8 + frame[4]]


def test_all_is_sent_again_in_its_time(ears: Ears, play: Play, path: Path) -> None:
    """Each container receives each frame once, in its order; the bus needed half a second."""
    begun = monotonic()
    said = play(str(path), "--bus", "bus0").communicate(timeout=LIMIT)
    assert said == ("sent 5 frames on vcan0\n", "")
    assert monotonic() - begun > 0.5
    for each in ears:
        assert received(each) == [(frame[3], frame[4]) for frame in FRAMES if not frame.error]


def test_the_rest_of_the_bus_around_a_real_container(ears: Ears, play: Play, path: Path) -> None:
    """What the recorded ecu2 sent is left out, as the real one is there."""
    words = "--bus", "vcan0", "--without", "ecu2", "--speed", "100", "--json"
    out, _err = play(str(path), *words).communicate(timeout=LIMIT)
    told = json.loads(out)
    assert (told["frames"], told["left_out"]) == (3, 3)
    assert [id for id, _data in received(ears[1])] == [0x123, 0x7FF | RTR, 0x123]


def test_the_real_container_answers_in_place_of_the_recorded_one(
    ears: Ears, play: Play, tmp_path: Path
) -> None:
    """A recorded tester asks, ecu2 answers: once to each question, and with its own words."""
    path = tmp_path / "session.log"
    writer = formats.create(str(path))
    for number in range(20):
        at = number * 5_000_000
        writer.write([Frame(at, "bus0", "tester", 0x7E0, bytes([number]))])
        writer.write([Frame(at + 1_000_000, "bus0", "ecu2", 0x7E8, b"recorded")])
    writer.close()
    process = play(str(path), "--bus", "bus0", "--without", "ecu2")
    ears[1].settimeout(LIMIT)
    for number in range(20):
        assert parsed(ears[1].recv(72)) == (0x7E0, bytes([number]))
        ears[1].send(frame_of(0x7E8, bytes([number]), None))
    assert process.communicate(timeout=LIMIT) == ("sent 20 frames on vcan0\n", "")
    found = received(ears[0])
    assert [data for id, data in found if id == 0x7E0] == [bytes([n]) for n in range(20)]
    assert [data for id, data in found if id == 0x7E8] == [bytes([n]) for n in range(20)]
    assert len(found) == 40


def test_a_recording_that_is_cut_is_played_up_to_there(ears: Ears, play: Play, path: Path) -> None:
    """And it says so."""
    path.write_bytes(path.read_bytes()[:-3])
    said = play(str(path), "--bus", "bus0").communicate(timeout=LIMIT)
    assert said == (
        "sent 4 frames on vcan0\n",
        f"canwharf: {path}: line 6 is not complete\n",
    )
    assert [id for id, _data in received(ears[0])] == [each.can_id for each in FRAMES[:4]]


def test_it_goes_on_until_it_is_interrupted(ears: Ears, play: Play, path: Path) -> None:
    process = play(str(path), "--bus", "bus0", "--from", "ecu1", "--loop", "--speed", "50")
    got: list[tuple[int, bytes]] = []

    def enough() -> bool:
        got.extend(received(ears[0]))
        return len(got) > 6

    wait_until(enough)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 128 + signal.SIGINT
    assert [data for _id, data in got[:4]] == [b"\x01", b"\x02"] * 2


@pytest.fixture(name="foreign")
def _foreign(tmp_path: Path) -> Path:
    """What candump has recorded: no senders."""
    path = tmp_path / "candump.log"
    ids = "123#01", "18FEF100#", "042##10102", "123#R", "7FF#"
    path.write_text("".join(f"(1.{number:06}) can0 {id}\n" for number, id in enumerate(ids)))
    return path


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("--map", "engine=123", "--map", "rest=~123", "--without", "engine"), [1, 2, 3, 4]),
        (("--map", "engine=123", "--map", "rest=~123", "--from", "engine"), [0]),
        (("--nodes", "vehicle.dbc", "--map", "x=7FF", "--without", "Engine"), [2, 3, 4]),
    ],
)
def test_a_recording_without_senders(
    ears: Ears, play: Play, foreign: Path, words: tuple[str, ...], sent: list[int]
) -> None:
    """They are mapped by hand, or by the nodes of a DBC file; a remote frame is another's."""
    dbc = foreign.parent / "vehicle.dbc"
    dbc.write_text(
        'VERSION ""\nBO_ 291 A: 1 Engine\nBO_ 2566844672 B: 1 Engine\nBO_ 66 C: 2 Doors\n'
    )
    words = tuple(str(dbc) if each == dbc.name else each for each in words)
    process = play(str(foreign), "--bus", "bus0", *words)
    assert process.communicate(timeout=LIMIT) == (f"sent {len(sent)} frames on vcan0\n", "")
    ids = [0x123, 0x18FEF100 | EFF, 0x42, 0x123 | RTR, 0x7FF]
    assert [id for id, _data in received(ears[0])] == [ids[each] for each in sent]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--without", "ecu1"), "nothing says who sent 042+123+7FF+18FEF100; say it, as in --map"),
        (("--without", "a", "--map", "b=~999+~~", "--map", "a=123"), "--map b"),
        (("--without", "a", "--map", "b=042-7FF", "--map", "a=123"), "123 has the senders b, a"),
        (("--without", "c", "--map", "a=123", "--map", "b=~123"), "c sent nothing in it; there ar"),
        (("--map", "a=123"), "say whom by --without or --from"),
        (("--without", "a", "--nodes", "/none.dbc"), "/none.dbc: No such file"),
    ],
)
def test_senders_that_are_not_clear(
    ears: Ears, play: Play, foreign: Path, words: tuple[str, ...], reason: str
) -> None:
    """Nothing is sent: the real container would hear frames that are its own."""
    process = play(str(foreign), "--bus", "bus0", *words)
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode in (1, 2)
    assert reason in err
    assert received(ears[0]) == []


def test_it_ends_while_an_adapter_takes_nothing(
    play: Play, tmp_path: Path, stack: ExitStack
) -> None:
    """In bus-off, with a long queue: the queue stands, and Ctrl-C is heard."""
    path = tmp_path / "long.log"
    writer = formats.create(str(path))
    writer.write([FRAMES[0]] * 2000)
    writer.close()
    stack.callback(run, "tc", "qdisc", "delete", "dev", "vcan0", "root")
    slowly = "tbf", "rate", "8bit", "burst", "100", "limit", "1000000"
    run("tc", "qdisc", "add", "dev", "vcan0", "root", *slowly)
    process = play(str(path), "--bus", "vcan0", "--json")
    waiting = [0]

    def stands() -> bool:
        shown = run("tc", "-s", "qdisc", "show", "dev", "vcan0")
        waiting.extend(map(int, re.findall(r"backlog \w+ (\d+)p", shown)))
        return waiting[-1] > 0 and waiting[-3:] == waiting[-1:] * 3

    wait_until(stands)
    process.send_signal(signal.SIGINT)
    out, _err = process.communicate(timeout=LIMIT)
    told = json.loads(out)
    assert process.returncode == 128 + signal.SIGINT
    assert told["frames"] < 2000


def test_where_it_cannot_go_on_it_says_how_far_it_was(ears: Ears, play: Play, path: Path) -> None:
    """A bus of classic CAN: what was sent until then is known, and why no more."""
    for words in ("down", "mtu 16", "up"):
        run("ip", "link", "set", "vcan0", *words.split())
    _out, err = play(str(path), "--bus", "vcan0").communicate(timeout=LIMIT)
    assert err == (
        "canwharf: sent 2 frames on vcan0, and then no more\n"
        "canwharf: cannot send a frame on vcan0: Invalid argument; it carries no CAN FD frames\n"
    )
    assert [id for id, _data in received(ears[0])] == [0x123, 0x18FEF100 | EFF]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "say the file and the bus"),
        (("--bus", "bus7"), "bus7"),
        (("--bus", "bus0", "--without", "ecu9"), "ecu9 sent nothing in it; there are: ecu1, ecu2"),
        (("--bus", "bus0", "--recorded", "bus5"), "nothing was recorded on bus5"),
        (("--bus", "bus0", "--speed", "nan"), "--speed nan: must be a number"),
        (("--bus", "bus0", "--from", "ecu1", "--without", "ecu1"), "all that it has is left out"),
    ],
)
def test_what_cannot_be_is_refused(
    ears: Ears, play: Play, path: Path, words: tuple[str, ...], reason: str
) -> None:
    """And nothing is sent."""
    process = play(str(path), *words)
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode in (1, 2)
    assert reason in err
    assert received(ears[0]) == []
