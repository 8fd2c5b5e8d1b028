"""What the kernel says of a controller, in bytes that it said; what is asked of it, to the byte."""

from __future__ import annotations

import struct

import pytest

from canwharf.errors import MessageError
from canwharf.kernel import can
from canwharf.kernel.can import CanSettings, Controller, Statistics

# slcan as kernels 6.1 and 6.12 tell it (IFLA_INFO_DATA, IFLA_INFO_XSTATS).
RATES = (10000, 20000, 50000, 100000, 125000, 250000, 500000, 800000, 1000000)
REST = (
    "0c0005000000000000000000080006000000000028000d0010270000204e000050c30000a086010048e80100"
    "90d0030020a1070000350c0040420f0008000f00000000000c0011800800010002000000"
)
NEW = bytes.fromhex("08000300000000000800040004000000" + REST)
TIMING = "2400010020a1070000000000000000000000000000000000000000000000000000000000"
BUS_OFF = bytes.fromhex(TIMING + "08000300000000000800040003000000" + REST)
COUNTED = bytes.fromhex("000000000000000001000000010000000000000000000000")


def attribute(kind: int, *values: int, form: str = "I") -> bytes:
    data = struct.pack(f"={len(values)}{form}", *values)
    return struct.pack("=HH", 4 + len(data), kind) + data


def fd_controller(**limits: int) -> bytes:
    """An MCP2518FD, from the headers: a clock and limits, no list of rates, counters."""
    timing = struct.pack("=16s8I", b"mcp251xfd", 2, 256, 1, 128, 128, 1, 256, 1)
    return b"".join(
        (
            attribute(1, 500000, 875, 25, 34, 35, 10, 5, 1),
            struct.pack("=HH", 52, 2) + timing,
            attribute(3, limits.get("clock", 40_000_000)),
            attribute(4, 2),
            attribute(5, 0xFFFFFFFF, 0x30),
            attribute(6, 100),
            attribute(8, 130, 7, form="H"),
            attribute(9, 2000000, 750, 25, 7, 7, 5, 2, 1),
            attribute(15, limits.get("most", 0)),
            attribute(17 | 0x8000, *struct.unpack("=2I", attribute(1, 0x1FF))),
        )
    )


def test_an_adapter_that_was_just_plugged_in() -> None:
    found = can.parse(NEW, bytes(24))
    assert found == Controller(state=4, supported=0x2, rates=RATES)
    assert found.state_name == "STOPPED"
    assert can.possible(found).startswith("the adapter can do 10000, 20000, 50000")


def test_an_adapter_that_is_off_the_bus() -> None:
    found = can.parse(BUS_OFF, COUNTED)
    assert (found.bitrate, found.state_name) == (500000, "BUS-OFF")
    assert found.statistics == Statistics(error_passive=1, bus_off=1)
    assert found.errors == (), "slcan has no counters to read"


def test_an_fd_adapter() -> None:
    found = can.parse(fd_controller())
    assert (found.bitrate, found.sample_point) == (500000, 875)
    assert (found.dbitrate, found.dsample_point) == (2000000, 750)
    assert found.state_name == "ERROR-PASSIVE"
    assert (found.modes, found.supported, found.restart_ms) == (0x30, 0x1FF, 100)
    assert found.errors == (130, 7)
    assert (
        can.differences(CanSettings(500000, 875, 2000000, 750, 0x20, 0x20, 100, 10), found, 10)
        == []
    )


@pytest.mark.parametrize(
    ("limits", "most"),
    [({}, 1_000_000), ({"most": 8_000_000}, 8_000_000), ({"clock": 4_000_000}, 1_000_000)],
)
def test_the_highest_rate_is_what_the_driver_says_or_the_clock_allows(
    limits: dict[str, int], most: int
) -> None:
    """But no more than CAN itself."""
    assert (
        can.possible(can.parse(fd_controller(**limits))) == f"the adapter can do up to {most} bit/s"
    )


def test_a_slow_clock_limits_the_rate() -> None:
    found = can.parse(fd_controller(clock=2_000_000))
    assert can.possible(found) == "the adapter can do up to 500000 bit/s"


def test_a_rate_that_the_kernel_did_not_set_is_unknown() -> None:
    """slcand, say, before the line became an interface (CAN_BITRATE_UNKNOWN)."""
    found = can.parse(attribute(1, 0xFFFFFFFF, 0, 0, 0, 0, 0, 0, 0))
    assert found.bitrate == 0
    assert can.differences(CanSettings(500000), found, 0) == ["bitrate unknown instead of 500000"]


def test_a_kernel_that_tells_nothing() -> None:
    found = can.parse(b"")
    assert found == Controller()
    assert can.possible(found) == ""
    assert can.unsupported(CanSettings(mask=0x20, modes=0x20), found) == [], (
        "the kernel will say so"
    )


@pytest.mark.parametrize("data", [attribute(1, 500000), attribute(5, 1), b"\x05\0\x04\0\0"])
def test_bytes_that_are_not_of_the_form_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        can.parse(data)


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        (CanSettings(), []),
        (CanSettings(520000), []),  # as near as some clocks come
        (CanSettings(530000), ["bitrate 500000 instead of 530000"]),
        (CanSettings(250000), ["bitrate 500000 instead of 250000"]),
        (CanSettings(500000, 800), ["sample-point 0.875 instead of 0.8"]),
        (CanSettings(500000, 850), []),
        (CanSettings(dbitrate=4000000), ["dbitrate 2000000 instead of 4000000"]),
        (CanSettings(mask=0x20, modes=0x20), []),
        (CanSettings(mask=0x22, modes=0x02), ["listen-only off", "fd on"]),
        (CanSettings(restart_ms=0), ["restart-ms 100 instead of 0"]),
        (CanSettings(txqueuelen=100), ["txqueuelen 10 instead of 100"]),
    ],
)
def test_what_differs_is_said_and_nothing_that_was_not_asked_for(
    setup: CanSettings, words: list[str]
) -> None:
    assert sorted(can.differences(setup, can.parse(fd_controller()), 10)) == sorted(words)


def test_modes_that_the_adapter_does_not_have() -> None:
    setup = CanSettings(mask=0x3A, modes=0x2A)
    assert can.unsupported(setup, can.parse(NEW)) == ["one-shot", "fd"]


def test_a_mode_that_it_cannot_do_without_is_one_that_it_has() -> None:
    """Of rcar_canfd FD is one: always on, and not told as supported."""
    found = Controller(modes=0x20, supported=0x02)
    assert can.unsupported(CanSettings(mask=0x28, modes=0x28), found) == ["one-shot"]


def test_what_is_asked_for_to_the_letter() -> None:
    """And not one attribute that was not asked for: it would change what the user had set."""
    assert can.link_attributes(CanSettings()) == b""
    assert can.link_attributes(CanSettings(txqueuelen=100)) == attribute(13, 100)
    whole = can.link_attributes(CanSettings(500000, 875, 2000000, 750, 0x22, 0x20, 100, 77))
    data = (
        attribute(1, 500000, 875, 0, 0, 0, 0, 0, 0)
        + attribute(9, 2000000, 750, 0, 0, 0, 0, 0, 0)
        + attribute(5, 0x22, 0x20)
        + attribute(6, 100)
    )
    info = struct.pack("=HH3sx", 7, 1, b"can") + struct.pack("=HH", 4 + len(data), 2) + data
    assert whole == struct.pack("=HH", 4 + len(info), 18) + info + attribute(13, 77)


WHOLE = CanSettings(
    dbitrate=2000000,
    mask=0x6A0,
    modes=0x4A0,
    tq=125,
    prop_seg=6,
    phase_seg1=7,
    phase_seg2=2,
    sjw=1,
    dsjw=2,
    tdcv=3,
    tdco=14,
    tdcf=0,
    termination=120,
)


def test_every_other_setting_to_the_letter() -> None:
    """The layouts of linux/can/netlink.h; `termination` is of 16 bits."""
    tdc = attribute(7, 3) + attribute(8, 14) + attribute(9, 0)
    data = (
        attribute(1, 0, 0, 125, 6, 7, 2, 1, 0)
        + attribute(9, 2000000, 0, 0, 0, 0, 0, 2, 0)
        + attribute(5, 0x6A0, 0x4A0)
        + struct.pack("=HH", 4 + len(tdc), 16 | 0x8000)
        + tdc
        + attribute(11, 120, form="H")
        + b"\0\0"
    )
    info = struct.pack("=HH3sx", 7, 1, b"can") + struct.pack("=HH", 4 + len(data), 2) + data
    assert can.link_attributes(WHOLE) == struct.pack("=HH", 4 + len(info), 18) + info


def whole_controller(**changed: int) -> bytes:
    """One that has all of WHOLE, but for what is `changed`."""
    value = {"tq": 125, "seg1": 7, "dsjw": 2, "tdco": 14, "modes": 0x4A0, "ohm": 120, **changed}
    tdc = attribute(7, 3) + attribute(8, value["tdco"]) + attribute(9, 0)
    return b"".join(
        (
            attribute(1, 500000, 875, value["tq"], 6, value["seg1"], 2, 1, 5),
            attribute(5, 0xFFFFFFFF, value["modes"]),
            attribute(9, 2000000, 750, 25, 7, 7, 5, value["dsjw"], 1),
            attribute(11, value["ohm"], form="H") + b"\0\0",
            attribute(12, 120, 0, form="H"),
            struct.pack("=HH", 4 + len(tdc), 16 | 0x8000) + tdc,
        )
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, []),
        ({"tq": 122}, []),  # as the clock allows
        ({"tq": 250}, ["tq 250 instead of 125"]),
        ({"seg1": 8}, ["phase-seg1 8 instead of 7"]),
        ({"dsjw": 1}, ["dsjw 1 instead of 2"]),
        ({"tdco": 15}, ["tdco 15 instead of 14"]),
        ({"modes": 0x2A0}, ["tdc-mode auto instead of manual"]),
        ({"modes": 0x420}, ["fd-non-iso off"]),
        ({"ohm": 0}, ["termination 0 instead of 120"]),
    ],
)
def test_what_differs_of_the_other_settings(changed: dict[str, int], words: list[str]) -> None:
    assert can.differences(WHOLE, can.parse(whole_controller(**changed)), 0) == words


def test_what_the_kernel_computes_is_not_set_for_ever() -> None:
    """A rate stays, what it makes of segments and of the jump width may be otherwise."""
    other = can.parse(whole_controller(tq=250, seg1=9, dsjw=1))
    assert can.differences(WHOLE.sure, other, 0) == []


def test_a_resistor_that_it_does_not_have() -> None:
    found = can.parse(whole_controller())
    assert found.terminations == (120, 0)
    assert can.unsupported(CanSettings(termination=60), found) == ["termination"]
    assert can.unsupported(CanSettings(termination=0), found) == []
    assert can.unsupported(CanSettings(termination=60), can.parse(b"")) == [], (
        "the kernel will say so"
    )
    kept = Controller(supported=0x20)
    assert can.unsupported(CanSettings(mask=0x600, modes=0x200), kept) == ["tdc-mode"]
    assert can.parse(b"").termination == -1


def test_a_state_of_a_later_kernel_has_a_name_too() -> None:
    assert Controller(state=9).state_name == "STATE-9"
