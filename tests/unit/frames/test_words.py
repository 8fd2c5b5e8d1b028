"""An error frame says what is wrong with the bus, without a header file at hand."""

from __future__ import annotations

import pytest

from canwharf.frames.frame import Frame
from canwharf.frames.words import error_words

ERR = 0x20000000


@pytest.mark.parametrize(
    ("classes", "data", "words"),
    [
        (0x040, b"", "bus-off"),
        (0x100, b"", "controller restarted"),
        (0x020, b"", "no acknowledgement"),
        (0x002, b"\x0b", "lost arbitration (in bit 11)"),
        (0x002, b"", "lost arbitration"),
        (0x004, b"\0\x30", "controller (receive passive, transmit passive)"),
        (
            0x008 | 0x080,
            b"\0\0\x84\x08",
            "protocol violation (bit stuffing error, while sending, at checksum), bus error",
        ),
        (0x010, b"\0\0\0\0\x07", "transceiver (CANH is shorted to ground)"),
        (0x010, b"\0\0\0\0\xee", "transceiver (code EE)"),
        (0x200, b"\0\0\0\0\0\0\x82\x05", "error counters (sending 130, receiving 5)"),
        (0x8000, b"", "unknown error 8000"),
        (0, b"", "unknown error 0"),
    ],
)
def test_classes_and_their_details(classes: int, data: bytes, words: str) -> None:
    assert error_words(Frame(0, "bus0", "wire", classes | ERR, data)) == words
