"""`canwharf watch --report` on a live bus: who sends, who may read by policy, a full disk."""

from __future__ import annotations

import csv
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel.seen import N, end, raw_listeners, start
from tests.kernel.site import Site
from tests.kernel.test_dump import say
from tests.world.host import run, wait_until


@pytest.fixture(name="bus")
def _bus(site: Site) -> Site:
    """A bus with three containers; one sends nothing, and receives nothing but 100 to 1FF."""
    run("modprobe", "-a", "sch_ingress", "cls_basic", "em_canid", "em_u32")
    site.network(N)
    site.start(N, "e1", "e2")
    site.service.create_endpoint(N, "e3", {"can.receive": "100-1FF"})
    site.join(N, "e3")
    return site


def watch(bus: Site, stack: ExitStack, *words: str) -> subprocess.Popen[str]:
    """The command, when it listens to all three."""
    process = start(bus, stack, "watch", *words)
    there = bus.port(N, "e3")
    wait_until(lambda: raw_listeners(there) > 0 or process.poll() is not None)
    return process


def test_the_matrix_of_a_live_bus(bus: Site, stack: ExitStack, tmp_path: Path) -> None:
    """A container that only listens is a receiver of what its policy lets in."""
    path = tmp_path / "matrix.csv"
    process = watch(bus, stack, "bus0", "--report", str(path))
    say(bus.members()[:3])
    status, out, err = end(process, signal.SIGTERM)
    assert (status, err) == (0, "")
    assert f"{path}: made from bus0, " in out
    assert "4 ids of 3 senders, 5 frames" in out
    lines = [
        (each["id"], each["sender"], each["receivers"], each["also_sent_by"])
        for each in csv.DictReader(path.read_text().splitlines())
    ]
    assert lines == [
        ("042", "ecu2", "ecu1;host", ""),
        ("123", "ecu1", "ecu2;ecu3;host", "ecu2"),
        ("123", "ecu2", "ecu1;ecu3;host", "ecu1"),
        ("7FF", "host", "ecu1;ecu2", ""),
        ("18FEF100", "ecu2", "ecu1;host", ""),
    ]


def test_a_full_disk_leaves_no_half_of_a_document(
    bus: Site, stack: ExitStack, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", tmp_path], check=True)
    stack.callback(subprocess.run, ["umount", "-l", str(tmp_path)], check=True)
    (tmp_path / "full").write_bytes(bytes(4096))
    path = tmp_path / "matrix.html"
    process = watch(bus, stack, "bus0", "--report", str(path))
    say(bus.members()[:3])
    status, _out, err = end(process)
    assert (status, err) == (1, f"canwharf: cannot write {path}: No space left on device\n")
    assert not path.exists()
