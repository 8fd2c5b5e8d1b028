"""This machine's own kernel in place of the guest's, where it has CAN and the caller may use it.

The command then runs on the machine itself, in a network namespace of its own; an ordinary user
needs a user namespace for that. canlab becomes the command: nothing is relayed.
"""

from __future__ import annotations

import os
import signal

from canlab import interfaces, libc
from canlab.errors import CanlabError
from canlab.front import CommandNotRun, Order
from canlab.guest.command import execute, status
from canlab.interfaces import SLCAN, VCAN
from canlab.netlink import Netlink

NEVER, AUTO, ALWAYS = "never", "auto", "always"
CHOICES = (NEVER, AUTO, ALWAYS)
_PROBE = ("canlab-probe", VCAN, "")


def obstacle(order: Order) -> str:
    """Why this machine's kernel does not do; empty if it does. Tried in a process of its own."""
    if any(kind == SLCAN for _, kind, _ in order.interfaces):
        return "slcan makes its interfaces in the machine's own network only"
    if order.ports:
        return "it has no --ports"
    if order.canwharf:
        return "it has no --docker"
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        reason = ""
        try:
            _leave(as_user=False)
            interfaces.make(Netlink(), _PROBE)
        except OSError as error:
            reason = error.strerror or str(error)
        finally:
            os.write(tell, reason.encode())
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(told, "rb") as words:
        return words.read().decode()


def become(order: Order) -> None:
    """Be the command, in a network namespace with its interfaces.

    Raises CommandNotRun where there is no such command, CanlabError where the network fails.
    """
    try:
        _make_network(order)
    except OSError as error:
        raise CanlabError(error.strerror or str(error)) from error
    # Python ignores it, and the command would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        execute(list(order.argv), dict(order.environment))
    except OSError as error:
        words = f"{order.argv[0]}: {error.strerror}"
        raise CommandNotRun(words, status(error.errno)) from error


def _make_network(order: Order) -> None:
    _leave(as_user=order.as_user)
    netlink = Netlink()
    interfaces.make_loopback(netlink)
    for each in order.interfaces:
        interfaces.make(netlink, each)
    netlink.close()


def _leave(*, as_user: bool) -> None:
    """Into namespaces of its own, as root or as the same user with the right to networks."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        libc.unshare(libc.CLONE_NEWNET)
        return
    libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWNET)
    for name, text in (
        ("setgroups", "deny"),  # user_namespaces(7): without it gid_map is refused
        ("uid_map", f"{uid if as_user else 0} {uid} 1"),
        ("gid_map", f"{gid if as_user else 0} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    if as_user:
        libc.hold_capabilities(libc.CAP_NET_ADMIN, libc.CAP_NET_RAW)
