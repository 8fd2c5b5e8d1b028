"""Requests to the kernel as values, and what sends them, as protocols. Pure.

A module that builds requests and reads answers imports this one and no socket: what speaks to the
kernel (`netlink.Netlink`) is handed to its functions.
"""

from __future__ import annotations

from canwharf.errors import KernelError
from canwharf.kernel.message import Message
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol
else:
    Protocol = object


class Request(NamedTuple):
    """One message to the kernel, and what to say if it is refused.

    `harmless` are errnos that mean "it is already so"; `hints` what to do about others; `tied` says
    that the one behind it goes in the same send.
    """

    type: int
    flags: int
    body: bytes
    operation: str
    target: str
    harmless: frozenset[int] = frozenset()
    hints: Mapping[int, str] = {}
    tied: bool = False

    def refused(self, number: int, words: str) -> KernelError:
        """The error for this request."""
        return KernelError(self.operation, self.target, number, words, self.hints.get(number, ""))


class Requests(Protocol):
    """The kernel as the layers above ask it: `netlink.Netlink`, or a test's own kernel."""

    def batch(self, requests: Sequence[Request]) -> list[Message]:
        """Send all requests, wait for the last; the replies (to GETs), in order.

        Raises KernelError for the first that was refused, after all were attempted.
        """

    def dump(self, request: Request) -> list[Message]:
        """All the objects that a GET with NLM_F_DUMP lists. Raises KernelError."""


class Announcements(Protocol):
    """The kernel's news as the layers above read them: `netlink.LinkEvents`, or a test's own."""

    def take(self) -> list[Message]:
        """The messages that were announced since the last call, without waiting.

        Raises NetlinkOverrunError when some of them were lost.
        """


def first_of(failures: Sequence[KernelError]) -> KernelError:
    """The error for a batch in which these requests were refused."""
    if len(failures) > 1:
        failures[0].add_note(f"{len(failures) - 1} more requests of this batch failed")
    return failures[0]
