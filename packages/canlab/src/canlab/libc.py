"""System calls that Python has no function for, by the C library.

Each raises OSError with the operation's words.
"""

from __future__ import annotations

import ctypes
import os
import signal

_LIBC = ctypes.CDLL(None, use_errno=True)

# linux/prctl.h, linux/capability.h
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS = 1, 8
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
_CAPABILITY_VERSION_3 = 0x20080522

# linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

# linux/mount.h
MS_RDONLY, MS_BIND, MS_MOVE, MS_REC, MS_SHARED = 1, 1 << 12, 1 << 13, 1 << 14, 1 << 20

# linux/reboot.h
POWER_OFF = 0x4321FEDC


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, type: str, options: str = "", *, flags: int = 0) -> None:
    """Mount a file system; with MS_BIND a folder, and with MS_SHARED how a mount propagates."""
    arguments = (os.fsencode(source), os.fsencode(target), type.encode(), flags, options.encode())
    _check(_LIBC.mount(*arguments), f"mount {type or source} on {target}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _check(_LIBC.unshare(flags), "unshare")


def power_off() -> None:
    """Switch the machine off, without writing anything; for pid 1 of a guest."""
    _check(_LIBC.reboot(POWER_OFF), "reboot")


def die_with(parent: int) -> None:
    """Be killed when the process that made this one ends; execve keeps it so."""
    _check(_LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl PR_SET_PDEATHSIG")
    if os.getppid() != parent:  # it has ended before
        os._exit(1)


def keep_capabilities() -> None:
    """A change of the uid does not take the capabilities away, but for the effective ones."""
    _check(_LIBC.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl PR_SET_KEEPCAPS")


def hold_capabilities(*numbers: int) -> None:
    """Hold these, and no others, over an execve, too."""
    bits = sum(1 << number for number in numbers)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable: numbers below 32, then the others.
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    _check(_LIBC.capset(header, data), "capset")
    for number in numbers:
        _check(
            _LIBC.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0),
            "prctl PR_CAP_AMBIENT_RAISE",
        )
