"""A virtual bus with a wire's manners: a bit rate, delay, loss, duplicates. Pure.

Theory of operation. Each bus with an impairment has an `ifb`. The last filter of each container's
host end redirects what the container sends into it; from there a frame goes on to where it would
have gone, later or not at all. The qdiscs of the ifb say when:

    netem 1:          delay, loss, duplicates; and the time that a frame is on the wire
      tbf 2:          the bit rate
        prio 3:       sixteen bands, by the four highest bits of the id
          prio 10: …  sixteen each, by the next four; a frame with the lower number goes first

Rules:

- All receivers lose the same frames, as on a wire.
- The kernel counts a frame as its size in memory: 16 bytes for a classic one, 72 for FD, whatever
  its length. 16 bytes are 128 bits, as a frame of eight bytes has with some stuffing.
- The bits that take part are those of the arbitration: of an id of 29 bits the highest 11.
- Without a bit rate there is only netem.
- netem counts what it lost and what did not fit below it; tbf counts the latter alone.
- tbf drops all frames that are larger than its burst: it must hold an FD frame. The kernel warns of
  a burst below the interface's MTU and the 14 bytes of a header that no frame of ours has. The
  burst is what passes at once behind a pause; and what the rate loses by a late timer if it is
  small.
- Each redirect's action has a cookie: our name and the port's index. A dump has the interface to
  which it leads; of one that was deleted the index is 0, and the frames are dropped.
- tc's classifiers have no shift. A classic BPF program gives each frame's band.

Sources: net/sched/sch_netem.c, sch_tbf.c, sch_prio.c, cls_bpf.c, act_mirred.c;
drivers/net/ifb.c; linux/pkt_sched.h, linux/filter.h.
"""

from __future__ import annotations

import errno
import sys
from struct import Struct

from canwharf.errors import MessageError, no_modules
from canwharf.kernel import traffic_control, uapi
from canwharf.kernel.link import Link
from canwharf.kernel.message import Message, attribute, attributes, read_text, text, u32
from canwharf.kernel.request import Request, Requests
from canwharf.kernel.traffic_control import Port
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PRIORITY = 0xFFFF  # of the redirect: behind all other filters
MILLION = 1_000_000
FRAME_BITS = 128  # of a classic frame, as the kernel counts them
_TCMSG = Struct("=BxxxiIII")  # struct tcmsg: family, interface, handle, parent, info
_NETEM = Struct("=IIIIII")  # struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter
_RATE = Struct("=BBHhHI")  # struct tc_ratespec; the last is bytes a second
_TBF = Struct("=12s12xIII")  # struct tc_tbf_qopt: rate, peak rate, limit, buffer, mtu
_PRIO = Struct("=i16s")  # struct tc_prio_qopt: bands, the band of each of the kernel's priorities
_QUEUE = Struct("=IIIII")  # struct gnet_stats_queue: frames, bytes, dropped, requeued, over limit
_MIRRED = Struct("=iI")  # struct tc_mirred behind its common part: what to do, the interface
_COMMON = 20  # bytes of that
_COOKIE = Struct("=8sI")  # ours: our name, the port's index
_BPF = Struct("=HBBI")  # struct sock_filter: code, where to if true, if false, operand
_NAME = b"cwimpair"
_TICK = 64  # nanoseconds (PSCHED_TICKS2NS)
_SECOND = 1_000_000_000  # nanoseconds
_MOST = 100_000  # frames that are on their way at once
_LEAST_BURST = 96  # bytes: more than the MTU and a header
_LATE = 500  # parts of a second: a timer that is later than one of these costs bandwidth
_NETEM_HANDLE, _TBF_HANDLE, _PRIO_HANDLE, _BANDS_HANDLE = 1 << 16, 2 << 16, 3 << 16, 16 << 16
_OF_CLSACT = (uapi.TC_H_CLSACT, uapi.TC_H_CLSACT_INGRESS, uapi.TC_H_CLSACT_EGRESS)
_BANDS = 16  # TCQ_PRIO_BANDS
_SHIFTS = (7, 3)  # of the 11 bits of the arbitration: the first four, the next four
_HOST_TO_EFF = 18  # bits of a long id that follow on these


class Impairment(NamedTuple):
    """What a bus does to frames on purpose; 0 is nothing.

    `bandwidth` in bit/s, `delay` in microseconds, `loss` and `duplicate` in frames of a million.
    """

    bandwidth: int = 0
    delay: int = 0
    loss: int = 0
    duplicate: int = 0

    @property
    def any(self) -> bool:
        """Whether it does anything."""
        return self != PERFECT


PERFECT = Impairment()


class Found(NamedTuple):
    """What there is of the qdiscs of an ifb, in the kernel's numbers, and what they counted.

    `arbiters` are those prio qdiscs that have their filter.
    `lost` are frames that were lost on purpose, `overflowed` those for which the bit rate left no
    time.
    """

    latency: int = 0
    loss: int = 0
    duplicate: int = 0
    rate: int = 0
    arbiters: int = 0
    lost: int = 0
    overflowed: int = 0

    @property
    def form(self) -> tuple[int, ...]:
        """What is compared: all but the counters."""
        return self[:5]


NOTHING = Found()


class Impaired(NamedTuple):
    """What there is in the host's namespace.

    `redirects` are the indexes of the interfaces to which host ends redirect, by theirs (0: one
    that is gone); `qdiscs` what there is of qdiscs of ours, by their interface's index.
    """

    redirects: Mapping[int, int] = {}
    qdiscs: Mapping[int, Found] = {}


UNIMPAIRED = Impaired()


def wanted(impairment: Impairment) -> Found:
    """The qdiscs of an impairment, as a dump shows them."""
    bandwidth = impairment.bandwidth
    on_the_wire = FRAME_BITS * _SECOND // bandwidth if bandwidth else 0
    return Found(
        (impairment.delay * 1000 + on_the_wire) // _TICK,
        impairment.loss * 0xFFFFFFFF // MILLION,
        impairment.duplicate * 0xFFFFFFFF // MILLION,
        bandwidth // 8,
        (1 + _BANDS) if bandwidth else 0,
    )


def set_up(port: Port, impairment: Impairment) -> list[Request]:
    """The qdiscs and filters of a new ifb.

    A redirect is tried on it, so that a missing module is found out before there are containers.
    """
    goal = wanted(impairment)
    netem = _NETEM.pack(goal.latency, _MOST, goal.loss, 0, goal.duplicate, 0)
    requests = [*redirect(port, port), straight(port)]
    requests.append(_qdisc(port, uapi.TC_H_ROOT, _NETEM_HANDLE, "netem", netem))
    if not goal.rate:
        return requests
    rate = _TBF.pack(_RATE.pack(0, uapi.TC_LINKLAYER_ETHERNET, 0, 0, 0, goal.rate), 0, 0, 0)
    burst = max(_LEAST_BURST, goal.rate // _LATE)
    tbf = attribute(uapi.TCA_TBF_PARMS, rate) + attribute(uapi.TCA_TBF_BURST, u32(burst))
    requests.append(_qdisc(port, _NETEM_HANDLE | 1, _TBF_HANDLE, "tbf", tbf))
    requests += _arbiter(port, _TBF_HANDLE | 1, _PRIO_HANDLE, _SHIFTS[0])
    for band in range(_BANDS):
        handle = _BANDS_HANDLE + (band << 16)
        requests += _arbiter(port, _PRIO_HANDLE | band + 1, handle, _SHIFTS[1])
    return requests


def redirect(port: Port, ifb: Port) -> list[Request]:
    """Let all that enters a host end go through an ifb; replaces a redirect to another one."""
    action = into(ifb.ifindex)
    action += attribute(uapi.TCA_ACT_COOKIE, _COOKIE.pack(_NAME, port.ifindex))
    body = _place(port) + attribute(uapi.TCA_KIND, text("basic"))
    body += attribute(uapi.TCA_OPTIONS, attribute(uapi.TCA_BASIC_ACT, attribute(1, action)))
    other = (
        f"another filter there has priority {PRIORITY}, which must be canwharf's: 'tc filter show "
        f"dev {port.name} ingress' shows it, 'pref 10' would be a priority for it"
    )
    hints = {errno.ENOENT: no_modules("cls_basic", "act_mirred")}
    hints |= dict.fromkeys((errno.EINVAL, errno.EEXIST), other)
    flags, what = uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE, f"{port.name} to {ifb.name}"
    added = Request(uapi.RTM_NEWTFILTER, flags, body, "redirect", what, hints=hints)
    return [traffic_control.clsact(port), added]


def into(ifindex: int) -> bytes:
    """The action that lets a frame go on through the interface of this index."""
    parameters = traffic_control.then(uapi.TC_ACT_STOLEN)
    parameters += _MIRRED.pack(uapi.TCA_EGRESS_REDIR, ifindex)
    action = attribute(uapi.TCA_ACT_KIND, text("mirred"))
    return action + attribute(uapi.TCA_ACT_OPTIONS, attribute(uapi.TCA_MIRRED_PARMS, parameters))


def straight(port: Port) -> Request:
    """Make sure that nothing is redirected at a host end."""
    what, none = f"the redirect of {port.name}", traffic_control.ABSENT
    return Request(uapi.RTM_DELTFILTER, uapi.NLM_F_REQUEST, _place(port), "delete", what, none)


def redirects(netlink: Requests) -> dict[int, int]:
    """The interfaces to which ports redirect, both by their index; 0: to one that is gone.

    Raises KernelError.
    """
    found: dict[int, int] = {}
    for action in traffic_control.actions(netlink, "mirred"):
        parameters = attributes(action.options).get(uapi.TCA_MIRRED_PARMS, b"")
        if len(action.cookie) == _COOKIE.size and len(parameters) >= _COMMON + _MIRRED.size:
            name, ifindex = _COOKIE.unpack(action.cookie)
            target = int(_MIRRED.unpack_from(parameters, _COMMON)[1])
            if name == _NAME and ifindex != target:  # that of a try
                # For a moment one that was replaced is in the dump, too: its interface is gone.
                found[ifindex] = max(target, found.get(ifindex, 0))
    return found


def find(netlink: Requests, links: Iterable[Link]) -> Impaired:
    """What there is of ours, where these are all links. Raises KernelError."""
    has_ifb = any(each.kind == "ifb" for each in links)
    return Impaired(redirects(netlink), qdiscs(netlink) if has_ifb else {})


def damaged(message: Message) -> int:
    """The index of the link of whose qdiscs an announcement says that a part was deleted; or 0.

    Raises MessageError on a malformed one.
    """
    if message.type not in (uapi.RTM_DELTFILTER, uapi.RTM_DELQDISC):
        return 0
    if len(message.body) < _TCMSG.size:
        raise MessageError(f"a tc message of {len(message.body)} bytes")
    _family, ifindex, _handle, parent, _info = _TCMSG.unpack_from(message.body)
    return 0 if parent in _OF_CLSACT else int(ifindex)


def straightened(message: Message) -> int:
    """The index of the host end of which an announcement says that its redirect is gone; or 0.

    Raises MessageError on a malformed one.
    """
    ifindex, parent, priority, _handle = traffic_control.deleted(message)
    ours = not parent or (parent, priority) == (uapi.TC_H_CLSACT_INGRESS, PRIORITY)
    return ifindex if ours else 0


def qdiscs(netlink: Requests) -> dict[int, Found]:
    """What there is of qdiscs with our handles, by the index of their link. Raises KernelError."""
    found: dict[int, Found] = {}
    arbiters: list[tuple[int, int]] = []
    for answer in netlink.dump(_listing()):
        _family, ifindex, handle, parent, _info = _TCMSG.unpack_from(answer.body)
        attrs = attributes(answer.body, _TCMSG.size)
        kind, options = read_text(attrs.get(uapi.TCA_KIND, b"")), attrs.get(uapi.TCA_OPTIONS, b"")
        stats = attributes(attrs.get(uapi.TCA_STATS2, b"")).get(uapi.TCA_STATS_QUEUE, b"")
        dropped = _QUEUE.unpack_from(stats)[2] if len(stats) >= _QUEUE.size else 0
        known = found.get(ifindex, NOTHING)
        if (kind, handle, parent) == ("netem", _NETEM_HANDLE, uapi.TC_H_ROOT):
            latency, _limit, loss, _gap, duplicate, _jitter = _NETEM.unpack_from(options)
            found[ifindex] = known._replace(
                latency=latency, loss=loss, duplicate=duplicate, lost=known.lost + dropped
            )
        elif (kind, handle) == ("tbf", _TBF_HANDLE):
            parameters = attributes(options).get(uapi.TCA_TBF_PARMS, bytes(_TBF.size))
            rate = _RATE.unpack(_TBF.unpack_from(parameters)[0])[-1]
            found[ifindex] = known._replace(
                rate=rate, overflowed=dropped, lost=known.lost - dropped
            )
        elif kind == "prio" and _is_arbiter(handle):
            arbiters.append((ifindex, handle))
    for ifindex, handle in arbiters:
        if ifindex in found and _has_program(netlink, ifindex, handle):
            known = found[ifindex]
            found[ifindex] = known._replace(arbiters=known.arbiters + 1)
    return found


def _is_arbiter(handle: int) -> bool:
    return handle == _PRIO_HANDLE or 0 <= (handle - _BANDS_HANDLE) >> 16 < _BANDS


def _has_program(netlink: Requests, ifindex: int, handle: int) -> bool:
    """Whether what gives each frame its band is there; without it all have the same one.

    The kernel lists the filters of one qdisc at a time. Raises KernelError.
    """
    body = _TCMSG.pack(0, ifindex, 0, handle, 0)
    what = "the filters of an arbitration"
    listing = Request(uapi.RTM_GETTFILTER, uapi.NLM_F_REQUEST, body, "list", what)
    program = _program(_SHIFTS[handle != _PRIO_HANDLE])
    options = (
        attributes(attributes(answer.body, _TCMSG.size).get(uapi.TCA_OPTIONS, b""))
        for answer in netlink.dump(listing)
    )
    return any(each.get(uapi.TCA_BPF_OPS) == program for each in options)


def _arbiter(port: Port, parent: int, handle: int, shift: int) -> Iterator[Request]:
    """A prio qdisc with sixteen bands, and what gives each frame its band."""
    yield _qdisc(port, parent, handle, "prio", _PRIO.pack(_BANDS, bytes(16)))
    program = _program(shift)
    options = attribute(uapi.TCA_BPF_OPS_LEN, Struct("=H").pack(len(program) // _BPF.size))
    options += attribute(uapi.TCA_BPF_OPS, program)
    body = traffic_control.place(port, handle, 1, 1)
    body += attribute(uapi.TCA_KIND, text("bpf")) + attribute(uapi.TCA_OPTIONS, options)
    hints = {errno.ENOENT: no_modules("cls_bpf")}
    flags, what = _NEW, f"the arbitration of {port.name}"
    yield Request(uapi.RTM_NEWTFILTER, flags, body, "set", what, hints=hints)


_NEW = uapi.NLM_F_REQUEST | uapi.NLM_F_CREATE | uapi.NLM_F_EXCL
_LOAD, _LEFT, _RIGHT, _AND, _ADD = 0x30, 0x64, 0x74, 0x54, 0x04  # BPF: a byte; with a constant
_OR, _COPY, _IF, _RETURN = 0x4C, 0x07, 0x45, 0x16  # with the copy; jset; what was computed


def _program(shift: int) -> bytes:
    """The band of a frame, from 1 on, by four bits of its arbitration.

    The id is in the machine's own byte order, and BPF would read a word in the network's.
    """
    places = range(4) if sys.byteorder == "big" else range(3, -1, -1)
    code = [(_LOAD, 0, 0, places[0])]
    for place in places[1:]:
        code += [(_LEFT, 0, 0, 8), (_COPY, 0, 0, 0), (_LOAD, 0, 0, place), (_OR, 0, 0, 0)]
    code += [(_IF, 0, 1, uapi.CAN_EFF_FLAG), (_RIGHT, 0, 0, _HOST_TO_EFF)]
    code += [(_RIGHT, 0, 0, shift), (_AND, 0, 0, _BANDS - 1), (_ADD, 0, 0, 1), (_RETURN, 0, 0, 0)]
    return b"".join(_BPF.pack(*each) for each in code)


def _qdisc(port: Port, parent: int, handle: int, kind: str, options: bytes) -> Request:
    body = _TCMSG.pack(0, port.ifindex, handle, parent, 0)
    body += attribute(uapi.TCA_KIND, text(kind)) + attribute(uapi.TCA_OPTIONS, options)
    hints = dict.fromkeys((errno.ENOENT, errno.EOPNOTSUPP), no_modules(f"sch_{kind}"))
    return Request(uapi.RTM_NEWQDISC, _NEW, body, "set", f"{kind} of {port.name}", hints=hints)


def _place(port: Port) -> bytes:
    return traffic_control.place(port, uapi.TC_H_CLSACT_INGRESS, 1, PRIORITY)


def _listing() -> Request:
    body = _TCMSG.pack(0, 0, 0, 0, 0)
    return Request(uapi.RTM_GETQDISC, uapi.NLM_F_REQUEST, body, "list", "the qdiscs")
