"""The gateway's real counters, as frames sent and received by each interface of a bus."""

from __future__ import annotations

import socket

from canwharf.bus.reconcile import snapshot
from canwharf.bus.traffic import Count, Traffic
from tests.kernel.site import Site
from tests.world.host import index_of, ip, wait_until
from tests.world.member import HOST, entered

N = "n" * 64
CLASSIC = bytes(16)  # struct can_frame: identifier 0, no data
FD = bytes(72)


def send(namespace: str, interface: str, frame: bytes, times: int) -> None:
    """Send frames as a program there does."""
    with entered(namespace), socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sock:
        sock.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        sock.bind((interface,))
        for _each in range(times):
            sock.send(frame)


def counted(site: Site, traffic: Traffic) -> dict[str, Count]:
    """What each interface of the bus has sent and received so far."""
    dump = snapshot(site.daemon.netlink)
    traffic.update(dump.entries, dump.marks)
    return {name: traffic.counts.get(index_of(name), Count()) for name in site.ports()}


def test_frames_are_counted_once_where_they_were_sent(site: Site) -> None:
    """A user compares them with what candump shows."""
    site.network(N)
    site.start(N, "e1", "e2")
    site.members()  # all ready to talk
    traffic = Traffic()
    assert set(counted(site, traffic).values()) == {Count()}
    send(HOST, "vcan0", CLASSIC, 5)
    inside = site.containers[N, "e1"].path
    send(inside, "can0", CLASSIC, 2)
    send(inside, "can0", FD, 1)
    host, one, two = "vcan0", site.port(N, "e1"), site.port(N, "e2")
    expected = {host: Count(5, 3), one: Count(3, 5), two: Count(0, 8)}
    wait_until(lambda: counted(site, traffic) == expected)

    site.die(N, "e2")
    send(HOST, "vcan0", CLASSIC, 4)
    wait_until(lambda: counted(site, traffic) == {host: Count(9, 3), one: Count(3, 9)})

    ip(f"link set {one} down")
    send(HOST, "vcan0", CLASSIC, 2)
    wait_until(lambda: counted(site, traffic)[one] == Count(3, 9, dropped=2))
