"""can-gw loaded to forward a frame more than once: each still arrives exactly once.

`max_hops` of can-gw is fixed when the module is loaded; manuals of other tools ask for 2 or 3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from canwharf.bus import events
from canwharf.kernel import gateway
from canwharf.kernel.gateway import CLASSIC, FD, Rule
from tests.kernel.senders import Sender, heard
from tests.kernel.site import Site
from tests.kernel.wired import NAME, Plug, assert_on_the_wire, make
from tests.world.frames import exchange
from tests.world.host import can_interfaces, gateway_rules, hubs, index_of, requests, run
from tests.world.member import raw_socket
from tests.world.rules import linear

N = "n" * 64
GAPS = 5  # frames a member may miss while twelve rules are exchanged; seen: 0 mostly, once 1


def age(ports: Sequence[str]) -> None:
    """All rules of these ports as earlier versions made them."""
    run("cangw", "-F")
    indexes = [index_of(name) for name in ports]
    old = [
        Rule(source, destination, frames, limited=False)
        for source in indexes
        for destination in indexes
        if source != destination
        for frames in (CLASSIC, FD)
    ]
    with requests() as netlink:
        netlink.batch([gateway.add(rule, "") for rule in old])


@pytest.mark.usefixtures("hops")
def test_each_frame_arrives_once_whatever_the_limit(site: Site) -> None:
    """Classic, FD and error frames, from each to each; a program on the host too."""
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    site.assert_whole()


def test_rules_of_an_earlier_version_are_replaced(site: Site, hops: int) -> None:
    """With their limit above one, they multiplied each frame."""
    site.network(N)
    site.start(N, "e1", "e2")
    age(site.ports())
    assert (exchange(site.members()).faults == []) == (hops == 1)
    site.restart()
    site.daemon.maintenance.recover()
    site.assert_whole()
    [said] = site.daemon.said(events.RULES_REPLACED)
    assert said.fields == {"rules": "8"}


@pytest.mark.usefixtures("hops")
def test_an_adapters_wire_gets_each_frame_once(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site)
    site.start(N, "e1", "e2")
    assert_on_the_wire(site, adapter)
    assert NAME in can_interfaces()


@pytest.mark.usefixtures("echoing")
def test_vcans_that_echo_by_themselves(site: Site) -> None:
    """`modprobe vcan echo=1` changes who echoes, not how often."""
    site.network(N)
    site.start(N, "e1", "e2")
    site.assert_whole()


@pytest.mark.parametrize("turn", range(5))
def test_an_upgrade_under_traffic_doubles_no_frame_and_loses_hardly_one(
    site: Site, stack: ExitStack, turn: int
) -> None:
    """The host and a container send as fast as they can while all their rules are replaced.

    The kernel cannot exchange a rule: what comes between its end and its successor is lost.
    """
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    age(site.ports())
    members = site.members()
    listening = [stack.enter_context(raw_socket(member)) for member in members]
    senders = [stack.enter_context(Sender(members[who], who, 50 + turn)) for who in (0, 1)]
    site.restart()
    site.daemon.maintenance.recover()
    sent = [(who, number) for who in (0, 1) for number in range(senders[who].stop())]
    assert gateway_rules() == linear(site.ports())
    for member, opened in zip(members, listening, strict=True):
        found = heard(opened, sent)
        found.subtract(sent)
        wrong = {each: count for each, count in found.items() if count}
        assert set(wrong.values()) <= {-1}, f"{member}: {wrong}"
        assert len(wrong) <= GAPS, f"{member}: {wrong}"


def test_a_frame_is_looked_at_once_on_its_way_to_a_container(site: Site) -> None:
    """The rules of its host end would look at each echo, and drop it: the square of the members."""
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    assert exchange(site.members()).faults == []
    listed = run("cangw", "-L", check=False)
    looked = {
        (source, int(deleted))
        for source, deleted in re.findall(r"-s (\S+) .* (\d+) deleted", listed)
        if source != "vcan0"
    }
    [leaving] = {name for name in hubs() if name.startswith("cwo")}
    assert looked == {(port, 0) for port in (leaving, *site.ports()[1:])}
