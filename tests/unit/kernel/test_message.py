"""The bytes on the wire, compared with messages written by hand from the kernel's headers."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.kernel import gateway, link, message
from canwharf.kernel.gateway import CLASSIC, ERRORS, FD, Rule
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request

little_endian = pytest.mark.skipif(
    sys.byteorder != "little", reason="the goldens are those of a little-endian machine"
)

# struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port
# struct ifinfomsg: u8 family, u8 padding, u16 type, s32 index, u32 flags, u32 change
# struct rtattr: u16 length, u16 type; padded to 4
GOLDENS: dict[str, tuple[Callable[[], Request], str]] = {
    "create vcan0": (
        lambda: link.make_vcan("vcan0", 0x63770064),
        (
            "48000000 1000 0106 01000000 00000000"  # RTM_NEWLINK, REQUEST|EXCL|CREATE
            "00 00 0000 00000000 00000000 00000000"  # not up: that is for the second send
            "0a00 0300 7663616e3000 0000"  # IFLA_IFNAME "vcan0" NUL, padding
            "0800 0400 48000000"  # IFLA_MTU 72 (CANFD_MTU)
            "0800 1b00 64007763"  # IFLA_GROUP: told for ours until it has its alias
            "0c00 1200"  # IFLA_LINKINFO
            "0800 0100 7663616e"
        ),  # IFLA_INFO_KIND "vcan"
    ),
    "bring up and name": (
        lambda: link.bring_up(258, "vcan0", "canwharf d bus"),
        (
            "34000000 1000 0100 01000000 00000000"  # RTM_NEWLINK, REQUEST
            "00 00 0000 02010000 01000000 01000000"  # index 258; IFF_UP, and only that changes
            "1200 1400 63616e7768617266 20 64 20 627573 0000"
        ),  # IFLA_IFALIAS, no NUL; padding
    ),
    "create a pair": (
        lambda: link.make_pair("cwhA", "cwcA", 0x63770064),
        (
            "78000000 1000 0106 01000000 00000000"
            "00 00 0000 00000000 01000000 01000000"  # the container's end: up
            "0900 0300 6377634100 000000"  # IFLA_IFNAME "cwcA"
            "0800 0400 48000000"  # IFLA_MTU 72
            "4400 1200"  # IFLA_LINKINFO
            "0900 0100 767863616e 000000"  # IFLA_INFO_KIND "vxcan"
            "3400 0200"  # IFLA_INFO_DATA
            "3000 0100"  # VXCAN_INFO_PEER
            "00 00 0000 00000000 00000000 00000000"  # the host's end: not up (ENOTCONN)
            "0900 0300 6377684100 000000"  # IFLA_IFNAME "cwhA"
            "0800 0400 48000000"  # IFLA_MTU 72
            "0800 1b00 64007763"
        ),  # IFLA_GROUP: of the host's end alone
    ),
    "delete a link": (
        lambda: link.delete(7, "cwhA"),
        (
            "20000000 1100 0100 01000000 00000000"  # RTM_DELLINK, REQUEST
            "00 00 0000 07000000 00000000 00000000"
        ),  # index 7
    ),
    "ask for can0": (
        lambda: link.get("can0"),
        (
            "34000000 1200 0100 01000000 00000000"  # RTM_GETLINK, REQUEST
            "00 00 0000 00000000 00000000 00000000"
            "0800 1d00 08000000"  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
            "0900 0300 63616e3000 000000"
        ),  # IFLA_IFNAME "can0"
    ),
    "add a rule, classic": (
        lambda: gateway.add(Rule(5, 9, CLASSIC), "a -> b"),
        (
            "2c000000 1800 0104 01000000 00000000"  # RTM_NEWROUTE, REQUEST|CREATE
            "1d 01 0500"  # struct rtcanmsg: AF_CAN, CGW_TYPE_CAN_CAN, ECHO|IIF_TX_OK
            "0800 0900 05000000"  # CGW_SRC_IF 5
            "0800 0a00 09000000"  # CGW_DST_IF 9
            "0500 0d00 01 000000"
        ),  # CGW_LIM_HOPS 1
    ),
    "add a rule, FD": (
        lambda: gateway.add(Rule(9, 5, FD), "b -> a"),
        (
            "2c000000 1800 0104 01000000 00000000"
            "1d 01 0d00"  # ECHO|IIF_TX_OK|FD
            "0800 0900 09000000"
            "0800 0a00 05000000"
            "0500 0d00 01 000000"
        ),
    ),
    "add a rule for error frames, without echo": (
        lambda: gateway.add(Rule(9, 5, ERRORS, echo=False), "b -> a"),
        (
            "38000000 1800 0104 01000000 00000000"
            "1d 01 0400"  # IIF_TX_OK
            "0800 0900 09000000"
            "0800 0a00 05000000"
            "0500 0d00 01 000000"
            "0c00 0b00 00000000 ffffff3f"
        ),  # CGW_FILTER: 0, CAN_ERR_FLAG | CAN_ERR_MASK
    ),
    "delete a rule": (
        lambda: gateway.delete(Rule(5, 9, CLASSIC), "a -> b"),
        (
            "2c000000 1900 0100 01000000 00000000"  # RTM_DELROUTE, REQUEST
            "1d 01 0500"
            "0800 0900 05000000"
            "0800 0a00 09000000"
            "0500 0d00 01 000000"
        ),
    ),
}


def sent(request: Request) -> bytes:
    return message.encode(request.type, request.flags, 1, request.body)


@little_endian
@pytest.mark.parametrize("name", GOLDENS)
def test_each_message_is_what_the_headers_say(name: str) -> None:
    """Or the kernel would refuse it, or do something else."""
    make, golden = GOLDENS[name]
    assert sent(make()).hex(" ") == bytes.fromhex(golden).hex(" ")


@pytest.mark.parametrize("name", GOLDENS)
def test_the_length_is_that_of_the_message(name: str) -> None:
    """Or the kernel would drop it, on a machine of either byte order."""
    data = sent(GOLDENS[name][0]())
    assert struct.unpack_from("=I", data)[0] == len(data)


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40)))
def test_attributes_survive_the_round_trip(values: dict[int, bytes]) -> None:
    """Of no length may an attribute swallow its neighbour."""
    data = b"".join(message.attribute(kind, value) for kind, value in values.items())
    assert len(data) % 4 == 0
    assert message.attributes(data) == values


@given(
    st.lists(
        st.builds(
            Message,
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.binary(max_size=40),
        )
    )
)
def test_messages_survive_the_round_trip(messages: list[Message]) -> None:
    """A datagram of several messages is cut where they end."""
    assert list(message.decode(b"".join(message.encode(*each) for each in messages))) == messages


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_survives_the_round_trip(value: str) -> None:
    """An interface's name or alias is read back as it was given."""
    data = message.text(value)
    assert data.endswith(b"\0")
    assert message.read_text(data) == value


def test_bytes_that_are_no_utf_8_are_still_read() -> None:
    """Somebody else's alias must not end our look at the interfaces."""
    assert message.read_text(b"\xff\xfe\0") == "\N{REPLACEMENT CHARACTER}" * 2


def test_a_nested_attribute_is_found_under_its_own_number() -> None:
    """The kernel marks nests with NLA_F_NESTED, which is no part of the number."""
    assert message.attributes(message.attribute(0x8000 | 18, b"abcd")) == {18: b"abcd"}


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_an_attribute_of_impossible_length_is_refused(length: int) -> None:
    """Rather than an endless walk, or bytes of something else."""
    with pytest.raises(ValueError, match="impossible length"):
        message.attributes(struct.pack("=HH", length, 3) + b"abcd")


@pytest.mark.parametrize("length", [0, 15, 21, 0xFFFFFFFF])
def test_a_message_of_impossible_length_is_refused(length: int) -> None:
    """Rather than an endless walk, or bytes of something else."""
    with pytest.raises(ValueError, match="impossible length"):
        list(message.decode(struct.pack("=IHHII", length, 16, 0, 1, 0) + b"abcd"))


@given(st.binary(max_size=64))
def test_garbage_ends_in_a_value_error_or_a_result(data: bytes) -> None:
    """Whatever comes: no other exception, no walk without end."""
    for read in (message.attributes, lambda data: list(message.decode(data))):
        try:
            read(data)
        except ValueError:
            continue


HEADER_OF_THE_REFUSED = bytes(16)


def test_a_refusal_carries_the_kernels_own_words() -> None:
    """The words "Unknown device type" say more to a user than "operation not supported"."""
    body = struct.pack("=i", -95) + HEADER_OF_THE_REFUSED
    body += message.attribute(1, b"Unknown device type\0")  # NLMSGERR_ATTR_MSG
    assert message.error_of(Message(2, 0x200, 1, body)) == (95, "Unknown device type")
    assert message.error_of(Message(2, 0, 1, body)) == (95, "")  # no NLM_F_ACK_TLVS


def test_the_end_of_a_dump_can_be_a_refusal_too() -> None:
    """An NLMSG_DONE has no header of a refused message between number and words."""
    body = struct.pack("=i", -16) + message.attribute(1, b"busy\0")
    assert message.error_of(Message(3, 0x200, 1, body)) == (16, "busy")


def test_an_acknowledgement_is_no_error() -> None:
    """Nor is a bare end of a dump."""
    assert message.error_of(Message(2, 0x100, 1, bytes(20))) == (0, "")
    assert message.error_of(Message(3, 2, 1, b"")) == (0, "")
