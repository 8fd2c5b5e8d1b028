"""Gateway rules on the real kernel: ours, foreign, duplicate, many."""

from __future__ import annotations

import errno

import pytest

from canwharf.errors import KernelError
from canwharf.kernel import gateway
from canwharf.kernel.gateway import CLASSIC, FD, Entry, Rule
from canwharf.kernel.netlink import Netlink
from tests.kernel.site import make_vcans
from tests.world import rules
from tests.world.frames import exchange
from tests.world.host import cangw_lines, index_of, ip, run
from tests.world.member import HOST, Member

# What others may put between the same two interfaces, as cangw's options.
FOREIGN = {
    "no flags": "",
    "echo alone": "-e",
    "incoming alone": "-i",
    "time stamp": "-e -i -t",
    "filter": "-e -i -f 123:7FF",
    "inverted filter": "-e -i -f 123~7FF",
    "modification": "-e -i -m SET:I:345.0.0000000000000000",
    "modification with id": "-e -i -m SET:I:345.0.0000000000000000 -u DEADBEEF",
    "checksum": "-e -i -m SET:L:0.8.0000000000000000 -x 0:6:7:00",
    "filter and hops": "-e -i -l 1 -f 123:7FF",
    "hops alone": "-l 1",
    "FD with filter": "-X -e -i -f 123:7FF",
}


@pytest.fixture
def two(_clean: None) -> tuple[int, int]:
    """Two vcans, v0 and v1; their indexes."""
    make_vcans("v0", "v1")
    return index_of("v0"), index_of("v1")


def plain(rule: Rule) -> Entry:
    """A rule of ours as it is listed: the first interface as destination, echo perhaps."""
    return Entry(rule, plain=True, flags=0x4 | rule.echo | (0x8 if rule.frames == FD else 0))


def test_ours_are_listed_plain(netlink: Netlink, two: tuple[int, int]) -> None:
    ours = [Rule(*two, frames) for frames in (CLASSIC, FD)]
    netlink.batch([gateway.add(rule, "v0 -> v1") for rule in ours])
    assert sorted(gateway.entries(netlink)) == sorted(plain(rule) for rule in ours)
    assert rules.parse(cangw_lines()) == (
        {("v0", "v1", "classic with echo"): 1, ("v0", "v1", "FD with echo"): 1},
        [],
    )


def test_what_cangw_adds_in_our_form_is_plain(netlink: Netlink, two: tuple[int, int]) -> None:
    """The form of earlier versions, too, or it could not be replaced."""
    for options in ("-e -i", "-e -i -X", "-i -l 1"):
        run("cangw", "-A", "-s", "v0", "-d", "v1", *options.split())
    assert sorted(gateway.entries(netlink)) == [
        plain(Rule(*two, FD, limited=False)),
        plain(Rule(*two, CLASSIC, echo=False)),
        plain(Rule(*two, CLASSIC, limited=False)),
    ]


@pytest.mark.parametrize("options", FOREIGN.values(), ids=FOREIGN.keys())
def test_other_peoples_rules(netlink: Netlink, two: tuple[int, int], options: str) -> None:
    """They are not plain, and a deletion of ours passes them by."""
    run("cangw", "-A", "-s", "v0", "-d", "v1", *options.split())
    [theirs] = gateway.entries(netlink)
    ours = Rule(*two, FD if "-X" in options else CLASSIC)
    assert theirs.rule == ours._replace(echo=theirs.rule.echo, limited=theirs.rule.limited)
    assert not theirs.plain
    before = cangw_lines()
    netlink.batch([gateway.delete(ours, "v0 -> v1")])  # there is none
    assert cangw_lines() == before
    netlink.batch([gateway.add(ours, ""), gateway.delete(ours, "")])
    assert cangw_lines() == before


def test_duplicate_rules_are_seen_and_deleted_one_by_one(
    netlink: Netlink, two: tuple[int, int]
) -> None:
    rule = Rule(*two, CLASSIC)
    netlink.batch([gateway.add(rule, "")] * 3)
    for left in (3, 2, 1, 0):
        assert [each.rule for each in gateway.entries(netlink)] == [rule] * left
        netlink.batch([gateway.delete(rule, "v0 -> v1")])


def test_counters(netlink: Netlink, two: tuple[int, int]) -> None:
    netlink.batch([gateway.add(Rule(*two, frames), "") for frames in (CLASSIC, FD)])
    netlink.batch([gateway.add(Rule(two[1], two[0], frames), "") for frames in (CLASSIC, FD)])
    assert exchange([Member(HOST, "v0"), Member(HOST, "v1")], frames=3).faults == []
    handled = {each.rule: each.handled for each in gateway.entries(netlink)}
    # Four kinds of classic frames, three of each, and two end marks; two kinds of FD frames.
    assert handled[Rule(*two, CLASSIC)] == 4 * 3 + 2
    assert handled[Rule(*two, FD)] == 2 * 3
    assert all(each.dropped == 0 for each in gateway.entries(netlink))


@pytest.mark.parametrize("indexes", [(0, 0), (0, 1), (1, 0), (-1, 1)])
def test_a_request_without_both_interfaces_is_never_made(indexes: tuple[int, int]) -> None:
    """The kernel would flush every rule of the machine."""
    for make in (gateway.add, gateway.delete):
        with pytest.raises(ValueError, match="two interfaces"):
            make(Rule(*indexes, CLASSIC), "")


def test_a_rule_for_an_interface_that_went_away(netlink: Netlink, two: tuple[int, int]) -> None:
    ip("link delete v1")
    with pytest.raises(KernelError) as refused:
        netlink.batch([gateway.add(Rule(*two, CLASSIC), "v0 -> v1")])
    assert refused.value.errno == errno.ENODEV
    assert "gateway rule v0 -> v1" in str(refused.value)
    netlink.batch([gateway.delete(Rule(*two, CLASSIC), "v0 -> v1")])


def test_a_rule_for_an_interface_that_is_not_can(netlink: Netlink, two: tuple[int, int]) -> None:
    with pytest.raises(KernelError) as refused:
        netlink.batch([gateway.add(Rule(two[0], index_of("lo"), CLASSIC), "v0 -> lo")])
    assert refused.value.errno in (errno.ENODEV, errno.EINVAL)


def test_a_dump_of_five_thousand_rules(netlink: Netlink) -> None:
    names = [f"v{number}" for number in range(51)]
    make_vcans(*names)
    indexes = [index_of(name) for name in names]
    ours = [
        Rule(source, destination, frames)
        for source in indexes
        for destination in indexes
        if source != destination
        for frames in (CLASSIC, FD)
    ]
    assert len(ours) == 5100
    netlink.batch([gateway.add(rule, "") for rule in ours])
    assert sorted(gateway.entries(netlink)) == sorted(plain(rule) for rule in ours)
    netlink.batch([gateway.delete(rule, "") for rule in ours])
    assert gateway.entries(netlink) == []


@pytest.mark.usefixtures("no_gateway")
def test_without_can_gw(netlink: Netlink, two: tuple[int, int]) -> None:
    """The dump then lists the routes of other families: there are some, and none is a rule."""
    assert run("ip", "-4", "route", "show", "table", "all") != ""
    assert gateway.entries(netlink) == []
    with pytest.raises(KernelError) as refused:
        netlink.batch([gateway.add(Rule(*two, CLASSIC), "v0 -> v1")])
    assert refused.value.errno == errno.EOPNOTSUPP
    assert "modprobe can-gw" in str(refused.value)
