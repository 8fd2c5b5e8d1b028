"""Names: the same for ever, different for different endpoints, and short enough for Linux."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus import naming
from canwharf.bus.naming import (
    AdapterOwner,
    BusOwner,
    DelayOwner,
    EndpointOwner,
    HubOwner,
    Ifname,
    ImpairmentOwner,
    Owner,
    format_alias,
)
from canwharf.kernel.link import Link

NETWORK = "f0" * 32
any_id = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", min_size=1)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15)


def test_the_names_never_change() -> None:
    """A later release must find the pairs of an earlier one again."""
    assert naming.host_end("n", "e") == f"cwh{int.from_bytes(b'n/e'):012x}"
    assert naming.host_end(NETWORK, "0a" * 32) == "cwhbb6ef0ee5bf0"
    assert naming.container_end(NETWORK, "0a" * 32) == "cwcbb6ef0ee5bf0"


@given(any_id, any_id)
def test_a_name_fits_and_linux_takes_it(network: str, endpoint: str) -> None:
    """Or the container cannot start."""
    for name in (naming.host_end(network, endpoint), naming.container_end(network, endpoint)):
        assert len(name) == 15
        assert naming.name_fault(name) == ""


@pytest.mark.parametrize("place", [0, 7, 8, 11, 12, 31, 62, 63])
def test_ids_that_differ_in_one_digit_get_different_names(place: int) -> None:
    """A name that is cut from the id would be shared by two containers, and the second fails."""
    ends = {
        naming.host_end(NETWORK, "a" * place + digit + "a" * (63 - place)) for digit in "abcdef"
    }
    assert len(ends) == 6
    networks = {
        naming.host_end("a" * place + digit + "a" * (63 - place), "e") for digit in "abcdef"
    }
    assert len(networks) == 6


def test_a_hundred_thousand_endpoints_get_as_many_names() -> None:
    """Docker's ids are random; no two of a large host may meet."""
    source = random.Random(1)
    ends = {naming.host_end(NETWORK, f"{source.getrandbits(256):064x}") for _ in range(100_000)}
    assert len(ends) == 100_000


def test_the_two_ends_of_a_pair_have_different_names() -> None:
    """Linux would refuse the pair."""
    assert naming.host_end("n", "e") != naming.container_end("n", "e")


@given(any_id)
def test_a_bus_alias_survives_the_round_trip(driver: str) -> None:
    """By it the next daemon knows the interface for its own."""
    assert naming.parse_alias(format_alias(BusOwner(driver))) == BusOwner(driver)


@given(any_id, st.just("") | names)
def test_an_adapters_alias_survives_the_round_trip(driver: str, name: str) -> None:
    """By it an adapter that was moved gets its own name again."""
    owner = AdapterOwner(driver, name)
    assert naming.parse_alias(format_alias(owner)) == owner


@given(any_id, any_id, any_id, names, names)
def test_an_endpoint_alias_survives_the_round_trip(
    driver: str, network: str, endpoint: str, bus: str, prefix: str
) -> None:
    """By it an endpoint is known again without any state."""
    for ifname in (Ifname(prefix), Ifname(name=prefix)):
        owner = EndpointOwner(driver, network, endpoint, bus, ifname)
        assert naming.parse_alias(format_alias(owner)) == owner


@pytest.mark.parametrize(
    ("owner", "alias"),
    [
        (BusOwner("d"), "canwharf d bus"),
        (AdapterOwner("d"), "canwharf d adapter"),
        (AdapterOwner("d", "can0"), "canwharf d adapter can0"),
        (EndpointOwner("d", "n", "e", "b", Ifname("p")), "canwharf d endpoint n e b p"),
        (EndpointOwner("d", "n", "e", "b", Ifname(name="x")), "canwharf d endpoint n e b x exact"),
        (HubOwner("d", "b", "in"), "canwharf d hub b in"),
        (ImpairmentOwner("d", "b"), "canwharf d impairment b"),
        (DelayOwner("d", "cwh1", "500"), "canwharf d delay cwh1 500"),
    ],
)
def test_an_alias_is_what_earlier_versions_wrote(owner: Owner, alias: str) -> None:
    """An upgrade must know the interfaces of running containers again."""
    assert format_alias(owner) == alias
    assert naming.parse_alias(alias) == owner


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (EndpointOwner("d", "n", "e", "b", Ifname("p")), naming.host_end("n", "e")),
        (HubOwner("d", "b", "out"), naming.hub_end("d", "b", "out")),
        (ImpairmentOwner("d", "b"), naming.ifb("d", "b")),
        (DelayOwner("d", "cwh1", "500"), naming.delay("cwh1", 500)),
        (DelayOwner("d", "cwh1", "soon"), ""),
        (BusOwner("d"), ""),
    ],
)
def test_a_renamed_interface_is_known_by_its_alias(owner: Owner, name: str) -> None:
    """Under no name is it made a second time beside it."""
    renamed = Link(3, "mine", alias=format_alias(owner))
    assert naming.renamed_from(renamed, "d") == name
    assert naming.renamed_from(renamed, "other") == ""
    assert naming.renamed_from(renamed._replace(name=name), "d") == ""


def test_the_longest_alias_fits() -> None:
    """The kernel takes 255 bytes (IFALIASZ)."""
    longest = "x" * naming.MAX_ID
    name = "b" * naming.MAX_NAME
    for ifname in (Ifname("p" * naming.MAX_PREFIX), Ifname(name=name)):
        owner = EndpointOwner(longest, longest, longest, name, ifname)
        assert len(format_alias(owner).encode()) <= 255


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "canwharf",
        "canwharf bus",
        "canwharf d Bus",
        "canwharf d bus ",
        "canwharf d adapter ",
        "canwharf d adapter can0 more",
        "Canwharf d bus",
        " canwharf d bus",
        "canwharf  d bus",
        "canwharf d endpoint n e b",
        "canwharf d endpoint n e b p more",
        "my canwharf d bus",
    ],
)
def test_what_is_not_exactly_our_alias_is_foreign(alias: str) -> None:
    """And must never be deleted."""
    assert naming.parse_alias(alias) is None


@pytest.mark.parametrize("name", ["can0", "vcan0", "a", "x" * 15, "a.1", "a-b_c", "...", "~!#"])
def test_names_that_linux_takes(name: str) -> None:
    """Must not be refused."""
    assert naming.name_fault(name) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        ("x" * 16, "has 16 characters, at most 15"),
        (".", "reserves"),
        ("..", "reserves"),
        ("all", "reserves"),
        ("default", "reserves"),
        ("a/b", "'/'"),
        ("a:1", "':'"),
        ("can%d", "'%'"),
        ("a b", "' '"),
        ("a\tb", r"'\\t'"),
        ("a\n", r"'\\n'"),
        ("a\0", r"'\\x00'"),
        ("cän0", "'ä'"),
        ("a\x7f", r"'\\x7f'"),
    ],
)
def test_names_that_linux_refuses_and_why(name: str, words: str) -> None:
    """The user reads what is wrong instead of "invalid argument"."""
    assert words.replace("\\\\", "\\") in naming.name_fault(name)


def test_a_prefix_leaves_room_for_the_index() -> None:
    """Fifteen characters and an index do not fit; what is no name may be the beginning of one."""
    assert naming.name_fault("all", naming.MAX_PREFIX) == ""
    assert naming.name_fault("x" * 14, naming.MAX_PREFIX) == ""
    assert "at most 14" in naming.name_fault("x" * 15, naming.MAX_PREFIX)


@pytest.mark.parametrize("text", ["a", "0" * 64, "abc_DEF.1-2"])
def test_ids(text: str) -> None:
    """Docker's, Swarm's, and names of drivers."""
    assert naming.is_id(text)


@pytest.mark.parametrize("text", ["", "0" * 65, "a b", "a/b", "a\n", "ä", "a\0"])
def test_what_is_no_id(text: str) -> None:
    """It would make an alias that cannot be read back."""
    assert not naming.is_id(text)
