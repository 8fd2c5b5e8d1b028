"""The peer of a pair's host end, in the container: read from the host, without entering there.

Theory of operation. With a pair's host end the kernel reports the peer's index, and the number that
the container's namespace has in the host's (IFLA_LINK_NETNSID). A request for links can name this
number (IFLA_TARGET_NETNSID, Linux 4.15 and later). RTM_GETNSID gives the number of a namespace by
its path.

Rules:

- The kernel requires CAP_NET_ADMIN for this. Without it, and for a container that has just ended,
  there is no result, and no error.

Source: net/core/rtnetlink.c (rtnl_getlink, rtnl_get_net_ns_capable), net/core/net_namespace.c.
"""

from __future__ import annotations

import errno
import os
from struct import Struct

from canwharf.kernel import link, uapi
from canwharf.kernel.link import Link
from canwharf.kernel.message import attribute, attributes, read_u32, u32
from canwharf.kernel.request import Request, Requests

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_RTGEN = Struct("=B3x")  # struct rtgenmsg, and the padding before its attributes
_SIGNED = Struct("=i")
_NO_ANSWER = frozenset({errno.ENODEV, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOENT})


def ends(netlink: Requests, hosts: Iterable[Link]) -> dict[int, Link]:
    """The container's end of each of these pairs, by the index of its host end.

    Raises KernelError.
    """
    away = {host.ifindex: host for host in hosts if host.peer_away}
    if not away:
        return {}
    numbers = _numbers(netlink)
    # number of the namespace, index there -> index of the host end
    places = {
        (numbers[index], host.peer): index for index, host in away.items() if index in numbers
    }
    ends_of: dict[int, Link] = {}
    for answer in netlink.batch([_get(*place) for place in places]):
        number = link.attributes_of(answer).get(uapi.IFLA_TARGET_NETNSID)
        end = link.parse(answer)
        if number is not None:
            ends_of[places[read_u32(number), end.ifindex]] = end
    return ends_of


def elsewhere(netlink: Requests, wanted: Mapping[int, str]) -> set[int]:
    """The host ends whose peer is not in its wanted namespace.

    `wanted` are the paths of the namespaces by the index of the host end. A host end whose peer
    cannot be checked is not in the result. Raises KernelError.
    """
    if not wanted:
        return set()
    numbers = _numbers(netlink)
    number_of = {path: _number_of(netlink, path) for path in set(wanted.values())}
    return {
        index
        for index, path in wanted.items()
        if index in numbers and number_of[path] is not None and numbers[index] != number_of[path]
    }


def _numbers(netlink: Requests) -> dict[int, int]:
    """The number of the peer's namespace, by the index of the host end."""
    numbers: dict[int, int] = {}
    for answer in netlink.dump(link.listing()):
        number = link.attributes_of(answer).get(uapi.IFLA_LINK_NETNSID)
        if number is not None:
            numbers[link.parse(answer).ifindex] = read_u32(number)
    return numbers


def _number_of(netlink: Requests, path: str) -> int | None:
    """The number of the namespace at this path; -1 if it has none, None if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        body = _RTGEN.pack(0) + attribute(uapi.NETNSA_FD, u32(descriptor))
        what = f"the network namespace {path}"
        request = Request(uapi.RTM_GETNSID, uapi.NLM_F_REQUEST, body, "find", what, _NO_ANSWER)
        for answer in netlink.batch([request]):
            number = attributes(answer.body, _RTGEN.size).get(uapi.NETNSA_NSID)
            if number is not None:
                return int(_SIGNED.unpack(number)[0])
    finally:
        os.close(descriptor)
    return None


def _get(namespace: int, index: int) -> Request:
    where = attribute(uapi.IFLA_TARGET_NETNSID, u32(namespace))
    return link.get_at(index, where)._replace(harmless=_NO_ANSWER)
