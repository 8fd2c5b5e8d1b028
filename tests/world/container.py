"""A container without an engine: a network namespace that lives as long as a descriptor of ours.

Runs in the guest. Interfaces are moved into it and named there as Docker does.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Self

from canwharf.kernel import link, message, uapi
from canwharf.kernel.request import Request
from tests.world.host import index_of, requests, wait_for_carrier
from tests.world.member import HOST, Member, entered

_IFLA_NET_NS_FD = 28
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Container:
    """A network namespace with no process in it."""

    def __init__(self) -> None:
        made: list[int] = []

        def make() -> None:
            if _libc.unshare(_CLONE_NEWNET) == 0:  # of this thread alone
                made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        [self._fd] = made
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"

    def take(self, interface: str, name: str, *, ready: bool = True) -> None:
        """Move an interface of the host in here, name it, and bring it up, as Docker does.

        `ready` says to wait until it has a carrier, which reads all links of the host.
        """
        index = index_of(interface)
        with requests() as netlink:
            netlink.batch([_move(index, self._fd, name)])
        with entered(self.path), requests() as netlink:
            netlink.batch([_set_up(index_of(name), name)])
        if ready:
            wait_for_carrier(HOST, self.path)

    def give_back(self, name: str, interface: str) -> None:
        """Move an interface to the host under another name, as Docker does after Leave."""
        host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with entered(self.path), requests() as netlink:
                netlink.batch([_move(index_of(name), host, interface)])
        finally:
            os.close(host)

    def index_of(self, name: str) -> int:
        """An interface's index in here."""
        with entered(self.path):
            return index_of(name)

    def links(self) -> dict[str, link.Link]:
        """The interfaces in here."""
        with entered(self.path), requests() as netlink:
            return {each.name: each for each in link.links(netlink)}

    def member(self, name: str) -> Member:
        """An interface in here as a member of a bus."""
        return Member(self.path, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the namespace; the kernel removes its interfaces a little later."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _set_up(index: int, name: str) -> Request:
    return Request(uapi.RTM_NEWLINK, uapi.NLM_F_REQUEST, link._info(index, up=True), "up", name)


def _move(index: int, namespace: int, name: str) -> Request:
    body = (
        link._info(index)
        + message.attribute(_IFLA_NET_NS_FD, message.u32(namespace))
        + message.attribute(uapi.IFLA_IFNAME, message.text(name))
    )
    return Request(uapi.RTM_NEWLINK, uapi.NLM_F_REQUEST, body, "move", name)
