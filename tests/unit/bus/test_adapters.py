"""Adapters on a kernel that can be made to say no: options, undoing, retrying, moving."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import pytest

from canwharf.bus import events
from canwharf.bus.maintain import GRACE
from canwharf.errors import CanwharfError, ConflictError, KernelError, OptionError
from tests.fake import wire
from tests.fake.answers import Crash
from tests.fake.controllers import FakeController
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.links import HOST, FakeLink

GIVEN = {"can.interface": "can0", "can.name": "can", "can.bitrate": "500000"}
PHYSICAL = {**GIVEN, "can.type": "physical"}
FD = FakeController(rates=(500000, 2000000), supported=0x22)


def bus(daemon: Daemon, *endpoints: str, given: Mapping[str, str] = PHYSICAL) -> None:
    """A network on the adapter, and its containers."""
    daemon.service.create_network("n1", given)
    for endpoint in endpoints:
        daemon.run_container("n1", endpoint)


def is_set_up(link: FakeLink, bitrate: int = 500000) -> bool:
    return link.up and link.controller is not None and link.controller.bitrate == bitrate


def error_rules(kernel: FakeKernel) -> int:
    return sum(rule.kind == "errors" for rule in kernel.rules)


# What fails is undone


@pytest.mark.parametrize("place", range(1, 4))
def test_a_network_whose_adapter_refuses_leaves_it_down(daemon: Daemon, place: int) -> None:
    """At whichever message; and it succeeds when it is made again."""
    link = daemon.kernel.plug("can0")
    daemon.kernel.refuse(place)
    try:
        daemon.service.create_network("n1", GIVEN)
    except KernelError:
        assert (link.up, link.alias) == (False, "")
        assert not daemon.service.state.networks
    daemon.kernel.stop_faults()
    daemon.service.create_network("n1", GIVEN)
    assert is_set_up(link)


@pytest.mark.parametrize("place", range(1, 6))
def test_insisting_in_vain_leaves_it_up_as_it_was(daemon: Daemon, place: int) -> None:
    """If it refuses the settings; what fails behind that leaves it down, at least not ours."""
    link = daemon.kernel.plug("can0")
    link.controller, link.up = FakeController(bitrate=250000), True
    daemon.kernel.refuse(place)
    try:
        daemon.service.create_network("n1", {**GIVEN, "can.force": "true"})
    except KernelError:
        assert link.alias == ""
        assert is_set_up(link, 250000) == (place <= 2)
        assert not daemon.service.state.networks
    daemon.kernel.stop_faults()
    daemon.service.create_network("n1", {**GIVEN, "can.force": "true"})
    assert is_set_up(link)


def test_the_kernels_words_and_the_rates_that_it_can(daemon: Daemon) -> None:
    daemon.kernel.plug("can0")
    with pytest.raises(KernelError) as caught:
        daemon.service.create_network("n1", {**GIVEN, "can.bitrate": "123"})
    assert str(caught.value) == (
        "cannot configure adapter can0: Invalid argument (bitrate 123 bps not supported); "
        "asked for: can.bitrate=123; the adapter can do 125000, 250000, 500000 bit/s"
    )
    assert daemon.kernel.link("can0").alias == ""


def test_rates_are_in_the_error_of_a_rate(daemon: Daemon) -> None:
    """What is wrong with a queue's length is not fixed by another rate."""
    daemon.kernel.plug("can0")
    daemon.kernel.refuse(1, errno.ERANGE)
    with pytest.raises(KernelError) as caught:
        daemon.service.create_network(
            "n1", {"can.interface": "can0", "can.txqueuelen": "4294967294"}
        )
    assert "bit/s" not in str(caught.value)


def test_a_link_of_another_kind_has_no_settings(daemon: Daemon) -> None:
    """A driver that is older than can_dev."""
    daemon.kernel.add_link("can0", mtu=16)
    with pytest.raises(OptionError, match="the driver of can0 has no such settings"):
        daemon.service.create_network("n1", GIVEN)
    daemon.service.create_network("n1", {"can.interface": "can0"})
    assert daemon.service.state.networks["n1"].settings.physical


# It comes and goes


def test_a_sample_point_that_the_clock_does_not_allow_is_not_set_for_ever(daemon: Daemon) -> None:
    """However much its network insists."""
    daemon.kernel.plug("can0")
    given = {**GIVEN, "can.sample-point": "0.875", "can.force": "true"}
    daemon.service.create_network("n1", given)
    daemon.service.create_network("n2", given)
    applied = len(daemon.kernel.applied)
    assert daemon.maintenance.repair()
    assert daemon.maintenance.repair()
    assert len(daemon.kernel.applied) == applied


@pytest.mark.parametrize("mode", ["share", "move"])
def test_such_a_sample_point_is_no_complaint(daemon: Daemon, mode: str) -> None:
    daemon.kernel.plug("can0")
    given = {**GIVEN, "can.sample-point": "0.875", "can.mode": mode}
    bus(daemon, "e1", given=given)
    daemon.resync()
    assert not [event for event in daemon.events if event.level == "error"]


def test_a_foreign_sample_point_is(daemon: Daemon) -> None:
    link = daemon.kernel.plug("can0")
    link.controller, link.up = FakeController(bitrate=500000), True
    with pytest.raises(OptionError, match=r"sample-point 0\.75 instead of 0\.875"):
        daemon.service.create_network("n1", {**GIVEN, "can.sample-point": "0.875"})


def test_an_adapter_that_refuses_does_not_keep_the_containers_apart(daemon: Daemon) -> None:
    """And is tried again, at growing intervals, until it is set up."""
    bus(daemon, "e1", "e2")
    daemon.kernel.rules.clear()
    daemon.service.adopt_networks({})  # nothing is left to be asked
    link = daemon.kernel.plug("can0", FakeController(rates=(125000,)))
    daemon.reconciler.invalidate()
    assert daemon.maintenance.run(0.0, active=True) == 1.0
    [told] = daemon.said(events.BUS_NOT_REPAIRED)
    assert "the adapter can do 125000 bit/s" in told.fields["error"]
    assert len(daemon.kernel.rules) == 2 * 4 + 2 * 3, "with the hub, and with the adapter"
    assert daemon.maintenance.run(1.0, active=False) == 3.0
    link.controller = FakeController()
    daemon.maintenance.run(3.0, active=False)
    assert is_set_up(link)
    daemon.assert_exactly_once("can0")
    assert daemon.maintenance.run(GRACE, active=False) is None


@pytest.mark.parametrize("reuse", [False, True], ids=["", "under the same index"])
@pytest.mark.parametrize("lost", [False, True], ids=["", "and the kernel lost its announcements"])
def test_a_replugged_adapter_is_set_up(tmp_path: Path, reuse: bool, lost: bool) -> None:
    kernel = FakeKernel(reuse_indexes=reuse)
    daemon = Daemon(tmp_path, kernel)
    kernel.plug("can0")
    bus(daemon, "e1", "e2", given=GIVEN)
    daemon.maintenance.repair()
    kernel.unplug("can0")
    if not lost:
        daemon.maintenance.repair()
    link = kernel.plug("can7")
    link.name = "can0"
    kernel._announce(link)
    if lost:
        kernel.overrun()
    daemon.maintenance.repair()
    daemon.assert_exactly_once("can0")
    assert error_rules(kernel) == 2
    if not (lost and reuse):  # then it looks like one that an operator took down
        assert is_set_up(link)


def test_fd_is_switched_on_before_its_rules_are_made(daemon: Daemon) -> None:
    """The adapter has MTU 16 until then."""
    link = daemon.kernel.plug("can0", FD)
    bus(daemon, "e1", given={**GIVEN, "can.fd": "on", "can.dbitrate": "2000000"})
    assert link.mtu == 72
    daemon.assert_exactly_once("can0")
    assert daemon.kernel.deliveries("can0")[daemon.port("n1", "e1"), "fd"] == 1


def test_fd_that_is_switched_off_has_no_rules(daemon: Daemon) -> None:
    link = daemon.kernel.plug("can0", FakeController(supported=0x20, modes=0x20))
    link.mtu = 72
    bus(daemon, "e1", given={**GIVEN, "can.fd": "off"})
    assert link.mtu == 16
    port = daemon.port("n1", "e1")
    assert daemon.kernel.deliveries("can0") == {(port, "classic"): 1, (port, "errors"): 1}


@pytest.mark.parametrize("ends", [("e1", "can0"), ("e1", "e2")], ids=str)
def test_error_frames_of_a_container_are_kept_from_an_adapters_bus(
    daemon: Daemon, ends: tuple[str, str]
) -> None:
    """Whoever made the rule, in our form: on the wire such a frame is one of data."""
    daemon.kernel.plug("can0")
    bus(daemon, "e1", "e2")
    source, destination = (each if each == "can0" else daemon.port("n1", each) for each in ends)
    every = wire.attribute(wire.FILTER, wire.EVERY_ERROR)
    daemon.kernel.add_rule(source, destination, more=every)
    assert daemon.kernel.deliveries(source)[destination, "errors"] == 1
    daemon.maintenance.sync()
    assert daemon.kernel.deliveries(source)[destination, "errors"] == 0
    assert error_rules(daemon.kernel) == 2, "those from the adapter are left"


def test_a_restart_brings_up_what_its_network_wants_up(daemon: Daemon) -> None:
    """That an operator took it down is not known any more."""
    link = daemon.kernel.plug("can0")
    bus(daemon, "e1")
    daemon.kernel.set_up("can0", up=False)
    daemon.maintenance.repair()
    assert not link.up
    daemon.restarted().maintenance.recover()
    assert is_set_up(link)


def test_an_adapter_of_a_call_that_crashed_is_unowned(daemon: Daemon) -> None:
    """It was set up, and the network was never written down."""
    link = daemon.kernel.plug("can0")
    daemon.kernel.crash_after(1)
    with pytest.raises(Crash):
        daemon.service.create_network("n1", GIVEN)
    daemon.kernel.stop_faults()
    assert link.up
    daemon.restarted().maintenance.recover()
    assert (link.up, link.alias) == (False, "")


def test_what_the_engine_tells_after_a_loss_is_an_adapter_without_being_there(
    daemon: Daemon,
) -> None:
    """Whoever gave settings, or can.type, or has it plugged in, meant an adapter."""
    daemon.kernel.plug("can3")
    daemon.service.adopt_networks(
        {
            "n1": GIVEN,
            "n2": {"can.interface": "can1", "can.type": "physical"},
            "n3": {"can.interface": "can3"},
            "n4": {"can.interface": "can4"},
        }
    )
    networks = daemon.service.state.networks
    assert [networks[f"n{n}"].settings.physical for n in range(1, 5)] == [True] * 3 + [False]
    daemon.maintenance.recover()
    hubs = {end for name in daemon.service.state.interfaces() for end in daemon.hub(name)}
    assert daemon.kernel.names() - {"lo"} == {"can3", "can4"} | hubs


# Lent


LENT = {**GIVEN, "can.mode": "move"}


def test_a_moved_adapter_has_no_rules_and_no_pair(daemon: Daemon) -> None:
    link = daemon.kernel.plug("can0")
    daemon.service.create_network("n1", LENT)
    daemon.run_container("n1", "e1")
    assert (link.name, link.namespace) == ("can0", "e1")
    assert daemon.kernel.names() == {"lo"}
    assert daemon.service.describe("n1", "e1") == {
        "canwharf.bus": "can0",
        "canwharf.interface": "can0",
        "canwharf.adapter": "moved or missing",
    }


def test_an_engine_that_gives_up_gives_it_free(daemon: Daemon) -> None:
    """Joined, never taken: the engine says so."""
    daemon.kernel.plug("can0")
    daemon.service.create_network("n1", LENT)
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.service.join("n1", "e1")
    daemon.service.delete_endpoint("n1", "e1")
    [told] = daemon.said(events.ENDPOINT_REMOVED)
    assert told.fields["interface"] == "can0", "not a pair that never was"
    daemon.run_container("n1", "e2")


def test_an_endpoint_that_the_engine_forgot_is_no_claim(daemon: Daemon) -> None:
    """Its container died while the daemon did not run."""
    kernel = daemon.kernel
    kernel.plug("can0")
    daemon.service.create_network("n1", LENT)
    daemon.run_container("n1", "e1")
    later = daemon.restarted()
    with pytest.raises(ConflictError, match="for endpoint e1 alone"):
        later.service.create_endpoint("n1", "e2", {})
    kernel.kill_namespace("e1")
    later.run_container("n1", "e2")
    assert set(later.service.state.networks["n1"].endpoints) == {"e2"}


@pytest.mark.parametrize("place", range(1, 4))
def test_a_join_that_fails_lends_nothing(daemon: Daemon, place: int) -> None:
    link = daemon.kernel.plug("can0")
    daemon.service.create_network("n1", LENT)
    daemon.kernel.set_up("can0", up=False)
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.kernel.refuse(place)
    try:
        daemon.service.join("n1", "e1")
    except CanwharfError:
        assert link.namespace == HOST
        daemon.service.delete_endpoint("n1", "e1")
        daemon.kernel.stop_faults()
        daemon.run_container("n1", "e2")


def test_a_name_that_cannot_be_given_back_is_tried_again(daemon: Daemon) -> None:
    kernel = daemon.kernel
    link = kernel.plug("can0")
    daemon.service.create_network("n1", LENT)
    daemon.service.create_endpoint("n1", "e1", {})
    joined = daemon.service.join("n1", "e1")
    kernel.move(joined.interface, "e1", new_name="ecu0")
    daemon.maintenance.repair()
    kernel.kill_namespace("e1")
    kernel.refuse(1, errno.EBUSY)
    assert daemon.maintenance.run(0.0, active=True) == 1.0
    assert link.name == "ecu0"
    daemon.maintenance.run(1.0, active=False)
    assert link.name == "can0"


def test_its_name_is_remembered_while_another_link_has_it(daemon: Daemon) -> None:
    """A foreign vcan, which goes again."""
    kernel = daemon.kernel
    link = kernel.plug("can0")
    daemon.service.create_network("n1", LENT)
    daemon.service.create_endpoint("n1", "e1", {})
    kernel.move(daemon.service.join("n1", "e1").interface, "e1", new_name="ecu0")
    kernel.add_link("can0", "vcan")
    kernel.kill_namespace("e1")
    daemon.reconciler.invalidate()
    assert daemon.maintenance.repair()
    assert daemon.said(events.ADAPTER_NAME_TAKEN)
    kernel.delete_link("can0")
    assert daemon.maintenance.repair()
    assert link.name == "can0"


@pytest.mark.parametrize("taken", [False, True], ids=["", "and its name is taken"])
def test_one_that_comes_back_when_its_network_is_gone_is_unowned(
    daemon: Daemon, taken: bool
) -> None:
    """Or the next network would wait for it for ever."""
    kernel = daemon.kernel
    link = kernel.plug("can0")
    daemon.service.create_network("n1", LENT)
    daemon.service.create_endpoint("n1", "e1", {})
    kernel.move(daemon.service.join("n1", "e1").interface, "e1", new_name="ecu0")
    daemon.service.delete_network("n1")
    if taken:
        kernel.add_link("can0", "vcan")
    kernel.kill_namespace("e1")
    daemon.resync()
    assert (link.name, link.alias) == ("ecu0" if taken else "can0", "")
    daemon.service.create_network("n2", {**GIVEN, "can.interface": link.name})
    daemon.run_container("n2", "e2")
    daemon.assert_exactly_once(link.name)
