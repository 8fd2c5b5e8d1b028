"""What a container may send and receive, by random policies: each frame as the text says.

All ids of 11 bits and some of 29, as data, remote and FD frames, and error frames of some classes:
each arrives exactly once where it may, and never where it may not.
"""

from __future__ import annotations

import random
import select
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from canwharf.bus import firewall, ids
from canwharf.bus.ids import IdSet
from tests.kernel.site import Site
from tests.world.host import run
from tests.world.member import raw_socket

N = "n" * 64
EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000  # linux/can.h
STANDARD, EXTENDED = 0x7FF, 0x1FFFFFFF
POLICIES = 15
CHUNK = 200  # frames between two end marks: the kernel's queue holds 1000
LIMIT = 10.0  # seconds
_CLASSIC = struct.Struct("=IB3x8s")
_FD = struct.Struct("=IBB2x64s")
_FDF = 4
MARK = _CLASSIC.pack(STANDARD, 0, bytes(8))  # every policy lets its id pass

Frame = tuple[int, bool]  # the id with its flags, whether it is an FD frame


def policy(turn: int) -> tuple[str, set[int]]:
    """A random policy as a text, and ids of 29 bits at its edges.

    Some only allow, some only deny, some do both; the end mark passes each of them.
    """
    chosen = random.Random(turn)
    while True:
        text, edges = _policy(chosen, denies=(0.0, 1.0, 0.4)[turn % 3])
        if ids.parse("can.send", text).passes(STANDARD):
            return text, edges


def _policy(chosen: random.Random, denies: float) -> tuple[str, set[int]]:
    words, edges = [], {0, EXTENDED, STANDARD}
    for _ in range(chosen.randint(1, 12)):
        extended = chosen.random() < 0.4
        last, digits = (EXTENDED, 8) if extended else (STANDARD, 3)
        first = chosen.randint(0, last)
        more = min(last, first + chosen.choice((0, 1, 7, 200, last >> 3)))
        mask = last & ~sum(1 << chosen.randrange(digits * 3) for _ in range(3))
        group = chosen.randint(0xF000, 0xFFFF)
        word, reached = chosen.choice(
            [
                (f"{first:0{digits}X}", (first, first)),
                (f"{first:0{digits}X}-{more:0{digits}X}", (first, more)),
                (f"{first:0{digits}X}:{mask:0{digits}X}", (first & mask, first)),
                (f"pgn:{group:X}", (group << 8, 0x18000021 | group << 8)),
            ]
        )
        words.append("~" * (chosen.random() < denies) + word)
        edges |= {id + step for id in reached for step in (-1, 0, 1)}
    if not all(word.startswith("~") for word in words):
        words.append(f"{STANDARD:X}")
    return "+".join(words), {id for id in edges if 0 <= id <= EXTENDED}


def frames(edges: set[int], turn: int) -> Iterator[Frame]:
    """Each frame that is sent, once."""
    chosen = random.Random(turn)
    extended = sorted({*edges, *(chosen.randint(0, EXTENDED) for _ in range(100))})
    for id in (*range(STANDARD + 1), *(id | EFF for id in extended)):
        yield id, False
        yield id | RTR, False
        yield id, True
    for number in (*range(1, STANDARD, 100), STANDARD):  # one without a class reaches no socket
        yield number | ERR, False


def packed(frame: Frame) -> bytes:
    word, fd = frame
    if fd:
        return _FD.pack(word, 64, _FDF, bytes(64))
    return _CLASSIC.pack(word, 0 if word & RTR else 8, bytes(8))


def arrived(
    speaker: socket.socket, listeners: Sequence[socket.socket], sent: Sequence[Frame]
) -> list[Counter[Frame]]:
    """What each listener receives of these frames."""
    found: list[Counter[Frame]] = [Counter() for _ in listeners]
    for start in range(0, len(sent), CHUNK):
        for frame in sent[start : start + CHUNK]:
            speaker.send(packed(frame))
        speaker.send(MARK)
        for opened, counted in zip(listeners, found, strict=True):
            counted.update(_until_mark(opened))
    return found


def _until_mark(opened: socket.socket) -> Iterator[Frame]:
    while select.select([opened], [], [], LIMIT)[0]:
        data = opened.recv(72)
        if data == MARK:
            return
        yield struct.unpack_from("=I", data)[0], len(data) == _FD.size
    raise AssertionError("the end mark did not arrive")


def assert_as_the_policy_says(site: Site, turn: int) -> None:
    """Both directions of e1, which has a random policy; e2 and the host have none."""
    text, edges = policy(turn)
    firewall.set_policy(site.service, N, "e1", {"can.send": text, "can.receive": text})
    passing: IdSet = ids.parse("can.send", text)
    sent = list(frames(edges, turn))
    data = {frame for frame in sent if not frame[0] & ERR}
    errors = set(sent) - data
    may = {frame for frame in data if passing.passes(frame[0])}
    assert len(errors) > 10
    assert 3 <= len(may) < len(data)
    with ExitStack() as stack:
        host, e1, e2 = (stack.enter_context(raw_socket(each)) for each in site.members())
        for each in arrived(e1, (host, e2), sent):
            assert each == Counter(may), text
        at_host, at_e1 = arrived(e2, (host, e1), sent)
        assert at_host == Counter(sent)
        assert at_e1 == Counter(may | errors), text


@pytest.fixture(name="guarded")
def _guarded(site: Site) -> Site:
    site.network(N)
    site.service.create_endpoint(N, "e1", {"can.send": "none"})
    site.join(N, "e1")
    site.start(N, "e2")
    return site


@pytest.mark.parametrize("turn", range(POLICIES))
def test_a_random_policy(guarded: Site, turn: int) -> None:
    assert_as_the_policy_says(guarded, turn)


@pytest.fixture(scope="module")
def _loaded() -> None:
    """A kernel that cannot load one module loads no other."""
    run("modprobe", "-a", "sch_ingress", "cls_basic", "em_u32", "act_police")


@pytest.mark.parametrize("turn", range(POLICIES, POLICIES + 3))
@pytest.mark.parametrize("no_module", ["em_canid"], indirect=True)
@pytest.mark.usefixtures("_loaded", "no_module")
def test_a_random_policy_on_a_kernel_that_cannot_match_ids(site: Site, turn: int) -> None:
    """A Raspberry Pi's, for example."""
    site.network(N)
    site.service.create_endpoint(N, "e1", {"can.send": "none"})
    site.join(N, "e1")
    site.start(N, "e2")
    assert_as_the_policy_says(site, turn)
