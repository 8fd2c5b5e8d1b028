"""What happens without a call: adoption at a start, repair behind our back."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from canwharf.bus import events, naming
from canwharf.errors import ConflictError, KernelError, OptionError
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from tests.fake import wire
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.links import Refusal
from tests.unit.bus.two_buses import assert_whole


def test_a_restarted_daemon_adopts_what_is_there(busy: Daemon) -> None:
    """Traffic goes on; not one interface or rule is touched, nothing is reported."""
    before = busy.kernel.snapshot()
    applied = len(busy.kernel.applied)
    later = busy.restarted()
    later.maintenance.recover()
    assert busy.kernel.snapshot() == before
    assert busy.kernel.applied[applied:] == []
    assert later.events == []
    later.run_container("n1", "e1c")
    assert len(later.present("vcan1")) == 4
    later.assert_exactly_once("vcan1")


def test_what_changed_while_the_daemon_was_away_is_repaired(busy: Daemon) -> None:
    """At its start, without any call."""
    busy.kernel.delete_link("vcan1")
    busy.kernel.rules.pop()
    busy.kernel.set_up("vcan2", up=False)
    later = busy.restarted()
    later.maintenance.recover()
    assert_whole(later)
    assert busy.kernel.link("vcan2").up
    assert [event.fields["interface"] for event in later.said(events.BUS_RECREATED)] == ["vcan1"]


def test_what_is_unowned_is_removed_at_the_start(busy: Daemon, kernel: FakeKernel) -> None:
    """Pairs of a call that crashed; but nothing of another driver or of others.

    What has our group and no alias was made by a call that died before it could name it.
    """
    kernel.add_link("cwh000000000001", "vxcan", alias="canwharf canwharf endpoint n1 x vcan1 can")
    kernel.add_link("vcan8", "vcan", alias="canwharf canwharf bus")
    kernel.add_link("vcan7", "vcan", alias="canwharf rustyvxcan bus")
    kernel.add_link("cwh000000000002", "vxcan")
    kernel.add_link("vcan6", "vcan", alias="canwharf, so they say")
    kernel.add_link("vcan5", "vcan", up=False, group=naming.group_of("canwharf"))
    kernel.add_link("vcan4", "vcan", up=False, group=naming.group_of("rustyvxcan"))
    kernel.add_link("vcan3", "vcan", alias="mine", group=naming.group_of("canwharf"))
    later = busy.restarted()
    before = kernel.names()
    later.maintenance.recover()
    assert before - kernel.names() == {"cwh000000000001", "vcan8", "vcan5"}
    assert len(later.said(events.INTERFACE_REMOVED)) == 3


def test_one_bus_that_cannot_be_repaired_does_not_keep_the_others(
    busy: Daemon, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported by its name, and is repaired when that can be done."""
    handle = kernel._handle

    def hindered(request: Request) -> list[Message]:
        if "vcan1" in request.target:
            raise Refusal(errno.ENOMEM)
        return handle(request)

    monkeypatch.setattr(kernel, "_handle", hindered)
    kernel.delete_link("vcan1")
    kernel.delete_link("vcan2")
    later = busy.restarted()
    assert not later.maintenance.recover()
    (event,) = later.said(events.BUS_NOT_REPAIRED)
    assert event.level == "error"
    assert event.fields["interface"] == "vcan1"
    assert "Cannot allocate memory" in event.fields["error"]
    assert len(later.present("vcan2")) == 3
    later.assert_exactly_once("vcan2")
    monkeypatch.undo()
    assert later.maintenance.repair()
    assert_whole(later)


def test_a_bus_whose_interface_was_replaced_by_no_can_interface(
    busy: Daemon, kernel: FakeKernel
) -> None:
    """The containers still talk; a Join says what is wrong; all is back when the name is free."""
    kernel.delete_link("vcan1")
    theirs = kernel.add_link("vcan1", hardware=wire.ETHERNET)
    assert busy.maintenance.repair()
    for one, other in (("e1a", "e1b"), ("e1b", "e1a")):
        arrived = kernel.deliveries(busy.port("n1", one))
        assert arrived == {
            (busy.port("n1", other), kind): 1 for kind in ("classic", "fd", "errors")
        }
    busy.service.create_endpoint("n1", "e1c", {})
    with pytest.raises(ConflictError, match=r"cannot join the bus on vcan1: .* not a CAN"):
        busy.service.join("n1", "e1c")
    assert theirs.told() == kernel.link("vcan1").told()
    kernel.delete_link("vcan1")
    assert busy.maintenance.repair()
    assert_whole(busy)


@pytest.mark.parametrize("reuse", [False, True])
def test_a_bus_interface_that_was_deleted_is_made_again(busy: Daemon, reuse: bool) -> None:
    """Somebody's `ip link del`: the bus is back without a call."""
    busy.kernel._reuse_indexes = reuse
    busy.kernel.delete_link("vcan1")
    busy.maintenance.repair()
    assert_whole(busy)
    busy.maintenance.repair()
    assert_whole(busy)
    (event,) = busy.said(events.RULES_RESTORED)
    assert event.fields == {"interface": "vcan1", "rules": "12"}


def test_a_port_that_was_set_down_is_brought_up(busy: Daemon) -> None:
    """A bus interface, and the host end of a pair."""
    port = busy.port("n2", "e2a")
    for name in ("vcan1", port):
        busy.kernel.set_up(name, up=False)
    busy.maintenance.repair()
    assert_whole(busy)
    said = {event.fields["interface"] for event in busy.said(events.INTERFACE_BROUGHT_UP)}
    assert said == {"vcan1", port}


@pytest.fixture
def driving(daemon: Daemon, kernel: FakeKernel) -> Daemon:
    """A container on an adapter's bus."""
    kernel.add_link("can0", "can", mtu=16)
    daemon.service.create_network("n1", {"can.interface": "can0"})
    daemon.run_container("n1", "e1")
    daemon.maintenance.repair()
    return daemon


def test_an_adapter_that_is_plugged_in_again_is_back_on_its_bus(
    driving: Daemon, kernel: FakeKernel
) -> None:
    """With a new index, and so without any rule."""
    kernel.delete_link("can0")
    kernel.add_link("can0", "can", mtu=16)
    driving.maintenance.repair()
    assert len(driving.present("can0")) == 2
    driving.assert_exactly_once("can0")
    assert len(kernel.rules) == 7  # to and fro, the adapter's error frames, and four of the hub


def test_an_adapter_that_was_in_a_container_is_back_on_its_bus(
    driving: Daemon, kernel: FakeKernel
) -> None:
    """With its old index, but without its rules."""
    kernel.move("can0", "elsewhere")
    kernel.kill_namespace("elsewhere")
    driving.maintenance.repair()
    driving.maintenance.repair()
    driving.assert_exactly_once("can0")
    assert len(kernel.rules) == 7


def test_an_adapter_that_is_unplugged_is_not_replaced_by_a_virtual_one(
    driving: Daemon, kernel: FakeKernel
) -> None:
    """A vcan that bears its name keeps the adapter from its bus when it is plugged in again."""
    kernel.delete_link("can0")
    driving.maintenance.repair()
    assert "can0" not in kernel.names()
    kernel.add_link("can0", "can", mtu=16)
    driving.maintenance.repair()
    driving.assert_exactly_once("can0")


def test_a_pair_that_went_with_its_container_is_not_made_again(busy: Daemon) -> None:
    """Nobody would take its other end."""
    busy.kernel.kill_namespace("e1a")
    busy.maintenance.repair()
    assert len(busy.present("vcan1")) == 2
    busy.assert_exactly_once("vcan1")


def test_what_others_do_to_their_own_links_is_none_of_our_business(busy: Daemon) -> None:
    """Not one message, on a host where links come and go all the time."""
    applied = len(busy.kernel.applied)
    busy.kernel.add_link("veth0", "veth", hardware=wire.ETHERNET)
    busy.kernel.set_up("veth0", up=False)
    busy.kernel.delete_link("veth0")
    busy.kernel.add_link("can9", "can")
    busy.maintenance.repair()
    assert busy.kernel.applied[applied:] == []
    assert busy.kernel.dumps == 5  # links, rules, actions of three kinds: at the start
    assert busy.events == []


def test_our_own_doing_is_not_repaired(busy: Daemon) -> None:
    """What a call did is announced too; it must not be done again."""
    busy.run_container("n1", "e1c")
    busy.service.delete_endpoint("n1", "e1a")
    applied = len(busy.kernel.applied)
    busy.maintenance.repair()
    assert busy.kernel.applied[applied:] == []
    busy.assert_exactly_once("vcan1")


def test_lost_announcements_lead_to_a_full_dump(busy: Daemon) -> None:
    """What was lost may have been anything."""
    busy.kernel.delete_link("vcan1")
    busy.kernel.delete_link("vcan2")
    busy.kernel.overrun()
    busy.maintenance.repair()
    assert_whole(busy)


def test_announcements_lost_during_a_call_lead_to_a_full_dump(busy: Daemon) -> None:
    """The call meets the loss before maintenance does; the other bus must be repaired all the same.

    A loss that only the call sees would leave that bus dead until the daemon is restarted.
    """
    busy.kernel.delete_link("vcan2")
    busy.kernel.overrun()
    busy.run_container("n1", "e1c")
    busy.maintenance.repair()
    assert "vcan2" in busy.kernel.names()
    busy.assert_exactly_once("vcan2")


def test_a_change_during_a_failing_call_is_not_lost(
    busy: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other bus loses its interface while the kernel is refusing a call for this one."""
    kernel, batch = busy.kernel, busy.kernel.batch

    def meanwhile(requests: Sequence[Request]) -> list[Message]:
        if "vcan2" in kernel.names():
            kernel.delete_link("vcan2")
        return batch(requests)

    busy.service.create_endpoint("n1", "e1c", {})
    monkeypatch.setattr(kernel, "batch", meanwhile)
    kernel.refuse(1)
    with pytest.raises(KernelError):
        busy.service.join("n1", "e1c")
    monkeypatch.undo()
    busy.maintenance.repair()
    assert "vcan2" in kernel.names()
    busy.assert_exactly_once("vcan2")


def test_old_announcements_behind_a_loss_do_not_double_rules(
    driving: Daemon, kernel: FakeKernel
) -> None:
    """An adapter went into a container and came back; the loss is met by a Join.

    The announcements that were not lost are older than the look that follows. Taken for news,
    they make the adapter's rules forgotten, which are then added a second time.
    """
    kernel.move("can0", "elsewhere")
    kernel.kill_namespace("elsewhere")
    kernel.overrun(keep=2)
    driving.run_container("n1", "e2")
    for _twice in range(2):
        driving.maintenance.repair()
    driving.run_container("n1", "e3")
    driving.maintenance.repair()
    driving.assert_exactly_once("can0")


def test_a_bridge_port_that_leaves_its_bridge_is_not_taken_for_gone(
    daemon: Daemon, kernel: FakeKernel
) -> None:
    """net/bridge announces that to the same group, as an RTM_DELLINK of the family AF_BRIDGE."""
    kernel.add_link("veth0", "veth", hardware=wire.ETHERNET)
    daemon.service.create_network("n1", {})
    kernel.bridge_port("veth0", wire.DELLINK)
    with pytest.raises(OptionError, match="not a CAN interface"):
        daemon.service.create_network("n2", {"can.interface": "veth0"})


def test_a_full_dump_that_fails_is_reported_and_repeated(busy: Daemon) -> None:
    """Maintenance raises nothing: a daemon that ends by a fault of the moment repairs nothing."""
    busy.kernel.delete_link("vcan1")
    busy.kernel.refuse(1)
    busy.kernel.refuse(2)
    busy.kernel.refuse(3)
    busy.maintenance.repair()
    assert busy.events
    busy.kernel.stop_faults()
    busy.maintenance.repair()
    assert_whole(busy)
