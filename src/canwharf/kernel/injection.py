"""Faults on purpose in what a container sends: tc filters of its host end. Pure.

Theory of operation. What a container sends enters at its host end (ingress). Behind the marks
(`traffic_control`) and what it may send (`firewall`), each part of a fault has a filter that
matches the frames that are meant (`ematch.meant`). So no gateway rule is touched, and all receivers
get the same.

    priority  ingress                                        egress
    4         lost frames end; in bus-off all frames end     in bus-off all but error frames end
    5         bytes of the frame change
    6         the frame is delayed: it goes into an ifb

What an ifb lets go on enters at the host end again, and skips the filters there: so it is not
filtered, counted or delayed twice. It would skip the redirect of a bus with an impairment, too.

Rules:

- A frame that is not meant is matched by no filter, and passes as before.
- Frames that are lost are lost before any change. A frame that is changed goes on with the next
  filter: so every fault that means it is applied.
- A frame is delayed by one fault: what comes behind it does not see the frame.
- The filters of one fault have its number as their handle. The kernel replaces one in one step.
- The first action of each filter counts the frames, and has a cookie: its part, its fault's number,
  the port's index, and a digest of what it does. One dump of all actions of this kind, which is
  made for the marks in any case, tells which ports have which.
- A change of bytes needs a frame that has all of them: `pedit` would write behind the end of its
  payload. The kernel copies the frame first if somebody else has it, too.

Sources: net/sched/cls_basic.c, act_gact.c, act_pedit.c, act_mirred.c; drivers/net/ifb.c;
linux/tc_act/tc_pedit.h; linux/can.h.
"""

from __future__ import annotations

import errno
from struct import Struct

from canwharf.errors import no_modules
from canwharf.kernel import impairment, traffic_control, uapi
from canwharf.kernel.message import Message, attribute, text
from canwharf.kernel.request import Request
from canwharf.kernel.traffic_control import Action, Port
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

LOSS, CHANGE, OFF_SEND, OFF_RECEIVE, DELAY = range(5)  # parts of a fault, as in a cookie
MOST = 32  # faults of a container; a handle
_COOKIE = Struct("=6sBBII")  # ours: our name, part, fault's number, the port's index, a digest
_NAME = b"cwfalt"
_SEVERAL = 0xFFFFFFFF  # no filter's digest: one was replaced just now, and which one is not known
_SELECTION = Struct("=IIiiiBBxx")  # struct tc_pedit_sel: tc_gen, how many keys, flags
_KEY = Struct("=4s4sIIII")  # struct tc_pedit_key: mask, value, offset; the rest is unused
_DATA = 8  # the offset of a frame's payload (struct can_frame, canfd_frame)
_WORD = 4  # bytes, which `pedit` changes at once


class _Place(NamedTuple):
    """Where a part of a fault has its filter, and what becomes of the frame."""

    parent: int
    priority: int
    then: int


_PLACES = {
    LOSS: _Place(uapi.TC_H_CLSACT_INGRESS, 4, uapi.TC_ACT_STOLEN),
    CHANGE: _Place(uapi.TC_H_CLSACT_INGRESS, 5, uapi.TC_ACT_PIPE),
    DELAY: _Place(uapi.TC_H_CLSACT_INGRESS, 6, uapi.TC_ACT_PIPE),
    OFF_SEND: _Place(uapi.TC_H_CLSACT_INGRESS, 4, uapi.TC_ACT_STOLEN),
    OFF_RECEIVE: _Place(uapi.TC_H_CLSACT_EGRESS, 4, uapi.TC_ACT_STOLEN),
}
MODULES = ("cls_basic", "act_gact", "em_u32", "em_meta", "em_cmp", "act_pedit", "act_mirred")

Key: TypeAlias = "tuple[int, int]"
"""A part of a fault, and the fault's number."""


class Edit(NamedTuple):
    """What becomes of a byte of the payload: of its bits those of `mask` stay, then XOR `flip`."""

    mask: int
    flip: int

    def then(self, later: Edit) -> Edit:
        """Both, one after the other."""
        return Edit(self.mask & later.mask, self.flip & later.mask ^ later.flip)


class Wanted(NamedTuple):
    """A filter to make: its digest, the tree of its matches, and the changes by number of byte.

    `ifb` is the index of the interface into which the frames go; 0: they go on. `modules` are those
    of the kernel that it needs beside those of a policy.
    """

    digest: int = 0
    tree: bytes = b""
    edits: Mapping[int, Edit] = {}
    ifb: int = 0
    modules: tuple[str, ...] = ()


class Found(NamedTuple):
    """A filter that is there: the digest of what it does, and how many frames it was applied to."""

    digest: int
    frames: int = 0


NOTHING: Mapping[Key, Found] = {}


def set_up(port: Port, wanted: Mapping[Key, Wanted], found: Mapping[Key, Found]) -> list[Request]:
    """From the filters that are found to those that are wanted."""
    requests = [traffic_control.clsact(port)] * bool(wanted)
    requests += [_delete(port, key) for key in found if key not in wanted]
    requests += [
        _new(port, key, each)
        for key, each in wanted.items()
        if key not in found or found[key].digest != each.digest
    ]
    return requests


def find(actions: Iterable[Action]) -> dict[int, dict[Key, Found]]:
    """What there is of ours in the host's namespace, by the index of its port.

    `actions` are all of the kind gact, from a dump.
    """
    found: dict[int, dict[Key, Found]] = {}
    for action in actions:
        if len(action.cookie) != _COOKIE.size:
            continue
        name, part, number, ifindex, digest = _COOKIE.unpack(action.cookie)
        if name == _NAME and part in _PLACES:
            there = found.setdefault(ifindex, {})
            same = there.get((part, number), Found(digest)).digest == digest
            there[part, number] = Found(digest if same else _SEVERAL, action.frames)
    return found


def after(
    message: Message, before: Callable[[int], Mapping[Key, Found]]
) -> tuple[int, Mapping[Key, Found]]:
    """The link of which an announcement says that filters were deleted, and what is left of ours.

    `before` tells what there was; no link is 0. Raises MessageError on a malformed one.
    """
    gone = traffic_control.deleted(message)
    there = before(gone.ifindex) if gone.ifindex else NOTHING
    left = {key: each for key, each in there.items() if not _is_of(gone, *key)}
    return (gone.ifindex, left) if len(left) < len(there) else (0, NOTHING)


def _is_of(gone: traffic_control.Deleted, part: int, number: int) -> bool:
    place = _PLACES[part]
    of_priority = gone.parent == place.parent and gone.priority == place.priority
    return not gone.parent or (of_priority and gone.handle in (0, number))


def _new(port: Port, key: Key, wanted: Wanted) -> Request:
    """Make a filter, or replace it in one step."""
    part, number = key
    place = _PLACES[part]
    cookie = _COOKIE.pack(_NAME, part, number, port.ifindex, wanted.digest)
    counting = attribute(uapi.TCA_ACT_PARMS, traffic_control.then(place.then))
    actions = attribute(1, _action("gact", counting, cookie))
    if wanted.edits:
        actions += attribute(2, _action("pedit", _pedit(wanted.edits)))
    if wanted.ifb:
        actions += attribute(2, impairment.into(wanted.ifb))
    options = attribute(uapi.TCA_BASIC_EMATCHES, wanted.tree) if wanted.tree else b""
    options += attribute(uapi.TCA_BASIC_ACT, actions)
    body = traffic_control.place(port, place.parent, number, place.priority)
    body += attribute(uapi.TCA_KIND, text("basic")) + attribute(uapi.TCA_OPTIONS, options)
    other = (
        f"another filter there has priority {place.priority}, which must be canwharf's: 'tc "
        f"filter show dev {port.name} ingress' (and egress) shows it"
    )
    modules = no_modules(*(wanted.modules or MODULES[:3]))
    hints = {errno.ENOENT: modules, errno.EINVAL: other, errno.EEXIST: other}
    flags, what = uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE, _what(port)
    return Request(uapi.RTM_NEWTFILTER, flags, body, "inject", what, hints=hints)


def _delete(port: Port, key: Key) -> Request:
    part, number = key
    place = _PLACES[part]
    body = traffic_control.place(port, place.parent, number, place.priority)
    flags, none = uapi.NLM_F_REQUEST, traffic_control.ABSENT
    return Request(uapi.RTM_DELTFILTER, flags, body, "end", _what(port), none)


def _what(port: Port) -> str:
    return f"a fault at {port.name}"


def _action(kind: str, options: bytes, cookie: bytes = b"") -> bytes:
    action = attribute(uapi.TCA_ACT_KIND, text(kind)) + attribute(uapi.TCA_ACT_OPTIONS, options)
    return action + (attribute(uapi.TCA_ACT_COOKIE, cookie) if cookie else b"")


def _pedit(edits: Mapping[int, Edit]) -> bytes:
    """The options of a `pedit` that makes these changes: one key for each four bytes."""
    words: dict[int, tuple[bytearray, bytearray]] = {}
    for number, edit in edits.items():
        offset, place = divmod(number, _WORD)
        stay = bytearray(b"\xff" * _WORD), bytearray(_WORD)
        mask, flip = words.setdefault(_DATA + offset * _WORD, stay)
        mask[place], flip[place] = edit.mask, edit.flip
    head = _SELECTION.pack(0, 0, uapi.TC_ACT_UNSPEC, 0, 0, len(words), 0)
    keys = (_KEY.pack(mask, flip, at, 0, 0, 0) for at, (mask, flip) in words.items())
    return attribute(uapi.TCA_PEDIT_PARMS, head + b"".join(keys))
