"""Links on the real kernel: what we make, what we delete, what we read."""

from __future__ import annotations

import errno

import pytest

from canwharf.errors import KernelError
from canwharf.kernel import gateway, link, message, uapi
from canwharf.kernel.gateway import CLASSIC, FD, Rule
from canwharf.kernel.link import Link
from canwharf.kernel.netlink import LinkEvents, Netlink
from tests.kernel.site import GROUP, make_pair, make_vcans, shown
from tests.world.adapter import Adapter
from tests.world.container import Container
from tests.world.host import SYS_NET, can_interfaces, cangw_lines, index_of, ip

ALIAS = "canwharf canwharf endpoint " + 64 * "a" + " " + 64 * "b" + " vcan0 can"


def found(netlink: Netlink, name: str) -> Link | None:
    """A link, asked for by name."""
    answers = netlink.batch([link.get(name)])
    return link.parse(answers[0]) if answers else None


class CountingSocket:
    """Counts sends of a netlink socket."""

    def __init__(self, netlink: Netlink) -> None:
        self.sends = 0
        self._socket = netlink._socket

    def send(self, data: bytes) -> int:
        self.sends += 1
        return self._socket.send(data)

    def recv(self, size: int) -> bytes:
        return self._socket.recv(size)


def test_what_has_no_alias_yet_is_known_by_its_group(netlink: Netlink) -> None:
    """The kernel takes the group at creation, also for the peer, but no alias."""
    netlink.batch([link.make_vcan("vcan0", GROUP), link.make_pair("host0", "cont0", GROUP)])
    for name, group, up in (("vcan0", GROUP, False), ("host0", GROUP, False), ("cont0", 0, True)):
        assert int((SYS_NET / name / "netdev_group").read_text()) == group
        told = shown(name)
        assert "ifalias" not in told
        assert ("UP" in told["flags"]) == up
        one = found(netlink, name)
        assert one is not None
        assert (one.group, one.alias, one.up) == (group, "", up)


def test_a_vcan_is_up_with_alias_and_mtu(netlink: Netlink) -> None:
    make_vcans("vcan0", alias="canwharf canwharf bus")
    told = shown("vcan0")
    assert told["linkinfo"]["info_kind"] == "vcan"
    assert told["mtu"] == 72
    assert "UP" in told["flags"]
    assert told["ifalias"] == "canwharf canwharf bus"
    assert found(netlink, "vcan0") == Link(
        told["ifindex"],
        "vcan0",
        "vcan",
        alias="canwharf canwharf bus",
        group=GROUP,
        txqueuelen=told["txqlen"],
    )


def test_a_pair_is_up_at_both_ends_with_alias_and_mtu(netlink: Netlink) -> None:
    make_pair("host0", "cont0", ALIAS)
    for name, other, alias, group in (
        ("host0", "cont0", ALIAS, GROUP),
        ("cont0", "host0", None, 0),
    ):
        told = shown(name)
        assert told["linkinfo"]["info_kind"] == "vxcan"
        assert told["mtu"] == 72
        assert {"UP", "LOWER_UP"} <= set(told["flags"]), "carrier needs both ends up"
        assert told.get("ifalias") == alias
        assert told["link"] == other
        assert found(netlink, name) == Link(
            told["ifindex"],
            name,
            "vxcan",
            alias=alias or "",
            group=group,
            peer=index_of(other),
            txqueuelen=told["txqlen"],
        )


def test_a_pair_takes_one_send(netlink: Netlink, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = CountingSocket(netlink)
    monkeypatch.setattr(netlink, "_socket", counting)
    netlink.batch([link.make_pair("host0", "cont0", GROUP), link.get("host0")])
    assert counting.sends == 1
    assert can_interfaces() == {"host0", "cont0"}


@pytest.mark.parametrize("taken", ["host0", "cont0"])
def test_a_name_clash_leaves_nothing(netlink: Netlink, taken: str) -> None:
    ip(f"link add {taken} type vcan")
    with pytest.raises(KernelError) as refused:
        netlink.batch([link.make_pair("host0", "cont0", GROUP)])
    assert refused.value.errno == errno.EEXIST
    assert can_interfaces() == {taken}


@pytest.mark.parametrize("kind", ["pair", "vcan"])
def test_a_name_clash_does_not_touch_the_owner_of_the_name(netlink: Netlink, kind: str) -> None:
    """With our alias on it, a foreign interface would be ours to delete."""
    ip("link add host0 type vcan")
    make = {
        "pair": link.make_pair("host0", "cont0", GROUP),
        "vcan": link.make_vcan("host0", GROUP),
    }
    with pytest.raises(KernelError):
        netlink.batch([make[kind]])
    assert int((SYS_NET / "host0" / "netdev_group").read_text()) == 0
    told = shown("host0")
    assert "ifalias" not in told
    assert "UP" not in told["flags"]


def test_delete_takes_both_ends_and_all_their_rules(netlink: Netlink) -> None:
    make_pair("host0", "cont0")
    make_vcans("vcan0")
    host, bus = index_of("host0"), index_of("vcan0")
    netlink.batch(
        [
            gateway.add(Rule(source, destination, frames), "")
            for source, destination in ((host, bus), (bus, host))
            for frames in (CLASSIC, FD)
        ]
    )
    assert len(cangw_lines()) == 4
    netlink.batch([link.delete(host, "host0")])
    assert can_interfaces() == {"vcan0"}
    assert cangw_lines() == []
    netlink.batch([link.delete(host, "host0")])  # absent is what was asked for


def test_claiming_again_brings_up_again(netlink: Netlink) -> None:
    make_vcans("vcan0")
    ip("link set vcan0 down")
    down = found(netlink, "vcan0")
    assert down is not None
    assert not down.up
    netlink.batch([link.bring_up(down.ifindex, "vcan0", "y")])
    told = shown("vcan0")
    assert "UP" in told["flags"]
    assert told["ifalias"] == "y"


def test_claiming_what_is_gone(netlink: Netlink) -> None:
    with pytest.raises(KernelError) as refused:
        netlink.batch([link.bring_up(999999, "vcan0", "y")])
    assert refused.value.errno == errno.ENODEV


def test_asking_for_a_link_that_is_not_there(netlink: Netlink) -> None:
    assert found(netlink, "vcan0") is None


def test_lo_is_no_can_interface(netlink: Netlink) -> None:
    lo = next(each for each in link.links(netlink) if each.name == "lo")
    assert lo == Link(1, "lo", can=False, mtu=65536, txqueuelen=1000)
    assert found(netlink, "lo") == lo


def test_links_agree_with_sysfs(netlink: Netlink) -> None:
    make_pair("host0", "cont0")
    make_vcans("vcan0")
    assert {each.name: each.ifindex for each in link.links(netlink)} == {
        path.name: int((path / "ifindex").read_text()) for path in SYS_NET.iterdir()
    }


def test_the_end_in_another_namespace_is_seen(netlink: Netlink, container: Container) -> None:
    make_pair("host0", "cont0", ALIAS)
    before = found(netlink, "host0")
    assert before is not None
    assert not before.peer_away
    container.take("cont0", "can0")
    after = found(netlink, "host0")
    assert after is not None
    assert after.peer_away
    assert [each for each in link.links(netlink) if each.name == "host0"] == [after]
    inside = container.links()["can0"]
    assert inside.up
    assert inside.mtu == 72
    assert inside.alias == "", "the container is told nothing of us"
    container.give_back("can0", "cont0")
    again = found(netlink, "host0")
    assert again is not None
    assert not again.peer_away
    assert again.peer == index_of("cont0")


def test_classic_only_interfaces(netlink: Netlink, adapter: Adapter) -> None:
    adapter.start()
    ip("link add vcan16 mtu 16 type vcan")
    slow, vcan = found(netlink, adapter.name), found(netlink, "vcan16")
    assert slow is not None
    assert vcan is not None
    assert (slow.can, slow.fd, slow.mtu, slow.up) == (True, False, 16, True)
    assert (vcan.can, vcan.fd, vcan.mtu, vcan.up) == (True, False, 16, False)


def test_announcements_tell_what_a_dump_tells(netlink: Netlink) -> None:
    events = LinkEvents()
    try:
        make_pair("host0", "cont0", ALIAS)
        make_vcans("vcan0")
        last = {}
        for announced in events.take():
            assert announced.type == uapi.RTM_NEWLINK
            # The carrier comes a little later (linkwatch), with an announcement of its own.
            told = link.parse(announced)._replace(carrier=True)
            last[told.name] = told
        links = [each._replace(carrier=True) for each in link.links(netlink) if each.can]
        listed = {each.name: each for each in links}
        assert last == listed
        netlink.batch([link.delete(index_of("host0"), "host0")])
        gone = [link.parse(each).name for each in events.take() if each.type == uapi.RTM_DELLINK]
        assert sorted(gone) == ["cont0", "host0"]
    finally:
        events.close()


def test_the_kernels_own_words_reach_the_error(netlink: Netlink) -> None:
    with pytest.raises(KernelError) as refused:
        netlink.batch([link.make_vcan("a_name_that_is_too_long", GROUP)])
    assert refused.value.errno == errno.ERANGE
    assert refused.value.text
    assert refused.value.text in str(refused.value)
    assert refused.value.target == "bus interface a_name_that_is_too_long"
    assert can_interfaces() == set()


def test_an_invalid_name_is_refused(netlink: Netlink) -> None:
    with pytest.raises(KernelError) as refused:
        netlink.batch([link.make_pair("host/0", "cont0", GROUP)])
    assert refused.value.errno == errno.EINVAL
    assert can_interfaces() == set()


@pytest.mark.usefixtures("no_vxcan")
def test_without_vxcan_the_error_says_what_to_do(netlink: Netlink) -> None:
    with pytest.raises(KernelError) as refused:
        netlink.batch([link.make_pair("host0", "cont0", GROUP)])
    assert refused.value.errno == errno.EOPNOTSUPP
    assert refused.value.text == "Unknown device type"
    assert "modprobe vxcan" in str(refused.value)


@pytest.mark.usefixtures("no_vcan")
def test_without_vcan_the_error_says_what_to_do(netlink: Netlink) -> None:
    with pytest.raises(KernelError) as refused:
        netlink.batch([link.make_vcan("vcan0", GROUP)])
    assert refused.value.text == "Unknown device type"
    assert "modprobe vcan" in str(refused.value)


def test_a_batch_reports_one_failure_and_applies_the_rest(netlink: Netlink) -> None:
    ip("link add vcan1 type vcan")
    wanted = [link.make_vcan(name, GROUP) for name in ("vcan0", "vcan1", "vcan2")]
    with pytest.raises(KernelError, match="bus interface vcan1"):
        netlink.batch(wanted)
    assert can_interfaces() == {"vcan0", "vcan1", "vcan2"}
    assert found(netlink, "vcan2") is not None


def test_a_batch_larger_than_one_send(netlink: Netlink) -> None:
    """More than the limit of one send: all is done, and the one that failed is named."""
    make_vcans("vcan0")
    index = index_of("vcan0")
    wanted = [link.bring_up(index, "vcan0", "x") for _ in range(3000)]
    wanted[1500] = gateway.add(Rule(index, 999999, CLASSIC), "vcan0 -> vcan9")
    assert len(b"".join(message.encode(0, 0, 0, each.body) for each in wanted)) > 64 * 1024
    with pytest.raises(KernelError, match="vcan0 -> vcan9"):
        netlink.batch(wanted)


@pytest.mark.parametrize("number", [300, 1000])
def test_a_batch_of_many_questions(netlink: Netlink, number: int) -> None:
    """As Reconciler.look_at asks them: one for each endpoint of the machine."""
    wanted = [link.get("lo") for _ in range(number)]
    assert len(netlink.batch(wanted)) == number
