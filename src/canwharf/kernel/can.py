"""CAN controllers: what the kernel says of an adapter's bit timing and modes, and how to set them.

Theory of operation. A real adapter is a link of the kind "can" with bit timing, modes and a state
in its IFLA_INFO_DATA. Timing and modes can be set only while it is down; one message may set them
and bring it up. Which modes and rates an adapter knows is told by itself, as far as its kernel
and driver tell anything.

Rules:

- What the kernel computes for a rate may be off, as the clock allows: rates are equal within what
  it puts up with, sample points within POINT_TOLERANCE (for these it has no limit).
- What a setup does not ask for is neither set nor compared.

Sources: linux/can/netlink.h, drivers/net/can/dev/netlink.c (can_changelink, can_fill_info).
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

from canwharf.errors import MessageError
from canwharf.kernel import uapi
from canwharf.kernel.message import attribute, attributes, read_u32, u32

KIND = "can"
STATES = ("ERROR-ACTIVE", "ERROR-WARNING", "ERROR-PASSIVE", "BUS-OFF", "STOPPED", "SLEEPING")
# The names of `ip link set type can`
MODES = {
    "listen-only": uapi.CAN_CTRLMODE_LISTENONLY,
    "triple-sampling": uapi.CAN_CTRLMODE_3_SAMPLES,
    "one-shot": uapi.CAN_CTRLMODE_ONE_SHOT,
    "berr-reporting": uapi.CAN_CTRLMODE_BERR_REPORTING,
    "fd": uapi.CAN_CTRLMODE_FD,
}
RATE_TOLERANCE = 0.05  # of the rate (CAN_CALC_MAX_ERROR): beyond, the kernel refuses it
POINT_TOLERANCE = 50  # per mille of a bit

_TIMING = Struct("=8I")  # struct can_bittiming: bit rate, sample point, six of hardware
_LIMITS = Struct("=16s8I")  # struct can_bittiming_const: name, tseg1, tseg2, sjw, brp: min, max
_MODE = Struct("=II")  # struct can_ctrlmode: mask, flags
_COUNTERS = Struct("=HH")  # struct can_berr_counter: sending, receiving
_STATISTICS = Struct("=6I")  # struct can_device_stats
_HIGHEST_RATE = 1_000_000  # bit/s of the arbitration phase (ISO 11898-1), whatever the clock
_ANY_RATE = 0xFFFFFFFF  # CAN_BITRATE_UNKNOWN: set somewhere else


class Setup(NamedTuple):
    """What is asked of an adapter; a field at its default is not asked for.

    Rates in bit/s, sample points in per mille of a bit, `restart_ms` in milliseconds (0: never),
    `txqueuelen` in frames. `modes` are the flags of MODES that should be set among those of `mask`.
    """

    bitrate: int = 0
    sample_point: int = 0
    dbitrate: int = 0
    dsample_point: int = 0
    mask: int = 0
    modes: int = 0
    restart_ms: int = -1
    txqueuelen: int = -1

    @property
    def sure(self) -> Setup:
        """All but the sample points: they come out as the clock allows, however often set."""
        return self._replace(sample_point=0, dsample_point=0)


class Statistics(NamedTuple):
    """How often something went wrong since the adapter was plugged in."""

    bus_errors: int = 0
    warnings: int = 0
    passives: int = 0
    bus_offs: int = 0
    arbitrations_lost: int = 0
    restarts: int = 0


class Controller(NamedTuple):
    """What the kernel says of an adapter, in the units of `Setup`.

    `supported` are the modes that it knows (None: it does not tell), `rates` and `drates` the only
    rates, `limit` the highest one (0: it does not tell). `errors` are the controller's own counters
    for sending and receiving, where its driver can read them.
    """

    state: int = 0
    bitrate: int = 0
    sample_point: int = 0
    dbitrate: int = 0
    dsample_point: int = 0
    modes: int = 0
    supported: int | None = None
    restart_ms: int = 0
    rates: tuple[int, ...] = ()
    drates: tuple[int, ...] = ()
    limit: int = 0
    errors: tuple[int, ...] = ()
    statistics: Statistics = Statistics()

    @property
    def state_name(self) -> str:
        """As `ip` writes it."""
        return STATES[self.state] if self.state < len(STATES) else f"STATE-{self.state}"


def parse(data: bytes, statistics: bytes = b"") -> Controller:
    """A controller from an IFLA_INFO_DATA and an IFLA_INFO_XSTATS.

    Raises MessageError on a malformed one.
    """
    found = attributes(data)
    bitrate, point = _timing(found, uapi.IFLA_CAN_BITTIMING)
    dbitrate, dpoint = _timing(found, uapi.IFLA_CAN_DATA_BITTIMING)
    kind = uapi.IFLA_CAN_BERR_COUNTER
    errors = _unpack(_COUNTERS, found, kind) if kind in found else ()
    counted = _unpack(_STATISTICS, {0: statistics} if statistics else {}, 0)
    supported = attributes(found.get(uapi.IFLA_CAN_CTRLMODE_EXT, b""))
    known = supported.get(uapi.IFLA_CAN_CTRLMODE_SUPPORTED)
    return Controller(
        state=_number(found, uapi.IFLA_CAN_STATE),
        bitrate=bitrate,
        sample_point=point,
        dbitrate=dbitrate,
        dsample_point=dpoint,
        modes=_unpack(_MODE, found, uapi.IFLA_CAN_CTRLMODE)[1],
        supported=None if known is None else read_u32(known),
        restart_ms=_number(found, uapi.IFLA_CAN_RESTART_MS),
        rates=_numbers(found, uapi.IFLA_CAN_BITRATE_CONST),
        drates=_numbers(found, uapi.IFLA_CAN_DATA_BITRATE_CONST),
        limit=_limit(found),
        errors=errors,
        statistics=Statistics(*counted),
    )


def differences(setup: Setup, found: Controller, txqueuelen: int) -> list[str]:
    """What an adapter has otherwise than asked for, as `bitrate 250000 instead of 500000`."""
    told: list[str] = []
    for name, asked, has in (
        ("bitrate", setup.bitrate, found.bitrate),
        ("dbitrate", setup.dbitrate, found.dbitrate),
    ):
        if asked and abs(has - asked) > asked * RATE_TOLERANCE:
            told.append(f"{name} {has or 'unknown'} instead of {asked}")
    for name, asked, has in (
        ("sample-point", setup.sample_point, found.sample_point),
        ("dsample-point", setup.dsample_point, found.dsample_point),
    ):
        if asked and has and abs(has - asked) > POINT_TOLERANCE:
            told.append(f"{name} {has / 1000:g} instead of {asked / 1000:g}")
    for name, flag in MODES.items():
        if setup.mask & flag and (setup.modes ^ found.modes) & flag:
            told.append(f"{name} {_switch(found.modes & flag)}")
    for name, asked, has in (
        ("restart-ms", setup.restart_ms, found.restart_ms),
        ("txqueuelen", setup.txqueuelen, txqueuelen),
    ):
        if asked >= 0 and asked != has:
            told.append(f"{name} {has} instead of {asked}")
    return told


def unsupported(setup: Setup, found: Controller) -> list[str]:
    """The modes that are asked for and that the adapter does not have, as far as it tells.

    What it cannot do without is on and not told as supported (can_get_static_ctrlmode).
    """
    if found.supported is None:
        return []
    known = found.supported | found.modes
    return [name for name, flag in MODES.items() if setup.modes & flag & ~known]


def possible(found: Controller) -> str:
    """The rates that an adapter can do, in words; empty where it does not tell."""
    told = ""
    if found.rates:
        told = f"the adapter can do {', '.join(map(str, found.rates))} bit/s"
    elif found.limit:
        told = f"the adapter can do up to {found.limit} bit/s"
    if found.drates:
        told += f", in the data phase {', '.join(map(str, found.drates))}"
    return told


def link_attributes(setup: Setup) -> bytes:
    """The attributes of a RTM_NEWLINK that ask for this."""
    data = b""
    for kind, rate, point in (
        (uapi.IFLA_CAN_BITTIMING, setup.bitrate, setup.sample_point),
        (uapi.IFLA_CAN_DATA_BITTIMING, setup.dbitrate, setup.dsample_point),
    ):
        if rate:
            data += attribute(kind, _TIMING.pack(rate, point, 0, 0, 0, 0, 0, 0))
    if setup.mask:
        data += attribute(uapi.IFLA_CAN_CTRLMODE, _MODE.pack(setup.mask, setup.modes))
    if setup.restart_ms >= 0:
        data += attribute(uapi.IFLA_CAN_RESTART_MS, u32(setup.restart_ms))
    told = b""
    if data:
        info = attribute(uapi.IFLA_INFO_KIND, KIND.encode())
        told += attribute(uapi.IFLA_LINKINFO, info + attribute(uapi.IFLA_INFO_DATA, data))
    if setup.txqueuelen >= 0:
        told += attribute(uapi.IFLA_TXQLEN, u32(setup.txqueuelen))
    return told


def _switch(flag: int) -> str:
    return "on" if flag else "off"


def _timing(found: Mapping[int, bytes], kind: int) -> tuple[int, int]:
    rate, point, *_hardware = _unpack(_TIMING, found, kind)
    return (0, 0) if rate == _ANY_RATE else (rate, point)


def _limit(found: Mapping[int, bytes]) -> int:
    """The highest rate: as the driver says, or the shortest bit of its clock."""
    highest = _number(found, uapi.IFLA_CAN_BITRATE_MAX)
    _name, tseg1, _max1, tseg2, _max2, _sjw, brp, *_rest = _unpack(
        _LIMITS, found, uapi.IFLA_CAN_BITTIMING_CONST
    )
    quanta = (1 + int(tseg1) + int(tseg2)) * int(brp)
    if highest or not quanta:
        return highest
    return min(_number(found, uapi.IFLA_CAN_CLOCK) // quanta, _HIGHEST_RATE)


def _unpack(form: Struct, found: Mapping[int, bytes], kind: int) -> tuple[int, ...]:
    """The numbers of a structure; zeros where it is missing."""
    data = found.get(kind, bytes(form.size))
    if len(data) < form.size:
        raise MessageError(f"CAN attribute {kind} of {len(data)} bytes")
    return form.unpack_from(data)


def _number(found: Mapping[int, bytes], kind: int) -> int:
    return read_u32(found.get(kind, bytes(4)))


def _numbers(found: Mapping[int, bytes], kind: int) -> tuple[int, ...]:
    data = found.get(kind, b"")
    return tuple(read_u32(data[place : place + 4]) for place in range(0, len(data) & ~3, 4))
