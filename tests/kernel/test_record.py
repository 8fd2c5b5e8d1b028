"""`canwharf record` as its user meets it: real frames, a file with their senders, a full disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from canwharf.frames.formats import Recording
from tests.kernel.seen import PACKAGES, N, burst, end, raw_listeners, start
from tests.kernel.site import Site
from tests.kernel.test_dump import say
from tests.world.host import LIMIT, wait_until

SAID = [
    ("ecu1", 0x123),
    ("ecu2", 0x98FEF100),
    ("host", 0x400007FF),
    ("ecu2", 0x42),
    ("ecu2", 0x123),
]
sys.path.extend(PACKAGES)  # python-can, which reads some of the formats


@pytest.fixture(name="bus")
def _bus(site: Site) -> Site:
    """A bus with two containers."""
    site.network(N)
    site.start(N, "e1", "e2")
    return site


def record(bus: Site, stack: ExitStack, *words: str) -> subprocess.Popen[str]:
    """The command, when it listens."""
    process = start(bus, stack, "record", *words)
    there = bus.port(N, "e2")
    wait_until(lambda: raw_listeners(there) > 0 or process.poll() is not None)
    return process


def recorded(path: Path) -> list[tuple[str, int]]:
    """Who sent which id; error frames aside, which not every format has."""
    recording = Recording(str(path))
    found = [(each.sender, each.can_id) for each in recording if not each.error]
    assert recording.cut == ""
    return found


@pytest.mark.parametrize("ending", ["log", "asc", "blf", "csv", "db"])
def test_a_file_has_each_frame_once_with_its_sender(
    bus: Site, stack: ExitStack, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"drive.{ending}"
    process = record(bus, stack, "bus0", "-o", str(path))
    say(bus.members())
    status, out, err = end(process, signal.SIGTERM)
    assert (status, err) == (0, "")
    assert f"{path}: 6 frames of 3 senders" in out
    assert recorded(path) == SAID


def test_it_ends_after_so_many_frames_and_tells_a_machine(
    bus: Site, stack: ExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "drive.log"
    process = record(bus, stack, "-o", str(path), "-n", "2", "--json")
    say(bus.members())
    out, _err = process.communicate(timeout=LIMIT)
    told = json.loads(out)
    assert (process.returncode, told["frames"], told["left_out"], told["lost"]) == (0, 2, 0, [])
    assert told["channels"] == [{"bus": "bus0", "sender": each} for each in ("ecu1", "ecu2")]
    assert recorded(path) == SAID[:2]


def test_a_full_disk_keeps_what_there_was_room_for(
    bus: Site, stack: ExitStack, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", tmp_path], check=True)
    stack.callback(subprocess.run, ["umount", "-l", str(tmp_path)], check=True)
    path = tmp_path / "drive.log"
    process = record(bus, stack, "bus0", "-o", str(path))
    while process.poll() is None:
        say(bus.members())
    assert process.returncode == 1
    assert process.stderr
    assert f"cannot write {path}: No space left on device" in process.stderr.read()
    whole = recorded(path)
    assert len(whole) > 100
    for sender in ("ecu1", "ecu2", "host"):
        ids = [id for who, id in whole if who == sender]
        said = [id for who, id in SAID if who == sender]
        assert ids == (said * len(ids))[: len(ids)], sender


def test_it_goes_on_in_another_file_without_a_loss(
    bus: Site, stack: ExitStack, tmp_path: Path
) -> None:
    """Frames come as fast as the kernel takes them, over the ends of several files."""
    words = "bus0", "-o", str(tmp_path / "drive.log"), "--rotate-size", "64K", "--json"
    process = record(bus, stack, *words)
    burst(bus.members()[1], 0x100, sent := 10_000)
    say(bus.members())
    status, out, err = end(process, signal.SIGTERM)
    told = json.loads(out)
    assert (status, told["lost"], err) == (0, [], "")
    assert told["files"] == sorted(str(each) for each in tmp_path.glob("drive-*.log"))
    assert len(told["files"]) > 2
    found = [each for path in told["files"] for each in recorded(Path(path))]
    assert found == [("ecu1", 0x100)] * sent + SAID


def test_a_full_disk_keeps_the_files_before(bus: Site, stack: ExitStack, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", tmp_path], check=True)
    stack.callback(subprocess.run, ["umount", "-l", str(tmp_path)], check=True)
    process = record(bus, stack, "-o", str(tmp_path / "drive.csv"), "--rotate-size", "64K")
    while process.poll() is None:
        burst(bus.members()[1], 0x100, 100)
    assert process.returncode == 1
    assert process.stderr
    assert "No space left on device" in process.stderr.read()
    files = sorted(tmp_path.glob("drive-????.csv"))
    assert len(files) > 2
    assert all(recorded(each) for each in files[:-1])
    assert {each.sender for each in Recording(str(files[-1]))} <= {"ecu1"}  # it can be read


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("bus0",), "say the file"),
        (("bus0", "-o", "drive.xyz"), "its ending says no format: .log"),
        (("bus0", "-o", "/proc/self/status.log"), "cannot write"),
        (("bus0", "-o", "x.log", "--for", "soon"), "--for"),
        (("bus7", "-o", "x.log"), "bus7"),
        (("bus0", "-o", "x.log", "--rotate-size", "1K"), "--rotate-size=1K: it must be a size"),
        (("bus0", "-o", "x.log", "--rotate-time", "0"), "--rotate-time=0: it must be a time"),
        (("bus0", "-o", "x.log", "--recover", "6m"), "--recover=6m: it must be a time up to 5m"),
        (("bus0", "-o", "x.mf4", "--rotate-size", "1M"), "rotate it by time"),
    ],
)
def test_what_cannot_be_is_refused(
    bus: Site, stack: ExitStack, words: tuple[str, ...], reason: str
) -> None:
    """And no file is made."""
    process = record(bus, stack, *words)
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode in (1, 2)
    assert reason in err
    assert err.count("\n") == 1
    assert not list(Path().glob("*.log"))
