"""Real adapters on the real kernel: late, pulled out, plugged in again, renamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from canwharf.bus import events
from canwharf.errors import OptionError
from tests.kernel.site import Daemon, Site, shown
from tests.kernel.wired import (
    NAME,
    UP,
    Ear,
    M,
    N,
    Plug,
    assert_on_the_wire,
    error_rules,
    make,
    never_virtual,
    settings,
)
from tests.world.frames import exchange
from tests.world.host import can_interfaces, cangw_lines, gateway_rules, index_of, ip
from tests.world.rules import adapters


@pytest.mark.parametrize("name", ["", NAME], ids=["under its name", "renamed by udev"])
@never_virtual
def test_it_is_pulled_out_and_plugged_in_again(site: Site, plug: Plug, name: str) -> None:
    adapter = plug(name)
    interface = adapter.name
    make(site, interface=interface)
    site.start(N, "e1", "e2")
    assert_on_the_wire(site, adapter)
    index = index_of(interface)
    for turn in range(2):
        adapter.unplug()
        site.daemon.maintenance.repair()
        assert interface not in can_interfaces()
        assert len(site.daemon.said(events.ADAPTER_MISSING)) == turn + 1
        assert exchange(site.members(interface)[1:]).faults == []
        adapter = plug(name)
        site.daemon.maintenance.repair()
        assert index_of(interface) != index
        assert settings(interface) == UP
        assert gateway_rules() == adapters(site.ports(interface))
        assert error_rules() == 2
        assert_on_the_wire(site, adapter)
    assert not site.daemon.said(events.BUS_NOT_REPAIRED)


@never_virtual
def test_a_policy_holds_when_it_is_plugged_in_again(
    site: Site, plug: Plug, ears: Callable[[Site], list[Ear]]
) -> None:
    """What the container may not send does not reach the wire, nor what it may not hear it."""
    adapter = plug()
    make(site)
    site.service.create_endpoint(N, "e1", {"can.send": "100", "can.receive": "200"})
    site.join(N, "e1")
    site.start(N, "e2")
    for _turn in range(2):
        guarded, other = ears(site)
        for id in (0x101, 0x7E0, 0x100):
            guarded.say(id)
        assert other.until(0x100) == [0x100]
        adapter.wait_for("t1000")
        assert adapter.written() == ["t1000"]
        adapter.send("t1230")
        adapter.send("t2000")
        assert other.until(0x200) == [0x123, 0x200]
        assert guarded.until(0x200) == [0x200]
        adapter.unplug()
        site.daemon.maintenance.repair()
        adapter = plug()
        site.daemon.maintenance.repair()
        assert site.daemon.maintenance.sync().steps == ()


def test_down_and_up_by_hand_needs_nothing_and_gets_nothing(
    site: Site, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = plug()
    make(site)
    site.start(N, "e1", "e2")
    before, rules = list(site.daemon.events), sorted(cangw_lines())

    def send(_data: bytes) -> None:
        raise AssertionError("something was sent to the kernel")

    with monkeypatch.context() as patched:
        patched.setattr(site.daemon.netlink, "_send", send)
        for words in ("down", "up"):
            ip(f"link set {NAME} {words}")
            assert site.daemon.maintenance.repair()
            assert settings() == UP | {"up": words == "up"}
    assert (site.daemon.events, sorted(cangw_lines())) == (before, rules)
    assert_on_the_wire(site, adapter)


def test_one_that_came_back_with_other_settings_is_reported_once(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site)
    ip(f"link set {NAME} down")
    ip(f"link set {NAME} type can bitrate 250000")
    ip(f"link set {NAME} up")
    for _look in range(2):
        site.daemon.resync()
    [told] = site.daemon.said(events.ADAPTER_SET_UP_OTHERWISE)
    assert told.fields == {"interface": NAME, "difference": "bitrate 250000 instead of 500000"}
    assert settings() == UP | {"bitrate": 250000}
    adapter.unplug()
    plug()
    site.daemon.maintenance.repair()
    assert settings() == UP


def test_one_whose_network_insists_is_put_right(site: Site, plug: Plug) -> None:
    plug()
    make(site, force="true")
    ip(f"link set {NAME} down")
    ip(f"link set {NAME} type can bitrate 250000")
    ip(f"link set {NAME} up")
    site.daemon.maintenance.repair()
    assert settings() == UP


def test_adapters_that_change_names_change_buses(site: Site, plug: Plug) -> None:
    """Their rules stay with them: each bus would receive the other's frames."""
    plugged = {"cana": plug("cana"), "canb": plug("canb")}
    make(site, interface="cana")
    make(site, M, interface="canb")
    site.start(N, "e1")
    site.start(M, "f1")
    for name in plugged:
        ip(f"link set {name} down")  # older kernels refuse the new name of one that is up
    for name, new in (("cana", "x"), ("canb", "cana"), ("x", "canb")):
        ip(f"link set {name} name {new}")
    plugged["cana"].name, plugged["canb"].name = "canb", "cana"
    for name in plugged:
        ip(f"link set {name} up")
    site.daemon.maintenance.repair()
    ports = site.ports("cana"), site.ports("canb")
    assert gateway_rules() == adapters(ports[0]) + adapters(ports[1])
    assert error_rules() == 2
    for adapter in plugged.values():
        assert_on_the_wire(site, adapter)


@never_virtual
def test_the_container_is_up_before_the_adapter(site: Site, plug: Plug) -> None:
    """After a boot: the containers are connected, and with the wire as soon as it is there."""
    make(site, type="physical")
    site.start(N, "e1", "e2")
    assert NAME not in can_interfaces()
    missing = site.daemon.said(events.ADAPTER_MISSING)
    assert [each.level for each in missing] == ["warning"] * 2  # at each Join
    assert exchange(site.members(NAME)[1:]).faults == []
    assert site.service.describe(N, "e1")["canwharf.adapter"] == "missing"
    adapter = plug()
    site.daemon.maintenance.repair()
    assert settings() == UP
    assert_on_the_wire(site, adapter)


@never_virtual
def test_after_a_power_cut_the_name_is_kept_for_the_adapter(site: Site, plug: Plug) -> None:
    """Nobody said can.type: it was an adapter when the network was made."""
    adapter = plug()
    make(site, bitrate="")
    adapter.unplug()
    site.power_cut()
    site.daemon.maintenance.recover()
    site.start(N, "e1")
    site.daemon.resync()
    assert NAME not in can_interfaces()
    adapter = plug()
    adapter.start()  # foreign settings
    site.daemon.maintenance.repair()
    assert_on_the_wire(site, adapter)


def test_a_foreign_vcan_is_not_taken_for_the_adapter(site: Site, plug: Plug) -> None:
    make(site, type="physical")
    site.start(N, "e1")
    ip(f"link add {NAME} mtu 72 type vcan")
    ip(f"link set {NAME} up")
    site.daemon.maintenance.repair()
    assert NAME not in {end for rule in gateway_rules() for end in rule[:2]}
    assert site.daemon.said(events.ADAPTER_NAME_TAKEN)
    with pytest.raises(OptionError, match="motor is there and is virtual"):
        make(site, M, type="physical", bitrate="", interface=NAME)
    ip(f"link delete {NAME}")
    plug()
    site.daemon.maintenance.repair()
    assert settings() == UP
    assert gateway_rules() == adapters(site.ports(NAME))


def test_an_adapter_is_not_asked_of_a_virtual_bus(site: Site) -> None:
    site.service.create_network(M, {"can.interface": "vcan0"})
    for options, words in (
        ({"interface": "vcan0"}, "can.bitrate=500000: only an adapter can have this"),
        ({"interface": "vcan0", "type": "physical"}, "can.type=physical: vcan0 is there"),
        ({"interface": "free0"}, "there is no free0; plug it in, or say can.type=physical"),
        ({"interface": "free0"}, "can.type=virtual makes a bus without an adapter"),
        ({"type": "hardware"}, "must be auto, virtual or physical"),
    ):
        with pytest.raises(OptionError) as caught:
            make(site, **options)
        assert words in str(caught.value)
    assert can_interfaces() == {"vcan0"}
    make(site, interface="vcan0", type="virtual", bitrate="")


def test_the_boards_settings_on_a_laptop(site: Site) -> None:
    """One file for both: the bus is virtual, and the log says what is not used."""
    make(site, interface="can0", type="virtual", txqueuelen="100", mode="move")
    assert shown("can0")["linkinfo"]["info_kind"] == "vcan"
    [event] = site.daemon.said(events.SETTINGS_WITHOUT_EFFECT)
    assert event.fields["options"] == "can.bitrate=500000, can.txqueuelen=100, can.mode=move"
    assert not site.daemon.said(events.BUS_NAMED_LIKE_ADAPTER)
    site.start(N, "e1", "e2")
    site.assert_whole("can0")
    make(site, interface="can0", type="virtual", txqueuelen="100", mode="move")


def test_an_adapter_belongs_to_one_driver(site: Site, plug: Plug, tmp_path: Path) -> None:
    plug()
    make(site)
    other = Daemon(str(tmp_path / "other"), driver="rustyvxcan")
    try:
        with pytest.raises(OptionError, match="the driver canwharf has its bus on it"):
            other.service.create_network(M, {"can.interface": NAME})
    finally:
        other.close()
