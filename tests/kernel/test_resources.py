"""What a long life costs: descriptors, memory of interfaces, time limits."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from time import monotonic

import pytest

from canwharf.errors import KernelError
from canwharf.kernel import link, netlink
from canwharf.kernel.netlink import LinkEvents, Netlink
from tests.kernel.site import Site
from tests.world.host import can_interfaces, cangw_lines, hubs

N = "n" * 64


def descriptors() -> set[str]:
    """Our open descriptors; the listing's own is gone by the time it is looked at."""
    return {each for each in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{each}")}


def test_nothing_is_left_after_two_hundred_lives(site: Site) -> None:
    site.network(N)
    before = descriptors()
    for life in range(200):
        endpoint = f"e{life}"
        site.create(N, endpoint)
        site.service.join(N, endpoint)
        site.service.delete_endpoint(N, endpoint)
        site.daemon.maintenance.repair()
    assert descriptors() == before
    assert can_interfaces() == {"vcan0"}
    assert cangw_lines() == []
    known = {each.name for each in site.daemon.reconciler.observe().links() if each.can}
    assert known == {"vcan0", *hubs()}
    assert site.daemon.complaints() == []


def test_nothing_is_left_after_twenty_containers_and_restarts(site: Site) -> None:
    site.network(N)
    site.start(N, "first")
    before = descriptors()
    for life in range(20):
        site.start(N, f"e{life}")
        site.restart()
        site.stop(N, f"e{life}")
    assert len(descriptors()) == len(before)
    site.assert_whole()


def test_sockets_are_closed() -> None:
    before = descriptors()
    for _ in range(20):
        Netlink().close()
        LinkEvents().close()
    assert descriptors() == before


def test_sockets_are_not_inherited() -> None:
    requests, events = Netlink(), LinkEvents()
    try:
        assert not os.get_inheritable(requests._socket.fileno())
        assert not os.get_inheritable(events.fileno())
    finally:
        requests.close()
        events.close()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda requests: requests.batch([link.get("lo")]), id="batch"),
        pytest.param(lambda requests: requests.dump(link.get("lo")), id="dump"),
    ],
)
def test_a_kernel_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Netlink], object]
) -> None:
    """A socket without answers stands for it."""
    monkeypatch.setattr(netlink, "TIME_LIMIT", 0.1)
    requests = Netlink()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    real = requests._socket
    ours.settimeout(real.gettimeout())
    monkeypatch.setattr(requests, "_socket", ours)
    before = monotonic()
    try:
        with pytest.raises(KernelError) as refused:
            call(requests)
        assert refused.value.errno == errno.ETIMEDOUT
        assert monotonic() - before < 5
    finally:
        for each in (ours, theirs, real):
            each.close()
