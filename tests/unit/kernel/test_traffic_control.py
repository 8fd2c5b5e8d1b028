"""The two filters of a host end: what is known as ours, and what is sent to make it whole."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import KernelError, MessageError
from canwharf.kernel import traffic_control
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from canwharf.kernel.traffic_control import CLASSIFIERS, DAMAGED, MISSING, WHOLE, Marks, Port
from tests.fake import wire
from tests.filters import delete

PORT = Port(7, "h7")
STATES = st.sampled_from([MISSING, DAMAGED, WHOLE])
# linux/pkt_cls.h, linux/tc_act/tc_skbedit.h
KIND, OPTIONS, COOKIE = 1, 2, 6
TIMES, PARAMETERS, MARK, PADDING = 1, 2, 5, 6
CONTINUE, DROP, STOLEN = -1, 2, 4
NEWQDISC, NEWTFILTER, DELTFILTER = 36, 44, 45
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3


def action(kind: str, then: int, mark: int = 0, cookie: bytes = b"", port: int = 7) -> bytes:
    """One of ours as the kernel lists it, or one that differs."""
    options = wire.attribute(PARAMETERS, struct.pack("=IIiii", 12, 0, then, 1, 1))
    options += wire.attribute(MARK, wire.u32(mark)) if mark else b""
    options += wire.attribute(TIMES, bytes(range(32))) + wire.attribute(PADDING, b"")
    told = wire.attribute(KIND, kind.encode() + b"\0") + wire.attribute(OPTIONS, options)
    return told + wire.attribute(COOKIE, cookie or b"canwharf" + wire.u32(port))


class Kernel:
    """It lists these actions, some in a datagram, or refuses to."""

    def __init__(self, *actions: bytes, refusal: int = 0) -> None:
        self._actions = actions
        self._refusal = refusal

    def dump(self, request: Request) -> list[Message]:
        if self._refusal:
            raise request.refused(self._refusal, "")
        of_kind = [each for each in self._actions if request.target.split()[-1].encode() in each]
        return [datagram(of_kind[:1]), datagram(of_kind[1:])]

    def batch(self, requests: Sequence[Request]) -> list[Message]:
        raise AssertionError(f"{requests} change something")


def datagram(actions: Sequence[bytes]) -> Message:
    listed = b"".join(wire.attribute(place, each) for place, each in enumerate(actions, 1))
    return Message(50, 0, 0, bytes(4) + wire.attribute(1, listed))


def test_both_are_known_whatever_the_kernel_counts_with_them() -> None:
    ours = [action("skbedit", CONTINUE, mark, port=mark) for mark in (7, 8)]
    kernel = Kernel(*ours, action("gact", STOLEN), action("gact", STOLEN, port=9))
    assert traffic_control.find(kernel) == {
        7: Marks(WHOLE, WHOLE),
        8: Marks(WHOLE, MISSING),
        9: Marks(MISSING, WHOLE),
    }


@pytest.mark.parametrize(
    "changed",
    [
        action("skbedit", CONTINUE, 8),
        action("skbedit", CONTINUE),
        action("skbedit", DROP, 7),
        action("gact", DROP),
        action("gact", STOLEN, 7),
    ],
)
def test_what_does_something_else_is_damaged(changed: bytes) -> None:
    [marks] = traffic_control.find(Kernel(changed)).values()
    assert sorted(marks[:2]) == [DAMAGED, MISSING]
    assert not marks.whole


@pytest.mark.parametrize("cookie", [b"x", b"canwharf", b"somebody1234", b"canwharf12345678"])
def test_what_bears_another_cookie_is_not_ours(cookie: bytes) -> None:
    assert traffic_control.find(Kernel(action("gact", STOLEN, cookie=cookie))) == {}


@pytest.mark.parametrize("turn", [1, -1])
def test_an_old_action_on_its_way_out_hides_no_new_one(turn: int) -> None:
    """The kernel ends it a moment after its filter."""
    both = [action("gact", DROP), action("gact", STOLEN)][::turn]
    assert traffic_control.find(Kernel(*both))[7].drop == WHOLE


def test_a_kernel_without_tc_has_none_of_them() -> None:
    assert traffic_control.find(Kernel(refusal=errno.EOPNOTSUPP)) == {}


def test_a_refusal_is_no_empty_list() -> None:
    """Or all ports of a bus would be given filters that they have."""
    with pytest.raises(KernelError, match="cannot list the actions of kind skbedit"):
        traffic_control.find(Kernel(refusal=errno.ENOMEM))


@given(st.binary(max_size=60))
def test_garbage_is_told_as_such(data: bytes) -> None:
    class Garbage(Kernel):
        def dump(self, request: Request) -> list[Message]:  # noqa: ARG002
            return [Message(50, 0, 0, data)]

    with suppress(MessageError):
        assert traffic_control.find(Garbage()) == {}


def sent(requests: Sequence[Request]) -> list[tuple[int, int]]:
    """Type, and place or 0, of each request; all are about the port."""
    heads = [struct.unpack_from("=BxxxiIII", each.body) for each in requests]
    assert {head[1] for head in heads} <= {PORT.ifindex}
    return [
        (each.type, 0 if each.type == NEWQDISC else head[3])
        for each, head in zip(requests, heads, strict=True)
    ]


@given(STATES, STATES, st.sampled_from(CLASSIFIERS))
def test_what_is_not_whole_is_made_so_the_mark_last(mark: str, drop: str, classifier: str) -> None:
    """A frame that has its mark and meets no drop comes back to its sender."""
    wanted = []
    if mark == DAMAGED:
        wanted.append((DELTFILTER, INGRESS))
    if drop == DAMAGED:
        wanted.append((DELTFILTER, EGRESS))
    wanted.append((NEWQDISC, 0))
    if drop != WHOLE:
        wanted.append((NEWTFILTER, EGRESS))
    if mark != WHOLE:
        wanted.append((NEWTFILTER, INGRESS))
    assert sent(traffic_control.add(PORT, classifier, Marks(mark, drop))) == wanted


@given(STATES, STATES)
def test_only_what_is_ours_is_deleted(mark: str, drop: str) -> None:
    """What is missing may be a user's."""
    wanted = [(DELTFILTER, INGRESS)] * (mark != MISSING) + [(DELTFILTER, EGRESS)] * (
        drop != MISSING
    )
    assert sent(delete(PORT, Marks(mark, drop))) == wanted


def test_a_refusal_says_which_modules_to_load() -> None:
    clsact, drop, mark = traffic_control.add(PORT, "basic")
    for request, modules in (
        (clsact, "modprobe sch_ingress"),
        (drop, "modprobe -a cls_fw act_gact"),
        (mark, "modprobe -a cls_basic act_skbedit"),
    ):
        told = str(request.refused(errno.ENOENT, "not found"))
        assert f"'{modules}' loads" in told
        assert "'canwharf doctor' says where this kernel gets it" in told
