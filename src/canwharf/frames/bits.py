"""How long a frame occupies a real bus. Pure.

Rules:

- Counted are all bits from the start of the frame to the end of the pause behind it (3 bits).
- Stuff bits depend on each bit of a frame. To know them all costs more than to read the frame, so
  they are estimated as those of random bits: one after 30. The most that there can be are one
  after 4: a load of 100 percent in the worst case is shown as 84 to 88 percent.
- A CAN FD frame with BRS has two parts: one at the bit rate, one at the data bit rate.

Source: ISO 11898-1:2015, 10.4 (frame formats), 10.5 (bit stuffing).
"""

from __future__ import annotations

from canwharf.frames.frame import BRS
from canwharf.kernel import uapi

_RANDOM = 30  # bits between two stuff bits
_SHORT_CRC = 16  # bytes; with more data the CRC has 21 bits

Bits = tuple[float, float]  # at the bit rate, at the data bit rate


def bits_of(can_id: int, length: int, fd: int | None) -> Bits:
    """The bits of a frame with these flags and so many bytes; none of an error frame."""
    if can_id & uapi.CAN_ERR_FLAG:
        return 0.0, 0.0
    extended = bool(can_id & uapi.CAN_EFF_FLAG)
    if fd is None:
        data = 0 if can_id & uapi.CAN_RTR_FLAG else 8 * length
        stuffed = (54 if extended else 34) + data  # from the start to the end of the CRC
        return stuffed + stuffed / _RANDOM + 13, 0.0  # delimiters, ACK, 7 bits of end, 3 of pause
    head = 36 if extended else 17  # from the start to BRS
    arbitration = head + head / _RANDOM + 12
    stuffed = 5 + 8 * length  # ESI, length, data
    # The stuff count (4) and the CRC (17 or 21) with fixed stuff bits (6 or 7), and a delimiter.
    check = 28 if length <= _SHORT_CRC else 33
    rest = stuffed + stuffed / _RANDOM + check
    return (arbitration, rest) if fd & BRS else (arbitration + rest, 0.0)


def load(bits: Bits, seconds: float, bitrate: int, dbitrate: int = 0) -> float:
    """The share of the time in percent; the rates are in bit/s, without `dbitrate` both are one."""
    if not bitrate or seconds <= 0:
        return 0.0
    return 100 * (bits[0] / bitrate + bits[1] / (dbitrate or bitrate)) / seconds
