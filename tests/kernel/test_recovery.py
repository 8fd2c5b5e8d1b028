"""What was lost, on the real kernel: by a crash, a power cut, an end of the daemon.

The first group follows the ancestor's recovery flow: endpoint missing, bus interface missing,
pair missing, peer missing, and what cannot be recovered.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canwharf.bus import events
from canwharf.errors import KernelError, UnknownNetworkError
from canwharf.kernel import gateway
from canwharf.kernel.gateway import CLASSIC, FD, Rule
from canwharf.kernel.netlink import Netlink
from tests.kernel.site import Site, shown
from tests.world.frames import exchange
from tests.world.host import can_interfaces, cangw_lines, gateway_rules, index_of, ip, run
from tests.world.rules import linear

N = "n" * 64
A, B, C, D = (letter * 64 for letter in "abcd")


# The recovery flow: a Join makes whatever is missing.


def test_phase_1_an_endpoint_without_a_record(site: Site) -> None:
    site.network(N)
    site.join(N, A)
    [event] = site.daemon.said(events.ENDPOINT_RECREATED)
    assert event.fields["endpoint"] == A
    site.assert_whole()


def test_phase_2_the_bus_interface_is_missing(site: Site) -> None:
    site.network(N)
    site.start(N, A)
    ip("link delete vcan0")
    site.start(N, B)
    assert site.daemon.said(events.BUS_RECREATED)
    assert shown("vcan0")["ifalias"] == "canwharf canwharf bus"
    site.assert_whole()


def test_phase_3_the_pair_is_missing(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    site.die(N, A)
    site.join(N, A)
    [event] = site.daemon.said(events.PAIR_RECREATED)
    assert event.fields["interface"] == site.port(N, A)
    site.assert_whole()


def test_phase_4_a_peer_is_missing(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    site.die(N, A)
    site.start(N, C)
    [event] = site.daemon.said(events.ENDPOINT_SKIPPED)
    assert (event.fields["endpoint"], event.level) == (A, "warning")
    site.assert_whole()
    site.join(N, A)
    site.assert_whole()


def test_what_cannot_be_recovered_is_an_error(site: Site) -> None:
    for call in (site.service.join, site.create):
        with pytest.raises(UnknownNetworkError, match=N):
            call(N, A)
    assert can_interfaces() == set()


@pytest.mark.usefixtures("no_vcan")
def test_a_bus_interface_that_cannot_be_made_again(site: Site) -> None:
    with pytest.raises(KernelError, match="modprobe vcan"):
        site.network(N)
    assert site.service.state.networks == {}
    assert can_interfaces() == set()


def test_after_a_power_cut_new_endpoints_join_all_at_once(site: Site) -> None:
    """CreateNetwork is not repeated, endpoints are new, several are created before any joins."""
    site.network(N)
    site.start(N, A, B)
    site.power_cut()
    assert site.daemon.left == 2
    site.create(N, C)
    site.create(N, D)
    site.join(N, C)
    site.join(N, D)
    site.assert_whole()
    assert not site.daemon.said(events.ENDPOINT_SKIPPED)
    assert {event.type for event in site.daemon.complaints()} == {events.BUS_RECREATED}


def test_after_a_power_cut_no_engine_answers(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    site.power_cut()
    site.daemon.maintenance.recover()
    assert can_interfaces() == {"vcan0"}
    assert cangw_lines() == []
    site.start(N, C, D)
    site.assert_whole()


# Adoption: the daemon goes, the containers stay.


def test_frames_go_on_without_a_daemon(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    members = site.members()
    meanwhile: list[str] = []
    site.restart(lambda: meanwhile.extend(exchange(members).faults))
    assert meanwhile == []
    site.assert_whole()


@pytest.mark.parametrize("recover", [False, True])
def test_a_new_daemon_adopts_the_running(site: Site, recover: bool) -> None:
    site.network(N)
    site.start(N, A, B)
    before = sorted(cangw_lines()), can_interfaces()
    site.restart()
    if recover:
        site.daemon.maintenance.recover()
        assert (sorted(cangw_lines()), can_interfaces()) == before
    site.start(N, C)
    site.assert_whole()
    site.stop(N, A)
    site.assert_whole()
    assert site.daemon.complaints() == []


def test_many_restarts(site: Site) -> None:
    site.network(N)
    for endpoint in (A, B, C, D):
        site.start(N, endpoint)
        site.restart()
        site.daemon.maintenance.recover()
    site.assert_whole()


def test_a_pair_without_a_record_is_removed_at_recovery(site: Site, tmp_path: Path) -> None:
    """It was made, but its record did not reach the disk: it is unowned. One in use is adopted."""
    site.network(N)
    site.start(N, A)
    site.create(N, B)
    site.service.join(N, B)
    state = tmp_path / "state" / "state.json"
    content = json.loads(state.read_text())
    content["networks"][N]["endpoints"] = {}

    def forget() -> None:
        state.write_text(json.dumps(content))

    site.restart(forget)
    site.daemon.maintenance.recover()
    assert can_interfaces() == {"vcan0", site.port(N, A)}
    [event] = site.daemon.said(events.ENDPOINT_ADOPTED)
    assert event.fields["endpoint"] == A
    site.assert_whole()


def test_duplicate_and_missing_rules_are_fixed(site: Site, netlink: Netlink) -> None:
    site.network(N)
    site.start(N, A, B)
    one, bus = index_of(site.port(N, A)), index_of("vcan0")
    netlink.batch(
        [
            gateway.add(Rule(bus, one, CLASSIC, echo=False), ""),
            gateway.delete(Rule(one, bus, FD), ""),
        ]
    )
    assert exchange(site.members(), limit=0.3).faults
    site.restart()
    site.daemon.maintenance.recover()
    assert len(site.daemon.said(events.RULE_DUPLICATE)) == 1
    [restored] = site.daemon.said(events.RULES_RESTORED)
    assert restored.fields["rules"] == "1"
    site.assert_whole()


def test_all_rules_flushed_by_hand(site: Site) -> None:
    site.network(N)
    site.start(N, A, B)
    run("cangw", "-F")
    site.restart()
    site.daemon.maintenance.recover()
    site.assert_whole()


# A state that was lost: the kernel still knows the endpoints, and so their networks.


@pytest.mark.parametrize("how", ["gone", "garbled"])
def test_a_lost_state_is_rebuilt_from_the_aliases(site: Site, tmp_path: Path, how: str) -> None:
    """Not one rule or interface is touched, and new containers are connected with the old ones."""
    site.network(N)
    site.start(N, A, B)
    site.network("m" * 64, "vcan1", "other")
    site.start("m" * 64, C)
    before = sorted(cangw_lines()), can_interfaces(), site.service.state.networks
    state = tmp_path / "state" / "state.json"

    def lose() -> None:
        if how == "gone":
            state.unlink()
        else:
            state.write_text("{")

    site.restart(lose, adopt=True)
    site.daemon.maintenance.run(0.0, active=True)
    assert (sorted(cangw_lines()), can_interfaces(), site.service.state.networks) == before
    site.restart()
    assert site.service.state.networks == before[2], "it is on disk again"
    site.start(N, D)
    assert gateway_rules() == linear(site.ports("vcan0")) + linear(site.ports("vcan1"))
    assert exchange(site.members("vcan0"), site.members("vcan1")).faults == []
