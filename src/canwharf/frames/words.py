"""Error frames in words. Pure.

Source: linux/can/error.h.
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.frames.frame import Frame

_CLASSES = (
    (0x001, "transmit timeout"),
    (0x002, "lost arbitration"),
    (0x004, "controller"),
    (0x008, "protocol violation"),
    (0x010, "transceiver"),
    (0x020, "no acknowledgement"),
    (0x040, "bus-off"),
    (0x080, "bus error"),
    (0x100, "controller restarted"),
    (0x200, "error counters"),
)
_CONTROLLER_CLASS = 0x004
_OVERFLOW = 0x01 | 0x02
_CONTROLLER = (
    (0x01, "receive buffer overflow"),
    (0x02, "transmit buffer overflow"),
    (0x04, "receive warning"),
    (0x08, "transmit warning"),
    (0x10, "receive passive"),
    (0x20, "transmit passive"),
    (0x40, "active again"),
)
_PROTOCOL = (
    (0x01, "single bit error"),
    (0x02, "frame format error"),
    (0x04, "bit stuffing error"),
    (0x08, "unable to send a dominant bit"),
    (0x10, "unable to send a recessive bit"),
    (0x20, "bus overload"),
    (0x40, "active error announcement"),
    (0x80, "while sending"),
)
_PLACES = {
    0x02: "id bits 28 to 21",
    0x03: "start of frame",
    0x04: "substitute RTR bit",
    0x05: "identifier extension bit",
    0x06: "id bits 20 to 18",
    0x07: "id bits 17 to 13",
    0x08: "checksum",
    0x09: "reserved bit 0",
    0x0A: "data",
    0x0B: "data length code",
    0x0C: "RTR bit",
    0x0D: "reserved bit 1",
    0x0E: "id bits 4 to 0",
    0x0F: "id bits 12 to 5",
    0x12: "intermission",
    0x18: "checksum delimiter",
    0x19: "acknowledgement slot",
    0x1A: "end of frame",
    0x1B: "acknowledgement delimiter",
}
_TRANSCEIVER = {
    0x04: "CANH has no wire",
    0x05: "CANH is shorted to the battery",
    0x06: "CANH is shorted to VCC",
    0x07: "CANH is shorted to ground",
    0x40: "CANL has no wire",
    0x50: "CANL is shorted to the battery",
    0x60: "CANL is shorted to VCC",
    0x70: "CANL is shorted to ground",
    0x80: "CANL is shorted to CANH",
}


def error_words(frame: Frame) -> str:
    """What an error frame reports: its classes, each with its details in brackets."""
    data = frame.data.ljust(8, b"\0")
    details = {
        0x002: [f"in bit {data[0]}"] if data[0] else [],
        0x004: _bits(_CONTROLLER, data[1]),
        0x008: [*_bits(_PROTOCOL, data[2]), *_word(_PLACES, data[3], "at ")],
        0x010: _word(_TRANSCEIVER, data[4]),
        0x200: [f"sending {data[6]}", f"receiving {data[7]}"],
    }
    return ", ".join(_classes(frame.id, details)) or f"unknown error {frame.id:X}"


def error_classes(id: int) -> list[str]:
    """The classes of an error frame, without details; an asc does not keep them."""
    return list(_classes(id, {})) or ["unknown error"]


def is_overflow(frame: Frame) -> bool:
    """Whether an adapter reports that it lost frames, having no room for them."""
    return bool(frame.id & _CONTROLLER_CLASS and frame.data[1:2] and frame.data[1] & _OVERFLOW)


def _classes(id: int, details: dict[int, list[str]]) -> Iterator[str]:
    for bit, name in _CLASSES:
        if id & bit:
            more = ", ".join(details.get(bit, ()))
            yield f"{name} ({more})" if more else name


def _bits(table: tuple[tuple[int, str], ...], value: int) -> list[str]:
    return [words for bit, words in table if value & bit]


def _word(table: dict[int, str], value: int, before: str = "") -> list[str]:
    return [before + table.get(value, f"code {value:02X}")] if value else []
