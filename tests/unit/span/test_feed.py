"""What a bridge tells programs of its host arrives as it was, and garbage is no frame."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import SpanError
from canwharf.frames.frame import HOST, WIRE, Frame
from canwharf.span import feed
from canwharf.span.feed import Reader, Told, encode
from canwharf.span.message import MOST

FRAMES = [Frame(time, "vcan0", "ecu1", 0x123, b"\x11" * 8) for time in range(MOST + 1)]


def read(received: bytes, step: int) -> list[Told]:
    reader = Reader("vcan0")
    parts = [received[at : at + step] for at in range(0, len(received), step)]
    return [told for part in parts for told in reader.read(part)]


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_records_arrive_as_they_were_told_in_whatever_shares(step: int) -> None:
    own = [Frame(1, "vcan0", HOST, 1, b""), Frame(2, "vcan0", WIRE, 0x98FEF100, b"\x01" * 64, 1)]
    sent = b"".join(
        (
            encode(feed.BEGIN, 5),
            encode(feed.OWN, 0, "", own),
            encode(feed.OTHER, -7, "bench-2", FRAMES),
            encode(feed.LOST, 3, "bench-2"),
            encode(feed.OWN, 0),
        )
    )
    begin, entered, first, second, lost, beat = read(sent, step)
    assert (begin.kind, begin.number, entered.frames) == (feed.BEGIN, 5, own)
    assert (first.kind, first.number, first.host, len(first.frames)) == (2, -7, "bench-2", MOST)
    assert [*first.frames, *second.frames] == [
        each._replace(sender="bench-2/ecu1") for each in FRAMES
    ]
    assert (lost.kind, lost.number, lost.host) == (feed.LOST, 3, "bench-2")
    assert (beat.kind, list(beat.frames)) == (feed.OWN, [])


def test_the_longest_record_is_read() -> None:
    frames = [
        Frame(1, "vcan0", f"{place:03}" + "n" * 252, 1, b"\x01" * 64, 1) for place in range(64)
    ]
    (told,) = read(encode(feed.OTHER, 0, "h" * 63, frames), 1 << 20)
    assert len(told.frames) == MOST


def test_a_kind_that_a_later_service_tells_is_left_out() -> None:
    news = encode(9, 0, "b", FRAMES) + encode(feed.LOST, 3, "b")
    assert [each.kind for each in read(news, 64)] == [feed.LOST]


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    """It may be a stranger that tells: no frame comes of what is not of the form."""
    length = len(garbage).to_bytes(4, "little")
    for received in (garbage, length + garbage):
        with suppress(SpanError):
            for told in read(received, 64):
                assert feed.BEGIN <= told.kind <= feed.DROPPED


@pytest.mark.parametrize(
    "record",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        encode(feed.LOST, 1, "Bench 2"),
        encode(feed.OTHER, 0, "", FRAMES[:1]),
        encode(feed.OTHER, 0, "b", FRAMES[:1])[:-1] + b"\x00\x00",
    ],
)
def test_what_is_no_record_is_refused(record: bytes) -> None:
    with pytest.raises(SpanError):
        read(record + bytes(64), 1 << 20)
