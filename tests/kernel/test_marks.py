"""The two filters of a host end: found again, restored, and beside those of a user.

What they are for is in `test_linear.py`.
"""

from __future__ import annotations

import errno
import re
from contextlib import ExitStack

import pytest

from canwharf.errors import KernelError
from canwharf.kernel import traffic_control
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.traffic_control import (
    CLASSIFIERS,
    DAMAGED,
    MISSING,
    WHOLE,
    Ability,
    Marks,
    Port,
)
from tests.filters import delete
from tests.kernel.by_hand import Linear
from tests.kernel.site import make_pair
from tests.world.frames import exchange
from tests.world.host import index_of, ip, requests, run, wait_until

BOTH = Marks(WHOLE, WHOLE)
RARE = ("flower", "random")  # parts of tc that the lab's own kernel does not have


@pytest.fixture(autouse=True)
def _none_of_an_earlier_test(netlink: Netlink) -> None:
    """The kernel ends an action a moment after its link."""
    wait_until(lambda: traffic_control.find(netlink) == {})


@pytest.fixture
def bus(stack: ExitStack, netlink: Netlink) -> Linear:
    """A linear bus with two containers."""
    made = Linear(stack, netlink)
    made.join()
    made.join()
    return made


@pytest.fixture
def port(_clean: None) -> Port:
    """The host end of a pair without filters."""
    make_pair("h0", "c0")
    return Port(index_of("h0"), "h0")


def tc(words: str) -> str:
    """What `tc` prints."""
    return run("tc", *words.split())


def tc_if_able(words: str) -> str:
    """The same; the test is skipped where the kernel was built without one of RARE."""
    try:
        return tc(words)
    except AssertionError as refused:
        text = str(refused)
        if "not supported" not in text and "not found" not in text:
            raise
        lacking = [each for each in RARE if each in words]
        if not lacking:
            raise
        pytest.skip(f"this kernel lacks {lacking[0]} in tc")


def filters(port: Port) -> list[str]:
    """The filters of a port in tc's words, without what changes: those of both directions."""
    lines = tc(f"filter show dev {port.name} ingress") + tc(f"filter show dev {port.name} egress")
    kept = [re.sub(r" index \d+", "", line.strip()) for line in lines.splitlines()]
    return [line for line in kept if " handle " in line or line.startswith("action")]


def counted(port: Port, direction: str, pref: int) -> list[int]:
    """How many frames the actions of these filters saw."""
    told = tc(f"-s filter show dev {port.name} {direction} pref {pref}")
    return [int(each) for each in re.findall(r"Sent \d+ bytes (\d+) pkt", told)]


def settled(bus: Linear, port: Port, marks: Marks) -> None:
    """The kernel ends an action a moment after its filter."""
    wait_until(lambda: bus.marks(port) == marks)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_what_tc_shows_of_them(netlink: Netlink, port: Port, classifier: str) -> None:
    """As the documentation has it; and nothing in the container."""
    netlink.batch(traffic_control.add(port, classifier))
    cookie = b"canwharf".hex() + port.ifindex.to_bytes(4, "little").hex()
    assert filters(port) == [
        f"filter protocol all pref 1 {classifier} chain 0 handle 0x1",
        f"action order 1: skbedit  mark {port.ifindex} continue",
        f"filter protocol all pref 1 fw chain 0 handle {port.ifindex:#x}",
        "action order 1: gact action stolen",
    ]
    assert tc(f"filter show dev {port.name} ingress").count(f"cookie {cookie}") == 1
    assert tc("filter show dev c0 ingress") == tc("qdisc show dev c0 handle ffff:") == ""


def test_they_are_known_again_after_a_restart_and_go_with_the_link(
    netlink: Netlink, port: Port
) -> None:
    netlink.batch(traffic_control.add(port, "matchall"))
    with requests() as another:
        assert traffic_control.find(another) == {port.ifindex: BOTH}
    ip("link delete h0")
    wait_until(lambda: traffic_control.find(netlink) == {})


def test_two_hundred_ports_are_found_and_left_by_two_dumps(netlink: Netlink) -> None:
    ports = []
    for number in range(200):
        make_pair(f"h{number}", f"c{number}")
        ports.append(Port(index_of(f"h{number}"), f"h{number}"))
    netlink.batch([each for port in ports for each in traffic_control.add(port, "matchall")])
    assert traffic_control.find(netlink) == {port.ifindex: BOTH for port in ports}
    netlink.batch([each for port in ports for each in delete(port, BOTH)])
    wait_until(lambda: traffic_control.find(netlink) == {})


DAMAGE = {
    "mark deleted": ("filter delete dev {port} ingress", Marks(MISSING, WHOLE)),
    "drop deleted": ("filter delete dev {port} egress", Marks(WHOLE, MISSING)),
    "both deleted": ("qdisc delete dev {port} clsact", Marks()),
    "another mark": (
        "actions change action skbedit mark 9 continue index {mark}",
        Marks(DAMAGED, WHOLE),
    ),
    "mark that ends the walk": (
        "actions change action skbedit mark {ifindex} pass index {mark}",
        Marks(DAMAGED, WHOLE),
    ),
    "priority set": (
        "actions change action skbedit mark {ifindex} priority 1:1 continue index {mark}",
        Marks(DAMAGED, WHOLE),
    ),
    "passing drop": ("actions change action gact pass index {drop}", Marks(WHOLE, DAMAGED)),
    "drop now and then": (
        "actions change action gact pass random determ drop 2 index {drop}",
        Marks(WHOLE, DAMAGED),
    ),
}


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(("words", "marks"), DAMAGE.values(), ids=DAMAGE.keys())
def test_what_was_changed_by_hand_is_seen_and_restored(
    stack: ExitStack, netlink: Netlink, classifier: str, words: str, marks: Marks
) -> None:
    bus = Linear(stack, netlink)
    bus.classifier = classifier
    for _ in range(2):
        bus.join()
    port = bus.ports[0]
    mark, drop = (
        re.findall(r"index (\d+)", tc(f"filter show dev {port.name} {direction}"))
        for direction in ("ingress", "egress")
    )
    tc_if_able(words.format(port=port.name, ifindex=port.ifindex, mark=mark[0], drop=drop[0]))
    settled(bus, port, marks)
    assert bus.marks(bus.ports[1]) == BOTH
    bus.restore(port)
    assert bus.marks(port).whole
    assert exchange(bus.members(), errors=True).faults == []


def test_what_is_whole_is_not_touched(bus: Linear) -> None:
    port = bus.ports[0]
    before = tc(f"filter show dev {port.name} ingress")  # with the numbers of its actions
    bus.restore(port)
    assert tc(f"filter show dev {port.name} ingress") == before


def test_a_users_own_filters_stay_and_see_their_frames(stack: ExitStack, netlink: Netlink) -> None:
    """They were there first, on a clsact of theirs; one lets everything pass, each way."""
    bus = Linear(stack, netlink)
    port = bus.take()
    tc(f"qdisc add dev {port.name} clsact")
    tc(f"filter add dev {port.name} ingress pref 10 matchall action pass")
    tc(f"filter add dev {port.name} egress pref 10 matchall action pass")
    theirs = filters(port)
    for _name, step in bus.coming(port):
        netlink.batch(step)
    bus.join()
    assert exchange(bus.members(), frames=1).faults == []
    # Of one other container and the host: six kinds of frames and two end marks each.
    assert counted(port, "ingress", 10) == [8]
    assert counted(port, "egress", 10) == [16]
    assert bus.marks(port).whole
    for _name, step in bus.going(port, BOTH):
        netlink.batch(step)
    settled(bus, port, Marks())
    assert filters(port) == theirs


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("theirs", ["matchall", "flower", "basic", "u32 match u32 0 0"])
def test_a_users_filter_in_our_place_is_not_replaced(
    netlink: Netlink, port: Port, classifier: str, theirs: str
) -> None:
    """The refusal says where it is and what to do; the drop alone harms nobody."""
    tc(f"qdisc add dev {port.name} clsact")
    tc_if_able(f"filter add dev {port.name} ingress pref 1 {theirs} action pass")
    before = filters(port)
    with pytest.raises(KernelError, match="'tc filter show dev h0 ingress' shows it") as refused:
        netlink.batch(traffic_control.add(port, classifier))
    assert refused.value.errno in (errno.EEXIST, errno.EINVAL)
    netlink.batch(delete(port, traffic_control.find(netlink)[port.ifindex]))
    assert filters(port) == before


def test_a_users_ingress_is_not_replaced(netlink: Netlink, port: Port) -> None:
    tc(f"qdisc add dev {port.name} ingress")
    with pytest.raises(KernelError, match="'tc qdisc delete dev h0 ingress' makes room"):
        netlink.batch(traffic_control.add(port, "matchall"))
    netlink.batch(delete(port, traffic_control.find(netlink)[port.ifindex]))
    assert "qdisc ingress ffff:" in tc(f"qdisc show dev {port.name}")
    assert filters(port) == []


def test_a_users_actions_are_not_taken_for_ours(netlink: Netlink, port: Port) -> None:
    """With a cookie of their own, or with our name alone."""
    for number, cookie in enumerate(("", " cookie beef", " cookie " + b"canwharf".hex()), 1):
        tc(f"actions add action skbedit mark {port.ifindex} continue index {number}{cookie}")
    try:
        assert traffic_control.find(netlink) == {}
    finally:
        tc("actions flush action skbedit")


def test_a_kernel_with_all_modules_is_able(netlink: Netlink, port: Port) -> None:
    assert traffic_control.probe(netlink, port) == Ability("matchall")
    assert filters(port) == []


@pytest.mark.parametrize(
    ("no_module", "ability"),
    [
        ("sch_ingress", Ability("", ("sch_ingress",))),
        ("cls_fw", Ability("", ("cls_fw",))),
        ("act_gact", Ability("", ("act_gact",))),
        ("act_skbedit", Ability("", ("act_skbedit",))),
    ],
    indirect=["no_module"],
)
def test_without_a_module_the_kernel_is_not_able_and_says_why(
    netlink: Netlink, port: Port, no_module: str, ability: Ability
) -> None:
    assert traffic_control.probe(netlink, port) == ability
    assert filters(port) == []
    with pytest.raises(KernelError, match=f"modprobe (-a )?.*{no_module}") as refused:
        netlink.batch(traffic_control.add(port, "matchall"))
    assert refused.value.errno == errno.ENOENT
    found = traffic_control.find(netlink).get(port.ifindex, Marks())
    netlink.batch(delete(port, found))
    wait_until(lambda: traffic_control.find(netlink) == {})


@pytest.mark.parametrize("no_module", ["cls_matchall"], indirect=True)
@pytest.mark.usefixtures("no_module")
def test_without_matchall_basic_stands_in(stack: ExitStack, netlink: Netlink) -> None:
    bus = Linear(stack, netlink)
    assert bus.classifier == "basic"
    bus.join()
    bus.join()
    assert exchange(bus.members(), errors=True).faults == []


@pytest.mark.parametrize("no_module", ["cls_basic"], indirect=True)
@pytest.mark.usefixtures("no_module")
def test_basic_is_not_missed_beside_matchall(netlink: Netlink, port: Port) -> None:
    assert traffic_control.probe(netlink, port) == Ability("matchall")
