"""What a container may send and receive: from the first frame on, and whatever happens.

The container e1 has a policy, e2 and the host have none.
"""

from __future__ import annotations

import select
import socket
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import pytest

from canwharf.bus import events, firewall
from canwharf.bus.model import Policy
from canwharf.errors import CanwharfError, KernelError
from canwharf.kernel import firewall as kernel_firewall
from canwharf.kernel import traffic_control
from tests.kernel.senders import Sender, heard
from tests.kernel.site import Site
from tests.kernel.test_shapes import dying
from tests.world.host import index_of, requests, run
from tests.world.member import Member, raw_socket

N = "n" * 64
_FRAME = struct.Struct("=IB3x8s")
EFF, RTR = 0x80000000, 0x40000000
MARK = 0x7FF  # everybody may receive it, and the host sends it
LIMIT = 10.0  # seconds
PAUSE = 0.001  # seconds between two frames
SENT = (0x100, 0x17F, 0x180, 0x7DF, 0x0, 0x100 | RTR, 0x100 | EFF, 0x18FEF100 | EFF)
SEND, RECEIVE = "100-17F,18FEF100", "180,7DF,7FF"
MAY_SEND = {0x100, 0x17F, 0x100 | RTR, 0x18FEF100 | EFF}
MAY_RECEIVE = {0x180, 0x7DF}
POLICY = {"can.send": SEND, "can.receive": RECEIVE}


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """A kernel without one module loads no other by itself."""
    run("modprobe", "-a", "sch_ingress", "cls_basic", "em_canid", "em_u32", "act_police")


@pytest.fixture(name="guarded")
def _guarded(site: Site) -> Site:
    """Three containers, of which e1 has a policy."""
    site.network(N)
    start(site, "e1", POLICY)
    site.start(N, "e2", "e3")
    return site


def start(site: Site, endpoint: str, given: Mapping[str, str]) -> None:
    site.service.create_endpoint(N, endpoint, given)
    site.join(N, endpoint)


def arrived(
    host: Member, sender: Member, receivers: Sequence[Member], ids: Sequence[int] = SENT
) -> list[Counter[int]]:
    """What each receiver hears of the sender, by the id with its flags."""
    with ExitStack() as stack:
        listening = [stack.enter_context(raw_socket(each)) for each in receivers]
        speaking, marking = (stack.enter_context(raw_socket(each)) for each in (sender, host))
        for number, id in enumerate(ids):
            speaking.send(_FRAME.pack(id, 0 if id & RTR else 8, struct.pack("=Q", number)))
        marking.send(_FRAME.pack(MARK, 0, bytes(8)))
        return [_until_mark(each) for each in listening]


def _until_mark(opened: socket.socket) -> Counter[int]:
    found: Counter[int] = Counter()
    while select.select([opened], [], [], LIMIT)[0]:
        id, _length, _data = _FRAME.unpack(opened.recv(72)[: _FRAME.size])
        if id == MARK:
            return found
        found[id] += 1
    raise AssertionError("the host's mark did not arrive")


def assert_guarded(site: Site) -> None:
    """Each frame arrives exactly as e1's policy says."""
    host, *members = site.members()
    e1, e2, e3 = (
        members[0] for _id, *members in sorted(zip(site.containers, members, strict=True))
    )
    for each in arrived(host, e1, (e2, e3)):
        assert each == dict.fromkeys(MAY_SEND, 1)
    own, other = arrived(host, e2, (e1, e3))
    assert own == dict.fromkeys(MAY_RECEIVE, 1)
    assert other == dict.fromkeys(SENT, 1)


def assert_closed(site: Site) -> None:
    """Nothing that e1 must not send or receive gets through, be it that nothing does."""
    host, e1, e2, e3 = site.members()
    for each in arrived(host, e1, (e2, e3)):
        assert each.keys() <= MAY_SEND
        assert set(each.values()) <= {1}
    with raw_socket(e1) as listening:
        arrived(host, e2, (e3,))
        while select.select([listening], [], [], 0.2)[0]:
            assert _FRAME.unpack(listening.recv(72)[: _FRAME.size])[0] in {*MAY_RECEIVE, MARK}


@pytest.mark.parametrize("no_module", ["act_skbedit", "em_canid"], indirect=True)
@pytest.mark.usefixtures("no_module")
def test_so_it_does_with_less(site: Site) -> None:
    """On a mesh, and where the kernel cannot match ids (a Raspberry Pi's)."""
    site.network(N)
    start(site, "e1", POLICY)
    site.start(N, "e2", "e3")
    test_a_container_sends_and_receives_what_its_options_say(site)


def test_a_container_sends_and_receives_what_its_options_say(guarded: Site) -> None:
    """After a restart, too, and with its siblings coming and going."""
    assert_guarded(guarded)
    guarded.stop(N, "e3")
    guarded.start(N, "e4")
    assert_guarded(guarded)
    guarded.restart()
    assert guarded.daemon.maintenance.recover()
    assert guarded.daemon.maintenance.sync().steps == ()
    assert_guarded(guarded)


def test_a_networks_words_are_for_those_without_own(site: Site) -> None:
    """Each word for itself."""
    given = {"can.interface": "vcan0", "can.name": "can", **POLICY}
    site.service.create_network(N, given)
    start(site, "e1", {})
    start(site, "e2", {"can.send": "all", "can.receive": "all"})
    start(site, "e3", {"can.send": "all", "can.receive": "all"})
    assert_guarded(site)


@pytest.mark.parametrize("rate", [200])
def test_a_babbling_container_is_stopped(site: Site, rate: int) -> None:
    """It may send so many frames a second; more do not reach anybody, and are counted."""
    site.network(N)
    start(site, "e1", {"can.rate": str(rate)})
    site.start(N, "e2")
    host, e1, e2 = site.members()
    sent = 20 * rate
    with raw_socket(e2) as listening:
        arrived(host, e1, (), [0x100] * sent)
        got = _until_mark(listening)[0x100]
    assert 0 < got < sent / 2
    with requests() as netlink:
        there = kernel_firewall.find(netlink, traffic_control.actions(netlink, "gact"))
    assert there[index_of(site.port(N, "e1"))].kept == {"send": sent - got, "receive": 0}
    assert _until_mark_is_first(host, e2)


def _until_mark_is_first(host: Member, member: Member) -> bool:
    return arrived(host, host, (member,), ())[0] == Counter()


@pytest.mark.parametrize("no_module", ["cls_basic", "sch_ingress", "em_u32"], indirect=True)
def test_without_a_module_a_container_with_a_policy_does_not_start(
    site: Site, no_module: str
) -> None:
    """It is refused with the sentence that helps, and not let in unfiltered; others start."""
    site.network(N)
    site.create(N, "e2")
    site.join(N, "e2")
    for each in ("e1", "e3"):
        with pytest.raises(KernelError, match=f"modprobe.* {no_module}'"):
            start(site, each, POLICY)
    assert not any(site.port(N, each) in run("ip", "link") for each in ("e1", "e3"))


@pytest.mark.parametrize("no_module", ["act_police"], indirect=True)
def test_without_its_module_only_a_rate_is_refused(site: Site, no_module: str) -> None:
    """Ids are filtered all the same; what the running container had, it keeps."""
    site.network(N)
    start(site, "e1", POLICY)
    site.start(N, "e2", "e3")
    with pytest.raises(KernelError, match=f"the kernel module {no_module} is not loaded"):
        start(site, "e4", {"can.rate": "100"})
    assert site.port(N, "e4") not in run("ip", "link")
    with pytest.raises(KernelError, match=f"the kernel module {no_module} is not loaded"):
        firewall.set_policy(site.service, N, "e1", {"can.send": "all", "can.rate": "100"})
    kept = Policy("100-17F+18FEF100", "180+7DF+7FF")
    assert site.service.state.networks[N].policy_of("e1") == kept
    site.service.delete_endpoint(N, "e4")
    assert_guarded(site)


@pytest.mark.parametrize(
    "words",
    ["filter delete dev {} ingress", "filter delete dev {} egress", "qdisc del dev {} clsact"],
)
def test_filters_that_were_deleted_by_hand_come_back(guarded: Site, words: str) -> None:
    run("tc", *words.format(guarded.port(N, "e1")).split())
    guarded.daemon.maintenance.repair()
    assert_guarded(guarded)
    assert guarded.daemon.maintenance.sync().steps == ()


def test_where_they_cannot_come_back_the_container_is_closed(guarded: Site) -> None:
    """Somebody's qdisc is in their place. It opens again when there is room."""
    port = guarded.port(N, "e1")
    run("tc", "qdisc", "del", "dev", port, "clsact")
    run("tc", "qdisc", "add", "dev", port, "ingress")
    guarded.daemon.maintenance.repair()
    assert guarded.daemon.said(events.BUS_NOT_REPAIRED)
    host, e1, e2, e3 = guarded.members()
    assert arrived(host, e1, (e2, e3)) == [Counter(), Counter()]
    guarded.stop(N, "e3")
    guarded.start(N, "e3")
    assert arrived(host, e1, (e2,)) == [Counter()]
    run("tc", "qdisc", "del", "dev", port, "ingress")
    guarded.daemon.maintenance.sync()
    assert_guarded(guarded)


def test_a_lost_state_leaves_it_as_it_is(guarded: Site) -> None:
    """The kernel has the filters; their words were on the disk."""

    def lose() -> None:
        (run("rm", guarded.daemon.store.path))

    guarded.restart(lose, adopt=True)
    guarded.daemon.maintenance.sync()
    assert_guarded(guarded)
    with pytest.raises(CanwharfError, match="record"):
        firewall.set_policy(guarded.service, N, "e1", {"can.send": "100"})
    firewall.set_policy(guarded.service, N, "e1", POLICY)
    assert_guarded(guarded)


@pytest.mark.parametrize("which", ["ingress", "egress"])
def test_a_lost_state_and_a_part_of_the_filters_are_closed(guarded: Site, which: str) -> None:
    """The filter that is left is not taken for the whole policy."""

    def lose() -> None:
        run("rm", guarded.daemon.store.path)
        run("tc", "filter", "delete", "dev", guarded.port(N, "e1"), which)

    guarded.restart(lose, adopt=True)
    guarded.daemon.maintenance.sync()
    host, e1, e2, e3 = guarded.members()
    assert arrived(host, e1, (e2, e3)) == [Counter(), Counter()]
    with raw_socket(e1) as listening:
        arrived(host, e2, (e3,))
        assert not select.select([listening], [], [], 0.2)[0]
    assert guarded.daemon.maintenance.sync().steps == ()


def test_a_lost_state_leaves_a_logger_its_ears(site: Site) -> None:
    """It may not send: its one filter is its whole policy."""
    site.network(N)
    start(site, "e1", {"can.send": "none"})
    site.start(N, "e2")

    def lose() -> None:
        run("rm", site.daemon.store.path)

    site.restart(lose, adopt=True)
    assert site.daemon.maintenance.sync().steps == ()
    host, e1, e2 = site.members()
    assert arrived(host, e2, (e1,)) == [dict.fromkeys(SENT, 1)]
    assert arrived(host, e1, (e2,)) == [Counter()]


def test_an_endpoint_that_is_known_by_its_join_alone_is_closed(guarded: Site) -> None:
    """Its own words may have forbidden more than its network's."""
    guarded.join(N, "e4")
    assert [each.fields["endpoint"] for each in guarded.daemon.said(events.ENDPOINT_CLOSED)] == [
        "e4"
    ]
    host, _e1, e2, _e3, e4 = guarded.members()
    assert arrived(host, e4, (e2,)) == [Counter()]


def test_it_is_changed_under_traffic(guarded: Site, stack: ExitStack) -> None:
    """No frame that passes before and after is lost or doubled, and the rest begins or ends."""
    _host, e1, e2, e3 = guarded.members()
    listening = [stack.enter_context(raw_socket(each)) for each in (e2, e3)]
    firewall.set_policy(guarded.service, N, "e1", {"can.send": "100-1FF"})
    sender = stack.enter_context(Sender(e1, 1, 50, PAUSE))  # sends 101
    for number in range(300):
        words = ("101,200", "!7DF", "all", "100-13F", "sff", "101,18FEF100")[number % 6]
        firewall.set_policy(guarded.service, N, "e1", {"can.send": words, "can.receive": words})
    sent = [(1, number) for number in range(sender.stop())]
    for each in listening:
        assert heard(each, sent) == Counter(sent)


def test_the_daemon_dies_at_every_message_of_a_join(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At none of them a frame gets through that must not; the next daemon goes on."""
    site.network(N)
    site.start(N, "e2", "e3")
    place, cut_off = 0, True
    while cut_off:
        site.service.create_endpoint(N, "e1", POLICY)
        with monkeypatch.context() as patch:
            cut_off = dying(site, patch, place, lambda: site.join(N, "e1"))
        site.restart()
        assert site.daemon.maintenance.recover()
        if cut_off:
            site.service.create_endpoint(N, "e1", POLICY)
            site.join(N, "e1")
        assert_guarded(site)
        site.stop(N, "e1")
        place += 1
