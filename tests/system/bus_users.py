"""Tests as a user of the fixture `bus` writes them; test_pytest_plugin.py runs them in a guest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from time import time_ns

import pytest

from canwharf.testing import Bus


def test_of_a_container_that_ends_at_once(bus: Bus) -> None:
    """Docker has forgotten its endpoint, and then the container."""
    bus.run("ecu", ["cansend", "can0", "123#1122"], name="once")
    assert bus.expect(id=0x123, sender="once").data == b"\x11\x22"
    bus.run("ecu", ["cansend", "can0", "123#3344"], name="again", auto_remove=True)
    assert bus.expect(id=0x123, sender="again").data == b"\x33\x44"


def test_of_a_container_that_is_started_again(bus: Bus) -> None:
    """It has another endpoint then."""
    ecu = bus.run("ecu", ["sh", "-c", "cansend can0 321#; sleep 1000"])
    bus.expect(id=0x321, sender="ecu")
    begun = time_ns()
    ecu.restart(timeout=0)
    bus.expect(id=0x321, sender="ecu", after=begun)


def test_of_can_fd_and_of_long_ids(bus: Bus, tmp_path: Path) -> None:
    """Each frame reaches the container once, and with all that it is.

    The kernel adds a flag of its own to those of CAN FD (CANFD_FDF), which candump shows.
    """
    log = (
        "candump -L can0 >/tmp/log & until grep -q '^ *can0 ' /proc/net/can/rcvlist_all; do :; done"
    )
    ecu = bus.run("ecu", ["sh", "-c", f"{log}; cansend can0 1ABCDEF0##1{'5A' * 64}; wait"])
    with bus.record(tmp_path / "drive.log"):
        first = bus.expect(id=0x1ABCDEF0, sender="ecu", data=b"\x5a" * 64)
        assert first.fd == 1
        bus.send(0x123, bytes(range(48)), brs=True)
        bus.send(0x123, b"\x01", extended=True)
        bus.expect(id=0x123, sender="host", extended=True)
    lines: list[str] = []
    while len(lines) < 2:
        lines = ecu.exec_run(["cat", "/tmp/log"]).output.decode().splitlines()
    assert [line.split()[-1] for line in lines[-2:]] == [
        f"123##5{bytes(range(48)).hex().upper()}",
        "00000123#01",
    ]
    assert "bus/host 00000123#01" in (tmp_path / "drive.log").read_text()


@pytest.fixture
def body() -> Iterator[Bus]:
    """Another bus."""
    with Bus(label="body") as made:
        yield made


@pytest.mark.can_bus(options={"can.loss": "20%"})
def test_of_two_buses(bus: Bus, body: Bus) -> None:
    """A container on both is called the same on both, and neither hears the other."""
    gateway = bus.run("ecu", ["sleep", "1000"], name="gateway")
    body.network.connect(gateway)
    gateway.exec_run(["cansend", "can1", "123#"])
    assert body.expect(sender="gateway").bus == "body"
    while not bus.frames:  # a fifth is lost, by the bus's option
        gateway.exec_run(["cansend", "can0", "124#"])
    assert {(each.bus, each.sender, each.id) for each in bus.frames} == {("bus", "gateway", 0x124)}
    assert len(body.frames) == 1


def test_that_fails(bus: Bus) -> None:
    """What it shows is looked at."""
    program = "cansend can0 100#AA; echo no such board; exit 3"
    assert bus.run("ecu", ["sh", "-c", program], name="ecu1").wait()["StatusCode"] == 3
    bus.expect(id=0x200, sender="ecu1", within=0)


def test_that_is_interrupted(bus: Bus) -> None:
    """All is removed then."""
    bus.run("ecu", ["sleep", "1000"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's shell may ignore it
    os.kill(os.getpid(), signal.SIGINT)
