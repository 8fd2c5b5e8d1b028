"""A policy, faults and a bus with a wire's manners at once: each is as if it were alone."""

from __future__ import annotations

import select
import socket
import struct
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack

import pytest

from canwharf.bus import fault_options, firewall, injection
from canwharf.bus.fault import Fault
from canwharf.bus.injection import Place
from canwharf.control.faults import Faults
from canwharf.errors import RequestError
from canwharf.kernel.injection import MODULES
from tests.kernel.seen import Listen, until
from tests.kernel.site import Site
from tests.kernel.test_injection import (
    EFF,
    ERR_FILTER,
    MARK,
    Command,
    classic,
    fd,
    told,
    until_mark,
)
from tests.kernel.test_trouble import GIVEN, M, N
from tests.kernel.test_trouble import MODULES as OF_IMPAIRMENT
from tests.world.host import run
from tests.world.member import Member, raw_socket

E1 = Place(N, "e1")
IDS = range(0x100, 0x108)
SENT = (*map(classic, IDS), *map(fd, IDS), *(classic(id | EFF) for id in IDS))
TWICE = {"can.duplicate": "100%", "can.delay": "1ms"}


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """A kernel without one module loads no other by itself."""
    run("modprobe", "-a", "sch_ingress", "em_canid", *MODULES, *OF_IMPAIRMENT)


def wanted(without: Collection[int], times: int) -> Counter[bytes]:
    """What arrives of SENT from e1: its 101 is changed."""
    changed = {id: bytearray(id) for id in (classic(0x101), fd(0x101))}
    for frame in changed.values():
        frame[10] = 0xAA
    found: Counter[bytes] = Counter()
    for each in SENT:
        if struct.unpack_from("=I", each)[0] not in without:
            found[bytes(changed.get(each, each))] += times
    return found


def arrived(speaking: Member, *listening: Member) -> list[Counter[bytes]]:
    """What these receive of SENT."""
    with ExitStack() as stack:
        ears = [stack.enter_context(raw_socket(each)) for each in listening]
        speaker = stack.enter_context(raw_socket(speaking))
        for each in (*SENT, MARK):
            speaker.send(each)
        return [until_mark(each) for each in ears]


@pytest.mark.parametrize("no_module", ["act_skbedit"], indirect=True)
@pytest.mark.usefixtures("no_module")
def test_on_a_mesh_they_do_not_disturb_each_other(site: Site, listen: Listen) -> None:
    """It is the shape where the kernel lacks a module."""
    test_they_do_not_disturb_each_other(site, listen, {})
    test_they_do_not_disturb_each_other(site, listen, TWICE)


@pytest.mark.parametrize("manners", [{}, TWICE, {"can.bandwidth": "1M"}])
def test_they_do_not_disturb_each_other(
    site: Site, listen: Listen, manners: dict[str, str]
) -> None:
    """e1 may not send 107, its 101 is changed, its 102 lost; e2 must not receive 103."""
    site.service.create_network(N, {**GIVEN, **manners})
    site.service.create_network(M, GIVEN)
    site.start(N, "e1", "e2")
    site.start(M, "e3")
    firewall.set_policy(site.service, N, "e1", {"can.send": "~107"})
    firewall.set_policy(site.service, N, "e2", {"can.receive": "~103"})
    for words in ({"id": "101", "set": "data[2]=AA"}, {"id": "102", "loss": "100%"}):
        injection.begin(site.service, E1, fault_options.parse(words))
    times = 2 if manners == TWICE else 1
    host, e1, e2, e3 = site.members()
    capture = listen()
    on_the_bus = wanted((0x102, 0x107), times)
    assert arrived(e1, e3, host, e2) == [
        on_the_bus,
        on_the_bus,
        wanted((0x102, 0x103, 0x107), times),
    ]
    frames = until(capture, on_the_bus.total() + times)
    assert Counter(each.sender for each in frames) == {"ecu1": on_the_bus.total() + times}
    injection.begin(site.service, E1, Fault(0, bus_off=True))
    assert arrived(e2, e3, host) == [Counter(SENT * times)] * 2
    assert site.daemon.maintenance.sync().steps == ()
    for network, endpoint in list(site.containers):
        site.stop(network, endpoint)
    for network in (N, M):
        site.service.delete_network(network)


@pytest.mark.parametrize("seconds", [float("inf"), -1, 1e9])
def test_a_time_without_end_is_no_time(site: Site, seconds: float) -> None:
    """As JSON has no word for it, the state could not be read any more."""
    site.service.create_network(N, GIVEN)
    site.start(N, "e1")
    with pytest.raises(RequestError, match="Seconds must be a number from 0 to 604800"):
        Faults(site.service).begin(
            {"Members": [list(E1)], "Fault": {}, "Seconds": seconds, "Keep": True}, Command()
        )
    site.restart()
    assert not site.service.state.has_faults


def test_of_two_bus_offs_the_last_end_is_the_return(site: Site) -> None:
    """A container that is told so before would send, and nobody would receive it."""
    site.service.create_network(N, GIVEN)
    site.start(N, "e1", "e2")
    faults, first, second = Faults(site.service), Command(), Command()
    with raw_socket(site.members()[1]) as own:
        own.setsockopt(socket.SOL_CAN_RAW, ERR_FILTER, 0x1FFFFFFF)
        faults.begin({"Members": [list(E1)], "Fault": {}}, first)
        faults.begin({"Members": [list(E1)], "Fault": {}}, second)
        for command in (first, second):
            assert command.at_end
            command.at_end()
        assert told(own, 0x100) == [0x40, 0x40, 0x100]
        assert not select.select([own], [], [], 0)[0]
