"""What `candump any` shows on the host: docs/guides.md and docs/troubleshooting.md say the same."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack

import pytest

from canwharf.bus.naming import hub_end
from tests.kernel.site import DRIVER, Site
from tests.world.member import raw_socket

N, E1, E2 = "n" * 64, "1" * 64, "2" * 64
FRAME = struct.pack("=IB3x8s", 0x123, 1, b"\x01")


def test_a_frame_is_seen_on_each_interface_where_the_host_receives_it(
    site: Site, stack: ExitStack
) -> None:
    """A container's: on its host end, the bus and the hub's exit. The host's own: on the bus."""
    site.network(N)
    site.start(N, E1, E2)
    host, one, other = site.members()
    every = stack.enter_context(socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW))
    every.bind(("",))
    every.settimeout(20)
    hears = stack.enter_context(raw_socket(other))
    hears.settimeout(20)

    stack.enter_context(raw_socket(one)).send(FRAME)
    assert hears.recv(72) == FRAME
    seen = sorted(every.recvfrom(72)[1][0] for _ in range(3))
    assert seen == sorted([site.port(N, E1), "vcan0", hub_end(DRIVER, "vcan0", "out")])

    stack.enter_context(raw_socket(host)).send(FRAME)
    assert hears.recv(72) == FRAME
    assert every.recvfrom(72)[1][0] == "vcan0"
    every.setblocking(False)
    with pytest.raises(BlockingIOError):
        every.recv(72)
