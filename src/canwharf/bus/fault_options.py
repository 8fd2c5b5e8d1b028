"""Faults on purpose: a command's words -> a validated fault -> filters. Pure.

    --id 123 --set data[2]^=FF+data[3]=00     bytes of the payload change
    --id pgn:F004 --loss 5%                   a part of the frames is lost, by chance
    --id all --drop                           all of them are
    --id 100-1FF --delay 20ms                 they arrive later

Rules:

- Ids are written as in can.send (`ids`). Bytes are counted from 0, values are hexadecimal.
- Changes of a byte are made in their order. A frame that lacks one of the bytes is not meant.
"""

from __future__ import annotations

import re

from canwharf.bus import ids, values
from canwharf.bus.fault import Fault, digests
from canwharf.errors import OptionError
from canwharf.kernel import ematch, injection
from canwharf.kernel.ematch import Lists
from canwharf.kernel.injection import Edit, Key, Wanted

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BYTES = 64  # of the longest payload: CAN FD
WORDS = ("id", "set", "loss", "delay")  # of a fault, as a command has them
_EDIT = r"data\[([0-9]{1,3})\]([\^&|]?)=(?:0x)?([0-9a-f]{1,2})"
_ALL = 0xFF
_MOST = 100  # percent
_MAKE: dict[str, Callable[[int], Edit]] = {
    "": lambda value: Edit(0, value),
    "^": lambda value: Edit(_ALL, value),
    "&": lambda value: Edit(value, 0),
    "|": lambda value: Edit(_ALL & ~value, value),
}


def parse(given: Mapping[str, str]) -> Fault:
    """The fault that these words say, without a number yet. Raises OptionError."""
    if others := sorted(given.keys() - WORDS):
        raise OptionError(f"--{others[0]}", given[others[0]], "this version has no such fault")
    words, edits, loss, delay = (given.get(name, "").strip() for name in WORDS)
    if not words:
        reason = "say which frames are meant: 123, 100-1FF, pgn:F004, or all"
        raise OptionError("--id", words, reason)
    meant = ids.parse("--id", words)
    if not meant.lists.allowed:
        raise OptionError("--id", words, "no frame is meant")
    if not (edits or loss or delay):
        reason = "say what becomes of the frames: --set, --drop, --loss or --delay"
        raise OptionError("--id", words, reason)
    lost = _percent(loss) if loss else ""
    fault = Fault(0, str(meant), _canonical(edits), lost, _time(delay) if delay else "")
    if fault.loss == "100%" and (fault.edits or fault.delay):
        option, value = ("--set", edits) if fault.edits else ("--delay", delay)
        raise OptionError(option, value, "no frame is left for that, as all are lost")
    return fault


def restored(content: object) -> Fault:
    """A fault as the state file has it. Raises TypeError, ValueError, OptionError."""
    if not isinstance(content, dict):
        raise TypeError("each must be an object")
    fault = Fault(**content)
    for value, usual in zip(fault, Fault(0), strict=True):
        if type(value) is not type(usual):
            raise ValueError(f"{value!r} is no {type(usual).__name__}")
    if not 0 < fault.number <= injection.MOST:
        raise ValueError(f"{fault.number} is no number of a fault")
    if not fault.bus_off:
        parse(dict(zip(WORDS, fault[1:5], strict=True)))
    return fault


def read_edits(text: str) -> dict[int, Edit]:
    """The changes that a text says, by the number of the byte. Raises OptionError."""
    edits: dict[int, Edit] = {}
    for item in re.split("[+,]", text.lower()):
        match = re.fullmatch(_EDIT, item.replace(" ", ""))
        if match is None:
            reason = (
                f"{item.strip()!r} is no change: it must be data[2]=FF, data[2]^=FF, data[2]&=F0 "
                "or data[2]|=01 (bytes are counted from 0, values are hexadecimal); + stands "
                "between two of them"
            )
            raise OptionError("--set", text, reason)
        number, edit = int(match[1]), _MAKE[match[2]](int(match[3], 16))
        if number >= BYTES:
            reason = f"a frame has at most {BYTES} bytes, of which data[{BYTES - 1}] is the last"
            raise OptionError("--set", text, reason)
        edits[number] = edits[number].then(edit) if number in edits else edit
    if all(each == Edit(_ALL, 0) for each in edits.values()):
        raise OptionError("--set", text, "it changes no bit")
    return edits


def filters(faults: Iterable[Fault], match: str, ifbs: Mapping[int, int]) -> dict[Key, Wanted]:
    """The filters of these faults; `match` is how the kernel matches ids. Raises OptionError.

    `ifbs` are the indexes of the ifbs in which frames wait, by how long (in microseconds).
    """
    faults = list(faults)
    by_key = digests(faults, ifbs)
    return {
        (part, each.number): _filter(each, part, match, ifbs.get(each.microseconds, 0))._replace(
            digest=by_key[part, each.number]
        )
        for each in faults
        for part in each.parts
    }


def _filter(fault: Fault, part: int, match: str, ifb: int) -> Wanted:
    if part == injection.OFF_SEND:
        return Wanted()
    if part == injection.OFF_RECEIVE:
        return Wanted(tree=ematch.unwanted(Lists(), match, errors=True))
    edits = read_edits(fault.edits) if fault.edits else {}
    last = max(edits, default=-1)
    share = float(fault.loss[:-1]) / 100 if part == injection.LOSS else 1.0
    lists = ids.parse("--id", fault.ids).lists
    tree = ematch.meant(lists, match, longer_than=last, share=share)
    needed = ["em_cmp"] * bool(edits) + ["em_meta"] * (share < 1)
    if part == injection.LOSS:
        return Wanted(tree=tree, modules=(*needed,))
    if part == injection.DELAY:
        return Wanted(tree=tree, ifb=ifb, modules=(*needed, "act_mirred"))
    return Wanted(tree=tree, edits=edits, modules=(*needed, "act_pedit"))


def _canonical(text: str) -> str:
    """The same changes, one or two for each byte, in the order of the bytes. Raises OptionError."""
    edits = sorted(read_edits(text).items()) if text else ()
    return "+".join(f"data[{number}]{change}" for number, edit in edits for change in _texts(*edit))


def _texts(mask: int, flip: int) -> list[str]:
    """One change of a byte as the ends of items."""
    if not mask:
        return [f"={flip:02X}"]
    if flip == _ALL & ~mask:
        return [f"|={flip:02X}"] * bool(flip)
    return [f"&={mask:02X}"] * (mask != _ALL) + [f"^={flip:02X}"] * bool(flip)


def _time(text: str) -> str:
    """A delay with its unit, as it is shown. Raises OptionError."""
    delay = values.number("--delay", text, values.MICROSECONDS)
    if not delay:
        raise OptionError("--delay", text, "it must be a time from 1us to 10s, like 20ms or 500us")
    return f"{delay}us" if delay % 1000 else f"{delay // 1000}ms"


def _percent(text: str) -> str:
    """A part of all frames in percent, with its sign. Raises OptionError."""
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%?", text)
    if not match or not 0 < float(match[1]) <= _MOST:
        reason = "it must be a part of the frames in percent, more than 0 and up to 100: 5%, 0.1%"
        raise OptionError("--loss", text, reason)
    return f"{float(match[1]):.6f}".rstrip("0").rstrip(".") + "%"
