"""The network inside: CAN interfaces that work, loopback, and the rest of a machine."""

from __future__ import annotations

import os
import time

import pytest

from tests.canlab.caller import python, run

SEND_AND_RECEIVE = """
import socket, struct, sys
a, b = (socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) for _ in "ab")
a.bind((sys.argv[1],)); b.bind((sys.argv[2],)); b.settimeout(20)
a.send(struct.pack("=IB3x8s", 0x123, 2, b"\\xbe\\xef"))
print(b.recv(16).hex())
"""
FRAME = "2301000002000000beef000000000000\n"


@pytest.mark.parametrize(
    ("interfaces", "sender", "receiver"),
    [
        ("vcan0", "vcan0", "vcan0"),
        ("other", "other", "other"),
        ("a=vxcan:b", "a", "b"),
        ("can0=slcan,can1=slcan", "can0", "can1"),
        ("can0=slcan,can1=slcan", "can1", "can0"),
    ],
)
def test_a_frame_arrives(interfaces: str, sender: str, receiver: str) -> None:
    program = f"import sys; sys.argv[1:] = {[sender, receiver]}\n{SEND_AND_RECEIVE}"
    assert python(program, "--interfaces", interfaces) == FRAME


def test_vcan0_is_there_by_default_and_nothing_else() -> None:
    done = run("ls", "/sys/class/net")
    assert done.stdout.split() == [b"lo", b"vcan0"]
    assert run("--interfaces", "", "ls", "/sys/class/net").stdout.split() == [b"lo"]


def test_a_controller_has_the_bit_rate() -> None:
    done = run("-i", "can0=slcan", "--bitrate", "250k", "ip", "-d", "link", "show", "can0")
    assert b"bitrate 250000" in done.stdout


def test_the_command_makes_interfaces_of_its_own() -> None:
    """And namespaces, as root does."""
    script = "ip link add v9 type vcan && ip netns add x && ip -n x link add v8 type vcan"
    done = run("sh", "-c", f"{script} && ip -n x -br link")
    assert b"v8" in done.stdout, done.stderr


def test_modprobe_succeeds_for_what_is_built_in() -> None:
    """As scripts for CI call it. This machine's own modules are still there, or still missing."""
    names = ("vcan", "vxcan", "can-raw", "can-gw", "can-isotp", "can-j1939", "slcan")
    script = "for name; do modprobe $name || exit; done; modprobe no-such-module; echo $?"
    done = run("sh", "-c", script, "sh", *names)
    assert done.stdout == b"1\n", done.stderr
    kept = set(os.listdir("/lib/modules")) if os.path.isdir("/lib/modules") else set()
    assert kept <= set(run("ls", "/lib/modules").stdout.decode().split())


def test_isotp_and_j1939_are_there() -> None:
    program = """
import socket
socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP)
socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_J1939)
socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_BCM)
"""
    assert python(program) == ""


def test_loopback_works_with_ipv6_and_multicast() -> None:
    """UDP multicast is how python-can joins processes."""
    program = """
import socket, struct
for family, group, here in ((socket.AF_INET, "239.74.163.2", "127.0.0.1"),
                            (socket.AF_INET6, "ff15:7079:7468:6f6e:6465:6d6f:6d63:6173", "::1")):
    with socket.create_server((here, 0), family=family) as server:
        socket.create_connection(server.getsockname()[:2]).close()
    heard = socket.socket(family, socket.SOCK_DGRAM); heard.bind(("", 4242)); heard.settimeout(20)
    packed = socket.inet_pton(family, group)
    if family == socket.AF_INET:
        heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + bytes(4))
    else:
        heard.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + bytes(4))
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", (group, 4242))
    print(heard.recv(9).decode())
"""
    assert python(program) == "x\nx\n"


def test_shared_memory_terminals_and_entropy_are_there() -> None:
    program = """
import multiprocessing.shared_memory, os, pty
shared = multiprocessing.shared_memory.SharedMemory(create=True, size=1 << 20)
shared.buf[0] = 7; shared.close(); shared.unlink()
os.close(pty.openpty()[0])
print(len(os.getrandom(32, os.GRND_NONBLOCK)), multiprocessing.Semaphore().acquire())
"""
    assert python(program) == "32 True\n"


def test_the_clock_and_the_name_are_the_machines() -> None:
    before = time.time()
    seen, name = python("import os, time; print(time.time(), os.uname().nodename)").split()
    assert before - 1 <= float(seen) <= time.time() + 1
    assert name == os.uname().nodename
