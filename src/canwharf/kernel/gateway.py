"""The kernel's CAN gateway (can-gw): a forwarding rule as a value; add, delete, list. Pure.

Rules:

- A rule of ours has hop limit 1: a frame that it forwarded is not forwarded again on this host,
  however high can-gw's own limit (max_hops) was set when it was loaded.
- It echoes only where programs on this host listen to its destination. An echo towards a
  container's host end would reach no program, and each rule of that end would process it again.
- It always allows the frame's first interface as its destination: without CGW_FLAGS_CAN_IIF_TX_OK
  the kernel compares interface indexes across namespaces, and frames vanish where two are equal.
- Rules made before version 0.2 echo everywhere and have no hop limit. They are known as ours, so
  that they can be replaced.
- The kernel accepts equal rules, and each delivers the frame once more: a caller that adds rules
  must know those that exist.
- A deletion always names both interfaces. With both indexes 0 the kernel flushes every rule of
  the namespace, also foreign ones.
- Classic frames, FD frames and error frames each need a rule of their own: a rule without a
  filter passes no error frames, one with the error mask nothing else.

Source: linux/can/gw.h, net/can/gw.c (cgw_create_job, cgw_remove_job, cgw_dump_jobs).
"""

from __future__ import annotations

import errno
from struct import Struct

from canwharf.errors import KernelError, MessageError, no_module
from canwharf.kernel import uapi
from canwharf.kernel.message import Message, attribute, attributes, read_u32
from canwharf.kernel.request import Request, Requests
from canwharf.record import NamedTuple

_RTCAN = Struct("=BBH")  # struct rtcanmsg: family, gateway type, flags
_RULE = Struct("=BBH HHI HHI")  # the same, and two attributes: length, type, index
_ATTRIBUTE = Struct("=HH")  # struct nlattr: length, type
_HOP = attribute(uapi.CGW_LIM_HOPS, b"\1")
_FILTER = Struct("=II")  # struct can_filter: identifier, mask (linux/can.h)
_ALL_ERRORS = _FILTER.pack(0, uapi.CAN_ERR_FLAG | uapi.CAN_ERR_MASK)  # every class of them
_OPTIONS = {  # of cangw(1)
    uapi.CGW_FLAGS_CAN_ECHO: "-e",
    uapi.CGW_FLAGS_CAN_SRC_TSTAMP: "-t",
    uapi.CGW_FLAGS_CAN_IIF_TX_OK: "-i",
    uapi.CGW_FLAGS_CAN_FD: "-X",
}
_NOWHERE = 0x7FFFFFFF  # no interface has this index: they are counted up from 1
_COUNTERS = frozenset({uapi.CGW_HANDLED, uapi.CGW_DROPPED, uapi.CGW_DELETED})
_ENDS = frozenset({uapi.CGW_SRC_IF, uapi.CGW_DST_IF})
_NO_MODULE = {errno.EOPNOTSUPP: no_module("can-gw")}

# The frames that a rule carries, by the word that an operator reads. Literals, as they are checked
# like an enum and hashed like the strings that they are: a bus of 100 has 30000 rules.
TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final, Literal

    Frames = Literal["classic", "FD", "error frames"]
else:
    Frames = str
CLASSIC: Final = "classic"
FD: Final = "FD"
ERRORS: Final = "error frames"
FRAMES: tuple[Frames, ...] = (CLASSIC, FD, ERRORS)


class Rule(NamedTuple):
    """Frames that arrive on the interface with index `source` go out on `destination`.

    `echo` says that programs on this host which listen to the destination get them; `limited` that
    they are not forwarded again (hop limit 1).
    """

    source: int
    destination: int
    frames: Frames
    echo: bool = True
    limited: bool = True


class Entry(NamedTuple):
    """A rule as the kernel lists it, with its counters (frames since it was made).

    `plain` says that it has exactly a form of ours, now or once: our flags and hop limit, no filter
    but for error frames, no modification. Of another, `flags` are its own, and `more` what it has
    beside its interfaces.
    """

    rule: Rule
    plain: bool
    handled: int = 0
    dropped: int = 0
    flags: int = 0
    more: tuple[tuple[int, bytes], ...] = ()


def add(rule: Rule, target: str) -> Request:
    """Add a rule; `target` names its interfaces for an error's text."""
    return Request(
        uapi.RTM_NEWROUTE,
        uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE,
        _body(rule),
        "add",
        f"gateway rule {target}",
        hints=_NO_MODULE,
    )


def delete(rule: Rule, target: str) -> Request:
    """Delete one rule that equals this one (the kernel says EINVAL where there is none)."""
    return Request(
        uapi.RTM_DELROUTE,
        uapi.NLM_F_REQUEST,
        _body(rule),
        "delete",
        f"gateway rule {target}",
        frozenset({errno.EINVAL, errno.ENODEV}),
        _NO_MODULE,
    )


def replace(old: Rule, new: Rule, target: str) -> list[Request]:
    """Delete a rule and add another in its place, in one send.

    The kernel has no way to exchange one for the other at once. In this order no frame arrives
    twice; one that comes between the two, a few microseconds, is lost.
    """
    return [delete(old, target)._replace(tied=True), add(new, target)]


def entries(netlink: Requests) -> list[Entry]:
    """All gateway rules of the host's namespace; none where can-gw is not loaded.

    A dump costs the square of the number of rules: not for every call. Raises KernelError.
    """
    request = Request(
        uapi.RTM_GETROUTE,
        uapi.NLM_F_REQUEST,
        _RTCAN.pack(uapi.AF_CAN, uapi.CGW_TYPE_CAN_CAN, 0),
        "list",
        "the gateway rules",
    )
    # Without can-gw the kernel answers with the routes of every other family.
    rules = [each for each in netlink.dump(request) if each.body[:1] == b"\x1d"]
    return [_usual(each.body) or parse(each) for each in rules]


def _usual(body: bytes) -> Entry | None:
    """An entry of a form of ours, as the kernel lists it: nearly all that there are.

    A bus of 100 has 30000 rules, and this costs a fifth of `parse`. Anything else is None, and for
    that: another order of the attributes, too.
    """
    if len(body) not in _UNPACK:
        return None
    words = _UNPACK[len(body)](body)
    place, counters = 1, [0, 0, 0]
    for number, header in enumerate(_COUNTS):
        if words[place] == header:  # the kernel leaves out what is 0
            counters[number] = words[place + 1]
            place += 2
    form = _LISTED.get((words[0], *words[place:-4]))
    if form is None or (words[-4], words[-2]) != _TAIL:
        return None
    flags, frames, echo, limited = form
    rule = Rule(words[-3], words[-1], frames, echo, limited)
    return Entry(rule, True, counters[0], counters[1], flags)


def parse(message: Message) -> Entry:
    """An entry from an RTM_NEWROUTE of the CAN family. Raises MessageError on a malformed one."""
    if len(message.body) < _RTCAN.size:
        raise MessageError(f"a gateway rule of {len(message.body)} bytes")
    _family, _type, flags = _RTCAN.unpack_from(message.body)
    found = attributes(message.body, _RTCAN.size)
    frames: Frames = CLASSIC
    if flags & uapi.CGW_FLAGS_CAN_FD:
        frames = FD
    elif found.get(uapi.CGW_FILTER) == _ALL_ERRORS:
        frames = ERRORS
    rule = Rule(
        read_u32(found.get(uapi.CGW_SRC_IF, bytes(4))),
        read_u32(found.get(uapi.CGW_DST_IF, bytes(4))),
        frames,
        bool(flags & uapi.CGW_FLAGS_CAN_ECHO),
        found.get(uapi.CGW_LIM_HOPS) == b"\1",
    )
    known = _COUNTERS | _ENDS | ({uapi.CGW_FILTER} if frames == ERRORS else set())
    known |= {uapi.CGW_LIM_HOPS} if rule.limited else set()
    plain = flags == _flags(rule) and found.keys() <= known and (rule.limited or rule.echo)
    more = () if plain else tuple((k, found[k]) for k in sorted(found.keys() - _COUNTERS - _ENDS))
    return Entry(
        rule,
        plain=plain,
        handled=read_u32(found.get(uapi.CGW_HANDLED, bytes(4))),
        dropped=read_u32(found.get(uapi.CGW_DROPPED, bytes(4))),
        flags=flags,
        more=more,
    )


def deletion(entry: Entry, source: str, destination: str) -> str:
    """The `cangw` command that deletes this rule, and no other; empty if it modifies frames."""
    words = ["cangw", "-D", "-s", source, "-d", destination]
    words += [option for flag, option in _OPTIONS.items() if entry.flags & flag]
    errors = entry.plain and entry.rule.frames == ERRORS
    more = [(uapi.CGW_FILTER, _ALL_ERRORS)] if errors else []
    more += [(uapi.CGW_LIM_HOPS, b"\1")] if entry.plain and entry.rule.limited else []
    for kind, value in entry.more or more:
        if kind == uapi.CGW_FILTER and len(value) == _FILTER.size:
            id, mask = _FILTER.unpack(value)
            sign = "~" if id & uapi.CAN_INV_FILTER else ":"
            words += ["-f", f"{id & ~uapi.CAN_INV_FILTER:X}{sign}{mask:X}"]
        elif kind == uapi.CGW_LIM_HOPS:
            words += ["-l", str(value[0])]
        else:
            return ""
    return " ".join(words)


def is_there(netlink: Requests) -> bool:
    """Whether the kernel has a gateway: asked with a rule that cannot be. Raises KernelError."""
    probe = add(Rule(_NOWHERE, _NOWHERE, CLASSIC), "for a try")
    try:
        netlink.batch([probe])
    except KernelError as error:
        if error.errno == errno.EOPNOTSUPP:
            return False
        if error.errno != errno.ENODEV:
            raise
    return True


def _flags(rule: Rule) -> int:
    echo = uapi.CGW_FLAGS_CAN_ECHO if rule.echo else 0
    fd = uapi.CGW_FLAGS_CAN_FD if rule.frames == FD else 0
    return uapi.CGW_FLAGS_CAN_IIF_TX_OK | echo | fd


def _words(data: bytes) -> tuple[int, ...]:
    return Struct(f"={len(data) // 4}I").unpack(data)


def _listed() -> Iterator[tuple[tuple[int, ...], tuple[int, Frames, bool, bool]]]:
    """Each form of ours as the words between counters and interfaces; its flags and what it is."""
    for frames in FRAMES:
        for echo, limited in ((True, True), (False, True), (True, False)):
            flags = _flags(Rule(0, 0, frames, echo, limited))
            data = _RTCAN.pack(uapi.AF_CAN, uapi.CGW_TYPE_CAN_CAN, flags)
            data += _HOP if limited else b""
            data += attribute(uapi.CGW_FILTER, _ALL_ERRORS) if frames == ERRORS else b""
            yield _words(data), (flags, frames, echo, limited)


def _body(rule: Rule) -> bytes:
    if rule.source <= 0 or rule.destination <= 0:
        raise ValueError(f"a gateway rule needs two interfaces: {rule}")
    body = _RULE.pack(
        *(uapi.AF_CAN, uapi.CGW_TYPE_CAN_CAN, _flags(rule)),
        *(8, uapi.CGW_SRC_IF, rule.source),
        *(8, uapi.CGW_DST_IF, rule.destination),
    )
    if rule.limited:
        body += _HOP
    return body + attribute(uapi.CGW_FILTER, _ALL_ERRORS) if rule.frames == ERRORS else body


# For `_usual`: headers of attributes of 32 bits, by the order in which the kernel lists them.
_COUNTS = tuple(
    _words(_ATTRIBUTE.pack(8, kind))[0]
    for kind in (uapi.CGW_HANDLED, uapi.CGW_DROPPED, uapi.CGW_DELETED)
)
_TAIL = tuple(_words(_ATTRIBUTE.pack(8, kind))[0] for kind in (uapi.CGW_SRC_IF, uapi.CGW_DST_IF))
_LISTED = dict(_listed())
_UNPACK = {size: Struct(f"={size // 4}I").unpack for size in range(20, 68, 4)}
