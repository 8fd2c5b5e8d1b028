"""Suggestions for an unknown option, and for a name that is nearly right. Pure.

Rules:

- The error for an unknown option names the nearest of ours: the same letters in another case or
  with other signs, then the option of another tool for the same setting, then the most similar one.
- A host interface's name that is nearly an adapter's is refused, and the error names the adapter:
  it would make a virtual bus beside the adapter, without its frames. `can.type=virtual` makes it
  all the same.
- The rest of a variable or a list (`${CAN}`, `can0,can1`) is refused as a new interface's name.

Imported for an error, and for a network whose interface is missing: never at a boot.

Sources of the words: ip-link(8); systemd.network(5), section [CAN]; Docker's macvlan and ipvlan
drivers; python-can; the READMEs of rustycan4docker and docker-vxcan.
"""

from __future__ import annotations

from canwharf.bus.model import Settings
from canwharf.bus.options import NETWORK_OPTIONS, interface_option, refuse_interface
from canwharf.errors import OptionError
from canwharf.kernel.link import VIRTUAL, Link

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# The options of other tools, without prefix, as lower-case letters and digits -> ours
_WORDS = {
    word: option
    for option, words in {
        "can.interface": "iface if dev device parent link master nic channel hostinterface "
        "hostif hostiface hostdev hostdevice caninterface bus busname host vxcan vcan",
        "can.name": "peer prefix dstprefix containerprefix ifprefix peername",
        "can.ifname": "interfacename containerinterface containername containerif dstname "
        "ifalias exactname",
        "vxcan.id": "id index number canid",
        "can.type": "kind interfacetype",
        "can.bitrate": "speed baud baudrate rate busspeed canbitrate nominalbitrate nombitrate "
        "arbitrationbitrate abitrate",
        "can.dbitrate": "databitrate fdbitrate dspeed dataspeed dbaudrate databaudrate",
        "can.sample-point": "samplepointpercent sp samplepos",
        "can.dsample-point": "datasamplepoint fdsamplepoint dsp",
        "can.tq": "timequanta timequantum timequantansec",
        "can.prop-seg": "propagationsegment propseg",
        "can.phase-seg1": "phasebuffersegment1 tseg1 phaseseg1",
        "can.phase-seg2": "phasebuffersegment2 tseg2 phaseseg2",
        "can.sjw": "syncjumpwidth",
        "can.dtq": "datatimequantansec",
        "can.dprop-seg": "datapropagationsegment",
        "can.dphase-seg1": "dataphasebuffersegment1 dtseg1",
        "can.dphase-seg2": "dataphasebuffersegment2 dtseg2",
        "can.dsjw": "datasyncjumpwidth",
        "can.restart-ms": "restart restarttime restartsec autorestart restartdelay",
        "can.fd": "canfd fdmode flexibledatarate",
        "can.fd-non-iso": "nonisofd noniso",
        "can.presume-ack": "presumeack noack",
        "can.cc-len8-dlc": "classicdatalengthcode len8dlc",
        "can.listen-only": "listenonlymode silent readonly ro",
        "can.one-shot": "oneshotmode noretransmission",
        "can.triple-sampling": "3samples triplesample",
        "can.berr-reporting": "buserrorreporting berr",
        "can.tdc-mode": "tdc transmitterdelaycompensation",
        "can.termination": "term terminator terminationohms resistor",
        "can.txqueuelen": "txqlen qlen queuelen txqueue txqueuelength transmitqueuelength",
        "can.bandwidth": "bitratelimit ratelimit bps wirespeed",
        "can.delay": "latency",
        "can.loss": "packetloss drop frameloss",
        "can.duplicate": "duplication dup",
        "can.errors": "errorframes error",
        "can.mode": "sharing exclusive macvlanmode ipvlanmode",
    }.items()
    for word in words.split()
}
_PREFIXES = ("vxcan.", "can.")
_ANCESTORS = tuple(each for each in NETWORK_OPTIONS if each.startswith("vxcan."))
_STEMS = ("can", "vcan", "slcan", "vxcan")  # the first letters of the kernel's names
_DIGITS = "0123456789"
# The characters of a new name; Linux also accepts the rest of a variable or a list
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-" + _DIGITS)
_SIMILAR, _NEARLY = 0.62, 0.8  # difflib's ratio of two words


def refuse(option: str, value: object, allowed: tuple[str, ...]) -> OptionError:
    """The error for an option that a network (or an endpoint) does not have."""
    owner = "a network" if allowed is NETWORK_OPTIONS else "an endpoint"
    none = f"{owner} has no such option"
    meant = nearest(option)
    if meant in allowed:
        return OptionError(option, value, f"{none}; did you mean {meant}={value!s}?")
    there = f"there are {', '.join(sorted(allowed))}"
    if meant:
        there = f"{meant} is an option of its network: give it where that is created"
    return OptionError(option, value, f"{none}; {there}")


def nearest(option: str) -> str:
    """The option of ours that is most similar to this word; empty if none is similar."""
    if option in NETWORK_OPTIONS:
        return option
    from difflib import get_close_matches  # noqa: PLC0415 (for an error only)

    bare, ancestors = _bare(option), {_letters(each): each for each in _ANCESTORS}
    letters = _letters(option)
    if letters.startswith("vxcan") and (near := get_close_matches(letters, ancestors, 1, _NEARLY)):
        return ancestors[near[0]]
    ours = {_bare(each): each for each in NETWORK_OPTIONS if each not in _ANCESTORS}
    words = _WORDS | ours
    close = get_close_matches(bare, words, 1, _SIMILAR)
    return words.get(bare) or (words[close[0]] if close else "")


def check_network(
    given: Mapping[str, object], settings: Settings, kind: str, links: Iterable[Link]
) -> None:
    """Refuse a new network whose interface seems to be misspelt. Raises OptionError.

    `kind` is its can.type, `links` are the links of the host.
    """
    by_name = {link.name: link for link in links if link.can}
    if settings.interface in by_name:
        return
    if not _PLAIN.issuperset(settings.interface):
        reason = "there is no such interface, and the name of a new one may have letters, digits, "
        raise refuse_interface(given, settings.interface, f"{reason}'.', '_' and '-'")
    if kind == "virtual":
        return
    _check_parts(given, settings.interface, by_name)
    if kind == "auto":
        _check_near(given, settings.interface, by_name)


def _check_parts(given: Mapping[str, object], interface: str, by_name: Collection[str]) -> None:
    """Refuse a whole name in `vxcan.dev` or `vxcan.id`, which are parts of one."""
    for option in ("vxcan.dev", "vxcan.id"):
        part = str(given.get(option, ""))
        stem = part.rstrip(_DIGITS)
        whole = stem in _STEMS if option == "vxcan.id" else "vxcan.id" not in given
        if stem and stem != part and (whole or part in by_name):
            reason = "vxcan.dev and vxcan.id together are the interface's name, which makes "
            reason += f"{interface}; did you mean can.interface={part}?"
            raise OptionError(option, part, reason)


def _check_near(given: Mapping[str, object], interface: str, by_name: Mapping[str, Link]) -> None:
    """Refuse a name that differs from an adapter's only in case, signs, or number."""
    for name in (each.name for each in by_name.values() if each.kind not in VIRTUAL):
        if _letters(interface) in (_letters(name), _letters(name).rstrip(_DIGITS)):
            reason = f"there is no {interface}, but an adapter {name}; did you mean "
            reason += f"can.interface={name}? (can.type=virtual makes a virtual bus {interface})"
            raise OptionError(interface_option(given), interface, reason)


def _letters(text: str) -> str:
    """The letters and digits of a text, in lower case."""
    return "".join(filter(str.isalnum, text.lower()))


def _bare(option: str) -> str:
    """The letters and digits of an option without our prefix, in lower case."""
    text = option.lower()
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return _letters(text)
