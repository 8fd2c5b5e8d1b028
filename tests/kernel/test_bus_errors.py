"""The error frames that a physical bus's containers receive, and its reported state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.site import Site
from tests.kernel.wired import (
    NAME,
    RATE,
    Ear,
    M,
    N,
    Plug,
    error_rules,
    make,
)
from tests.world.frames import exchange
from tests.world.host import gateway_rules, run, wait_until
from tests.world.rules import adapters


@pytest.mark.parametrize("errors", ["", "on", "off"])
def test_error_frames_reach_the_containers_once_or_not_at_all(
    site: Site, plug: Plug, ears: Callable[[Site], list[Ear]], errors: str
) -> None:
    adapter = plug()
    make(site, errors=errors)
    site.start(N, "e1", "e2")
    listening = ears(site)
    adapter.change_state("p", 130, 0)
    adapter.change_state("b", 255, 0)
    adapter.send("t1230")
    controller, bus_off = -0x4, -0x40  # linux/can/error.h: CAN_ERR_CRTL, CAN_ERR_BUSOFF
    for ear in listening:
        heard = ear.until(0x123)
        told = [-(-each & 0x44) for each in heard[:-1]]  # newer kernels tell more classes
        assert told == ([] if errors == "off" else [controller, bus_off])


def test_another_network_can_silence_the_error_frames(site: Site, plug: Plug) -> None:
    plug().start()
    make(site, bitrate="")
    site.start(N, "e1", "e2")
    assert error_rules() == 2
    make(site, M, bitrate="", errors="off")
    assert error_rules() == 0
    site.service.delete_network(M)
    assert error_rules() == 2
    assert gateway_rules() == adapters(site.ports(NAME))


def test_the_wrong_rate_is_seen_in_the_container(
    site: Site, plug: Plug, ears: Callable[[Site], list[Ear]]
) -> None:
    """Not silence: error frames, which candump shows."""
    adapter = plug(bitrate=250000)
    make(site)
    site.start(N, "e1")
    [ear] = ears(site)
    adapter.send("t1230")
    assert ear.until(-(0x8 | 0x80))[-1] == -0x88  # CAN_ERR_PROT | CAN_ERR_BUSERROR


def test_state_and_counters_are_reported(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site)
    site.create(N, "e1")
    told = site.service.describe(N, "e1")
    assert (told["canwharf.adapter"], told["canwharf.state"]) == ("up", "ERROR-ACTIVE")
    assert told["canwharf.bitrate"] == RATE
    for state, words in (("w", "ERROR-WARNING"), ("p", "ERROR-PASSIVE"), ("b", "BUS-OFF")):
        adapter.change_state(state, 0, 0)
        wait_until(lambda words=words: site.service.describe(N, "e1")["canwharf.state"] == words)  # type: ignore[misc]
    told = site.service.describe(N, "e1")
    counters = ("error-warning", "error-passive", "bus-off", "bus-errors", "restarts")
    assert [told[f"canwharf.{name}"] for name in counters] == ["1", "1", "1", "0", "0"]


def test_error_frames_cross_a_virtual_bus(site: Site) -> None:
    """`cansend vcan0 20000004#…` tries out what a container does when its controller fails.

    From the host, and from a container; each other receives it once, its sender does not.
    """
    site.network(N)
    site.start(N, "e1", "e2")
    report = exchange(site.members(), errors=True)
    assert report.faults == []
    row = report.matrix[str(site.members()[1])]
    assert {name: each["error"] for name, each in row.items()} == {
        str(member): [1, 1, 1] for member in site.members()
    }


def test_an_error_frame_of_a_container_is_not_sent_on_a_wire(
    site: Site, plug: Plug, ears: Callable[[Site], list[Ear]]
) -> None:
    """A driver would send it as a data frame."""
    adapter = plug()
    make(site)
    site.start(N, "e1")
    [ear] = ears(site)
    ear.say(0x20000004)
    ear.say(0x123)
    adapter.wait_for("t1230")
    assert adapter.written() == ["t1230"]


def test_nor_by_a_rule_of_our_form_that_was_made_by_hand(
    site: Site, plug: Plug, ears: Callable[[Site], list[Ear]]
) -> None:
    """It is surplus, and deleted at the next resync."""
    adapter = plug()
    make(site)
    site.start(N, "e1")
    [ear] = ears(site)
    echoing = ("-e", "-i", "-l", "1", "-f", "0:3FFFFFFF")
    run("cangw", "-A", "-s", site.port(N, "e1"), "-d", NAME, *echoing)
    assert error_rules() == 2
    site.daemon.maintenance.sync()
    assert error_rules() == 1
    ear.say(0x20000004)
    ear.say(0x123)
    adapter.wait_for("t1230")
    assert adapter.written() == ["t1230"]
