"""The filters of a host end on the fake kernel: made, found, deleted, and what frames do with them.

What the real kernel does in the same cases is in tests/kernel/test_marks.py and test_linear.py.
"""

from __future__ import annotations

import errno
import struct

import pytest

from canwharf.errors import KernelError
from canwharf.kernel import gateway, traffic_control
from canwharf.kernel.gateway import FRAMES, Rule
from canwharf.kernel.traffic_control import (
    CLASSIFIERS,
    DAMAGED,
    MISSING,
    WHOLE,
    Ability,
    Marks,
    Port,
)
from tests.fake import filters, wire
from tests.fake.answers import MODULES
from tests.fake.kernel import FakeKernel
from tests.fake.links import FakeLink
from tests.filters import delete

BOTH = Marks(WHOLE, WHOLE)
KINDS = ("classic", "fd", "errors")


@pytest.fixture
def port(kernel: FakeKernel) -> Port:
    """A host end without filters."""
    return pair(kernel, "h0", "container")


def pair(kernel: FakeKernel, name: str, namespace: str = "", group: int = 0) -> Port:
    """The host end of a pair; its other end is named as it, with an x."""
    end = kernel.add_link(name, "vxcan", group=group)
    other = kernel.add_link(f"{name}x", "vxcan", group=group)
    end.peer, other.peer = other, end
    if namespace:
        kernel.move(other.name, namespace)
    return Port(end.index, name)


def told(kernel: FakeKernel) -> list[tuple[int, int, int]]:
    """The announcements since the last call: type, index of the link, parent."""
    heads = [(each.type, struct.unpack_from("=BxxxiIII", each.body)) for each in kernel.take()]
    return [(kind, head[1], head[3]) for kind, head in heads]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_they_are_made_found_and_deleted(kernel: FakeKernel, port: Port, classifier: str) -> None:
    before = kernel.snapshot()
    kernel.batch(traffic_control.add(port, classifier))
    assert traffic_control.find(kernel) == {port.ifindex: BOTH}
    assert kernel.marks(port.name) == BOTH
    assert len(kernel.snapshot().filters) == 2
    with pytest.raises(KernelError) as refused:
        kernel.batch(traffic_control.add(port, classifier))
    assert refused.value.errno == errno.EEXIST
    kernel.batch(delete(port, BOTH) * 2)
    assert traffic_control.find(kernel) == {}
    assert kernel.snapshot() == before


def test_many_are_found_at_once(kernel: FakeKernel) -> None:
    """The kernel lists them in more than one datagram."""
    ports = [pair(kernel, f"h{number}") for number in range(200)]
    for port in ports:
        kernel.batch(traffic_control.add(port, "matchall"))
    assert traffic_control.find(kernel) == {port.ifindex: BOTH for port in ports}


def test_they_go_with_their_link_and_with_its_namespace(kernel: FakeKernel, port: Port) -> None:
    kernel.batch(traffic_control.add(port, "matchall"))
    kernel.move(port.name, "elsewhere")
    assert traffic_control.find(kernel) == {}
    again = pair(kernel, "h1", "container")
    kernel.batch(traffic_control.add(again, "matchall"))
    kernel.delete_link(again.name)
    assert traffic_control.find(kernel) == {}


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ("ingress", Marks(MISSING, WHOLE)),
        ("egress", Marks(WHOLE, MISSING)),
        ("all", Marks(MISSING, MISSING)),
    ],
)
def test_what_somebody_deleted_is_missed_and_made_again(
    kernel: FakeKernel, port: Port, which: str, left: Marks
) -> None:
    kernel.batch(traffic_control.add(port, "matchall"))
    kernel.delete_filters(port.name, which)
    assert kernel.marks(port.name) == left
    assert traffic_control.find(kernel).get(port.ifindex, Marks()) == left
    kernel.batch(traffic_control.add(port, "matchall", left))
    assert kernel.marks(port.name) == BOTH


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_what_somebody_changed_is_damaged_and_replaced(
    kernel: FakeKernel, port: Port, direction: str
) -> None:
    kernel.batch(traffic_control.add(port, "matchall"))
    kernel.change_filter(port.name, direction)
    found = traffic_control.find(kernel)[port.ifindex]
    assert found == kernel.marks(port.name)
    assert sorted(found[:2]) == [DAMAGED, WHOLE]
    kernel.batch(traffic_control.add(port, "matchall", found))
    assert traffic_control.find(kernel) == {port.ifindex: BOTH}


def test_an_action_may_be_listed_after_its_filter(kernel: FakeKernel, port: Port) -> None:
    """So a look just after a deletion can find what is no longer there."""
    kernel.batch(traffic_control.add(port, "matchall"))
    kernel.slow_to_end = True
    kernel.delete_filters(port.name, "egress")
    assert kernel.marks(port.name) == Marks(WHOLE, MISSING)
    for _ in range(3):
        assert traffic_control.find(kernel) == {port.ifindex: BOTH}
    kernel.slow_to_end = False
    assert traffic_control.find(kernel) == {port.ifindex: Marks(WHOLE, MISSING)}


def test_what_is_announced(kernel: FakeKernel, port: Port) -> None:
    """As a real kernel announces it: tests/kernel/test_announced.py compares the two."""
    index = port.ifindex
    kernel.take()
    kernel.batch(traffic_control.add(port, "matchall"))
    assert told(kernel) == [
        (wire.NEWQDISC, index, wire.CLSACT),
        (wire.NEWCHAIN, index, wire.CLSACT_HANDLE),
        (wire.NEWTFILTER, index, wire.EGRESS),
        (wire.NEWCHAIN, index, wire.CLSACT_HANDLE),
        (wire.NEWTFILTER, index, wire.INGRESS),
    ]
    kernel.delete_filters(port.name, "egress")
    assert told(kernel) == [
        (wire.DELTFILTER, index, wire.EGRESS),
        (wire.DELCHAIN, index, wire.CLSACT_HANDLE),
    ]
    kernel.delete_filters(port.name, "all")
    assert told(kernel) == [
        (wire.DELQDISC, index, wire.CLSACT),
        (wire.DELCHAIN, index, wire.CLSACT_HANDLE),
    ]


def test_a_kernel_with_all_modules_is_able(kernel: FakeKernel, port: Port) -> None:
    assert traffic_control.probe(kernel, port) == Ability("matchall")
    assert traffic_control.find(kernel) == {}


@pytest.mark.parametrize(
    ("missing", "ability"),
    [
        ({"sch_ingress"}, Ability("", ("sch_ingress",))),
        ({"cls_fw"}, Ability("", ("cls_fw",))),
        ({"act_gact"}, Ability("", ("act_gact",))),
        ({"act_skbedit"}, Ability("", ("act_skbedit",))),
        ({"cls_matchall"}, Ability("basic")),
        ({"cls_basic"}, Ability("matchall")),
        ({"cls_matchall", "cls_basic"}, Ability("", ("cls_matchall",))),
        (filters.MODULES, Ability("", ("sch_ingress",))),
    ],
)
def test_without_a_module_it_says_which(missing: set[str], ability: Ability) -> None:
    kernel = FakeKernel(modules=MODULES - missing)
    port = pair(kernel, "h0")
    assert traffic_control.probe(kernel, port) == ability
    assert traffic_control.find(kernel) == {}
    if not ability.classifier:
        with pytest.raises(KernelError, match="modprobe") as refused:
            kernel.batch(traffic_control.add(port, "matchall"))
        assert refused.value.errno == errno.ENOENT


def test_a_module_goes_when_nothing_uses_it(kernel: FakeKernel, port: Port) -> None:
    kernel.batch(traffic_control.add(port, "matchall"))
    with pytest.raises(AssertionError, match="cls_fw is in use"):
        kernel.remove_module("cls_fw")
    kernel.delete_filters(port.name, "all")
    kernel.remove_module("cls_fw")
    assert traffic_control.probe(kernel, port) == Ability("", ("cls_fw",))


def test_an_older_ingress_is_not_replaced(kernel: FakeKernel, port: Port) -> None:
    """It has one list of filters for both directions."""
    kernel.add_qdisc(port.name, "ingress")
    with pytest.raises(KernelError, match="'tc qdisc delete dev h0 ingress' makes room"):
        kernel.batch(traffic_control.add(port, "matchall"))
    kernel.batch(delete(port, kernel.marks(port.name)))
    assert traffic_control.find(kernel) == {}
    assert kernel.link(port.name).qdisc == "ingress"


@pytest.mark.parametrize("kind", ["matchall", "basic", "u32", "fw"])
def test_a_users_filter_in_our_place_is_not_replaced(
    kernel: FakeKernel, port: Port, kind: str
) -> None:
    kernel.modules.add("cls_u32")
    kernel.add_qdisc(port.name)
    kernel.add_filter(port.name, "ingress", kind, priority=1)
    before = kernel.snapshot()
    with pytest.raises(KernelError, match="'tc filter show dev h0 ingress' shows it"):
        kernel.batch(traffic_control.add(port, "matchall"))
    kernel.batch(delete(port, kernel.marks(port.name)))
    assert kernel.snapshot() == before


def test_a_users_filter_beside_ours_stays(kernel: FakeKernel, port: Port) -> None:
    kernel.add_qdisc(port.name)
    kernel.add_filter(port.name, "ingress")
    before = kernel.snapshot()
    kernel.batch(traffic_control.add(port, "matchall"))
    assert kernel.marks(port.name) == BOTH
    kernel.batch(delete(port, BOTH))
    assert kernel.snapshot() == before


def test_there_are_none_without_a_link_or_clsact(kernel: FakeKernel, port: Port) -> None:
    """To delete what is gone with its link is no error; to add to it is one."""
    requests = traffic_control.add(port, "matchall")
    with pytest.raises(KernelError) as refused:
        kernel.batch(requests[1:])
    assert refused.value.errno == errno.EINVAL
    kernel.batch(delete(port, BOTH))
    kernel.delete_link(port.name)
    with pytest.raises(KernelError) as refused:
        kernel.batch(requests)
    assert refused.value.errno == errno.ENODEV
    kernel.batch(delete(port, BOTH))


def linear(kernel: FakeKernel, containers: int) -> list[Port]:
    """A linear bus on v0 with a hub whose ends are hub and hubx; the containers' host ends."""
    v0 = kernel.add_link("v0", "vcan")
    entry = pair(kernel, "hub", group=7).ifindex
    out = kernel.link("hubx").index
    ports = [pair(kernel, f"h{number}", f"c{number}") for number in range(containers)]
    for port in ports:
        kernel.batch(traffic_control.add(port, "matchall"))
        add_rules(kernel, port.ifindex, entry)
        add_rules(kernel, port.ifindex, v0.index, echo=True)
        add_rules(kernel, v0.index, port.ifindex)
        add_rules(kernel, out, port.ifindex)
    return ports


def add_rules(kernel: FakeKernel, source: int, destination: int, echo: bool = False) -> None:
    """The rules for all frames from one link to another."""
    kernel.batch([gateway.add(Rule(source, destination, each, echo), "") for each in FRAMES])


def test_a_linear_bus_delivers_each_frame_once(kernel: FakeKernel) -> None:
    ports = linear(kernel, 3)
    names = ["v0", *(port.name for port in ports)]
    for sender in names:
        wanted = {(name, kind): 1 for name in names if name != sender for kind in KINDS}
        assert kernel.deliveries(sender) == wanted


@pytest.mark.parametrize("half", ["ingress", "egress", "all"])
def test_without_a_filter_a_sender_receives_its_own_frames(kernel: FakeKernel, half: str) -> None:
    linear(kernel, 2)
    kernel.delete_filters("h0", half)
    wanted = {(name, kind): 1 for name in ("v0", "h0", "h1") for kind in KINDS}
    assert kernel.deliveries("h0") == wanted
    assert kernel.deliveries("h1") == {(n, k): 1 for n, k in wanted if n != "h1"}


def test_a_containers_pair_is_a_way_out_and_may_lead_on(kernel: FakeKernel, port: Port) -> None:
    """The engine has not moved its end yet; with one end down nothing gets through."""
    here, next_one = pair(kernel, "h1"), pair(kernel, "h2", "c2")
    add_rules(kernel, port.ifindex, here.ifindex)
    assert kernel.deliveries("h0") == {("h1", kind): 1 for kind in KINDS}
    add_rules(kernel, kernel.link("h1x").index, next_one.ifindex)
    assert kernel.deliveries("h0") == {(n, kind): 1 for n in ("h1", "h2") for kind in KINDS}
    other: FakeLink = kernel.link("h1x")
    other.up = False
    assert kernel.deliveries("h0") == {}


def test_a_storm_is_told(kernel: FakeKernel) -> None:
    """A rule from one end of a pair to the other: each crossing lets it forward again."""
    hub = pair(kernel, "hub")
    add_rules(kernel, kernel.link("hubx").index, hub.ifindex)
    with pytest.raises(AssertionError, match="a storm: a classic frame from hubx never ends"):
        kernel.deliveries("hubx")
