"""Frames that a fault delays: late, once, and as the others are in all else.

The container e1 has faults, e2, e3 and the host receive.
"""

from __future__ import annotations

import select
import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from time import monotonic

import pytest

from canwharf.bus import firewall, injection, naming
from canwharf.bus.fault import Fault
from canwharf.control.faults import Faults
from canwharf.errors import CanwharfError, ConflictError
from canwharf.kernel.injection import MODULES
from tests.kernel.senders import Sender, heard
from tests.kernel.site import Site
from tests.kernel.test_injection import (
    E1,
    MARK,
    PAUSE,
    SENT,
    Command,
    _edited,
    arrived,
    assert_untouched,
    begin,
    classic,
    end,
    fd,
)
from tests.kernel.test_shapes import dying
from tests.world.host import SYS_NET, index_of, ip, run
from tests.world.member import Member, raw_socket

N = "n" * 64
LIMIT = 10.0  # seconds
LONG, SHORT = "1s", "20ms"
MILLION = 1_000_000


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """A kernel without one module loads no other by itself."""
    run("modprobe", "-a", "sch_ingress", "em_canid", "act_police", "ifb", "sch_netem", *MODULES)


@pytest.fixture(name="site")
def _with_containers(site: Site) -> Site:
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    return site


def ifbs() -> list[str]:
    """The interfaces in which frames wait."""
    return sorted(path.name for path in SYS_NET.glob("cwd*"))


def ifb(delay: int) -> str:
    return naming.delay(naming.host_end(*E1), delay)


def listening(stack: ExitStack, *members: Member) -> list[socket.socket]:
    return [stack.enter_context(raw_socket(each)) for each in members]


def take(opened: socket.socket, most: int) -> list[bytes]:
    """The next frames, as many as come in time."""
    found: list[bytes] = []
    while len(found) < most and select.select([opened], [], [], LIMIT)[0]:
        found.append(opened.recv(72))
    return found


def send(sender: Member, frames: Sequence[bytes]) -> None:
    with raw_socket(sender) as opened:
        for each in frames:
            opened.send(each)


def assert_late(site: Site) -> None:
    """All that e1 sends arrives once, at each of the others."""
    host, e1, e2, e3 = site.members()
    with ExitStack() as stack:
        sockets = listening(stack, host, e2, e3)
        send(e1, SENT)
        for each in sockets:
            assert Counter(take(each, len(SENT))) == Counter(SENT)
    site.assert_whole()


def test_a_meant_frame_is_late_and_the_others_overtake_it(site: Site) -> None:
    """At all receivers; frames that are delayed stay in their order."""
    assert_untouched(site)
    fault = begin(site, id="123", delay=LONG)
    host, e1, e2, e3 = site.members()
    late, at_once = [classic(0x123, length) for length in (1, 2, 3)], classic(0x124)
    with ExitStack() as stack:
        sockets = listening(stack, host, e2, e3)
        while True:
            began = monotonic()
            send(e1, [*late, at_once])
            quick = monotonic() - began < 1.0  # else the machine stood still meanwhile
            heard = [take(each, 4) for each in sockets]
            assert monotonic() - began >= 1.0
            assert [sorted(each) for each in heard] == [sorted([*late, at_once])] * 3
            assert [[each for each in frames if each in late] for frames in heard] == [late] * 3
            if quick:
                assert [frames[0] for frames in heard] == [at_once] * 3
                break
    frames = end(site)[fault]
    assert frames["delayed"] % 3 == 0
    assert frames["delayed"] > 0
    assert_untouched(site)


def test_each_frame_arrives_exactly_once(site: Site) -> None:
    """Classic, FD, remote and error frames; a container never hears its own."""
    begin(site, id="all", delay=SHORT)
    assert_late(site)


@pytest.mark.parametrize("no_module", ["em_canid", "act_skbedit"], indirect=True)
@pytest.mark.usefixtures("no_module")
def test_so_it_is_without_a_module(site: Site) -> None:
    """As on a Raspberry Pi; and on a mesh."""
    begin(site, id="all", delay=SHORT)
    host, e1, e2, e3 = site.members()
    with ExitStack() as stack:
        sockets = listening(stack, e2, e3, host)
        send(e1, SENT[:-1])
        for each in sockets:
            assert Counter(take(each, len(SENT) - 1)) == Counter(SENT[:-1])


def test_bytes_change_and_frames_are_lost_before(site: Site) -> None:
    """What lacks the byte passes untouched, and at once."""
    begin(site, id="123", set="data[2]=AA", delay=SHORT)
    begin(site, id="122", loss="100%")
    wanted = Counter(_edited(each, 0x123, {2: 0xAA}) for each in SENT)
    del wanted[classic(0x122)], wanted[fd(0x122)]
    _host, e1, e2, e3 = site.members()
    with ExitStack() as stack:
        sockets = listening(stack, e2, e3)
        send(e1, SENT)
        for each in sockets:
            assert Counter(take(each, wanted.total())) == wanted


def test_what_a_container_may_not_send_is_not_sent_late(site: Site) -> None:
    """Its ids, and how many frames a second: that comes before, and counts once."""
    fault = begin(site, id="all", delay=SHORT)
    firewall.set_policy(site.service, N, "e1", {"can.send": "~7DF", "can.rate": "200"})
    _host, e1, e2, e3 = site.members()
    sent = [classic(0x7DF), *[classic(0x123)] * 2000]  # a tenth of a second's may come at once
    with raw_socket(e2) as opened:
        send(e1, sent)
        passed = count(site, fault)
        assert 0 < passed < 2000
        assert Counter(take(opened, passed)) == {classic(0x123): passed}
        send(e3, [MARK])
        assert take(opened, 1) == [MARK]


def count(site: Site, fault: Fault) -> int:
    """How many frames a fault has delayed so far."""
    index = index_of(site.port(N, "e1"))
    found = site.daemon.reconciler._snapshot().injected[index]
    return fault.frames(found)["delayed"]


def test_faults_of_the_same_delay_are_one_queue(site: Site) -> None:
    """When one ends, the other goes on; another delay has a queue of its own."""
    one = begin(site, id="123", delay=SHORT)
    begin(site, id="122", delay="20000us")
    assert ifbs() == [ifb(20_000)]
    begin(site, id="124", delay="30ms")
    assert ifbs() == sorted([ifb(20_000), ifb(30_000)])
    injection.end(site.service, E1, lambda each: each.number == one.number)
    injection.forget(site.service, ifbs())
    assert ifbs() == sorted([ifb(20_000), ifb(30_000)])
    assert_late(site)
    end(site)
    injection.forget(site.service, ifbs())
    assert ifbs() == []
    assert_untouched(site)


def test_what_waits_when_the_fault_ends_is_delivered(site: Site) -> None:
    """Then nothing is left; also where the command began another one at once."""
    faults, command = Faults(site.service), Command()
    content = {"Members": [list(E1)], "Fault": {"id": "123", "delay": "500ms"}}
    faults.begin(content, command)
    _host, e1, e2, _e3 = site.members()
    with raw_socket(e2) as opened:
        send(e1, [classic(0x123)])
        assert command.at_end
        command.at_end()
        assert [each["frames"] for each in command.said[0]["Ended"]] == [{"delayed": 1}]
        assert ifbs() == [ifb(500_000)]
        assert take(opened, 1) == [classic(0x123)]
        due = faults.run(0.0)
        assert due
        again = Command()
        faults.begin(content, again)
        assert faults.run(due) is None
        assert ifbs() == [ifb(500_000)]
        faults.end({"Members": [list(E1)]})
        due = faults.run(0.0)
        assert due
        assert faults.run(due) is None
    assert ifbs() == []
    assert_untouched(site)


def test_a_daemon_that_was_killed_leaves_nothing(site: Site) -> None:
    """The command has nobody any more who would end its fault: the next start does."""
    content = {"Members": [list(E1)], "Fault": {"id": "123", "delay": SHORT}}
    Faults(site.service).begin(content, Command())
    site.restart()
    assert site.daemon.maintenance.recover()
    faults = Faults(site.service)
    due = faults.run(0.0)
    assert due
    assert faults.run(due) is None
    assert ifbs() == []
    assert_untouched(site)


def test_it_comes_and_goes_under_traffic(site: Site, stack: ExitStack) -> None:
    """Each frame arrives once, whether it was meant or not: also those of the moment of an end."""
    _host, e1, e2, e3 = site.members()
    sockets = listening(stack, e2, e3)
    sender = stack.enter_context(Sender(e1, 1, 50, PAUSE))
    for _ in range(100):
        begin(site, id="all", delay="1ms")
        begin(site, id="~101", delay="3ms")
        end(site)
    sent = [(1, number) for number in range(sender.stop())]
    for each in sockets:
        assert heard(each, sent) == Counter(sent)


def test_it_goes_with_its_container(site: Site) -> None:
    """And outlives the daemon, as other faults do."""
    begin(site, id="all", delay=SHORT)
    site.restart()
    assert site.daemon.maintenance.recover()
    assert site.daemon.maintenance.sync().steps == ()
    assert_late(site)
    site.stop(N, "e1")
    assert ifbs() == []
    site.start(N, "e1")
    assert site.daemon.maintenance.sync().steps == ()
    site.assert_whole()


def test_it_goes_with_a_lost_state(site: Site) -> None:
    begin(site, id="all", delay=SHORT)

    def lose() -> None:
        run("rm", site.daemon.store.path)

    site.restart(lose, adopt=True)
    site.daemon.maintenance.sync()
    assert ifbs() == []
    assert_untouched(site)


@pytest.mark.parametrize(
    "words",
    [
        "ip link delete {ifb}",
        "ip link set {ifb} down",
        "tc qdisc delete dev {ifb} root",
        "tc filter delete dev {port} ingress pref 6",
        "tc qdisc delete dev {port} clsact",
    ],
)
def test_what_was_deleted_by_hand_comes_back(site: Site, words: str) -> None:
    """At once, and after a start of a daemon that did not see it."""
    begin(site, id="all", delay=SHORT)
    command = words.format(ifb=ifb(20_000), port=site.port(N, "e1")).split()
    run(*command)
    assert site.daemon.maintenance.repair()
    assert_late(site)
    assert site.daemon.maintenance.sync().steps == ()

    def unseen() -> None:
        run(*command)

    site.restart(unseen)
    assert site.daemon.maintenance.recover()
    assert_late(site)
    assert site.daemon.maintenance.sync().steps == ()


def test_the_daemon_dies_at_every_message(site: Site) -> None:
    """Of a begin and of an end: the next one has the fault in whole, or nothing of it."""
    for work in (lambda: begin(site, id="all", delay=SHORT), lambda: leave(site)):
        place, cut_off = 0, True
        while cut_off:
            if work.__code__.co_names[0] == "leave":
                begin(site, id="all", delay=SHORT)
            with pytest.MonkeyPatch.context() as patch:
                cut_off = dying(site, patch, place, work)
            site.restart()
            assert site.daemon.maintenance.recover()
            assert site.daemon.maintenance.sync().steps == ()
            if site.service.state.networks[N].endpoints["e1"].injected:
                assert ifbs() == [ifb(20_000)]
                assert_late(site)
                leave(site)
            assert ifbs() == []
            assert_untouched(site)
            place += 1
        assert place > 1


def leave(site: Site) -> None:
    """End all faults, and remove what is left of them."""
    end(site)
    injection.forget(site.service, ifbs())


@pytest.mark.parametrize("no_module", ["ifb", "sch_netem", "act_mirred"], indirect=True)
def test_without_a_module_it_is_refused_in_whole(site: Site, no_module: str) -> None:
    """The sentence names it, nothing is left behind, and frames pass as before."""
    with pytest.raises(CanwharfError, match=f"modprobe.* {no_module}"):
        begin(site, id="123", delay=SHORT)
    assert ifbs() == []
    assert_untouched(site)
    assert site.daemon.maintenance.sync().steps == ()


def test_a_foreign_interface_of_the_name_is_left_alone(site: Site) -> None:
    ip(f"link add {ifb(20_000)} type ifb")
    with pytest.raises(ConflictError, match=ifb(20_000)):
        begin(site, id="123", delay=SHORT)
    assert ifbs() == [ifb(20_000)]
    assert_untouched(site)
    assert arrived(site, [classic(0x123)])[0] == Counter([classic(0x123)])


def test_a_bus_with_manners_of_its_own_refuses_it(site: Site) -> None:
    """A frame goes through one queue: in either order, the second is refused."""
    given = {"can.interface": "vcan0", "can.name": "can", "can.loss": "1%"}
    begin(site, id="123", delay=SHORT)
    with pytest.raises(ConflictError, match="fault that delays frames"):
        site.service.create_network("m" * 64, given)
    end(site)
    site.service.create_network("m" * 64, given)
    with pytest.raises(ConflictError, match="trouble on purpose of its own"):
        begin(site, id="123", delay=SHORT)
    begin(site, id="123", loss="5%")
