"""What the kernel announces of filters (RTNLGRP_TC), side by side with the unit tests' kernel.

They rely on it to show how the daemon learns that somebody deleted a filter.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator

import pytest

from canwharf.kernel import message, traffic_control
from canwharf.kernel.message import Message
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.request import Requests
from canwharf.kernel.traffic_control import CLASSIFIERS, MISSING, NOTHING, WHOLE, Marks, Port
from tests.fake import wire
from tests.fake.kernel import FakeKernel
from tests.filters import delete
from tests.kernel.site import make_pair
from tests.world.host import index_of, run

GROUP = 8  # linux/rtnetlink.h: RTMGRP_TC
BOTH = Marks(WHOLE, WHOLE)
Told = tuple[int, str]


class Twins:
    """A host end on the real kernel and on the other one, and what both announce."""

    def __init__(self, netlink: Netlink, listener: socket.socket) -> None:
        make_pair("h0", "c0")
        self._listener = listener
        self._fake = FakeKernel()
        end, other = self._fake.add_link("h0", "vxcan"), self._fake.add_link("c0", "vxcan")
        end.peer, other.peer = other, end
        self._ports = Port(index_of("h0"), "h0"), Port(end.index, "h0")
        self._kernels: tuple[Requests, Requests] = netlink, self._fake
        self.told()

    def add(self, classifier: str, found: Marks = NOTHING) -> None:
        """Make both filters whole where `found` is there."""
        for kernel, port in zip(self._kernels, self._ports, strict=True):
            kernel.batch(traffic_control.add(port, classifier, found))

    def delete(self) -> None:
        """Delete both filters."""
        for kernel, port in zip(self._kernels, self._ports, strict=True):
            kernel.batch(delete(port, BOTH))

    def by_hand(self, words: str, hand: Callable[[FakeKernel], None]) -> None:
        """Somebody's command, and what the other kernel has in its place."""
        run(*words.split())
        hand(self._fake)

    def told(self) -> tuple[list[Told], list[Told]]:
        """What each of them announced since the last call: it does so before it answers."""
        real: list[Message] = []
        try:
            while True:
                real += message.decode(self._listener.recv(65536))
        except BlockingIOError:
            pass
        both = zip((real, self._fake.take()), self._ports, strict=True)
        ones, others = (
            [
                _said(each, port)
                for each in messages
                if each.type not in (wire.NEWLINK, wire.DELLINK)
            ]
            for messages, port in both
        )
        return ones, others


def _said(each: Message, port: Port) -> Told:
    """An announcement without the index of its link."""
    if each.type == wire.NEWACTION:  # of no link
        return each.type, ""
    said = wire.read_tc(each.body)
    assert said.ifindex == port.ifindex
    handle = "index" if said.handle == port.ifindex else f"{said.handle:x}"
    kind = said.attributes.get(wire.TC_KIND, b"").rstrip(b"\0").decode()
    return each.type, f"{kind} {handle} {said.parent:x} {said.info:x}"


@pytest.fixture
def twins(netlink: Netlink) -> Iterator[Twins]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as listener:
        listener.bind((0, GROUP))
        listener.setblocking(False)
        yield Twins(netlink, listener)


def assert_same(twins: Twins, *types: int) -> None:
    """Both announced these, and the same of each."""
    real, fake = twins.told()
    assert [kind for kind, _said in real] == list(types)
    assert fake == real


COMING = (wire.NEWQDISC, *(wire.NEWCHAIN, wire.NEWTFILTER) * 2)
GOING = (wire.DELTFILTER, wire.DELCHAIN)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_daemons_own_filters_are_announced(twins: Twins, classifier: str) -> None:
    twins.add(classifier)
    assert_same(twins, *COMING)
    twins.add(classifier, BOTH)
    assert_same(twins, wire.NEWQDISC)
    twins.delete()
    assert_same(twins, *GOING * 2)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(
    ("direction", "left"),
    [("ingress", Marks(MISSING, WHOLE)), ("egress", Marks(WHOLE, MISSING))],
)
def test_a_filter_that_somebody_deletes_is_announced(
    twins: Twins, classifier: str, direction: str, left: Marks
) -> None:
    twins.add(classifier)
    twins.told()
    twins.by_hand(
        f"tc filter delete dev h0 {direction}", lambda fake: fake.delete_filters("h0", direction)
    )
    assert_same(twins, *GOING)
    twins.add(classifier, left)
    assert_same(twins, wire.NEWQDISC, wire.NEWCHAIN, wire.NEWTFILTER)


def test_clsact_goes_without_a_word_of_its_filters(twins: Twins) -> None:
    """RTM_DELQDISC is all, and the chains."""
    twins.add("matchall")
    twins.told()
    twins.by_hand("tc qdisc delete dev h0 clsact", lambda fake: fake.delete_filters("h0", "all"))
    assert_same(twins, wire.DELQDISC, wire.DELCHAIN, wire.DELCHAIN)


def test_a_link_goes_without_a_word_of_clsact(twins: Twins) -> None:
    """RTNLGRP_LINK has RTM_DELLINK."""
    twins.add("matchall")
    twins.told()
    twins.by_hand("ip link delete h0", lambda fake: fake.delete_link("h0"))
    assert_same(twins, wire.DELCHAIN, wire.DELCHAIN)


def test_an_action_that_somebody_changes_is_announced_without_its_link(twins: Twins) -> None:
    twins.add("matchall")
    twins.told()
    shown = run("tc", "filter", "show", "dev", "h0", "egress")
    (number,) = re.findall(r" index (\d+)", shown)
    twins.by_hand(
        f"tc actions change action gact pass index {number}",
        lambda fake: fake.change_filter("h0", "egress"),
    )
    assert_same(twins, wire.NEWACTION)


@pytest.mark.parametrize("kind", ["clsact", "ingress"])
def test_a_users_own_are_announced_alike(twins: Twins, kind: str) -> None:
    twins.by_hand(f"tc qdisc add dev h0 {kind}", lambda fake: fake.add_qdisc("h0", kind))
    assert_same(twins, wire.NEWQDISC)
    twins.by_hand(
        "tc filter add dev h0 ingress pref 10 matchall action pass",
        lambda fake: fake.add_filter("h0", "ingress"),
    )
    assert_same(twins, wire.NEWCHAIN, wire.NEWTFILTER)
    twins.by_hand(f"tc qdisc delete dev h0 {kind}", lambda fake: fake.delete_filters("h0", "all"))
    assert_same(twins, wire.DELQDISC, wire.DELCHAIN)
