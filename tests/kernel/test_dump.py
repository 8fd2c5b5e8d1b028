"""`canwharf dump` as its user meets it: beside candump, interrupted, in a pipe, with a DBC file."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel.seen import EFF, RTR, M, N, burst, end, raw_listeners, send, start
from tests.kernel.site import Site
from tests.world.host import LIMIT, wait_until
from tests.world.member import Member

ERROR = "  controller (transmit passive)"
DBC = """VERSION ""
BO_ 291 Engine: 3 ECU1
 SG_ Speed : 0|16@1+ (0.5,0) [0|0] "rpm" X
 SG_ Gear : 16|8@1+ (1,0) [0|0] "" X
VAL_ 291 Gear 1 "first" ;
"""

Dump = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(name="bus")
def _bus(site: Site) -> Site:
    """A bus with two containers."""
    site.network(N)
    site.start(N, "e1", "e2")
    return site


@pytest.fixture(name="dump")
def _dump(site: Site, stack: ExitStack) -> Dump:
    """Starts the command, and waits until it listens to this interface: the last of those.

    It listens to the oldest interface first. With an empty name it does not wait.
    """

    def started(*words: str, listening: str) -> subprocess.Popen[str]:
        there = raw_listeners(listening)
        process = start(site, stack, "dump", *words)
        if listening:
            wait_until(lambda: raw_listeners(listening) > there or process.poll() is not None)
        return process

    return started


def say(members: list[Member]) -> None:
    """Two containers' frames, the host's, and one id of two senders."""
    host, one, two = members
    send(one, 0x123, b"\x11\x22")
    send(two, 0x18FEF100 | EFF, b"A" * 8)
    send(host, 0x7FF | RTR, bytes(4))
    send(one, 0x20000004, bytes([0, 0x20, 0, 0, 0, 0, 130, 0]))
    send(two, 0x42, bytes(range(12)), 1)
    send(two, 0x123)


def test_the_lines_are_candumps_with_the_sender(bus: Site, dump: Dump) -> None:
    process = dump("-e", "-a", listening=bus.port(N, "e2"))
    say(bus.members())
    status, out, err = end(process)
    assert (status, out.splitlines()) == (
        128 + signal.SIGINT,
        [
            " bus0  ecu1       123   [2]  11 22                     '.\"'",
            " bus0  ecu2  18FEF100   [8]  41 41 41 41 41 41 41 41   'AAAAAAAA'",
            " bus0  host       7FF   [4]  remote request",
            f" bus0  ecu1  20000004   [8]  00 20 00 00 00 00 82 00   '. ......'{ERROR}",
            " bus0  ecu2       042  [12]  00 01 02 03 04 05 06 07 08 09 0A 0B  '............'",
            " bus0  ecu2       123   [0]                            ''  (also sent by ecu1)",
        ],
    )
    assert err == (
        "canwharf: bus0: ecu1 and ecu2 send 123: on a real bus each id must have one sender, as "
        "two destroy each other's frames\n"
    )


def test_the_log_is_candumps(bus: Site, dump: Dump, stack: ExitStack) -> None:
    """The same frames in the same lines; only the bus has its own name."""
    candump = stack.enter_context(
        subprocess.Popen(
            ["candump", "-L", "-n", "6", "vcan0,0:0,#FFFFFFFF"], text=True, stdout=subprocess.PIPE
        )
    )
    wait_until(lambda: raw_listeners("vcan0") > 0)
    process = dump("-L", "-n", "6", listening=bus.port(N, "e2"))
    say(bus.members())
    wanted, _err = candump.communicate(timeout=LIMIT)
    out, _err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    line = re.compile(r"^\(\d{10}\.\d{6}\) (?:vcan0|bus0) (\S+)$", re.MULTILINE)
    assert line.findall(out) == [
        each.replace("##5", "##1")  # newer kernels say in a flag that it is CAN FD
        for each in line.findall(wanted)
    ]
    assert len(line.findall(out)) == 6


def test_json_has_the_sender_and_who_else_sends_it(bus: Site, dump: Dump) -> None:
    process = dump("--json", "-n", "6", listening=bus.port(N, "e2"))
    say(bus.members())
    out, _err = process.communicate(timeout=LIMIT)
    told = [json.loads(line) for line in out.splitlines()]
    assert [each["sender"] for each in told] == ["ecu1", "ecu2", "host", "ecu1", "ecu2", "ecu2"]
    assert [each["also_sent_by"] for each in told] == [[]] * 5 + [["ecu1"]]
    assert [each["data"] for each in told[:3]] == ["1122", "41" * 8, ""]
    first, *_rest, fd, last = told
    assert (first["id"], first["extended"], first["bus"]) == (0x123, False, "bus0")
    assert (fd["fd"], fd["brs"], fd["esi"], last["fd"]) == (True, True, False, False)
    assert told[2]["remote"]
    assert told[2]["length"] == 4
    assert told[3]["error_words"] == "controller (transmit passive)"
    assert [each["time"] for each in told] == sorted(each["time"] for each in told)


def test_senders_filters_and_the_count(bus: Site, dump: Dump) -> None:
    words = ("bus0,100:700", "--from", "ecu2", "--from", "host", "-n", "2", "-t", "z")
    process = dump(*words, listening=bus.port(N, "e2"))
    host, one, two = bus.members()
    for member, can_id in ((one, 0x101), (host, 0x201), (two, 0x102), (host, 0x103), (two, 0x104)):
        send(member, can_id)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert err == ""
    assert re.fullmatch(
        r" \(000\.000000\)  bus0  ecu2       102   \[0\]  \n"
        r" \(\d\d\d\.\d{6}\)  bus0  host       103   \[0\]  \n",
        out,
    ), out


def test_messages_and_signals_by_a_dbc_file(bus: Site, dump: Dump, tmp_path: Path) -> None:
    file = tmp_path / "vehicle.dbc"
    file.write_text(DBC)
    process = dump("--dbc", str(file), "-n", "3", "--json", listening=bus.port(N, "e1"))
    _host, one, _two = bus.members()
    send(one, 0x123, b"\x60\x09\x01")
    send(one, 0x123, b"\x02\x00")  # cut off
    send(one, 0x124)
    out, _err = process.communicate(timeout=LIMIT)
    told = [json.loads(line) for line in out.splitlines()]
    assert [each["message"] for each in told] == ["Engine", "Engine", None]
    assert [each["signals"] for each in told] == [
        {"Speed": 1200, "Gear": "first"},
        {"Speed": 1},
        {},
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_has_come_is_shown_when_a_signal_ends_it(bus: Site, dump: Dump, number: int) -> None:
    process = dump("-L", listening=bus.port(N, "e1"))
    burst(bus.members()[1], 0x100, 2000)
    status, out, err = end(process, number)
    assert (status, len(out.splitlines()), err) == (128 + number, 2000, "")


def test_a_pipe_that_is_closed_ends_it_quietly(bus: Site, dump: Dump) -> None:
    process = dump("-L", listening=bus.port(N, "e1"))
    assert process.stdout is not None
    process.stdout.close()
    send(bus.members()[1], 0x100)
    assert process.wait(LIMIT) == 128 + signal.SIGPIPE
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_losses_are_told(bus: Site, dump: Dump) -> None:
    """It stands still while more comes than there is room for."""
    process = dump("-L", listening=bus.port(N, "e1"))
    process.send_signal(signal.SIGSTOP)
    burst(bus.members()[1], 0x100, sent := 40_000)
    process.send_signal(signal.SIGCONT)
    status, out, err = end(process)
    assert status == 128 + signal.SIGINT
    [told] = re.findall(
        r"^canwharf: (\d+) frames of ecu1 on bus0 were lost here", err, re.MULTILINE
    )
    assert len(out.splitlines()) + int(told) == sent
    assert int(told) > 0


def test_before_there_is_a_bus_and_of_one_that_there_is_not(site: Site, dump: Dump) -> None:
    none = dump("bus9", listening="")
    assert none.communicate(timeout=LIMIT)[1] == "canwharf: there is no bus bus9; there are: none\n"
    assert none.returncode == 1
    process = dump("-n", "1", "--from", "ecu1", listening="")
    assert process.stderr is not None
    assert process.stderr.readline() == "canwharf: there is no bus yet; it waits for one\n"
    assert (
        process.stderr.readline() == "canwharf: no container ecu1 is there now; there are: none\n"
    )
    site.network(M, "vcan1")
    site.start(M, "e1")
    wait_until(lambda: raw_listeners(site.port(M, "e1")) > 0)
    send(site.members("vcan1")[1], 0x100)
    out, _err = process.communicate(timeout=LIMIT)
    assert out == " bus1  ecu1       100   [0]  \n"
