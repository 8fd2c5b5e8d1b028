"""Faults on purpose: the meant frames are as the fault says, all others pass untouched, once.

The container e1 has faults, e2, e3 and the host receive.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from canwharf.bus import events, fault_options, firewall, injection
from canwharf.bus.fault import Fault
from canwharf.bus.injection import Place
from canwharf.control.faults import Faults
from canwharf.errors import CanwharfError, KernelError
from canwharf.kernel.injection import MODULES
from tests.kernel.senders import Sender, heard
from tests.kernel.site import Site
from tests.kernel.test_shapes import dying
from tests.world.host import run
from tests.world.member import raw_socket

N = "n" * 64
E1 = Place(N, "e1")
EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000  # linux/can.h
FDF = 4
ERR_FILTER = 2  # CAN_RAW_ERR_FILTER of linux/can/raw.h
LIMIT = 10.0  # seconds
PAUSE = 0.001  # seconds between two frames
_CLASSIC, _FD = struct.Struct("=IBB2x8s"), struct.Struct("=IBB2x64s")
MARK = _CLASSIC.pack(0x7FF, 0, 0, bytes(8))
PAYLOAD = bytes(range(0x10, 0x50))


def classic(id: int, length: int = 8) -> bytes:
    data = b"" if id & RTR else PAYLOAD[:length]
    return _CLASSIC.pack(id, length, 0, data)


def fd(id: int, length: int = 64) -> bytes:
    return _FD.pack(id, length, FDF, PAYLOAD[:length])


SENT = (
    *(classic(id) for id in (0x0, 0x122, 0x123, 0x124, 0x123 | EFF, 0x123 | RTR, 0x18FEF100 | EFF)),
    *(classic(0x123, length) for length in range(8)),
    *(fd(id) for id in (0x122, 0x123, 0x123 | EFF)),
    *(fd(0x123, length) for length in (2, 3, 12)),
    classic(0x123 | ERR),  # its class, which is no id
)


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """A kernel without one module loads no other by itself."""
    run("modprobe", "-a", "sch_ingress", "em_canid", "act_police", *MODULES)


@pytest.fixture(name="site")
def _with_containers(site: Site) -> Site:
    site.network(N)
    site.start(N, "e1", "e2", "e3")
    return site


def begin(site: Site, **given: str) -> Fault:
    return injection.begin(site.service, E1, fault_options.parse(given))


def end(site: Site) -> dict[Fault, dict[str, int]]:
    return injection.end(site.service, E1, lambda _fault: True)


def arrived(site: Site, sent: Sequence[bytes] = SENT) -> list[Counter[bytes]]:
    """What e2, e3 and the host receive of e1's frames; all get the same."""
    host, sender, *others = site.members()
    with ExitStack() as stack:
        listening = [stack.enter_context(raw_socket(each)) for each in (*others, host)]
        speaking = stack.enter_context(raw_socket(sender))
        marking = stack.enter_context(raw_socket(host))
        for each in sent:
            speaking.send(each)
        found = [Counter[bytes]() for _ in others]
        for _ in range(2):  # on a busy machine the first may overtake what has more hops to go
            marking.send(MARK)
            for counted, opened in zip(found, listening, strict=False):
                counted.update(until_mark(opened))
        return found


def until_mark(opened: socket.socket) -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    while select.select([opened], [], [], LIMIT)[0]:
        if (frame := opened.recv(72)) == MARK:
            return found
        found[frame] += 1
    raise AssertionError("the host's mark did not arrive")


def assert_changed(site: Site, id: int, **changes: int) -> None:
    """The bytes of this id's data frames that have them are these; all else is as it was sent."""
    edits = {int(name[1:]): value for name, value in changes.items()}
    wanted = Counter(_edited(frame, id, edits) for frame in SENT)
    for each in arrived(site):
        assert each == wanted


def _edited(frame: bytes, id: int, edits: dict[int, int]) -> bytes:
    word, length = struct.unpack_from("=IB", frame)
    if word != id or length <= max(edits):
        return frame
    changed = bytearray(frame)
    for place, value in edits.items():
        changed[8 + place] = value
    return bytes(changed)


def assert_untouched(site: Site) -> None:
    for each in arrived(site):
        assert each == Counter(SENT)


def test_only_the_bytes_of_the_meant_frames_change(site: Site) -> None:
    """Classic and FD; shorter frames, remote and error frames, and other ids are as they were."""
    assert_untouched(site)
    begin(site, id="123", set="data[2]^=FF")
    assert_changed(site, 0x123, b2=0x12 ^ 0xFF)
    end(site)
    assert_untouched(site)
    begin(site, id="00000123", set="data[0]=AB+data[5]&=0F+data[9]|=80")
    assert_changed(site, 0x123 | EFF, b0=0xAB, b5=0x15 & 0x0F, b9=0x19 | 0x80)


@pytest.mark.parametrize("no_module", ["em_canid"], indirect=True)
@pytest.mark.usefixtures("no_module")
def test_so_it_is_without_em_canid(site: Site) -> None:
    """As on a Raspberry Pi."""
    test_only_the_bytes_of_the_meant_frames_change(site)
    end(site)
    test_dropped_frames_reach_nobody(site)


def test_dropped_frames_reach_nobody(site: Site) -> None:
    """By an id, a range without one, and a parameter group; remote frames are meant, too."""
    begin(site, id="120-12F+~124", loss="100%")
    begin(site, id="pgn:FEF1", loss="100")
    kept = [
        each
        for each in SENT
        if (word := struct.unpack_from("=I", each)[0]) & ERR
        or word & ~RTR not in (0x122, 0x123, 0x18FEF100 | EFF)
    ]
    for each in arrived(site):
        assert each == Counter(kept)
    frames = end(site)
    assert [*frames.values()] == [{"lost": len(SENT) - len(kept) - 1}, {"lost": 1}]
    assert_untouched(site)


def test_a_part_of_the_frames_is_lost_for_all_alike(site: Site) -> None:
    """About as many as the fault says; the others arrive, once, and other ids all do."""
    fault = begin(site, id="123", loss="25%")
    sent = [classic(id) for _ in range(400) for id in (0x122, 0x123)]
    one, two = arrived(site, sent)
    assert one == two
    assert one[classic(0x122)] == 400
    assert 200 < one[classic(0x123)] < 370  # five hundred millionths to be outside
    assert end(site) == {fault: {"lost": 400 - one[classic(0x123)]}}


def test_several_faults_at_once_and_a_policy_with_them(site: Site) -> None:
    """What it may not send ends before; each fault is for itself, and is cleared for itself."""
    begin(site, id="123", set="data[2]=AA")
    second = begin(site, id="all", loss="0.000001%")
    begin(site, id="100-1FF", set="data[3]=BB")
    given = {"can.send": "123+00000123", "can.rate": "100000"}
    firewall.set_policy(site.service, N, "e1", given)
    begin(site, id="00000123", loss="100%")
    sent = [classic(0x122), classic(0x123), classic(0x123 | EFF)]
    wanted = Counter([_edited(_edited(classic(0x123), 0x123, {2: 0xAA}), 0x123, {3: 0xBB})])
    assert arrived(site, sent) == [wanted, wanted]
    injection.end(site.service, E1, lambda each: each.number != second.number)
    assert arrived(site, sent)[0] == Counter(sent[1:])
    assert begin(site, id="001", loss="100%").number == 1


def test_in_bus_off_a_container_neither_sends_nor_receives(site: Site) -> None:
    """The others go on without it, and it is back when the fault ends."""
    host, e1, e2, e3 = site.members()
    injection.begin(site.service, E1, Fault(0, bus_off=True))
    assert arrived(site) == [Counter(), Counter()]
    with ExitStack() as stack:
        deaf, hearing, speaking, marking = (
            stack.enter_context(raw_socket(each)) for each in (e1, e2, e3, host)
        )
        speaking.send(classic(0x123))
        marking.send(MARK)
        assert until_mark(hearing) == Counter([classic(0x123)])
        assert not select.select([deaf], [], [], 0)[0]
    end(site)
    assert_untouched(site)


def test_a_fault_comes_and_goes_under_traffic(site: Site, stack: ExitStack) -> None:
    """No frame that is not meant is lost, doubled or changed."""
    _host, e1, e2, e3 = site.members()
    listening = [stack.enter_context(raw_socket(each)) for each in (e2, e3)]
    sender = stack.enter_context(Sender(e1, 1, 50, PAUSE))  # sends 101
    for _ in range(100):
        begin(site, id="100+102-1FF", set="data[0]^=FF")
        begin(site, id="~101", loss="50%")
        end(site)
    sent = [(1, number) for number in range(sender.stop())]
    for each in listening:
        assert heard(each, sent) == Counter(sent)


def test_a_fault_outlives_the_daemon_and_not_the_container(site: Site) -> None:
    """A restart leaves it as it is, with its count; a new start of the container is without."""
    begin(site, id="123", set="data[2]^=FF")
    assert_changed(site, 0x123, b2=0x12 ^ 0xFF)
    site.restart()
    assert site.daemon.maintenance.recover()
    assert site.daemon.maintenance.sync().steps == ()
    assert_changed(site, 0x123, b2=0x12 ^ 0xFF)
    site.stop(N, "e1")
    site.start(N, "e1")
    host, e2, e3, e1 = site.members()
    del host, e2, e3
    with raw_socket(e1) as opened:
        opened.send(classic(0x123))
    assert site.service.state.networks[N].endpoints["e1"].injected == ()


@pytest.mark.parametrize(
    "words",
    ["filter delete dev {} ingress", "filter delete dev {} egress", "qdisc del dev {} clsact"],
)
def test_what_was_deleted_by_hand_comes_back(site: Site, words: str) -> None:
    begin(site, id="123", set="data[2]^=FF")
    begin(site, id="122", loss="100%")
    run("tc", *words.format(site.port(N, "e1")).split())
    site.daemon.maintenance.repair()
    assert arrived(site, [classic(0x122)]) == [Counter(), Counter()]
    assert site.daemon.maintenance.sync().steps == ()
    end(site)
    assert_untouched(site)


def test_a_lost_state_ends_all_faults(site: Site) -> None:
    """Nothing tells any more what they were: the log says that they are gone."""
    begin(site, id="123", set="data[2]^=FF")

    def lose() -> None:
        (run("rm", site.daemon.store.path))

    site.restart(lose, adopt=True)
    site.daemon.maintenance.sync()
    assert [each.fields["faults"] for each in site.daemon.said(events.FAULTS_SET)] == ["none"]
    assert_untouched(site)


def test_the_daemon_dies_at_every_message_of_a_fault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one has a fault that it knows, or none in the kernel, either."""
    place, cut_off = 0, True
    while cut_off:
        with monkeypatch.context() as patch:
            cut_off = dying(
                site,
                patch,
                place,
                lambda: begin(site, id="123", set="data[2]=AA", loss="0.000001%"),
            )
        site.restart()
        assert site.daemon.maintenance.recover()
        if site.service.state.networks[N].endpoints["e1"].injected:
            assert_changed(site, 0x123, b2=0xAA)
        else:
            assert cut_off
            assert_untouched(site)
        end(site)
        assert_untouched(site)
        place += 1


@pytest.mark.parametrize("no_module", ["act_pedit", "em_cmp", "em_meta"], indirect=True)
def test_without_a_module_it_is_refused_in_whole(site: Site, no_module: str) -> None:
    """The sentence names it, and frames pass as before."""
    with pytest.raises(KernelError, match=f"modprobe.* {no_module}"):
        begin(site, id="123", set="data[2]=AA", loss="50%")
    assert_untouched(site)
    assert site.daemon.maintenance.sync().steps == ()


def test_a_container_that_is_not_there_has_no_fault(site: Site) -> None:
    with pytest.raises(CanwharfError, match="not on this bus"):
        injection.begin(
            site.service, Place(N, "e9"), fault_options.parse({"id": "001", "loss": "5"})
        )
    for _ in range(32):
        begin(site, id="001", loss="5%")
    with pytest.raises(CanwharfError, match="32 faults"):
        begin(site, id="001", loss="5%")


class Command:
    """The connection of a command."""

    def __init__(self) -> None:
        self.at_end: Callable[[], None] | None = None
        self.said: list[dict[str, Any]] = []

    def end(self, content: bytes) -> None:
        self.said.append(json.loads(content))


def test_a_fault_ends_with_the_connection_of_its_command(site: Site) -> None:
    """Or after its time, or when it is cleared: then the command is told, with the counts."""
    faults, one = Faults(site.service), Command()
    members = {"Members": [list(E1)]}
    drop = members | {"Fault": {"id": "122", "loss": "100"}}
    faults.begin(drop, one)
    assert faults.run(0.0) is None
    assert arrived(site, [classic(0x122)]) == [Counter(), Counter()]
    assert one.at_end
    one.at_end()
    assert [each["frames"] for each in one.said[0]["Ended"]] == [{"lost": 1}]
    assert_untouched(site)
    timed, cleared, stopped = Command(), Command(), Command()
    faults.begin(drop | {"Seconds": 1000}, timed)
    due = faults.run(0.0)
    assert due
    assert faults.run(due) is None
    faults.begin(drop, cleared)
    faults.end(members)
    faults.run(0.0)
    assert [len(each.said) for each in (timed, cleared)] == [1, 1]
    assert_untouched(site)
    faults.begin(drop, stopped)
    site.stop(N, "e1")
    faults.run(0.0)
    assert stopped.said == [{"Ended": [{**E1._asdict(), "number": 1, "frames": {}}]}]


def test_a_daemon_that_was_killed_leaves_only_what_is_kept(site: Site) -> None:
    """The commands of the others have nobody any more who would end them."""
    faults = Faults(site.service)
    members = {"Members": [list(E1)], "Fault": {"id": "122", "loss": "100"}}
    faults.begin(members, Command())
    faults.begin(members | {"Fault": {"id": "124", "loss": "100"}, "Keep": True}, Command())
    site.restart()
    assert site.daemon.maintenance.recover()
    Faults(site.service).run(0.0)
    sent = [classic(0x122), classic(0x124)]
    assert arrived(site, sent) == [Counter(sent[:1])] * 2


def told(opened: socket.socket, until: int) -> list[int]:
    """The classes of the error frames of a bus-off, up to this one."""
    words: list[int] = []
    while words[-1:] != [until] and select.select([opened], [], [], LIMIT)[0]:
        word = struct.unpack_from("=I", opened.recv(72))[0]
        words += [word & ~ERR] * (word in {ERR | 0x40, ERR | 0x100})  # linux/can/error.h
    return words


def test_a_container_is_told_of_its_bus_off_and_of_its_return(site: Site) -> None:
    """It alone, by the error frames that a controller's driver makes."""
    _host, e1, e2, _e3 = site.members()
    faults, command = Faults(site.service), Command()
    with raw_socket(e1) as own, raw_socket(e2) as other:
        for opened in (own, other):
            opened.setsockopt(socket.SOL_CAN_RAW, ERR_FILTER, 0x1FFFFFFF)
        faults.begin({"Members": [list(E1)], "Fault": {}}, command)
        assert arrived(site) == [Counter(), Counter()]
        faults.end({"Members": [list(E1)], "BusOff": True})
        assert told(own, 0x100) == [0x40, 0x100]
        assert until_mark(other) == Counter()
    assert_untouched(site)
