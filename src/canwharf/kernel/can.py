"""CAN controllers: an adapter's bit timing and modes as the kernel has them, both ways. Pure.

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
    "loopback": uapi.CAN_CTRLMODE_LOOPBACK,
    "listen-only": uapi.CAN_CTRLMODE_LISTENONLY,
    "triple-sampling": uapi.CAN_CTRLMODE_3_SAMPLES,
    "one-shot": uapi.CAN_CTRLMODE_ONE_SHOT,
    "berr-reporting": uapi.CAN_CTRLMODE_BERR_REPORTING,
    "fd": uapi.CAN_CTRLMODE_FD,
    "fd-non-iso": uapi.CAN_CTRLMODE_FD_NON_ISO,
    "presume-ack": uapi.CAN_CTRLMODE_PRESUME_ACK,
    "cc-len8-dlc": uapi.CAN_CTRLMODE_CC_LEN8_DLC,
}
# One setting of two flags: transmitter delay compensation
TDC_MODES = {
    "auto": uapi.CAN_CTRLMODE_TDC_AUTO,
    "manual": uapi.CAN_CTRLMODE_TDC_MANUAL,
    "off": 0,
}
TDC_MASK = uapi.CAN_CTRLMODE_TDC_AUTO | uapi.CAN_CTRLMODE_TDC_MANUAL
RATE_TOLERANCE = 0.05  # of the rate (CAN_CALC_MAX_ERROR): beyond, the kernel refuses it
POINT_TOLERANCE = 50  # per mille of a bit

# The fields of struct can_bittiming in its order, but for the last one, the prescaler; those of the
# data phase have the same names with a `d` before.
TIMING = ("bitrate", "sample_point", "tq", "prop_seg", "phase_seg1", "phase_seg2", "sjw")
_PHASES = (("", uapi.IFLA_CAN_BITTIMING), ("d", uapi.IFLA_CAN_DATA_BITTIMING))
# The kernel computes these, or fits them to the clock (can_calc_bittiming, can_fixup_bittiming).
_COMPUTED = tuple(f"{phase}{field}" for phase, _kind in _PHASES for field in TIMING[1:])
_TDC = {
    "tdcv": uapi.IFLA_CAN_TDC_TDCV,
    "tdco": uapi.IFLA_CAN_TDC_TDCO,
    "tdcf": uapi.IFLA_CAN_TDC_TDCF,
}
_NUMBERS = ("restart_ms", "termination", *_TDC)  # of a setup, -1 where it is not asked for

_TIMING = Struct("=8I")  # struct can_bittiming: bit rate, sample point, six of hardware
_LIMITS = Struct("=16s8I")  # struct can_bittiming_const: name, tseg1, tseg2, sjw, brp: min, max
_MODE = Struct("=II")  # struct can_ctrlmode: mask, flags
_COUNTERS = Struct("=HH")  # struct can_berr_counter: sending, receiving
_STATISTICS = Struct("=6I")  # struct can_device_stats
_U16 = Struct("=H")
_HIGHEST_RATE = 1_000_000  # bit/s of the arbitration phase (ISO 11898-1), whatever the clock
_ANY_RATE = 0xFFFFFFFF  # CAN_BITRATE_UNKNOWN: set somewhere else


class CanSettings(NamedTuple):
    """What is asked of an adapter; a field at its default is not asked for.

    Rates in bit/s, sample points in per mille of a bit, `tq` in nanoseconds, segments and
    `sjw` in time quanta, `tdcv`, `tdco` and `tdcf` in periods of the controller's clock,
    `restart_ms` in milliseconds (0: never), `termination` in ohms (0: none), `txqueuelen` in
    frames. `modes` are the flags of MODES and TDC_MODES that should be set among those of `mask`.
    """

    bitrate: int = 0
    sample_point: int = 0
    dbitrate: int = 0
    dsample_point: int = 0
    mask: int = 0
    modes: int = 0
    restart_ms: int = -1
    txqueuelen: int = -1
    tq: int = 0
    prop_seg: int = 0
    phase_seg1: int = 0
    phase_seg2: int = 0
    sjw: int = 0
    dtq: int = 0
    dprop_seg: int = 0
    dphase_seg1: int = 0
    dphase_seg2: int = 0
    dsjw: int = 0
    tdcv: int = -1
    tdco: int = -1
    tdcf: int = -1
    termination: int = -1

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == CanSettings()

    @property
    def sure(self) -> CanSettings:
        """All but what comes out as the clock allows, however often it is set."""
        return self._replace(**dict.fromkeys(_COMPUTED, 0))

    @property
    def timed(self) -> bool:
        """Whether it says how long a bit is."""
        return bool(self.bitrate or self.tq)


class Statistics(NamedTuple):
    """Counters since the adapter was plugged in; the names are those of struct can_device_stats."""

    bus_error: int = 0
    error_warning: int = 0
    error_passive: int = 0
    bus_off: int = 0
    arbitration_lost: int = 0
    restarts: int = 0


class Controller(NamedTuple):
    """What the kernel says of an adapter, in the units of `Setup`.

    `supported` are the modes that it knows (None: it does not tell), `rates` and `drates` the only
    rates, `limit` the highest one (0: it does not tell), `terminations` the resistors that it can
    switch on. `errors` are the controller's own counters for sending and receiving, where its
    driver can read them. What it does not tell is 0, and `termination`, `tdcv`, … are -1.
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
    tq: int = 0
    prop_seg: int = 0
    phase_seg1: int = 0
    phase_seg2: int = 0
    sjw: int = 0
    dtq: int = 0
    dprop_seg: int = 0
    dphase_seg1: int = 0
    dphase_seg2: int = 0
    dsjw: int = 0
    tdcv: int = -1
    tdco: int = -1
    tdcf: int = -1
    termination: int = -1
    terminations: tuple[int, ...] = ()

    @property
    def state_name(self) -> str:
        """As `ip` writes it."""
        return STATES[self.state] if self.state < len(STATES) else f"STATE-{self.state}"


def parse(data: bytes, statistics: bytes = b"") -> Controller:
    """A controller from an IFLA_INFO_DATA and an IFLA_INFO_XSTATS.

    Raises MessageError on a malformed one.
    """
    found = attributes(data)
    kind = uapi.IFLA_CAN_BERR_COUNTER
    errors = _unpack(_COUNTERS, found, kind) if kind in found else ()
    counted = _unpack(_STATISTICS, {0: statistics} if statistics else {}, 0)
    supported = attributes(found.get(uapi.IFLA_CAN_CTRLMODE_EXT, b""))
    known = supported.get(uapi.IFLA_CAN_CTRLMODE_SUPPORTED)
    return Controller(
        state=_number(found, uapi.IFLA_CAN_STATE),
        modes=_unpack(_MODE, found, uapi.IFLA_CAN_CTRLMODE)[1],
        supported=None if known is None else read_u32(known),
        restart_ms=_number(found, uapi.IFLA_CAN_RESTART_MS),
        rates=_numbers(found, uapi.IFLA_CAN_BITRATE_CONST),
        drates=_numbers(found, uapi.IFLA_CAN_DATA_BITRATE_CONST),
        limit=_limit(found),
        errors=errors,
        statistics=Statistics(*counted),
        termination=next(iter(_shorts(found, uapi.IFLA_CAN_TERMINATION)), -1),
        terminations=_shorts(found, uapi.IFLA_CAN_TERMINATION_CONST),
        **_timings(found),
        **_tdc(attributes(found.get(uapi.IFLA_CAN_TDC, b""))),
    )


def differences(setup: CanSettings, found: Controller, txqueuelen: int) -> list[str]:
    """What an adapter has otherwise than asked for, as `bitrate 250000 instead of 500000`."""
    asked, has = setup._asdict(), found._asdict() | {"txqueuelen": txqueuelen}
    told = [
        _instead(field, has[field] or "unknown", asked[field])
        for field in ("bitrate", "dbitrate", "tq", "dtq")
        if asked[field] and abs(has[field] - asked[field]) > asked[field] * RATE_TOLERANCE
    ]
    told += [
        _instead(field, f"{has[field] / 1000:g}", f"{asked[field] / 1000:g}")
        for field in ("sample_point", "dsample_point")
        if asked[field] and has[field] and abs(has[field] - asked[field]) > POINT_TOLERANCE
    ]
    told += [
        _instead(field, has[field], asked[field])
        for field in (f"{phase}{each}" for phase, _kind in _PHASES for each in TIMING[3:])
        if asked[field] not in (0, has[field])
    ]
    for name, flag in MODES.items():
        if setup.mask & flag and (setup.modes ^ found.modes) & flag:
            told.append(f"{name} {_switch(found.modes & flag)}")
    if setup.mask & (setup.modes ^ found.modes) & TDC_MASK:
        told.append(_instead("tdc-mode", tdc_mode(found.modes), tdc_mode(setup.modes)))
    told += [
        _instead(field, "unknown" if has[field] < 0 else has[field], asked[field])
        for field in (*_NUMBERS, "txqueuelen")
        if asked[field] not in (-1, has[field])
    ]
    return told


def unsupported(setup: CanSettings, found: Controller) -> list[str]:
    """The settings that the adapter does not have, as far as it tells; by their names.

    What it cannot do without is on and not told as supported (can_get_static_ctrlmode).
    """
    missing = 0 if found.supported is None else setup.modes & ~(found.supported | found.modes)
    names = [name for name, flag in MODES.items() if missing & flag]
    names += ["tdc-mode"] if missing & TDC_MASK else []
    if found.terminations and setup.termination not in (-1, *found.terminations):
        names.append("termination")
    return names


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


def link_attributes(setup: CanSettings) -> bytes:
    """The attributes of a RTM_NEWLINK that ask for this."""
    asked = setup._asdict()
    data = b""
    for phase, kind in _PHASES:
        timing = [asked[f"{phase}{field}"] for field in TIMING]
        if any(timing):
            data += attribute(kind, _TIMING.pack(*timing, 0))
    if setup.mask:
        data += attribute(uapi.IFLA_CAN_CTRLMODE, _MODE.pack(setup.mask, setup.modes))
    if tdc := b"".join(
        attribute(_TDC[each], u32(asked[each])) for each in _TDC if asked[each] >= 0
    ):
        data += attribute(uapi.IFLA_CAN_TDC | uapi.NLA_F_NESTED, tdc)
    if setup.restart_ms >= 0:
        data += attribute(uapi.IFLA_CAN_RESTART_MS, u32(setup.restart_ms))
    if setup.termination >= 0:
        data += attribute(uapi.IFLA_CAN_TERMINATION, _U16.pack(setup.termination))
    told = b""
    if data:
        info = attribute(uapi.IFLA_INFO_KIND, KIND.encode())
        told += attribute(uapi.IFLA_LINKINFO, info + attribute(uapi.IFLA_INFO_DATA, data))
    if setup.txqueuelen >= 0:
        told += attribute(uapi.IFLA_TXQLEN, u32(setup.txqueuelen))
    return told


def _instead(field: str, has: object, asked: object) -> str:
    return f"{field.replace('_', '-')} {has} instead of {asked}"


def _switch(flag: int) -> str:
    return "on" if flag else "off"


def tdc_mode(modes: int) -> str:
    """The name that `ip` has for these flags of TDC_MODES."""
    known = (name for name, flag in TDC_MODES.items() if modes & TDC_MASK == flag)
    return next(known, "unknown")


def _timings(found: Mapping[int, bytes]) -> dict[str, int]:
    """The fields of TIMING, of both phases; zeros where nothing was set, or not by the kernel."""
    told: dict[str, int] = {}
    for phase, kind in _PHASES:
        values = _unpack(_TIMING, found, kind)
        if values[0] != _ANY_RATE:
            told |= zip((f"{phase}{field}" for field in TIMING), values, strict=False)
    return told


def _tdc(found: Mapping[int, bytes]) -> dict[str, int]:
    return {field: read_u32(found[kind]) for field, kind in _TDC.items() if kind in found}


def _shorts(found: Mapping[int, bytes], kind: int) -> tuple[int, ...]:
    data = found.get(kind, b"")
    return tuple(value for (value,) in _U16.iter_unpack(data[: len(data) & ~1]))


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
