"""What a pair's other end is called in its container: asked from the host, without going there.

Theory of operation. The kernel tells with a pair's host end the other end's index, and the number
under which the host's namespace knows that of the container (IFLA_LINK_NETNSID). A question for a
link may name such a number (IFLA_TARGET_NETNSID, Linux 4.15 and later), and is answered from there.

Rules:

- For that the kernel wants CAP_NET_ADMIN; whoever does not have it is told nothing, and so is who
  asks for a container that has just ended.

Source: net/core/rtnetlink.c (rtnl_getlink, rtnl_get_net_ns_capable).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from canwharf.kernel import link, uapi
from canwharf.kernel.link import Link
from canwharf.kernel.message import attribute, read_u32, u32
from canwharf.kernel.netlink import Request, Requests

_NOBODY = frozenset({errno.ENODEV, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOENT})


def ends(netlink: Requests, hosts: Iterable[Link]) -> dict[int, Link]:
    """The container's end of each of these pairs, by the index of its host end.

    Raises KernelError.
    """
    away = {host.ifindex: host for host in hosts if host.peer_away}
    if not away:
        return {}
    places: dict[tuple[int, int], int] = {}  # namespace's number, index there -> host end
    for answer in netlink.dump(link.listing()):
        host = away.get(link.parse(answer).ifindex)
        number = link.told(answer).get(uapi.IFLA_LINK_NETNSID)
        if host and number is not None:
            places[read_u32(number), host.peer] = host.ifindex
    found: dict[int, Link] = {}
    for answer in netlink.batch([_ask(*place) for place in places]):
        number = link.told(answer).get(uapi.IFLA_TARGET_NETNSID)
        end = link.parse(answer)
        if number is not None:
            found[places[read_u32(number), end.ifindex]] = end
    return found


def _ask(namespace: int, index: int) -> Request:
    where = attribute(uapi.IFLA_TARGET_NETNSID, u32(namespace))
    return link.get_at(index, where)._replace(harmless=_NOBODY)
