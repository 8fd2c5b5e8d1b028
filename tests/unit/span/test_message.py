"""What a host sends arrives whole at another, and garbage does not arrive at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import SpanError
from canwharf.frames.frame import BRS, ESI, Frame
from canwharf.span.message import MOST, Message, decode, encode

U64 = st.integers(0, 2**64 - 1)
IDS = st.integers(0, 0x7FF) | st.integers(0, 0x1FFFFFFF).map(lambda each: each | 0x80000000)
SENDERS = st.sampled_from(["ecu1", "ecu2", "host", "wire", "Motor-Ä", "?"])
CLASSIC = st.tuples(IDS, st.binary(max_size=8), st.none())
REMOTE = st.tuples(IDS.map(lambda each: each | 0x40000000), st.integers(0, 8).map(bytes), st.none())
FD = st.tuples(
    IDS,
    st.sampled_from([*range(9), 12, 16, 20, 24, 32, 48, 64]).flatmap(
        lambda size: st.binary(min_size=size, max_size=size)
    ),
    st.sampled_from([0, BRS, ESI, BRS | ESI]),
)
FRAMES = st.builds(
    lambda time, sender, rest: Frame(time, "bus0", sender, *rest),
    U64,
    SENDERS,
    CLASSIC | REMOTE | FD,
)
MESSAGES = st.builds(Message, U64, U64, U64, U64, st.lists(FRAMES, max_size=MOST))


@given(MESSAGES)
def test_each_frame_arrives_as_it_was_with_the_host_before_its_sender(message: Message) -> None:
    frames = [each._replace(bus="far", sender=f"a/{each.sender}") for each in message.frames]
    assert decode(encode(message), "far", "a") == message._replace(frames=frames)


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_never_a_frame_that_no_bus_has(garbage: bytes) -> None:
    try:
        message = decode(b"\1\0" + garbage, "far", "a")
    except SpanError:
        return
    assert decode(encode(_without_host(message)), "far", "a") == message


@given(MESSAGES, st.data())
def test_a_message_that_is_cut_is_refused_whole(message: Message, data: st.DataObject) -> None:
    payload = encode(message)
    cut = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(SpanError):
        decode(payload[:cut], "far", "a")


def test_the_bytes_are_those_of_the_page() -> None:
    """Another program reads them by the table in the module."""
    frame = Frame(3, "bus0", "ecu", 0x80000123, b"\xaa\xbb", BRS)
    expected = (
        "01 00 0100 0400000000000000 0500000000000000 0600000000000000 0700000000000000 "
        "01 03 656375 0300000000000000 23010080 00 05 02 aabb"
    )
    assert encode(Message(4, 5, 6, 7, [frame])) == bytes.fromhex(expected)


def refused(payload: bytes, words: str) -> None:
    with pytest.raises(SpanError, match=words):
        decode(payload, "far", "a")


def test_a_refusal_says_why() -> None:
    frame = Frame(1, "bus0", "ecu", 0x123, b"\1")
    whole = encode(Message(1, 2, 3, 4, [frame]))
    refused(b"", "cut or garbled")
    refused(b"\2" + whole[1:], "version 2; this canwharf reads 1")
    refused(b"\1\1" + whole[2:], "flags 1")
    refused(whole + b"\0", "bytes that should have")
    refused(encode(Message(1, 2, 3, 4, [frame] * (MOST + 1))), "65 frames")
    refused(encode(Message(1, 2, 3, 4, [frame._replace(data=bytes(9))])), "9 bytes")
    refused(encode(Message(1, 2, 3, 4, [frame._replace(data=bytes(9), fd=0)])), "9 bytes")
    refused(encode(Message(1, 2, 3, 4, [frame._replace(can_id=0x20000004)])), "0x20000004")
    refused(encode(Message(1, 2, 3, 4, [frame._replace(can_id=0x800)])), "0x800")
    refused(encode(Message(1, 2, 3, 4, [frame._replace(can_id=0x40000001, fd=0)])), "flags 0x4")


def test_a_name_that_is_too_long_is_cut_between_two_letters() -> None:
    message = Message(1, 2, 3, 4, [Frame(1, "bus0", "x" + "ä" * 200, 0x123, b"")])
    (frame,) = decode(encode(message), "far", "a").frames
    assert frame.sender == "a/x" + "ä" * 127


def test_a_name_has_nothing_that_a_terminal_or_a_line_of_a_recording_obeys() -> None:
    message = Message(1, 2, 3, 4, [Frame(1, "bus0", "a\n\x1b[31mb\u202e c", 0x123, b"")])
    (frame,) = decode(encode(message), "far", "a").frames
    assert frame.sender == "a/a??[31mb? c"


def test_a_sender_without_a_name_is_not_taken_for_a_container_called_as_its_host() -> None:
    message = Message(1, 2, 3, 4, [Frame(1, "bus0", "", 0x123, b"")])
    (frame,) = decode(encode(message), "far", "a").frames
    assert frame.sender == "a/?"


def _without_host(message: Message) -> Message:
    frames = [each._replace(sender=each.sender.removeprefix("a/")) for each in message.frames]
    return message._replace(frames=frames)
