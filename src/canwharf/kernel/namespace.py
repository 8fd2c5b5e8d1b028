"""Other people's network namespaces, as descriptors: to make an interface in one, not to enter it.

Rules:

- A descriptor goes along with the message that makes the interface (IFLA_NET_NS_FD); for that the
  kernel wants CAP_NET_ADMIN over the namespace. To enter it (setns) would take CAP_SYS_ADMIN.
- What is not a network namespace, or is our own, is told before anything is done with it: what
  is to be in a container must not be on the host, under a name that is a container's wish.
- While a descriptor is open, its namespace cannot end.
- A network namespace belongs to a user namespace, and that to the user who made it. The host's own
  user namespace is root's.

Sources: ioctl_nsfs(2), user_namespaces(7), net/core/net_namespace.c (get_net_ns_by_fd).
"""

from __future__ import annotations

import errno
import fcntl
import posix
import sys

from canwharf.errors import NamespaceError
from canwharf.kernel import uapi

_OWN = "/proc/self/ns/net"


class Opened:
    """A descriptor that a `with` closes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_raised: object) -> None:
        posix.close(self._descriptor)


def opened(path: str, what: str) -> Opened:
    """The descriptor of the network namespace at this path; `what` is to be made in it.

    Raises NamespaceError.
    """
    if not path:
        raise NamespaceError(what, path, "the engine named none", missing=True)
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        raise NamespaceError(what, path, posix.strerror(error.errno or 0), missing) from error
    # A name that is there before its mount, or a mount that was not passed on to us.
    missing = not is_network(descriptor)
    if missing or _identity(posix.fstat(descriptor)) == _identity(posix.stat(_OWN)):
        posix.close(descriptor)
        own = "it is the host's own, and not a container's"
        raise NamespaceError(
            what, path, "it is not a network namespace" if missing else own, missing
        )
    return Opened(descriptor)


def _identity(found: posix.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def owner(descriptor: int) -> int:
    """The id of the user to whom a network namespace belongs. Raises OSError."""
    users = fcntl.ioctl(descriptor, uapi.NS_GET_USERNS)
    try:
        return int.from_bytes(fcntl.ioctl(users, uapi.NS_GET_OWNER_UID, bytes(4)), sys.byteorder)
    finally:
        posix.close(users)


def own() -> Opened:
    """The descriptor of our own network namespace."""
    return Opened(posix.open(_OWN, posix.O_RDONLY | posix.O_CLOEXEC))


def of_socket(descriptor: int) -> Opened:
    """The descriptor of a socket's network namespace. Raises OSError."""
    return Opened(fcntl.ioctl(descriptor, uapi.SIOCGSKNS))


def is_network(descriptor: int) -> bool:
    """Whether it is that of a network namespace."""
    try:
        return fcntl.ioctl(descriptor, uapi.NS_GET_NSTYPE) == uapi.CLONE_NEWNET
    except OSError:  # ENOTTY: it is no namespace at all
        return False
