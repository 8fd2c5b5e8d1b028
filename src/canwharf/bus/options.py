"""Driver options: the user's strings -> a validated value, or an error. Pure.

Rules:

- Every option that is neither ours nor the engine's (`com.docker.…`) is refused, and the error
  names the nearest option (`bus.spelling`); otherwise it would be ignored in silence. Unknown
  options that an engine stored earlier are ignored with a warning (`unknown`).
- `can.interface` is `vxcan.dev` + `vxcan.id` in one word, `can.name` is `vxcan.peer`. Both forms
  are allowed together if they agree.
- `can.ifname` is the whole name of the interface in the container, `can.name` its beginning: both
  together are refused.
- A prefix that ends in a digit is nearly always meant as the whole name: the engine appends a
  number (`check_prefix`, for new networks and endpoints).
- An adapter's settings have the names of `ip link set type can`, and its units (`bus.values`).
- A virtual network (`can.type=virtual`) has no adapter to configure: an adapter's settings are
  checked and then ignored, with a warning (`without_effect`). So one file serves the board and the
  laptop.
- What a bus does to frames on purpose (`can.delay`) is for a virtual one: an adapter's wire has its
  own manners. Off is the same as not given.
- An error names the option, its value, and what it must be.
"""

from __future__ import annotations

from canwharf.bus import naming, values
from canwharf.bus.model import OPEN, Adapter, Endpoint, Policy, Settings
from canwharf.bus.naming import NO_SPAN, Ifname, Span
from canwharf.bus.values import Unit
from canwharf.errors import OptionError
from canwharf.kernel import can
from canwharf.kernel.can import CanSettings
from canwharf.kernel.impairment import Impairment

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

_ENGINES = ("com.docker.",)
_PREFIX_OPTIONS = ("vxcan.peer", "can.name")
_EXACT_OPTION = "can.ifname"
_RATE = "can.rate"
POLICY_OPTIONS = {"can.send": "send", "can.receive": "receive", "can.rate": "rate"}
IMPAIRMENT_OPTIONS = {  # and their units
    "can.bandwidth": values.BANDWIDTH,
    "can.delay": values.MICROSECONDS,
    "can.loss": values.PROBABILITY,
    "can.duplicate": values.PROBABILITY,
}
SPAN_OPTIONS = ("can.span", "can.span.max_age")
ENDPOINT_OPTIONS = (*_PREFIX_OPTIONS, _EXACT_OPTION, *POLICY_OPTIONS)

_BIT = {
    "bitrate": values.RATE,
    "tq": values.NANOSECONDS,
    **dict.fromkeys(("prop-seg", "phase-seg1", "phase-seg2", "sjw"), values.QUANTA),
}
_NUMBERS: dict[str, Unit] = {
    **{f"can.{name}": unit for name, unit in _BIT.items()},
    **{f"can.d{name}": unit for name, unit in _BIT.items()},  # of the data phase of CAN FD
    **dict.fromkeys(("can.tdcv", "can.tdco", "can.tdcf"), values.CLOCKS),
    "can.restart-ms": values.MILLISECONDS,
    "can.termination": values.OHMS,
    "can.txqueuelen": values.FRAMES,
}
_POINTS = ("can.sample-point", "can.dsample-point")
_MODES = {f"can.{name}": flag for name, flag in can.MODES.items()}
_SWITCHES = {"can.errors": "on", "can.force": "off"}  # and their defaults
_CHOICES = {"can.mode": ("share", "move"), "can.tdc-mode": tuple(can.TDC_MODES)}
_ADAPTER_OPTIONS = (*_NUMBERS, *_POINTS, *_MODES, *_SWITCHES, *_CHOICES)
TYPES = ("auto", "virtual", "physical")

NETWORK_OPTIONS = (
    *("vxcan.dev", "vxcan.id", "can.interface", "can.type"),
    *ENDPOINT_OPTIONS,
    *IMPAIRMENT_OPTIONS,
    *SPAN_OPTIONS,
    *_ADAPTER_OPTIONS,
)
# An option that needs one of others: can_get_bittiming, can_validate
_NEEDS = (
    ("can.sample-point", ("can.bitrate",)),
    ("can.dsample-point", ("can.dbitrate",)),
    ("can.sjw", ("can.bitrate", "can.tq")),
    ("can.dsjw", ("can.dbitrate", "can.dtq")),
    *((f"can.{each}", ("can.tq",)) for each in ("prop-seg", "phase-seg1", "phase-seg2")),
    *((f"can.d{each}", ("can.dtq",)) for each in ("prop-seg", "phase-seg1", "phase-seg2")),
    *(("can.tq", (f"can.{each}",)) for each in ("phase-seg1", "phase-seg2")),
    *(("can.dtq", (f"can.d{each}",)) for each in ("phase-seg1", "phase-seg2")),
    *((each, ("can.bitrate", "can.tq")) for each in ("can.dbitrate", "can.dtq")),
    *((each, ("can.tdc-mode",)) for each in ("can.tdcv", "can.tdco", "can.tdcf")),
)
# Two options for one setting
_EITHER = (("can.tq", "can.bitrate"), ("can.dtq", "can.dbitrate"))

_MUST_INTERFACE = (
    f"must be a CAN interface, or a free name of up to {naming.MAX_NAME} characters "
    "like can0 or vcan0"
)

DEFAULT_DEV = "vcan"
DEFAULT_ID = "0"
DEFAULT_PREFIX = "vcanp"


def parse_network(options: Mapping[str, object]) -> Settings:
    """A network's options as settings. Raises OptionError."""
    ours = _ours(options, NETWORK_OPTIONS)
    ifname, adapter = _ifname(ours) or Ifname(), parse_adapter(_settings(ours))
    if parse_type(options) == "virtual":
        adapter = Adapter()
    policy = _policy(ours)
    if adapter.moved:
        check_moved(Endpoint(ifname, policy))
    prefix, interface = ifname.prefix or DEFAULT_PREFIX, _interface(ours)
    return Settings(
        interface,
        prefix,
        adapter=adapter,
        name=ifname.name,
        policy=policy,
        impairment=_impairment(ours),
        span=_span(ours),
    )


def parse_type(options: Mapping[str, object]) -> str:
    """The type of a network's interface (can.type): one of TYPES. Raises OptionError."""
    return values.choice("can.type", str(options.get("can.type", TYPES[0])), TYPES)


def parse_adapter(options: Mapping[str, str]) -> Adapter:
    """An adapter's options as a value. Raises OptionError."""
    texts = {option: _canonical(option, value) for option, value in options.items()}
    _check_together(texts)
    fields = {option: option[4:].replace("-", "_") for option in texts}  # without `can.`
    numbers = {fields[each]: int(texts[each]) for each in texts if each in _NUMBERS}
    points = {fields[each]: values.point(each, texts[each]) for each in texts if each in _POINTS}
    modes = {flag: texts[each] == "on" for each, flag in _MODES.items() if each in texts}
    mask, flags = sum(modes), sum(flag for flag, on in modes.items() if on)
    if tdc := texts.get("can.tdc-mode"):
        mask, flags = mask | can.TDC_MASK, flags | can.TDC_MODES[tdc]
    on = {each: texts.get(each, default) == "on" for each, default in _SWITCHES.items()}
    return Adapter(
        settings=CanSettings(**numbers, **points, mask=mask, modes=flags),
        errors=on["can.errors"],
        moved=texts.get("can.mode") == "move",
        force=on["can.force"],
        options=texts,
    )


def parse_endpoint(options: Mapping[str, object]) -> Endpoint:
    """An endpoint's options as a value. Raises OptionError."""
    ours = _ours(options, ENDPOINT_OPTIONS)
    return Endpoint(_ifname(ours), _policy(ours))


def check_prefix(options: Mapping[str, object]) -> None:
    """Refuse a prefix that is meant as a whole name. Raises OptionError."""
    for option in _PREFIX_OPTIONS:
        prefix = str(options.get(option, ""))
        if prefix[-1:].isdigit():
            reason = f"Docker appends a number to it, which makes {prefix}0; did you mean "
            shorter = prefix.rstrip("0123456789")
            reason += f"can.ifname={prefix}, the whole name"
            reason += f", or {option}={shorter}, which makes {shorter}0?" if shorter else "?"
            raise OptionError(option, prefix, reason)


def unknown(options: Mapping[str, object]) -> list[str]:
    """The options of a network that are neither ours nor an engine's."""
    return [each for each in options if each not in NETWORK_OPTIONS and not _is_engines(each)]


def without_unknown(options: Mapping[str, object]) -> Mapping[str, object]:
    """The options of a network without the unknown ones."""
    ignored = unknown(options)
    return {option: value for option, value in options.items() if option not in ignored}


def without_effect(options: Mapping[str, object]) -> list[str]:
    """The adapter's options of a virtual network, which have no effect."""
    return [f"{option}={options[option]}" for option in options if option in _ADAPTER_OPTIONS]


def check_moved(settings: Endpoint) -> None:
    """Refuse what cannot be where the adapter itself moves into the container.

    Raises OptionError.
    """
    if settings.ifname and settings.ifname.name:
        raise OptionError(
            _EXACT_OPTION,
            settings.ifname.name,
            "with can.mode=move the engine moves the adapter into the container and names it: "
            "give can.name in its place",
        )
    for option, field in POLICY_OPTIONS.items():
        if value := getattr(settings.policy, field):
            reason = (
                "with can.mode=move the adapter itself is in the container, with nothing on the "
                "host that could filter: give can.mode=share, or leave this option away"
            )
            raise OptionError(option, value, reason)


def parse_policy(given: Mapping[str, object]) -> Policy:
    """The words of a policy by their options. Raises OptionError."""
    return _policy(_ours(given, tuple(POLICY_OPTIONS)))


def parse_impairment(given: Mapping[str, object]) -> Impairment:
    """What a bus does to frames on purpose. Raises OptionError."""
    return _impairment(_ours(given, tuple(IMPAIRMENT_OPTIONS)))


def _impairment(ours: Mapping[str, str]) -> Impairment:
    return Impairment(
        *(
            values.number(option, ours[option], unit) if option in ours else 0
            for option, unit in IMPAIRMENT_OPTIONS.items()
        )
    )


def impairment_texts(impairment: Impairment) -> dict[str, str]:
    """Its options with their canonical texts."""
    bandwidth, delay, loss, duplicate = impairment
    time = f"{delay}us" if delay % 1000 else f"{delay // 1000}ms"
    texts = (f"{bandwidth}", time, f"{loss / 10_000:g}%", f"{duplicate / 10_000:g}%")
    named = zip(IMPAIRMENT_OPTIONS, texts, impairment, strict=True)
    return {option: text for option, text, number in named if number}


def parse_span(given: Mapping[str, str]) -> Span:
    """The span of a bus. Raises OptionError."""
    return _span(_ours(given, SPAN_OPTIONS))


def _span(ours: Mapping[str, str]) -> Span:
    given = {option: ours[option] for option in SPAN_OPTIONS if option in ours}
    if not given:
        return NO_SPAN
    from canwharf.bus import span  # noqa: PLC0415 (not everybody spans hosts)

    return span.parse(given)


def _policy(ours: Mapping[str, str]) -> Policy:
    """What a container may send and receive. Raises OptionError."""
    given = {option: ours[option] for option in POLICY_OPTIONS if option in ours}
    if not given:
        return OPEN
    from canwharf.bus import ids  # noqa: PLC0415 (not everybody filters)

    texts = {
        POLICY_OPTIONS[option]: str(ids.parse(option, value))
        for option, value in given.items()
        if option != _RATE
    }
    if _RATE in given:
        limit = values.number(_RATE, given[_RATE], values.PER_SECOND)
        texts["rate"] = str(limit) if limit else "off"
    return Policy(**texts)


def _is_engines(option: str) -> bool:
    return option.startswith(_ENGINES)


def _ours(options: Mapping[str, object], allowed: tuple[str, ...]) -> dict[str, str]:
    """The options without an engine's. Raises OptionError for one that is not allowed."""
    ours = {}
    for option, value in options.items():
        if _is_engines(option):
            continue
        if option not in allowed:
            from canwharf.bus import spelling  # noqa: PLC0415 (for an error only)

            raise spelling.refuse(option, value, allowed)
        if not isinstance(value, str):
            raise OptionError(option, value, "the value must be a string")
        ours[option] = value
    return ours


def _settings(ours: Mapping[str, str]) -> dict[str, str]:
    return {option: ours[option] for option in sorted(ours) if option in _ADAPTER_OPTIONS}


def _canonical(option: str, value: str) -> str:
    """The canonical text of a value of an adapter's option. Raises OptionError."""
    if option in _NUMBERS:
        return str(values.number(option, value, _NUMBERS[option]))
    if option in _POINTS:
        return f"{values.point(option, value) / 1000:g}"
    if option in _CHOICES:
        return values.choice(option, value, _CHOICES[option])
    if option not in _ADAPTER_OPTIONS:
        raise OptionError(option, value, "an adapter has no such setting")
    return "on" if values.switch(option, value) else "off"


def _check_together(texts: Mapping[str, str]) -> None:
    """Refuse settings that the kernel takes only together, or not together. Raises OptionError."""
    for option, others in _NEEDS:
        if option in texts and not texts.keys() & set(others):
            raise OptionError(option, texts[option], f"it needs {' or '.join(others)} too")
    for option, other in _EITHER:
        if option in texts and other in texts:
            reason = f"it says how long a bit is, and so does {other}; give one of the two"
            raise OptionError(option, texts[option], reason)
    fd = texts.get("can.fd") == "on"
    data = next((each for each in ("can.dbitrate", "can.dtq") if each in texts), "")
    if data and not fd:
        raise OptionError(data, texts[data], "it needs can.fd=on too")
    if fd and not data:
        raise OptionError("can.fd", texts["can.fd"], "it needs can.bitrate and can.dbitrate too")
    _check_tdc(texts, fd)


def _check_tdc(texts: Mapping[str, str], fd: bool) -> None:
    """Refuse an incomplete delay compensation (can_validate_tdc). Raises OptionError."""
    mode = texts.get("can.tdc-mode", "off")
    manual = "can.tdcv" in texts
    if mode != "off" and not fd:
        raise OptionError("can.tdc-mode", mode, "it needs can.fd=on too")
    if mode != "off" and "can.tdco" not in texts:
        raise OptionError("can.tdc-mode", mode, "it needs can.tdco too")
    if mode == "manual" and not manual:
        raise OptionError("can.tdc-mode", mode, "it needs can.tdcv too")
    if manual and mode != "manual":
        raise OptionError("can.tdcv", texts["can.tdcv"], "it needs can.tdc-mode=manual too")
    for each in ("can.tdco", "can.tdcf"):
        if each in texts and mode == "off":
            raise OptionError(each, texts[each], "it needs can.tdc-mode=auto or manual too")


def refuse_interface(options: Mapping[str, object], name: str, reason: str) -> OptionError:
    """The error for a host interface of these options that cannot be used."""
    return OptionError(interface_option(options), name, f"{reason}; {_MUST_INTERFACE}")


def _interface(ours: Mapping[str, str]) -> str:
    """The host interface's name."""
    split = ours.get("vxcan.dev", DEFAULT_DEV) + ours.get("vxcan.id", DEFAULT_ID)
    name = ours.get("can.interface", split)
    fault = naming.name_fault(name)
    if fault:
        raise refuse_interface(ours, name, f"not a name for a host interface: {fault}")
    if name != split and ("vxcan.dev" in ours or "vxcan.id" in ours):
        raise OptionError(
            "can.interface", name, f"vxcan.dev and vxcan.id say {split!r}; give one of the two"
        )
    return name


def interface_option(options: Mapping[str, object]) -> str:
    """The name of the option that gives the host interface's name, or could give it."""
    split = "vxcan.dev" in options or "vxcan.id" in options
    return "vxcan.dev+vxcan.id" if split and "can.interface" not in options else "can.interface"


def _ifname(ours: Mapping[str, str]) -> Ifname | None:
    """The interface's name in the container; None if no option sets it."""
    prefix, name = _prefix(ours), ours.get(_EXACT_OPTION, "")
    if _EXACT_OPTION in ours and (fault := naming.name_fault(name)):
        reason = f"not a name for the container's interface: {fault}"
        raise OptionError(_EXACT_OPTION, name, f"{reason}; it must be one like can1")
    if prefix and name:
        reason = f"this is the whole name, and {prefix!r} (can.name) the beginning of one"
        raise OptionError(_EXACT_OPTION, name, f"{reason}; give one of the two")
    return Ifname(prefix, name) if prefix or name else None


def _prefix(ours: Mapping[str, str]) -> str:
    """The prefix of the interface's name in the container; empty if no option sets it."""
    present = [option for option in _PREFIX_OPTIONS if option in ours]
    for option in present:
        fault = naming.name_fault(ours[option], naming.MAX_PREFIX)
        if fault:
            raise OptionError(
                option,
                ours[option],
                f"not a prefix for the container's interface: {fault}; it must be up to "
                f"{naming.MAX_PREFIX} characters like can, to which the index is appended (can0)",
            )
    if len({ours[option] for option in present}) > 1:
        raise OptionError(
            "can.name", ours["can.name"], f"vxcan.peer says {ours['vxcan.peer']!r}; give one"
        )
    return ours[present[0]] if present else ""
