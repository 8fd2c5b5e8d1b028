"""The errors that canwharf raises. The text of each is a sentence for its user.

Rules:

- Lower layers raise, only a front end prints: `str(error)` is all that it needs.
- An error names the operation, its object, the reason in the text of the kernel or program that
  refused it, and the remedy, if there is one.
- This module imports nothing of ours.
"""

from __future__ import annotations

import posix


class CanwharfError(Exception):
    """The base class of all errors that canwharf reports."""


class KernelError(CanwharfError):
    """The kernel refused an operation, or did not answer.

    `errno` is the kernel's number, `text` its own words where it gave any (extended
    acknowledgement), `hint` what the user can do.
    """

    def __init__(
        self, operation: str, target: str, errno: int, text: str = "", hint: str = ""
    ) -> None:
        self.operation = operation
        self.target = target
        self.errno = errno
        self.text = text
        self.hint = hint
        words = posix.strerror(errno) + (f" ({text})" if text else "")
        super().__init__(f"cannot {operation} {target}: {words}" + (f"; {hint}" if hint else ""))


def no_module(module: str) -> str:
    """The hint where the kernel refuses what only this module of its can do."""
    return (
        f"the kernel module {module} is not loaded: 'modprobe {module}' loads it, a line "
        f"'{module}' in /etc/modules-load.d/canwharf.conf does so at each boot; if there is no "
        "such module, 'canwharf doctor' says where this kernel gets it"
    )


def no_modules(*modules: str) -> str:
    """The same where one of several is missing, or only one is needed."""
    if len(modules) == 1:
        return no_module(*modules)
    return (
        f"one of the kernel modules {' and '.join(modules)} is not loaded: 'modprobe -a "
        f"{' '.join(modules)}' loads them, a line for each in /etc/modules-load.d/canwharf.conf "
        "does so at each boot; if there is no such module, 'canwharf doctor' says where this "
        "kernel gets it"
    )


class MessageError(CanwharfError, ValueError):
    """What came from the kernel is not of the form that its headers tell."""


class NetlinkOverrunError(CanwharfError):
    """The kernel dropped messages for us (ENOBUFS): what we knew is out of date."""


class OptionError(CanwharfError):
    """A driver option that cannot be used; says which, its value, and what would be right."""

    def __init__(self, option: str, value: object, reason: str) -> None:
        self.option = option
        self.value = value
        super().__init__(f"option {option}={value!s}: {reason}")


class UsageError(CanwharfError):
    """Options of a command line that contradict each other."""


class SetupError(CanwharfError):
    """What a service reads at its start is wrong or missing, and no second start mends it."""


class RequestError(CanwharfError):
    """A request that is not of the protocol's form."""


class CniError(RequestError):
    """A call of a CNI runtime that is not right; `code` is CNI's number for why."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


class HttpError(CanwharfError):
    """What came is not a request that can be answered; `status` is HTTP's number for why."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


NOT_KNOWN = "is not known: it is neither in memory nor in"  # a network; Docker keeps the words


class UnknownNetworkError(CanwharfError):
    """A network that is in no state of ours: nothing can be recovered."""

    def __init__(self, network: str, where: str, *, answered: bool) -> None:
        """`answered` says that the engine was asked, and does not know it either."""
        self.network = network
        advice = (
            "and Docker knows no such network of this driver: create it anew"
            if answered
            else "and Docker, which would know it, does not answer while it starts; "
            "start the container again when Docker runs"
        )
        super().__init__(f"network {network} {NOT_KNOWN} {where}, {advice}")


class ConflictError(CanwharfError):
    """What is asked for contradicts what is there."""


class NamespaceError(CanwharfError):
    """A container's network namespace in which something was to be made, and cannot be.

    `missing` says that there is none at that path: it may come later, or never.
    """

    def __init__(self, what: str, path: str, reason: str, missing: bool = False) -> None:
        self.path = path
        self.missing = missing
        where = f"the container's network namespace {path}" if path else "no network namespace"
        super().__init__(f"cannot make {what} in {where}: {reason}")


class SocketNeededError(CanwharfError):
    """A call that can be made by a netlink socket in the container's namespace only."""


class StateError(CanwharfError):
    """The state on disk cannot be read or written."""

    def __init__(self, operation: str, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"cannot {operation} {path}: {reason}")


class CallError(CanwharfError):
    """A daemon does not answer a call, or refuses it."""

    def __init__(self, call: str, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"cannot call {call} on {path}: {reason}")


class StartError(CanwharfError):
    """The daemon cannot start."""


class InstallError(CanwharfError):
    """The service cannot be installed, or not be taken away."""


class RecordingError(CanwharfError):
    """A recording of frames that cannot be written or read."""

    def __init__(self, operation: str, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"cannot {operation} {path}: {reason}")


class SpanError(CanwharfError):
    """A span's session that cannot be opened, or a message of it that is not of its form."""
