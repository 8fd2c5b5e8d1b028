"""Which frames a container may send and receive: the tc filters of its host end. Pure.

Theory of operation. What a container sends enters at its host end (ingress), what it receives
leaves there (egress). Behind the marks (`traffic_control`, priority 1) each direction has a filter
that matches what may not pass (`ematch`) and ends it:

    priority  ingress                             egress
    2         more than so many a second ends     -
    3         what it may not send ends           what it may not receive ends

Rules:

- One filter has all ids of a direction. The kernel replaces it in one step: a frame that may pass
  before and after is neither lost nor doubled by a change.
- A direction without limits has no filter. What passes goes on to the next filter, a user's.
- A container sends no error frames: a driver takes one for data. Which of them it receives is for
  the gateway rules to say.
- A frame that ends is not lost: after a "drop" (TC_ACT_SHOT) can-gw would count it as dropped.
- Each action has a cookie: which filter it is of, the port's index, and a digest of what it lets
  pass. One dump of all actions of a kind tells which ports have which, a thousand in a few
  milliseconds. For a moment a filter that was replaced is in it beside the new one: then neither
  counts, and the filter is set again.
- Where a kernel lacks em_canid (a Raspberry Pi's), em_u32 stands in. It tells error frames
  everywhere.

Sources: net/sched/cls_basic.c, act_gact.c, act_police.c; linux/pkt_cls.h.
"""

from __future__ import annotations

import errno
from struct import Struct

from canwharf.errors import KernelError, no_modules
from canwharf.kernel import ematch, traffic_control, uapi
from canwharf.kernel.ematch import Entry, Lists
from canwharf.kernel.message import Message, attribute, text
from canwharf.kernel.request import Request, Requests
from canwharf.kernel.traffic_control import Action, Port
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SEND, RECEIVE = 0, 1  # directions, as in a cookie
_RATE, _IDS = 2, 3  # priorities
_TRIAL = 9  # the priority of a try
_COOKIE = Struct("=6sBBII")  # ours: our name, direction, priority, the port's index, a digest
_NAME = b"cwfilt"
_SEVERAL = 0xFFFFFFFF  # no filter's digest: one was replaced just now, and which one is not known
_PARENTS = (uapi.TC_H_CLSACT_INGRESS, uapi.TC_H_CLSACT_EGRESS)
_PLACES = ("ingress", "egress")
_WORDS = ("send", "receive")
_POLICE = Struct("=IiIII24xiiI")  # struct tc_police: index, what then; no rate in bytes
_U64, _S32 = Struct("=Q"), Struct("=i")
_TICK = 64  # nanoseconds (PSCHED_TICKS2NS)
_BURST = 10  # of a second's frames this part may come at once
_SECOND = 1_000_000_000  # nanoseconds


class Ids(NamedTuple):
    """The ids of frames that may pass; `digest` stands for them in a dump, and is not 0."""

    lists: Lists
    digest: int


class Wanted(NamedTuple):
    """What a container may send and receive (None: everything), and how many frames a second.

    A `rate` of 0 is without limit; with one there are ids to send.
    """

    send: Ids | None = None
    receive: Ids | None = None
    rate: int = 0


class Side(NamedTuple):
    """What there is of one direction: the digest of its ids (0: no filter), frames that ended."""

    digest: int = 0
    ended: int = 0


class Firewall(NamedTuple):
    """What there is on a port: both directions, and the frames a second that may enter (0: all).

    `excess` are the frames that ended as they were more than that.
    """

    send: Side = Side()
    receive: Side = Side()
    rate: int = 0
    excess: int = 0

    @property
    def form(self) -> tuple[int, int, int]:
        """What is compared: all but the counters."""
        return self.send.digest, self.receive.digest, self.rate

    @property
    def kept(self) -> dict[str, int]:
        """The frames that ended, by direction."""
        ended = self.send.ended + self.excess, self.receive.ended
        return dict(zip(_WORDS, ended, strict=True))

    def having(self, direction: int, side: Side) -> Firewall:
        """The same with one direction replaced."""
        if direction == RECEIVE:
            return self._replace(receive=side)
        return self._replace(send=side)


NO_FIREWALL = Firewall()


class Filtering(NamedTuple):
    """What the kernel has for ids: a kind of match (`ematch`), or the modules that are missing."""

    match: str
    missing: tuple[str, ...] = ()


class _Filter(NamedTuple):
    """One filter: its place, its action with that one's options, what it matches."""

    direction: int
    priority: int
    action: str
    options: bytes
    tree: bytes = b""
    digest: int = 0


def set_up(port: Port, wanted: Wanted, found: Firewall, match: str) -> list[Request]:
    """From what is found to what is wanted; `match` is a kind of Filtering."""
    requests = [traffic_control.clsact(port)] * (wanted != Wanted())
    if wanted.rate and wanted.rate != found.rate:
        requests.append(_new(port, _police(wanted.rate)))
    elif found.rate and not wanted.rate:
        requests.append(_delete(port, SEND, _RATE))
    requests += _side(port, SEND, wanted.send, found.send, match)
    requests += _side(port, RECEIVE, wanted.receive, found.receive, match)
    return requests


def _side(
    port: Port, direction: int, ids: Ids | None, there: Side, match: str
) -> Iterator[Request]:
    if ids and ids.digest != there.digest:
        yield _new(port, _ids(direction, ids, match))
    elif there.digest and not ids:
        yield _delete(port, direction, _IDS)


def find(netlink: Requests, actions: Iterable[Action]) -> dict[int, Firewall]:
    """What there is of ours in the host's namespace, by the index of its port.

    `actions` are all of the kind gact, from a dump. Raises KernelError.
    """
    found: dict[int, Firewall] = {}
    for direction, ifindex, digest, frames, _excess in _ours(actions):
        before = found.get(ifindex, NO_FIREWALL)
        same = before.receive if direction == RECEIVE else before.send
        side = Side(digest if same.digest in (0, digest) else _SEVERAL, frames)
        found[ifindex] = before.having(direction, side)
    # A limit of the rate is never alone.
    limits = _ours(traffic_control.actions(netlink, "police")) if found else ()
    for _direction, ifindex, rate, _frames, excess in limits:
        if ifindex in found:
            found[ifindex] = found[ifindex]._replace(rate=rate, excess=excess)
    return found


def after(message: Message, before: Callable[[int], Firewall]) -> tuple[int, Firewall]:
    """The link of which an announcement says that filters were deleted, and what is left of ours.

    `before` tells what there was; no link is 0. Raises MessageError on a malformed one.
    """
    ifindex, parent, priority, _handle = traffic_control.deleted(message)
    left = before(ifindex) if ifindex else NO_FIREWALL
    if left == NO_FIREWALL:
        return 0, NO_FIREWALL
    if not parent:
        return ifindex, NO_FIREWALL
    if priority == _RATE:
        return ifindex, left._replace(rate=0, excess=0)
    if priority == _IDS:
        return ifindex, left.having(_PARENTS.index(parent), Side())
    return 0, NO_FIREWALL


def probe(netlink: Requests, port: Port) -> Filtering:
    """What the kernel has for ids, tried on a link of ours; clsact is left on it.

    The kernel loads the modules for that, if it may. Raises KernelError for all but a missing one.
    """
    some = Lists((Entry(0, 0),))
    trees = {
        "cls_basic": b"",
        "em_u32": ematch.unwanted(some, ematch.U32, errors=True),
        "em_canid": ematch.unwanted(some, ematch.CANID, errors=True),
    }
    missing: list[str] = []
    if traffic_control.lacks_module(netlink, [traffic_control.clsact(port)]):
        return Filtering("", ("sch_ingress",))
    for module, tree in trees.items():
        if traffic_control.lacks_module(netlink, _trial(port, tree)):
            missing.append(module)
    if missing in ([], ["em_canid"]):
        return Filtering(ematch.U32 if missing else ematch.CANID)
    return Filtering("", tuple(missing[:1]))


def refused(port: Port, filtering: Filtering) -> KernelError:
    """The error where the kernel lacks what policies need."""
    what = f"what a container may send and receive at {port.name}"
    return KernelError("set", what, errno.ENOENT, hint=no_modules(*filtering.missing))


def _ours(actions: Iterable[Action]) -> Iterator[tuple[int, int, int, int, int]]:
    """Direction, port, digest, frames and excess of each action of ours."""
    for action in actions:
        if len(action.cookie) == _COOKIE.size:
            name, direction, _priority, ifindex, digest = _COOKIE.unpack(action.cookie)
            if name == _NAME and direction in (SEND, RECEIVE):
                yield direction, ifindex, digest, action.frames, action.excess


def _police(rate: int) -> _Filter:
    ticks = max(1, rate // _BURST) * _SECOND // rate // _TICK
    options = attribute(uapi.TCA_POLICE_TBF, _POLICE.pack(0, uapi.TC_ACT_STOLEN, 0, 0, 0, 0, 0, 0))
    options += attribute(uapi.TCA_POLICE_RESULT, _S32.pack(uapi.TC_ACT_UNSPEC))
    options += attribute(uapi.TCA_POLICE_PKTRATE64, _U64.pack(rate))
    options += attribute(uapi.TCA_POLICE_PKTBURST64, _U64.pack(ticks))
    return _Filter(SEND, _RATE, "police", options, digest=rate)


def _ids(direction: int, ids: Ids, match: str) -> _Filter:
    tree = ematch.unwanted(ids.lists, match, errors=direction == RECEIVE)
    options = attribute(uapi.TCA_ACT_PARMS, traffic_control.then(uapi.TC_ACT_STOLEN))
    return _Filter(direction, _IDS, "gact", options, tree, ids.digest)


def _trial(port: Port, tree: bytes) -> list[Request]:
    """Make and delete a filter that ends nothing."""
    options = attribute(uapi.TCA_ACT_PARMS, traffic_control.then(uapi.TC_ACT_UNSPEC))
    gone = _delete(port, RECEIVE, _TRIAL)
    return [gone, _new(port, _Filter(RECEIVE, _TRIAL, "gact", options, tree)), gone]


def _new(port: Port, wanted: _Filter) -> Request:
    """Make a filter, or replace it in one step."""
    action = attribute(uapi.TCA_ACT_KIND, text(wanted.action))
    action += attribute(uapi.TCA_ACT_OPTIONS, wanted.options)
    if wanted.digest:
        cookie = _COOKIE.pack(_NAME, wanted.direction, wanted.priority, port.ifindex, wanted.digest)
        action += attribute(uapi.TCA_ACT_COOKIE, cookie)
    options = attribute(uapi.TCA_BASIC_EMATCHES, wanted.tree) if wanted.tree else b""
    options += attribute(uapi.TCA_BASIC_ACT, attribute(1, action))
    body = traffic_control.place(port, _PARENTS[wanted.direction], 1, wanted.priority)
    body += attribute(uapi.TCA_KIND, text("basic")) + attribute(uapi.TCA_OPTIONS, options)
    other = (
        f"another filter there has priority {wanted.priority}, which must be canwharf's: 'tc "
        f"filter show dev {port.name} {_PLACES[wanted.direction]}' shows it, 'pref 10' would be a "
        "priority for it"
    )
    # Where there is a limit of the rate, there are ids: for these, the others were tried before.
    limit = wanted.action == "police"
    modules = no_modules(*(("act_police",) if limit else ("cls_basic", "act_gact", "em_u32")))
    hints = {errno.ENOENT: modules, errno.EINVAL: other, errno.EEXIST: other}
    flags, what = uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE, _what(port, wanted.direction)
    return Request(uapi.RTM_NEWTFILTER, flags, body, "set", what, hints=hints)


def _delete(port: Port, direction: int, priority: int) -> Request:
    body = traffic_control.place(port, _PARENTS[direction], 1, priority)
    what, none = _what(port, direction), traffic_control.ABSENT
    return Request(uapi.RTM_DELTFILTER, uapi.NLM_F_REQUEST, body, "change", what, none)


def _what(port: Port, direction: int) -> str:
    return f"what a container may {_WORDS[direction]} at {port.name}"
