"""An interface in a network namespace, and a raw CAN socket that stays there.

A namespace is `host` (ours), a process id, a path, or a name under /run/netns. Runs in the guest
as root, from Python 3.11 on, with the standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

HOST = "host"
_EVERY_ERROR = 0x1FFFFFFF
_CAN_RAW_ERR_FILTER = 2  # linux/can/raw.h
_CLONE_NEWNET = 0x40000000
_SIOCGIFMTU = 0x8921
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes: a few thousand frames
_libc = ctypes.CDLL(None, use_errno=True)


class Member(NamedTuple):
    """An interface in a network namespace."""

    namespace: str
    interface: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.interface}"

    @classmethod
    def parse(cls, text: str) -> Member:
        """From `NAMESPACE:INTERFACE`. Raises ValueError."""
        namespace, colon, interface = text.rpartition(":")
        if not (namespace and colon and interface):
            raise ValueError(f"{text!r} is not NAMESPACE:INTERFACE")
        return cls(namespace, interface)


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """This thread in another network namespace. Raises OSError where there is no such one."""
    if namespace == HOST:
        yield
        return
    with ExitStack() as stack:
        back = _opened(stack, "/proc/thread-self/ns/net")
        _setns(_opened(stack, namespace_path(namespace)))
        try:
            yield
        finally:
            _setns(back)


def namespace_path(namespace: str) -> str:
    """The file that stands for a namespace given as a process id, a path or a name."""
    if namespace.isdecimal():
        return f"/proc/{namespace}/ns/net"
    return namespace if "/" in namespace else f"/run/netns/{namespace}"


def raw_socket(member: Member, fd: bool = True) -> socket.socket:
    """A raw CAN socket that stays in the member's namespace; the caller closes it."""
    with entered(member.namespace):
        opened = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
            every = struct.pack("=I", _EVERY_ERROR)
            opened.setsockopt(socket.SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, every)
            if fd:
                opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
            opened.bind((member.interface,))
        except OSError as error:
            opened.close()
            raise OSError(error.errno, f"{member}: {error.strerror}") from error
        opened.setblocking(False)
        return opened


def mtu(opened: socket.socket, interface: str) -> int:
    """The MTU of an interface in a socket's namespace, in bytes."""
    request = struct.pack("16si12x", interface.encode(), 0)
    return int(struct.unpack("16si12x", fcntl.ioctl(opened, _SIOCGIFMTU, request))[1])


def _opened(stack: ExitStack, path: str) -> int:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, number)
    return number


def _setns(number: int) -> None:
    # os.setns is there from Python 3.12 on.
    if _libc.setns(number, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))
