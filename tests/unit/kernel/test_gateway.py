"""Forwarding rules: one frame in, one frame out, and never anybody else's rule."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import KernelError
from canwharf.kernel import gateway
from canwharf.kernel.gateway import CLASSIC, FD, FRAMES, Entry, Frames, Rule
from canwharf.kernel.message import Message
from tests.fake import wire
from tests.fake.kernel import FakeKernel


@pytest.fixture
def kernel() -> FakeKernel:
    kernel = FakeKernel()
    kernel.add_link("a", "vcan")
    kernel.add_link("b", "vcan")
    return kernel


def rule(kernel: FakeKernel, source: str, destination: str, frames: Frames = CLASSIC) -> Rule:
    return Rule(kernel.link(source).index, kernel.link(destination).index, frames)


@pytest.mark.parametrize("ends", [(0, 0), (0, 5), (5, 0), (-1, 5), (5, -1)])
def test_a_rule_without_two_interfaces_is_never_sent(ends: tuple[int, int]) -> None:
    """Both indexes 0 in a deletion would flush every rule of the host, other people's too."""
    for make in (gateway.add, gateway.delete):
        with pytest.raises(ValueError, match="needs two interfaces"):
            make(Rule(*ends, CLASSIC), "a -> b")


INDEXES = st.integers(1, 2**31 - 1)
FORMS = st.sampled_from([(True, True), (False, True), (True, False)])  # echo, limited


@given(INDEXES, INDEXES, st.sampled_from(FRAMES), FORMS)
def test_a_rule_is_read_back_as_it_was_added(
    source: int, destination: int, frames: Frames, form: tuple[bool, bool]
) -> None:
    """Or the daemon would not know its own rules again and add them twice."""
    wanted = Rule(source, destination, frames, *form)
    sent = gateway.add(wanted, "a -> b")
    entry = gateway.parse(Message(sent.type, 0, 0, sent.body))
    assert (entry.rule, entry.plain) == (wanted, True)


COUNTS = st.dictionaries(st.sampled_from([7, 8, 12]), st.integers(1, 2**32 - 1))  # CGW_HANDLED, …
OTHERS = st.sampled_from(
    [
        b"",
        wire.attribute(wire.FILTER, bytes(8)),
        wire.attribute(wire.LIM_HOPS, b"\2"),
        wire.attribute(wire.DST_IF, wire.u32(9)),
        wire.attribute(4, bytes(17)),  # CGW_MOD_SET
        wire.attribute(99, wire.u32(1)),  # of a later kernel
        b"\4\0\0",
    ]
)


RULES = st.builds(
    lambda source, destination, frames, form: Rule(source, destination, frames, *form),
    *(INDEXES, INDEXES, st.sampled_from(FRAMES), FORMS),
)


@given(RULES, COUNTS, st.tuples(OTHERS, OTHERS), st.booleans())
def test_the_quick_way_to_read_a_list_is_the_careful_one(
    rule: Rule, counts: dict[int, int], others: tuple[bytes, bytes], in_order: bool
) -> None:
    """Whatever the kernel lists, in its order or another: a rule of ours, or nearly one."""
    sent = gateway.add(rule, "a -> b").body
    head, ends, form_told = sent[:4], sent[4:20], sent[20:]
    told = [wire.attribute(each, wire.u32(count)) for each, count in sorted(counts.items())]
    parts = [*told, others[0], form_told, ends, others[1]]
    body = head + b"".join(parts if in_order else reversed(parts))
    quick = gateway._usual(body)
    if quick is not None:
        assert quick == gateway.parse(Message(24, 0, 0, body))
    if in_order and others == (b"", b""):
        assert quick is not None
        assert (quick.handled, quick.dropped) == (counts.get(7, 0), counts.get(8, 0))


def test_every_rule_forwards_once_and_allows_equal_indexes(kernel: FakeKernel) -> None:
    """Or frames multiply under can-gw's max_hops, and vanish where two indexes are equal."""
    kernel.batch(
        [gateway.add(rule(kernel, "a", "b", frames), "a -> b") for frames in (CLASSIC, FD)]
    )
    assert [each.flags for each in kernel.rules] == [0xD, 0x5]
    assert [each.limit for each in kernel.rules] == [1, 1]
    assert kernel.deliveries("a") == {("b", "classic"): 1, ("b", "fd"): 1}


def test_a_rule_echoes_where_it_is_told_to(kernel: FakeKernel) -> None:
    """Programs on the host listen on the bus interface; an echo elsewhere only costs."""
    silent = rule(kernel, "a", "b")._replace(echo=False)
    kernel.batch([gateway.add(silent, "a -> b")])
    assert [each.flags for each in kernel.rules] == [0x4]


def test_a_rule_is_replaced_in_one_send(kernel: FakeKernel) -> None:
    """No frame arrives twice, and none is lost but between the two messages."""
    old = rule(kernel, "a", "b")._replace(limited=False)
    new = rule(kernel, "a", "b")._replace(echo=False)
    kernel.batch([gateway.add(old, "a -> b")])
    kernel.sends = 0
    many = [gateway.delete(rule(kernel, "b", "a"), "b -> a")] * 199  # one fits besides these
    kernel.batch([*many, *gateway.replace(old, new, "a -> b")])
    assert kernel.sends == 1
    assert [(each.flags, each.limit) for each in kernel.rules] == [(0x4, 1)]


def test_classic_and_fd_are_told_apart(kernel: FakeKernel) -> None:
    """Deleting the one must not delete the other."""
    kernel.batch(
        [gateway.add(rule(kernel, "a", "b", frames), "a -> b") for frames in (CLASSIC, FD)]
    )
    kernel.batch([gateway.delete(rule(kernel, "a", "b", FD), "a -> b")])
    assert kernel.deliveries("a") == {("b", "classic"): 1}


def test_a_deletion_takes_one_of_two_equal_rules(kernel: FakeKernel) -> None:
    """One remains, so that frames still arrive."""
    kernel.batch([gateway.add(rule(kernel, "a", "b"), "a -> b")] * 2)
    kernel.batch([gateway.delete(rule(kernel, "a", "b"), "a -> b")])
    assert kernel.deliveries("a") == {("b", "classic"): 1}


def test_deleting_a_rule_that_is_gone_is_no_error(kernel: FakeKernel) -> None:
    """Somebody may have been faster."""
    gone = rule(kernel, "a", "b")
    kernel.batch([gateway.delete(gone, "a -> b")])
    kernel.delete_link("a")
    kernel.batch([gateway.delete(gone, "a -> b")])


def test_a_rule_for_an_interface_that_is_gone_is_an_error(kernel: FakeKernel) -> None:
    """It names the rule: that says which frames are missing."""
    wanted = rule(kernel, "a", "b")
    kernel.delete_link("b")
    with pytest.raises(KernelError, match="cannot add gateway rule a -> b: No such device"):
        kernel.batch([gateway.add(wanted, "a -> b")])


def test_a_missing_module_is_named_with_the_remedy(kernel: FakeKernel) -> None:
    """The user must learn what to do."""
    kernel.modules.clear()
    with pytest.raises(KernelError, match="'modprobe can-gw'") as caught:
        kernel.batch([gateway.add(rule(kernel, "a", "b"), "a -> b")])
    assert caught.value.errno == errno.EOPNOTSUPP


def test_without_the_module_there_are_no_rules(kernel: FakeKernel) -> None:
    """The kernel then answers with every other family's routes, which are not rules."""
    kernel.modules.clear()
    assert gateway.entries(kernel) == []


@pytest.mark.parametrize(
    ("flags", "more"),
    [
        (wire.ECHO, b""),
        (wire.IIF_TX_OK, b""),
        (wire.ECHO | wire.IIF_TX_OK | 2, b""),
        (wire.ECHO | wire.IIF_TX_OK, wire.attribute(wire.FILTER, bytes(8))),
        (wire.ECHO | wire.IIF_TX_OK, wire.attribute(wire.LIM_HOPS, b"\2")),
        (wire.ECHO | wire.IIF_TX_OK, wire.attribute(4, bytes(17))),  # CGW_MOD_SET
    ],
)
def test_a_rule_of_another_form_is_not_ours(kernel: FakeKernel, flags: int, more: bytes) -> None:
    """A rule made by cangw, with a filter or a modification, is not ours."""
    kernel.add_rule("a", "b", flags=flags, more=more)
    (entry,) = gateway.entries(kernel)
    assert not entry.plain
    assert entry.rule._replace(echo=True, limited=True) == rule(kernel, "a", "b")


def test_the_counters_are_read(kernel: FakeKernel) -> None:
    """They answer whether frames pass at all."""
    kernel.add_rule("a", "b", more=wire.attribute(8, wire.u32(3)))  # CGW_DROPPED
    (entry,) = gateway.entries(kernel)
    assert (entry.plain, entry.handled, entry.dropped) == (True, 7, 3)


@pytest.mark.parametrize(
    ("flags", "more", "words"),
    [
        (0, (), ""),
        (2, ((13, b"\x01"),), " -t -l 1"),
        (1, ((11, bytes.fromhex("23010000 ff070000")),), " -e -f 123:7FF"),
        (1, ((11, bytes.fromhex("23010020 ff070000")),), " -e -f 123~7FF"),
    ],
)
def test_how_to_delete_a_rule(flags: int, more: tuple[tuple[int, bytes], ...], words: str) -> None:
    """In cangw's words, exactly that one."""
    entry = Entry(Rule(1, 2, CLASSIC), plain=False, flags=flags, more=more)
    assert gateway.deletion(entry, "a", "b") == f"cangw -D -s a -d b{words}"
    modifying = entry._replace(more=((4, b"x"),))
    assert gateway.deletion(modifying, "a", "b") == ""
