"""A bus across hosts whose own bus, or adapter, is not as it was: nothing is put on it unseen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from canwharf.bus.naming import Span
from canwharf.span import bridge
from canwharf.span.bridge import Bridge
from tests.kernel.seen import M, send
from tests.kernel.site import Site
from tests.kernel.test_span import Pair, say_one, two_buses
from tests.kernel.wired import NAME, Plug, make
from tests.world.host import ip, run, wait_until

SLOW = "root tbf rate 10kbit burst 100 limit 100000"
MINUTE = 60_000_000_000  # nanoseconds


def test_a_bus_without_can_fd_refuses_fd_frames_and_says_so_once(
    site: Site, stack: ExitStack
) -> None:
    members = two_buses(site, "linear")
    for words in ("down", "mtu 16", "up"):
        ip(f"link set vcan1 {words}")
    pair = Pair(stack, "vcan0", "vcan1")
    far = pair.bridges[1]
    for _frame in range(5):  # as many go to the kernel at once
        send(members[1], 0x100, bytes(64), 0)
    send(members[1], 0x101)
    step_until(pair, lambda: far.counts["received"] == 1)
    assert far.counts["refused"] == 5
    (words,) = pair.said
    assert words.startswith("cannot send a frame on vcan1: Invalid argument")
    assert words.endswith("it carries no CAN FD frames")


def step_until(pair: Pair, done: Callable[[], bool]) -> None:
    def look() -> bool:
        pair.step()
        return done()

    wait_until(look)


@pytest.mark.parametrize("how", ["renamed", "deleted"])
def test_a_bus_that_goes_and_comes_back_is_on_the_span_again(
    site: Site, stack: ExitStack, how: str
) -> None:
    """By hand: what comes meanwhile is counted, and nothing needs a restart."""
    members = two_buses(site, "linear")
    pair = Pair(stack, "vcan0", "vcan1")
    near, far = pair.bridges
    ip("link set vcan1 down")
    ip("link set vcan1 name other" if how == "renamed" else "link del vcan1")
    step_until(pair, lambda: far.capture.listener("vcan1") is None)
    say_one(pair, members[0], 0x100)
    pair.deliver()
    assert (far.counts["refused"], far.counts["received"]) == (1, 0)
    assert pair.said == ["there is no vcan1 now: frames from other hosts are left out"]
    if how == "renamed":
        ip("link set other name vcan1")
    else:
        ip("link add vcan1 type vcan")
    ip("link set vcan1 up")
    step_until(pair, lambda: far.capture.listener("vcan1") is not None)
    say_one(pair, members[0], 0x101)
    pair.deliver()
    assert far.counts["received"] == 1
    send(site.members("vcan1")[0], 0x102)
    step_until(pair, lambda: near.counts["received"] == 1)


def waiting_for_the_adapter(
    site: Site, stack: ExitStack, max_age: int, frames: int = 50
) -> tuple[Pair, Bridge]:
    """A pair of which the first bridge has frames that wait for its slow adapter."""
    make(site)
    site.network(M, "vcan1")
    run("tc", *f"qdisc add dev {NAME} {SLOW}".split())
    pair = Pair(stack, NAME, "vcan1", span=Span("x", max_age))
    far = site.members("vcan1")[0]
    for number in range(frames):
        send(far, 0x100 + number)
    near = pair.bridges[0]
    step_until(pair, lambda: pair.bridges[1].counts["sent"] == frames)
    assert near.waiting
    return pair, near


def done_with(near: Bridge) -> int:
    """How many frames from other hosts are accounted for."""
    near._tended = near._looked = 0
    near.beat()
    names = ("received", "refused", "stale", "expired", "shed")
    return sum(near.counts[each] for each in names)


def test_an_adapter_is_pulled_out_while_frames_wait_and_plugged_in_again(
    site: Site, stack: ExitStack, plug: Plug
) -> None:
    """Each frame is accounted for, and a new one goes onto the wire, with nothing to be done."""
    adapter = plug()
    pair, near = waiting_for_the_adapter(site, stack, max_age=0)
    adapter.unplug()
    site.daemon.maintenance.repair()
    step_until(pair, lambda: not near.waiting)
    assert near.counts["refused"]
    assert done_with(near) == 50
    adapter = plug()
    site.daemon.maintenance.repair()
    step_until(pair, lambda: near.capture.listener(NAME) is not None)
    send(site.members("vcan1")[0], 0x123)
    step_until(pair, lambda: done_with(near) == 51)
    adapter.wait_for("t1230")


def test_what_waits_too_long_for_an_adapter_never_goes_onto_the_wire(
    site: Site, stack: ExitStack, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = plug()
    pair, near = waiting_for_the_adapter(site, stack, max_age=50_000)
    real = bridge.uptime
    monkeypatch.setattr(bridge, "uptime", lambda: real() + MINUTE)
    run("tc", "qdisc", "del", "dev", NAME, "root")
    pair.deliver()
    assert not near.waiting
    assert done_with(near) == 50
    expired = near.counts["expired"]
    assert expired + near.counts["received"] == 50
    assert f"{expired} waited too long for {NAME}, 0 had no room" in pair.said[-1]
    monkeypatch.undo()
    send(site.members("vcan1")[0], 0x7FF)
    step_until(pair, lambda: near.counts["received"] == 51 - expired)
    adapter.wait_for("t7FF0")
    assert len(adapter.written()) <= near.counts["received"]
