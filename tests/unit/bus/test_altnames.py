"""An interface's other names: ip link property add dev vcan3 altname zcan0."""

from __future__ import annotations

import pytest

from canwharf.bus import adapter, events
from canwharf.errors import ConflictError, KernelError, OptionError
from canwharf.kernel import link
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel


def test_the_kernel_tells_all_of_them(kernel: FakeKernel) -> None:
    kernel.add_link("vcan3", "vcan")
    kernel.give_altname("vcan3", "zcan0")
    kernel.give_altname("vcan3", "a-name-that-is-longer-than-fifteen")
    [found] = [each for each in link.links(kernel) if each.name == "vcan3"]
    assert found.altnames == ("zcan0", "a-name-that-is-longer-than-fifteen")


@pytest.mark.parametrize("more", [{}, {"can.type": "physical"}, {"can.bitrate": "500000"}])
def test_a_network_says_whose_the_name_is(daemon: Daemon, more: dict[str, str]) -> None:
    """Not only "File exists", nor "plug it in"."""
    daemon.kernel.add_link("vcan3", "vcan")
    daemon.kernel.give_altname("vcan3", "zcan0")
    with pytest.raises(OptionError) as caught:
        daemon.service.create_network("n1", {"can.interface": "zcan0", **more})
    assert "it is another name (altname) of the interface vcan3: give that one" in str(caught.value)
    daemon.service.create_network("n1", {"can.interface": "vcan3"})
    daemon.run_container("n1", "e1")
    daemon.assert_exactly_once("vcan3")


def test_a_name_that_was_given_later(daemon: Daemon) -> None:
    """The bus's vcan went, and its name became another's altname: a Join and the log say so."""
    daemon.service.create_network("n1", {"can.interface": "zcan0"})
    daemon.kernel.delete_link("zcan0")
    daemon.kernel.add_link("vcan3", "vcan")
    daemon.kernel.give_altname("vcan3", "zcan0")
    daemon.maintenance.recover()
    [event] = daemon.said(events.BUS_NOT_REPAIRED)
    assert "'ip link show zcan0' shows whose name" in event.fields["error"]
    with pytest.raises(ConflictError, match=r"cannot join the bus on zcan0: it is another name"):
        daemon.run_container("n1", "e1")


def test_an_adapter_that_comes_under_another_name(daemon: Daemon) -> None:
    daemon.service.create_network("n1", {"can.interface": "motor", "can.type": "physical"})
    daemon.kernel.plug("can0")
    daemon.kernel.give_altname("can0", "motor")
    daemon.maintenance.recover()
    *_first, last = daemon.said(events.ADAPTER_MISSING)
    assert last.fields == {"interface": "motor", "altname_of": "can0"}
    assert daemon.service.describe("n1", "e1") == {}
    bus = daemon.service.state.bus("motor")
    assert bus
    found = daemon.reconciler.read("motor")
    assert adapter.described(bus, found) == {"canwharf.adapter": "missing"}


def test_a_moved_adapter_whose_name_was_given_away(daemon: Daemon) -> None:
    """It cannot have its name again, and the log says where to look."""
    kernel = daemon.kernel
    kernel.plug("can0")
    options = {"can.interface": "can0", "can.bitrate": "500000", "can.mode": "move"}
    daemon.service.create_network("n1", {**options, "can.name": "can"})
    daemon.service.create_endpoint("n1", "e1", {})
    kernel.move(daemon.service.join("n1", "e1").interface, "e1", new_name="ecu0")
    kernel.add_link("vcan3", "vcan")
    kernel.give_altname("vcan3", "can0")
    kernel.kill_namespace("e1")
    daemon.maintenance.recover()
    [event] = daemon.said(events.BUS_NOT_REPAIRED)
    assert "'ip link show can0' shows whose name" in event.fields["error"]


def test_a_taken_name_where_the_view_is_behind(daemon: Daemon) -> None:
    """Given away between the look and the act."""
    daemon.kernel.refuse(1, 17)
    with pytest.raises(KernelError, match=r"File exists; 'ip link show vcan0' shows whose name"):
        daemon.service.create_network("n1", {})
