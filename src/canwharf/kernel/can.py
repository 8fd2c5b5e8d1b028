"""CAN controllers: an adapter's bit timing and modes as the kernel has them, both ways. Pure.

Theory of operation. A real adapter is a link of the kind "can" with bit timing, modes and a state
in its IFLA_INFO_DATA. Timing and modes can be set only while it is down; one message may set them
and bring it up. The adapter reports which modes and rates it supports, as far as its kernel
and driver do.

Rules:

- The clock limits how exactly the kernel can set a rate: rates are equal within the kernel's own
  tolerance (RATE_TOLERANCE), sample points within POINT_TOLERANCE (here the kernel has none).
- A setting at its default is neither set nor compared.

Sources: linux/can/netlink.h, drivers/net/can/dev/netlink.c (can_changelink, can_fill_info).
"""

from __future__ import annotations

from struct import Struct

from canwharf.errors import MessageError
from canwharf.kernel import uapi
from canwharf.kernel.message import attribute, attributes, read_u32, u32
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

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
_NUMBERS = ("restart_ms", "termination", *_TDC)  # of CanSettings; -1: not asked for

_TIMING = Struct("=8I")  # struct can_bittiming: bit rate, sample point, six of hardware
_LIMITS = Struct("=16s8I")  # struct can_bittiming_const: name, tseg1, tseg2, sjw, brp: min, max
_MODE = Struct("=II")  # struct can_ctrlmode: mask, flags
_COUNTERS = Struct("=HH")  # struct can_berr_counter: sending, receiving
_STATISTICS = Struct("=6I")  # struct can_device_stats
_U16 = Struct("=H")
_HIGHEST_RATE = 1_000_000  # bit/s of the arbitration phase (ISO 11898-1), whatever the clock
_ANY_RATE = 0xFFFFFFFF  # CAN_BITRATE_UNKNOWN: set somewhere else


class CanSettings(NamedTuple):
    """The settings that a network asks for; a field at its default is not asked for.

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
        """Without the fields that the kernel computes, which its clock may not allow exactly."""
        return self._replace(**dict.fromkeys(_COMPUTED, 0))

    @property
    def timed(self) -> bool:
        """Whether it has the length of a bit: a bit rate or a time quantum."""
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
    """The kernel's report of an adapter, in the units of `CanSettings`.

    `supported` are the modes that it supports (None: not reported), `rates` and `drates` its only
    rates, `limit` the highest one (0: not reported), `terminations` the resistors that it can
    switch on. `errors` are the controller's error counters for sending and receiving, if its driver
    can read them. A number that is not reported is 0; of `termination`, `tdcv`, … it is -1.
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
    attrs = attributes(data)
    berr = uapi.IFLA_CAN_BERR_COUNTER
    errors = _unpack(_COUNTERS, attrs, berr) if berr in attrs else ()
    counters = _unpack(_STATISTICS, {0: statistics} if statistics else {}, 0)
    supported = attributes(attrs.get(uapi.IFLA_CAN_CTRLMODE_EXT, b""))
    modes = supported.get(uapi.IFLA_CAN_CTRLMODE_SUPPORTED)
    return Controller(
        state=_number(attrs, uapi.IFLA_CAN_STATE),
        modes=_unpack(_MODE, attrs, uapi.IFLA_CAN_CTRLMODE)[1],
        supported=None if modes is None else read_u32(modes),
        restart_ms=_number(attrs, uapi.IFLA_CAN_RESTART_MS),
        rates=_numbers(attrs, uapi.IFLA_CAN_BITRATE_CONST),
        drates=_numbers(attrs, uapi.IFLA_CAN_DATA_BITRATE_CONST),
        limit=_limit(attrs),
        errors=errors,
        statistics=Statistics(*counters),
        termination=next(iter(_shorts(attrs, uapi.IFLA_CAN_TERMINATION)), -1),
        terminations=_shorts(attrs, uapi.IFLA_CAN_TERMINATION_CONST),
        **_timings(attrs),
        **_tdc(attributes(attrs.get(uapi.IFLA_CAN_TDC, b""))),
    )


def differences(settings: CanSettings, controller: Controller, txqueuelen: int) -> list[str]:
    """What an adapter has that differs from `settings`, as `bitrate 250000 instead of 500000`."""
    wanted, has = settings._asdict(), controller._asdict() | {"txqueuelen": txqueuelen}
    lines = [
        _instead(field, has[field] or "unknown", wanted[field])
        for field in ("bitrate", "dbitrate", "tq", "dtq")
        if wanted[field] and abs(has[field] - wanted[field]) > wanted[field] * RATE_TOLERANCE
    ]
    lines += [
        _instead(field, f"{has[field] / 1000:g}", f"{wanted[field] / 1000:g}")
        for field in ("sample_point", "dsample_point")
        if wanted[field] and has[field] and abs(has[field] - wanted[field]) > POINT_TOLERANCE
    ]
    lines += [
        _instead(field, has[field], wanted[field])
        for field in (f"{phase}{each}" for phase, _kind in _PHASES for each in TIMING[3:])
        if wanted[field] not in (0, has[field])
    ]
    for name, flag in MODES.items():
        if settings.mask & flag and (settings.modes ^ controller.modes) & flag:
            lines.append(f"{name} {_switch(controller.modes & flag)}")
    if settings.mask & (settings.modes ^ controller.modes) & TDC_MASK:
        lines.append(_instead("tdc-mode", tdc_mode(controller.modes), tdc_mode(settings.modes)))
    lines += [
        _instead(field, "unknown" if has[field] < 0 else has[field], wanted[field])
        for field in (*_NUMBERS, "txqueuelen")
        if wanted[field] not in (-1, has[field])
    ]
    return lines


def unsupported(settings: CanSettings, controller: Controller) -> list[str]:
    """The names of the settings that the adapter does not support, as far as it reports that.

    A mode that is always on is not reported as supported (can_get_static_ctrlmode).
    """
    missing = 0
    if controller.supported is not None:
        missing = settings.modes & ~(controller.supported | controller.modes)
    names = [name for name, flag in MODES.items() if missing & flag]
    names += ["tdc-mode"] if missing & TDC_MASK else []
    if controller.terminations and settings.termination not in (-1, *controller.terminations):
        names.append("termination")
    return names


def possible(controller: Controller) -> str:
    """The rates that an adapter can do, in words; empty if it does not report them."""
    words = ""
    if controller.rates:
        words = f"the adapter can do {', '.join(map(str, controller.rates))} bit/s"
    elif controller.limit:
        words = f"the adapter can do up to {controller.limit} bit/s"
    if controller.drates:
        words += f", in the data phase {', '.join(map(str, controller.drates))}"
    return words


def link_attributes(settings: CanSettings) -> bytes:
    """The attributes of an RTM_NEWLINK with these settings."""
    wanted = settings._asdict()
    data = b""
    for phase, kind in _PHASES:
        timing = [wanted[f"{phase}{field}"] for field in TIMING]
        if any(timing):
            data += attribute(kind, _TIMING.pack(*timing, 0))
    if settings.mask:
        data += attribute(uapi.IFLA_CAN_CTRLMODE, _MODE.pack(settings.mask, settings.modes))
    if tdc := b"".join(
        attribute(_TDC[each], u32(wanted[each])) for each in _TDC if wanted[each] >= 0
    ):
        data += attribute(uapi.IFLA_CAN_TDC | uapi.NLA_F_NESTED, tdc)
    if settings.restart_ms >= 0:
        data += attribute(uapi.IFLA_CAN_RESTART_MS, u32(settings.restart_ms))
    if settings.termination >= 0:
        data += attribute(uapi.IFLA_CAN_TERMINATION, _U16.pack(settings.termination))
    attrs = b""
    if data:
        info = attribute(uapi.IFLA_INFO_KIND, KIND.encode())
        attrs += attribute(uapi.IFLA_LINKINFO, info + attribute(uapi.IFLA_INFO_DATA, data))
    if settings.txqueuelen >= 0:
        attrs += attribute(uapi.IFLA_TXQLEN, u32(settings.txqueuelen))
    return attrs


def _instead(field: str, has: object, wanted: object) -> str:
    return f"{field.replace('_', '-')} {has} instead of {wanted}"


def _switch(flag: int) -> str:
    return "on" if flag else "off"


def tdc_mode(modes: int) -> str:
    """The name that `ip` has for these flags of TDC_MODES."""
    known = (name for name, flag in TDC_MODES.items() if modes & TDC_MASK == flag)
    return next(known, "unknown")


def _timings(attrs: Mapping[int, bytes]) -> dict[str, int]:
    """The fields of TIMING, of both phases; none of a phase whose rate is not the kernel's."""
    fields: dict[str, int] = {}
    for phase, kind in _PHASES:
        values = _unpack(_TIMING, attrs, kind)
        if values[0] != _ANY_RATE:
            fields |= zip((f"{phase}{field}" for field in TIMING), values, strict=False)
    return fields


def _tdc(attrs: Mapping[int, bytes]) -> dict[str, int]:
    return {field: read_u32(attrs[kind]) for field, kind in _TDC.items() if kind in attrs}


def _shorts(attrs: Mapping[int, bytes], kind: int) -> tuple[int, ...]:
    data = attrs.get(kind, b"")
    return tuple(value for (value,) in _U16.iter_unpack(data[: len(data) & ~1]))


def _limit(attrs: Mapping[int, bytes]) -> int:
    """The highest rate in bit/s: the driver's, or its clock's with the shortest bit; 0: unknown."""
    highest = _number(attrs, uapi.IFLA_CAN_BITRATE_MAX)
    _name, tseg1, _max1, tseg2, _max2, _sjw, brp, *_rest = _unpack(
        _LIMITS, attrs, uapi.IFLA_CAN_BITTIMING_CONST
    )
    quanta = (1 + int(tseg1) + int(tseg2)) * int(brp)
    if highest or not quanta:
        return highest
    return min(_number(attrs, uapi.IFLA_CAN_CLOCK) // quanta, _HIGHEST_RATE)


def _unpack(form: Struct, attrs: Mapping[int, bytes], kind: int) -> tuple[int, ...]:
    """The numbers of a structure; zeros where it is missing."""
    data = attrs.get(kind, bytes(form.size))
    if len(data) < form.size:
        raise MessageError(f"CAN attribute {kind} of {len(data)} bytes")
    return form.unpack_from(data)


def _number(attrs: Mapping[int, bytes], kind: int) -> int:
    return read_u32(attrs.get(kind, bytes(4)))


def _numbers(attrs: Mapping[int, bytes], kind: int) -> tuple[int, ...]:
    data = attrs.get(kind, b"")
    return tuple(read_u32(data[place : place + 4]) for place in range(0, len(data) & ~3, 4))
