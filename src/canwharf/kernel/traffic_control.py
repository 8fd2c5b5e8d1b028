"""A container's own frames do not come back to it: the two tc filters of a host end. Pure.

Theory of operation. What a container sends on a linear bus comes out of the hub again, once for
each container, so for its sender, too. It ends there: each frame that enters a host end gets a
mark (the skb's own, which goes with it through can-gw and through pairs), and the same host end
lets nothing out that bears this mark. The mark is the host end's interface index, which no other
link has.

    ingress  matchall  action skbedit mark INDEX continue
    egress   handle INDEX fw  action stolen

Rules:

- A frame must have its mark before it can come back: the filters come before the rule from the hub
  to the host end, and go after it.
- Both filters have priority 1, so they come before a user's: one of those that lets a frame pass
  ends the walk through the filters. The mark's action goes on with the next filter.
- `matchall` lets no other filter into its priority. `basic` without a match takes every frame, too,
  and stands in where a kernel was built without matchall.
- A frame that ends is not lost: after a "drop" (TC_ACT_SHOT) can-gw would count it as dropped.
- Each action of ours has a cookie: our name and the port's index. One dump of all actions of a kind
  tells which ports have theirs, a thousand in a few milliseconds. (A dump of filters tells those of
  one link and direction, and the kernel takes one dump at a time.) An action goes with its filter,
  but not at once: the kernel waits for the frames that are under way.
- The kernel announces filters that are deleted. For a while after that their actions may still be
  in a dump: up to 45 ms and 8 dumps were seen. So an announcement counts for more than a dump.
- A user may have clsact on a host end already: then it is used. It stays when our filters go, and
  goes with the link. The older `ingress` has no egress: with it the kernel refuses (EINVAL).
- A user's filter in our place is left alone: the kernel refuses ours then (EEXIST, EINVAL).

Sources: net/sched/cls_api.c, act_api.c, act_skbedit.c, act_gact.c; sch_handle_egress in
net/core/dev.c; linux/pkt_cls.h.
"""

from __future__ import annotations

import errno
from struct import Struct

from canwharf.errors import KernelError, MessageError, no_modules
from canwharf.kernel import uapi
from canwharf.kernel.message import Message, attribute, attributes, text, u32
from canwharf.kernel.request import Request, Requests
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MISSING, DAMAGED, WHOLE = "missing", "damaged", "whole"
CLASSIFIERS = ("matchall", "basic")  # for the mark; the second where the first is not there

_TCMSG = Struct("=BxxxiIII")  # struct tcmsg: family, interface, handle, parent, info
_TCAMSG = Struct("=Bxxx")  # struct tcamsg: family
_TC_GEN = Struct("=IIiii")  # index, capabilities, what then, references, bindings
_BITFIELD = Struct("=II")  # struct nla_bitfield32: value, which of its bits count
_STATS = Struct("=8xI")  # struct gnet_stats_basic: bytes, frames
_QUEUE = Struct("=16xI")  # struct gnet_stats_queue: the last of five is what was over a limit
_COOKIE = Struct("=8sI")  # ours: our name, the port's index
_NAME = b"canwharf"
# Of tcm_info, below the priority: the protocol in network byte order.
_ALL = Struct("=H").unpack(uapi.ETH_P_ALL.to_bytes(2, "big"))[0]
_PRIORITY = 1
_NO_MODULE = (errno.ENOENT, errno.EOPNOTSUPP)  # the second where the kernel has no tc at all
# No such filter, no clsact, no such link.
ABSENT = frozenset({errno.ENOENT, errno.EINVAL, errno.ENODEV})
_ACTS = {  # of a kind of filter: the attribute with its actions
    "matchall": uapi.TCA_MATCHALL_ACT,
    "basic": uapi.TCA_BASIC_ACT,
    "fw": uapi.TCA_FW_ACT,
}


class Port(NamedTuple):
    """A host end: its interface index and, for an error's text, its name."""

    ifindex: int
    name: str


class Marks(NamedTuple):
    """What there is of the two filters of a port: each is MISSING, DAMAGED or WHOLE.

    `ended` are the frames that came back to it and ended there.
    """

    mark: str = MISSING
    drop: str = MISSING
    ended: int = 0

    @property
    def whole(self) -> bool:
        """Whether what enters here does not leave here."""
        return self.mark == self.drop == WHOLE


NOTHING = Marks()


class Ability(NamedTuple):
    """What the kernel can do: the kind of filter for a mark, or the modules that are missing."""

    classifier: str
    missing: tuple[str, ...] = ()


class _Filter(NamedTuple):
    """One of the two: its name, its place, its one action and the options of that."""

    name: str
    parent: int
    handle: int
    action: str
    options: bytes


def _mark(ifindex: int) -> _Filter:
    """What enters gets the mark, and goes on to the next filter."""
    options = attribute(uapi.TCA_ACT_PARMS, then(uapi.TC_ACT_UNSPEC))
    options += attribute(uapi.TCA_SKBEDIT_MARK, u32(ifindex))
    return _Filter("mark", uapi.TC_H_CLSACT_INGRESS, 1, "skbedit", options)


def _drop(ifindex: int) -> _Filter:
    """What has the mark (a fw filter's handle) ends."""
    options = attribute(uapi.TCA_ACT_PARMS, then(uapi.TC_ACT_STOLEN))
    return _Filter("drop", uapi.TC_H_CLSACT_EGRESS, ifindex, "gact", options)


def add(port: Port, classifier: str, found: Marks = NOTHING) -> list[Request]:
    """Make both filters whole where `found` is there, the mark last."""
    drop, mark = _drop(port.ifindex), _mark(port.ifindex)
    requests = [*_deletions(port, found, (DAMAGED,)), clsact(port)]
    requests += [_new(port, drop, "fw")] * (found.drop != WHOLE)
    requests += [_new(port, mark, classifier)] * (found.mark != WHOLE)
    return requests


class Action(NamedTuple):
    """An action with a cookie, from a dump: its options, and the frames that it was applied to.

    `excess` are those that were more than the rate of a limit.
    """

    cookie: bytes
    options: bytes
    frames: int
    excess: int = 0


def actions(netlink: Requests, kind: str) -> list[Action]:
    """All actions of a kind that have a cookie, in the host's namespace. Raises KernelError.

    What was deleted a moment ago may still be among them (`after` knows it).
    """
    try:
        answers = netlink.dump(_listing(kind))
    except KernelError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return []  # a kernel without tc
    return [each for answer in answers for each in _actions(answer)]


def find(netlink: Requests, gacts: Sequence[Action] | None = None) -> dict[int, Marks]:
    """What there is of ours in the host's namespace, by the index of its port.

    `gacts` are all actions of this kind, if they were dumped already. Raises KernelError.
    """
    marks = _states(actions(netlink, "skbedit"), _mark)
    drops = _states(actions(netlink, "gact") if gacts is None else gacts, _drop)
    none = (MISSING, 0)
    return {
        ifindex: Marks(marks.get(ifindex, none)[0], *drops.get(ifindex, none))
        for ifindex in marks.keys() | drops.keys()
    }


class Deleted(NamedTuple):
    """Filters that are gone: their link, their place, their priority, and the handle of one.

    A `parent` of 0 is all of a link, with clsact, a `handle` of 0 all of a priority; no link is 0.
    """

    ifindex: int = 0
    parent: int = 0
    priority: int = 0
    handle: int = 0


def deleted(message: Message) -> Deleted:
    """What an announcement says of filters that were deleted.

    A link that is deleted takes its filters along without such an announcement. Raises MessageError
    on a malformed one.
    """
    if message.type not in (uapi.RTM_DELTFILTER, uapi.RTM_DELQDISC):
        return Deleted()
    if len(message.body) < _TCMSG.size:
        raise MessageError(f"a tc message of {len(message.body)} bytes")
    _family, ifindex, handle, parent, info = _TCMSG.unpack_from(message.body)
    if message.type == uapi.RTM_DELQDISC:
        return Deleted(ifindex * (parent == uapi.TC_H_CLSACT))
    clsact_has = parent in (uapi.TC_H_CLSACT_INGRESS, uapi.TC_H_CLSACT_EGRESS)
    ours = clsact_has and info & 0xFFFF == _ALL
    return Deleted(ifindex, parent, info >> 16, handle) if ours else Deleted()


def after(message: Message, before: Callable[[int], Marks]) -> tuple[int, Marks]:
    """The link of which an announcement says that filters were deleted, and what is left of ours.

    `before` tells what there was; no link is 0. Raises MessageError on a malformed one.
    """
    ifindex, parent, priority, _handle = deleted(message)
    if not parent or priority != _PRIORITY:
        return (0 if parent else ifindex), NOTHING
    left = before(ifindex)
    if parent == uapi.TC_H_CLSACT_INGRESS:
        return ifindex, left._replace(mark=MISSING)
    return ifindex, left._replace(drop=MISSING)


def probe(netlink: Requests, port: Port) -> Ability:
    """What the kernel can do, tried on a link of ours without marks; clsact is left on it.

    The kernel loads the modules for that, if it may. Raises KernelError for all but a missing one.
    """
    if lacks_module(netlink, [clsact(port)]):
        return Ability("", ("sch_ingress",))
    missing = _missing(netlink, port, _drop(port.ifindex), "fw")
    for classifier in CLASSIFIERS:
        for_mark = _missing(netlink, port, _mark(port.ifindex), classifier)
        if f"cls_{classifier}" not in for_mark:
            return Ability("" if missing or for_mark else classifier, missing + for_mark)
    return Ability("", (*missing, f"cls_{CLASSIFIERS[0]}"))


def _states(found: Iterable[Action], make: Callable[[int], _Filter]) -> dict[int, tuple[str, int]]:
    """Of one of the two filters: the state of its action and its frames, by its port's index."""
    states: dict[int, tuple[str, int]] = {}
    for cookie, options, frames, _excess in found:
        if len(cookie) != _COOKIE.size:
            continue
        ours, ifindex = _COOKIE.unpack(cookie)
        if ours != _NAME or states.get(ifindex, ("", 0))[0] == WHOLE:
            continue  # an old one, on its way out
        same = _form(options) == _form(make(ifindex).options)
        states[ifindex] = WHOLE if same else DAMAGED, frames
    return states


def _actions(answer: Message) -> Iterator[Action]:
    """The actions with a cookie in a part of a dump. Raises MessageError on a malformed one."""
    listed = attributes(answer.body, _TCAMSG.size).get(uapi.TCA_ROOT_TAB, b"")
    for each in attributes(listed).values():
        action = attributes(each)
        if cookie := action.get(uapi.TCA_ACT_COOKIE, b""):
            yield Action(cookie, action.get(uapi.TCA_ACT_OPTIONS, b""), *_counts(action))


def _counts(action: Mapping[int, bytes]) -> Iterator[int]:
    """How many frames an action was applied to, and how many were more than its rate."""
    stats = attributes(action.get(uapi.TCA_ACT_STATS, b""))
    for kind, layout in ((uapi.TCA_STATS_BASIC, _STATS), (uapi.TCA_STATS_QUEUE, _QUEUE)):
        counts = stats.get(kind, b"")
        yield int(layout.unpack_from(counts)[0]) if len(counts) >= layout.size else 0


def _form(options: bytes) -> dict[int, bytes]:
    """What an action does: its options without times, padding, and the kernel's own numbers."""
    form = {k: v for k, v in attributes(options).items() if v and k != uapi.TCA_ACT_TM}
    form[uapi.TCA_ACT_PARMS] = form.get(uapi.TCA_ACT_PARMS, b"")[8:12]
    return form


def _missing(netlink: Requests, port: Port, wanted: _Filter, kind: str) -> tuple[str, ...]:
    """The module that a filter lacks: its own or, where the kernel takes it bare, its action's.

    It is made and deleted in one send, as the process may end between two. One that is there all
    the same would be in the way (EEXIST) of each later try, so it goes first.
    """
    gone = _delete(port, wanted)
    if not lacks_module(netlink, [gone, _new(port, wanted, kind), gone]):
        return ()
    if lacks_module(netlink, [gone, _new(port, wanted, kind, acting=False), gone]):
        return (f"cls_{kind}",)
    return (f"act_{wanted.action}",)


def lacks_module(netlink: Requests, requests: list[Request]) -> bool:
    """Whether the kernel refuses one of these for want of a module; else they are done."""
    try:
        netlink.batch(requests)
    except KernelError as error:
        if error.errno not in _NO_MODULE:
            raise
        return True
    return False


def _deletions(port: Port, found: Marks, states: tuple[str, ...]) -> list[Request]:
    requests = [_delete(port, _mark(port.ifindex))] * (found.mark in states)
    return requests + [_delete(port, _drop(port.ifindex))] * (found.drop in states)


def clsact(port: Port) -> Request:
    """Where it is there already, nothing changes: so without NLM_F_EXCL."""
    body = _TCMSG.pack(0, port.ifindex, uapi.TC_H_CLSACT_HANDLE, uapi.TC_H_CLSACT, 0)
    other = (
        f"another qdisc is in its place ('tc qdisc show dev {port.name}' shows it): 'tc qdisc "
        f"delete dev {port.name} ingress' makes room, and clsact takes the same filters"
    )
    hints = dict.fromkeys(_NO_MODULE, no_modules("sch_ingress"))
    hints |= dict.fromkeys((errno.EINVAL, errno.EEXIST), other)
    body += attribute(uapi.TCA_KIND, text("clsact"))
    return _addition(uapi.RTM_NEWQDISC, 0, body, f"clsact to {port.name}", hints)


def _new(port: Port, wanted: _Filter, kind: str, acting: bool = True) -> Request:
    """One of the two as a filter of this kind; bare, without its action, for a try."""
    action = attribute(uapi.TCA_ACT_KIND, text(wanted.action))
    action += attribute(uapi.TCA_ACT_OPTIONS, wanted.options)
    action += attribute(uapi.TCA_ACT_COOKIE, _COOKIE.pack(_NAME, port.ifindex))
    actions = attribute(_ACTS[kind], attribute(1, action)) if acting else b""
    body = _place(port, wanted) + attribute(uapi.TCA_KIND, text(kind))
    body += attribute(uapi.TCA_OPTIONS, actions)
    where = "ingress" if wanted.parent == uapi.TC_H_CLSACT_INGRESS else "egress"
    other = (
        f"another filter there has priority 1, which must be canwharf's: 'tc filter show dev "
        f"{port.name} {where}' shows it, 'pref 10' would be a priority for it"
    )
    hints = {errno.ENOENT: no_modules(f"cls_{kind}", f"act_{wanted.action}")}
    hints |= dict.fromkeys((errno.EINVAL, errno.EEXIST), other)
    what = f"the {wanted.name} of {port.name}"
    return _addition(uapi.RTM_NEWTFILTER, uapi.NLM_F_EXCL, body, what, hints)


def _addition(kind: int, flags: int, body: bytes, what: str, hints: Mapping[int, str]) -> Request:
    flags |= uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE
    return Request(kind, flags, body, "add", what, hints=hints)


def _delete(port: Port, wanted: _Filter) -> Request:
    what = f"the {wanted.name} of {port.name}"
    body = _place(port, wanted)
    return Request(uapi.RTM_DELTFILTER, uapi.NLM_F_REQUEST, body, "delete", what, ABSENT)


def _listing(kind: str) -> Request:
    """For a dump of all actions of this kind, as many in a datagram as fit."""
    action = attribute(1, attribute(uapi.TCA_ACT_KIND, text(kind)))
    large = _BITFIELD.pack(uapi.TCA_ACT_FLAG_LARGE_DUMP_ON, uapi.TCA_ACT_FLAG_LARGE_DUMP_ON)
    body = _TCAMSG.pack(0) + attribute(uapi.TCA_ROOT_TAB, action)
    body += attribute(uapi.TCA_ROOT_FLAGS, large)
    return Request(
        uapi.RTM_GETACTION, uapi.NLM_F_REQUEST, body, "list", f"the actions of kind {kind}"
    )


def place(port: Port, parent: int, handle: int, priority: int) -> bytes:
    """The head of a message about one filter: its link, direction, handle and priority."""
    return _TCMSG.pack(0, port.ifindex, handle, parent, priority << 16 | _ALL)


def _place(port: Port, wanted: _Filter) -> bytes:
    return place(port, wanted.parent, wanted.handle, _PRIORITY)


def then(action: int) -> bytes:
    """An action's parameters: what becomes of a frame behind it."""
    return _TC_GEN.pack(0, 0, action, 0, 0)
