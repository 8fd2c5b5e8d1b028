"""What containers may send and receive: set before they have rules, whatever happens.

A closed container's policy is `none` in both directions: nothing of it may arrive anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from canwharf.bus import events, firewall, policy
from canwharf.bus.model import CLOSED, EVERYTHING, OPEN, UNKNOWN, Endpoint, Policy
from canwharf.bus.naming import host_end
from canwharf.errors import CanwharfError, ConflictError, KernelError, OptionError
from canwharf.kernel import firewall as kernel_firewall
from canwharf.kernel import traffic_control
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

NOTHING = {"can.send": "none", "can.receive": "none"}
MEMBERS = ("vcan0", "e1", "e2")  # e1 is closed


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """Two containers on one bus, of which e1 may neither send nor receive."""
    daemon.service.create_network("n1", {})
    daemon.service.adopt_networks({})  # nothing is left to be asked
    start(daemon, "e1", NOTHING)
    start(daemon, "e2", {})
    daemon.maintenance.repair()
    daemon.events.clear()
    return daemon


def start(daemon: Daemon, endpoint: str, given: dict[str, str]) -> None:
    daemon.service.create_endpoint("n1", endpoint, given)
    daemon.start_container("n1", endpoint)


def stop(daemon: Daemon, endpoint: str) -> None:
    daemon.kernel.kill_namespace(endpoint)
    daemon.service.delete_endpoint("n1", endpoint)


def leaks(daemon: Daemon) -> list[tuple[str, str]]:
    """From and to whom frames of e1 get through."""
    e1, kernel = host_end("n1", "e1"), daemon.kernel
    there = kernel.names()
    others = [each for each in ("vcan0", host_end("n1", "e2")) if each in there]
    if e1 not in there:
        return []
    sent = kernel.deliveries(e1)
    found = [(e1, each) for each in others if sent[each, "classic"] or sent[each, "fd"]]
    return found + [(each, e1) for each in others if kernel.deliveries(each)[e1, "classic"] > 0]


@pytest.fixture
def watched(busy: Daemon, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What has leaked behind any message to the kernel."""
    found: list[tuple[str, str]] = []
    handle = busy.kernel._handle

    def handled(request: Request) -> list[Message]:
        try:
            return handle(request)
        finally:
            found.extend(leaks(busy))

    monkeypatch.setattr(busy.kernel, "_handle", handled)
    return found


def without_record(busy: Daemon) -> Daemon:
    """The next daemon, which has only what the kernel has."""
    busy.end()
    (busy.directory / "state.json").unlink()
    busy = Daemon(busy.directory, busy.kernel)
    busy.service.adopt_pairs(lost=True)
    busy.service.save()
    return busy


def assert_open_beside(daemon: Daemon) -> None:
    """The others hear each other."""
    e2 = daemon.port("n1", "e2")
    assert daemon.kernel.deliveries("vcan0")[e2, "classic"] == 1
    assert daemon.kernel.deliveries(e2)["vcan0", "classic"] == 1


def test_nothing_gets_through_from_the_first_message_on(
    busy: Daemon, watched: list[tuple[str, str]]
) -> None:
    """While containers start and stop, and after a resync."""
    start(busy, "e3", {})
    stop(busy, "e1")
    start(busy, "e1", NOTHING)
    busy.resync()
    busy.maintenance.sync()
    assert watched == []
    assert_open_beside(busy)


@pytest.mark.parametrize("which", ["ingress", "egress", "all"])
def test_filters_that_somebody_deleted_come_back(busy: Daemon, which: str) -> None:
    """At once: the kernel announces it."""
    busy.kernel.delete_filters(busy.port("n1", "e1"), which)
    assert busy.maintenance.repair()
    assert leaks(busy) == []
    assert busy.said(events.POLICY_SET)
    assert busy.maintenance.sync().steps == ()
    assert_open_beside(busy)


@pytest.mark.parametrize(
    ("module", "given"),
    [
        ("sch_ingress", NOTHING),
        ("cls_basic", NOTHING),
        ("em_u32", NOTHING),
        ("act_police", {**NOTHING, "can.rate": "100"}),
    ],
)
def test_a_kernel_that_cannot_refuses_the_container(
    daemon: Daemon, module: str, given: dict[str, str]
) -> None:
    """With the sentence that helps, and others start."""
    daemon.kernel.remove_module(module)
    daemon.service.create_network("n1", {})
    with pytest.raises(KernelError, match=f"the kernel module {module} is not loaded"):
        start(daemon, "e1", given)
    start(daemon, "e2", {})
    assert daemon.port("n1", "e1") not in daemon.kernel.names()
    assert_open_beside(daemon)
    daemon.kernel.modules.add(module)
    start(daemon, "e1", given)
    assert leaks(daemon) == []


def test_a_replaced_filter_that_is_still_in_the_dump_is_not_believed(busy: Daemon) -> None:
    """The kernel lists the actions of both for a moment, in any order."""
    here = traffic_control.actions(busy.kernel, "gact")
    port = busy.kernel.link(busy.port("n1", "e1")).index
    firewall.set_policy(busy.service, "n1", "e1", {"can.send": "100"})
    now = traffic_control.actions(busy.kernel, "gact")
    for dump in (here + now, now + here):
        found = kernel_firewall.find(busy.kernel, dump)[port]
        assert not any(policy.is_in_force(Policy(each, "none"), found) for each in ("none", "100"))
    assert policy.is_in_force(Policy("100", "none"), kernel_firewall.find(busy.kernel, now)[port])


def test_refused_filters_close_a_running_container(busy: Daemon) -> None:
    """Until there is room for them; no start of another opens it."""
    port = busy.port("n1", "e1")
    busy.kernel.delete_filters(port, "all")
    busy.kernel.add_qdisc(port, "ingress")
    assert not busy.maintenance.repair()
    assert leaks(busy) == []
    start(busy, "e3", {})
    assert leaks(busy) == []
    assert_open_beside(busy)
    busy.kernel.delete_filters(port, "all")
    assert busy.maintenance.sync().faults == ()
    assert leaks(busy) == []


def without_room(kernel: FakeKernel) -> None:
    """For clsact: another qdisc is in its place."""
    kernel.add_qdisc(host_end("n1", "e1"), "ingress")


def without_module(kernel: FakeKernel) -> None:
    """Filters cannot be made."""
    kernel.remove_module("em_u32")


@pytest.mark.parametrize("lacking", [without_room, without_module])
def test_a_daemon_that_cannot_set_a_filter_at_its_start_closes(
    busy: Daemon, lacking: Callable[[FakeKernel], None]
) -> None:
    """It has not tried yet what the kernel has."""
    busy.kernel.delete_filters(busy.port("n1", "e1"), "all")
    lacking(busy.kernel)
    busy = busy.restarted()
    assert busy.maintenance.sync().faults
    assert leaks(busy) == []
    assert_open_beside(busy)


def test_a_lost_record_leaves_the_rate(busy: Daemon) -> None:
    """The kernel tells it, so a change of the ids alone keeps it."""
    start(busy, "e3", {"can.rate": "100"})
    busy = without_record(busy)
    told = firewall.set_policy(busy.service, "n1", "e3", {"can.send": "1FF", "can.receive": "1FF"})
    assert told == (UNKNOWN, Policy("1FF", "1FF", "100"))


# Where all are gone and no daemon was there, nothing tells that there was a policy.
@pytest.mark.parametrize(
    ("daemon_is", "lost"),
    [
        *product(["told", "not told"], ["all", "ingress", "egress"]),
        *product(["away"], ["ingress", "egress"]),
        ("told", "pair"),
    ],
)
@pytest.mark.parametrize("own", [NOTHING, {"can.send": "100", "can.receive": "200"}])
def test_an_unknown_policy_without_filters_is_closed(
    busy: Daemon, own: dict[str, str], lost: str, daemon_is: str
) -> None:
    """The state is lost, and then what the kernel had of it, or a part of that."""
    firewall.set_policy(busy.service, "n1", "e1", own)
    if daemon_is == "away":
        busy.kernel.delete_filters(busy.port("n1", "e1"), lost)
    busy = without_record(busy)
    busy.maintenance.sync()
    if lost == "pair":
        busy.kernel.kill_namespace("e1")
        busy.start_container("n1", "e1")
    elif daemon_is != "away":
        busy.kernel.delete_filters(busy.port("n1", "e1"), lost)
        if daemon_is == "not told":
            busy.kernel.overrun()
        busy.maintenance.repair()
    assert busy.service.state.networks["n1"].endpoints["e1"].policy is None
    assert leaks(busy) == []
    assert busy.maintenance.sync().steps == ()


@pytest.mark.parametrize("failing", range(1, 9))
def test_a_container_that_was_closed_by_half_is_closed(busy: Daemon, failing: int) -> None:
    """The kernel refused one message of those that close it, and the daemon ended."""
    busy = without_record(busy)
    start(busy, "e3", NOTHING)  # it knows what the kernel has for filters
    busy.kernel.delete_filters(busy.port("n1", "e1"), "all")
    busy.kernel.refuse(failing)
    busy.maintenance.repair()
    busy.kernel.stop_faults()
    busy = busy.restarted()
    busy.maintenance.sync()
    assert busy.service.state.networks["n1"].endpoints["e1"].policy is None
    assert leaks(busy) == []


def test_a_filter_that_was_always_alone_is_believed(busy: Daemon) -> None:
    """A logger may not send. That its record is lost does not make it deaf."""
    firewall.set_policy(busy.service, "n1", "e1", {"can.receive": "all"})
    busy = without_record(busy)
    assert busy.maintenance.sync().steps == ()
    assert busy.service.state.networks["n1"].endpoints["e1"].policy is None
    e1, e2 = (busy.port("n1", each) for each in ("e1", "e2"))
    assert leaks(busy) == [("vcan0", e1), (e2, e1)]


def test_a_lost_state_leaves_the_kernels_filters(busy: Daemon) -> None:
    """Their words were on the disk alone. A change has to give all of them."""
    busy = without_record(busy)
    busy.maintenance.sync()
    assert leaks(busy) == []
    endpoints = busy.service.state.networks["n1"].endpoints
    assert (endpoints["e1"].policy, endpoints["e2"].policy) == (None, EVERYTHING)
    with pytest.raises(ConflictError, match="record"):
        firewall.set_policy(busy.service, "n1", "e1", {"can.send": "all"})
    everything = {"can.send": "all", "can.receive": "all"}
    assert firewall.set_policy(busy.service, "n1", "e1", everything)[0] == UNKNOWN
    busy.assert_exactly_once("vcan0")


def test_an_endpoint_without_a_record_is_closed_where_policies_are_used(busy: Daemon) -> None:
    """And says so; where none is used it is as it ever was."""
    busy.start_container("n1", "e3")
    assert busy.service.state.networks["n1"].endpoints["e3"].policy == CLOSED
    assert [each.fields["endpoint"] for each in busy.said(events.ENDPOINT_CLOSED)] == ["e3"]
    stop(busy, "e1")
    stop(busy, "e3")
    busy.start_container("n1", "e4")
    assert busy.service.state.networks["n1"].endpoints["e4"].policy == OPEN


def test_a_change_is_in_the_kernel_and_on_disk_or_in_neither(busy: Daemon) -> None:
    """And its answer has what it replaced."""
    busy.kernel.refuse(1)
    with pytest.raises(KernelError):
        firewall.set_policy(busy.service, "n1", "e2", NOTHING)
    assert busy.service.state.networks["n1"].endpoints["e2"] == Endpoint()
    busy.kernel.stop_faults()
    busy.maintenance.sync()
    assert_open_beside(busy)
    told = firewall.set_policy(busy.service, "n1", "e2", {"can.send": "7e0-7ef", "can.rate": "1k"})
    assert told == (OPEN, Policy("7E0-7EF", "", "1000"))
    told = firewall.set_policy(busy.service, "n1", "e2", {"can.receive": "none"})
    assert told == (Policy("7E0-7EF", "", "1000"), Policy("7E0-7EF", "none", "1000"))
    busy = busy.restarted()
    assert busy.service.state.networks["n1"].endpoints["e2"].policy == told[1]
    assert busy.maintenance.sync().steps == ()


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_change_that_is_refused_in_part_lets_nothing_pass(busy: Daemon, failing: int) -> None:
    """Whichever message it is: clsact, the rate, what it may send, what it may receive."""
    busy.kernel.refuse(failing)
    given = {"can.rate": "7", "can.send": "100", "can.receive": "100"}
    with pytest.raises(KernelError):
        firewall.set_policy(busy.service, "n1", "e1", given)
    busy.kernel.stop_faults()
    assert busy.maintenance.repair()
    assert leaks(busy) == []
    assert_open_beside(busy)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"can.send": "1234"}, "can.send=1234"),
        ({"can.rate": "-1"}, "frames a second"),
        ({"can.rate": "0"}, "can.send=none"),
        ({"can.rate": "none"}, "can.send=none"),
        ({"can.name": "can"}, "can.name=can"),
    ],
)
def test_what_a_change_is_refused(busy: Daemon, given: dict[str, str], words: str) -> None:
    with pytest.raises(CanwharfError, match=words):
        firewall.set_policy(busy.service, "n1", "e1", given)
    assert leaks(busy) == []


def test_a_change_of_a_container_that_is_not_there(busy: Daemon) -> None:
    """It has ended meanwhile, or was never there."""
    stop(busy, "e2")
    for endpoint in ("e9", "e2"):
        with pytest.raises(ConflictError, match="not on this bus any more"):
            firewall.set_policy(busy.service, "n1", endpoint, NOTHING)


def test_the_words_of_a_network_are_for_endpoints_without_own(daemon: Daemon) -> None:
    """Each word for itself."""
    daemon.service.create_network("n1", {"can.send": "100-1ff", "can.rate": "off"})
    daemon.service.create_endpoint("n1", "e1", {"can.receive": "all", "can.rate": "100"})
    net = daemon.service.state.networks["n1"]
    assert net.policy_of("e1") == Policy("100-1FF", "all", "100")
    assert net.policy_of("e2") == Policy("100-1FF", "", "off")


@pytest.mark.parametrize("option", ["can.send", "can.receive", "can.rate"])
def test_an_adapter_that_moves_takes_no_policy(daemon: Daemon, option: str) -> None:
    """There is nothing on the host that could filter."""
    daemon.kernel.plug("can0")
    given = {"can.interface": "can0", "can.mode": "move"}
    with pytest.raises(OptionError, match=r"can.mode=share"):
        daemon.service.create_network("n1", {**given, option: "100"})
    daemon.service.create_network("n1", given)
    with pytest.raises(OptionError, match=r"can.mode=share"):
        daemon.service.create_endpoint("n1", "e1", {option: "100"})


@pytest.mark.parametrize("which", ["ingress", "egress", "all"])
def test_a_dump_that_still_lists_deleted_filters_is_not_believed(busy: Daemon, which: str) -> None:
    """It does for a while, on two processors: also when everything is read anew meanwhile."""
    busy.kernel.slow_to_end = True
    busy.kernel.delete_filters(busy.port("n1", "e1"), which)
    busy.reconciler.invalidate()
    assert busy.maintenance.repair()
    assert leaks(busy) == []


@pytest.mark.parametrize("order", [("ingress", "egress"), ("egress", "ingress")])
def test_of_two_deletions_one_is_told_and_one_is_not(busy: Daemon, order: tuple[str, str]) -> None:
    for which in order:
        busy.kernel.delete_filters(busy.port("n1", "e1"), which)
    busy.kernel.overrun(keep=1)
    assert busy.maintenance.repair()
    assert leaks(busy) == []
