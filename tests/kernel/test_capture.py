"""Each frame is seen once, with its sender: on each shape of a bus, and whatever comes and goes."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from canwharf.bus.report import Names
from canwharf.errors import CanwharfError
from canwharf.frames import sources
from canwharf.frames.capture import Capture
from canwharf.frames.filters import parse
from canwharf.frames.sources import Sources
from tests.kernel.seen import (
    NAMES,
    Listen,
    M,
    N,
    burst,
    expected,
    listening,
    say,
    seen,
    send,
    until,
)
from tests.kernel.site import DRIVER, Site
from tests.kernel.test_shapes import make_mesh
from tests.kernel.wired import NAME, Plug, make
from tests.world.host import run

SHAPES = pytest.mark.parametrize("shape", ["linear", "mesh"])


@SHAPES
def test_each_frame_once_with_its_sender(site: Site, listen: Listen, shape: str) -> None:
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    if shape == "mesh":
        make_mesh(site.ports())
    capture = listen()
    members = site.members()
    say(members)
    wanted = expected(["host", "ecu1", "ecu2", "ecu3"], "bus0")
    frames = until(capture, len(wanted))
    assert list(map(seen, frames)) == wanted
    assert [each.time for each in frames] == sorted(each.time for each in frames)
    assert capture.losses == {}


@SHAPES
def test_the_wire_the_host_and_containers_of_an_adapter(
    site: Site, listen: Listen, plug: Plug, shape: str
) -> None:
    """On the adapter all of them look alike; error frames are of the wire."""
    adapter = plug()
    make(site)
    site.start(N, "e1", "e2")
    if shape == "mesh":
        make_mesh(site.ports(NAME))
    capture = listen("bus0")
    members = site.members(NAME)
    wanted = sorted(
        [
            *expected(["host", "ecu1", "ecu2"], "bus0", fd=False),
            ("bus0", "wire", 0x100, b"\xbe\xef", None),
            ("bus0", "wire", 0x100, b"\1\2", None),
        ],
        key=str,
    )
    for turn in range(20):
        for member in members:  # its queue takes ten frames
            say([member], fd=False, first=members.index(member))
        adapter.send("t1002BEEF")
        adapter.send("t10020102")  # what the host sent, too
        found = until(capture, len(wanted))
        assert sorted(map(seen, found), key=str) == wanted, turn
    assert capture.losses == {}


@pytest.mark.parametrize("words", ["any", "any,100:400,300:7FF"])
@SHAPES
def test_an_adapter_that_is_pulled_out_and_plugged_in_again(
    site: Site, listen: Listen, plug: Plug, shape: str, words: str
) -> None:
    """A filter is of what comes later, too."""
    adapter = plug()
    make(site)
    site.start(N, "e1", "e2")
    if shape == "mesh":
        make_mesh(site.ports(NAME))
    capture = listen(**{"": parse(words)[1]})
    unwanted = [] if words == "any" else [0x400]
    host, one, _two = site.members(NAME)
    for turn in range(3):
        adapter.send("t1231AA")
        for can_id in unwanted:
            send(one, can_id)
        send(host, 0x200)
        send(one, 0x300)
        found = sorted((each.sender, each.id) for each in until(capture, 3))
        assert found == [("ecu1", 0x300), ("host", 0x200), ("wire", 0x123)], turn
        adapter.unplug()
        site.daemon.maintenance.repair()
        listening(capture, 2)
        send(one, 0x301)
        assert [seen(each)[1:3] for each in until(capture, 1)] == [("ecu1", 0x301)]
        adapter = plug()
        site.daemon.maintenance.repair()
        if shape == "mesh":
            make_mesh(site.ports(NAME))
        listening(capture, 3)
    assert capture.losses == {}


def test_containers_and_networks_come_and_go_and_the_daemon_starts_again(
    site: Site, listen: Listen
) -> None:
    """Begun before there is a bus; the last frame of a container that ends is seen, too."""
    capture = listen()
    assert capture.sources == []
    site.network(N)
    site.start(N, "e1")
    listening(capture, 2)
    send(site.members()[1], 0x100)
    assert [seen(each)[:3] for each in until(capture, 1)] == [("bus0", "ecu1", 0x100)]
    site.start(N, "e2")
    site.restart()
    listening(capture, 3)
    one, two = site.members()[1:]
    send(one, 0x101)
    send(two, 0x102)
    found = [seen(each)[1:3] for each in until(capture, 2)]
    assert found == [("ecu1", 0x101), ("ecu2", 0x102)]
    send(one, 0x103)
    site.stop(N, "e1")
    found = [seen(each)[1:3] for each in until(capture, 1)]
    assert found == [("ecu1", 0x103)]
    site.start(N, "e1")
    listening(capture, 3)
    send(site.members()[-1], 0x104)
    found = [seen(each)[1:3] for each in until(capture, 1)]
    assert found == [("ecu1", 0x104)]
    site.network(M, "vcan1")
    site.start(M, "f1")
    listening(capture, 5)
    send(site.members("vcan1")[1], 0x105)
    assert [seen(each)[:3] for each in until(capture, 1)] == [("bus1", "gate", 0x105)]
    assert capture.losses == {}


@pytest.mark.parametrize("words", ["any", "any,100:700"])
@SHAPES
def test_a_container_and_the_daemon_start_again(
    site: Site, listen: Listen, shape: str, words: str
) -> None:
    """On each shape, and behind a filter, which is of what comes later, too."""
    site.network(N)
    site.start(N, "e1", "e2")
    if shape == "mesh":
        make_mesh(site.ports())
    capture = listen(**{"": parse(words)[1]})
    for turn in range(3):
        site.stop(N, "e1")
        listening(capture, 2)
        site.start(N, "e1")
        site.restart()
        site.daemon.maintenance.sync()
        if shape == "mesh":
            make_mesh(site.ports())
        listening(capture, 3)
        host, two, one = site.members()
        for member in (one, two, host):
            if words != "any":
                send(member, 0x201)
            send(member, 0x101)
        found = [seen(each)[1:3] for each in until(capture, 3)]
        assert found == [("ecu1", 0x101), ("ecu2", 0x101), ("host", 0x101)], turn
    assert capture.losses == {}


def test_what_the_firewall_keeps_back_was_not_on_the_bus(site: Site, listen: Listen) -> None:
    run("modprobe", "-a", "sch_ingress", "cls_basic", "em_canid", "em_u32")
    site.network(N)
    site.service.create_endpoint(N, "e1", {"can.send": "100-1FF"})
    site.join(N, "e1")
    site.start(N, "e2")
    capture = listen()
    for member in site.members()[1:]:
        for can_id in (0x100, 0x200, 0x1FF):
            send(member, can_id)
    found = [seen(each)[1:3] for each in until(capture, 5)]
    assert found == [
        *(("ecu1", 0x100), ("ecu1", 0x1FF)),
        *(("ecu2", 0x100), ("ecu2", 0x200), ("ecu2", 0x1FF)),
    ]


def test_filters_are_the_kernels_and_of_one_bus(site: Site, listen: Listen) -> None:
    site.network(N)
    site.network(M, "vcan1")
    site.start(N, "e1")
    site.start(M, "f1")
    capture = listen(vcan0=parse("bus0,100:7FF")[1])
    for member in (site.members()[1], site.members("vcan1")[1]):
        for can_id in (0x100, 0x200, 0x20000004):
            send(member, can_id, bytes(8))
    found = [seen(each)[1:3] for each in until(capture, 4)]
    assert found == [("ecu1", 0x100), ("gate", 0x100), ("gate", 0x200), ("gate", 0x20000004)]


def test_only_the_buses_that_are_named(site: Site, listen: Listen) -> None:
    """By the interface, the network's name, or the first digits of its id, as `status` takes it."""
    site.network(N)
    site.network(M, "vcan1")
    site.start(M, "f1")
    site.start(N, "e1")
    for word in ("vcan1", "bus1", M, M[:12]):
        capture = listen(word)
        send(site.members()[1], 0x100)
        send(site.members("vcan1")[1], 0x101)
        assert [seen(each)[:3] for each in until(capture, 1)] == [("bus1", "gate", 0x101)]
    with pytest.raises(CanwharfError, match="there is no bus bus9; there are: bus0, bus1"):
        listen("bus9")
    with pytest.raises(CanwharfError, match="Docker does not answer, so its names"):
        Sources(DRIVER, site._directory, buses=["bus0"])


def test_a_name_that_comes_late_is_asked_for_before_the_first_frame(
    site: Site, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a recording on another host has two senders of each id of a container that starts."""
    monkeypatch.setattr(sources, "_PATIENCE", 0)
    nothing = Names({}, {})
    answers = iter([nothing, nothing, NAMES])  # at the start, to the question, to the next one
    asking = Sources(DRIVER, site._directory, lambda: next(answers, nothing))
    site.network(N)
    capture = stack.enter_context(Capture(asking))
    capture.ask_names()  # of no container, so there is no question
    site.start(N, "e1")
    assert capture.read(0.1) == []
    capture.ask_names()
    capture.ask_names()
    send(site.members()[1], 0x100)
    assert [each.sender for each in until(capture, 1)] == ["ecu1"]


def test_a_word_that_stands_for_two_buses_is_refused(site: Site, listen: Listen) -> None:
    """A player would send to another bus than its user meant: the interface bus0 is of bus1."""
    site.network(N, "vcan0")
    site.network(M, "bus0")
    with pytest.raises(CanwharfError, match=r"bus0 stands for several buses \(bus0, vcan0\)"):
        listen("bus0")
    assert listen(M[:12]).sources[0].interface == "bus0"


def test_losses_are_counted_for_their_sender(site: Site, listen: Listen) -> None:
    """Nobody reads; what is there and what was lost is all that was sent."""
    site.network(N)
    site.start(N, "e1", "e2")
    capture = listen()
    one, two = site.members()[1:]
    send(two, 0x200)
    burst(one, 0x100, sent := 60_000)
    found = []
    while frames := capture.read(0.5):
        found += frames
    lost = capture.losses
    assert lost.keys() == {("bus0", "ecu1")}
    assert lost["bus0", "ecu1"] > 0
    senders = [each.sender for each in found]
    assert senders.count("ecu1") + lost["bus0", "ecu1"] == sent
    assert senders.count("ecu2") == 1
