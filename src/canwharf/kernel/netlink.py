"""The rtnetlink socket: requests in batches, dumps, events.

Theory of operation. The kernel works through the messages of one send in order, answers each
GET with its reply, each failure with an NLMSG_ERROR, and each success only if it was asked for
an acknowledgement. So a batch asks for one on its last message alone: when that comes, all the
others are done, and each message without an error succeeded (an acknowledgement for each message
costs seven times as much). There is no transaction: the messages after one that failed are applied
all the same, and the caller undoes them.

Rules:

- Every exchange has a time limit; a kernel that does not answer is a KernelError (ETIMEDOUT).
- A late answer to an earlier exchange is recognised by its sequence number and ignored.
- An error carries the operation, the object, the errno and the kernel's own words.
- A dump that the kernel marks as interrupted (NLM_F_DUMP_INTR) is taken again, a few times.
- A receive buffer that overran (ENOBUFS) is a NetlinkOverrunError: something was lost, so
  the caller must read the kernel again.
"""

from __future__ import annotations

import _socket
import errno
import posix

from canwharf.errors import KernelError, NetlinkOverrunError, SocketNeededError
from canwharf.kernel import message, uapi
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request, first_of
from canwharf.lean import Socket, suppress

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Sequence

TIME_LIMIT = 5.0  # seconds; an exchange takes well under a millisecond
_SEND_LIMIT = 32 * 1024  # bytes in one send: far below the usual send buffer of 208 KiB
_RECEIVE_SIZE = 64 * 1024  # bytes; the kernel's dumps come in datagrams of at most 32 KiB
_RECEIVE_BUFFER = 1024 * 1024  # bytes
# Requests in one send: the usual buffer takes 92 answers about links, or 237 refusals.
_PART_LIMIT = 200
_DUMP_ATTEMPTS = 8


class Netlink:
    """One rtnetlink socket for requests and dumps. Not for use by two threads at once."""

    def __init__(self, opened: Socket | None = None) -> None:
        self._socket = opened or _open(0)
        self._socket.settimeout(TIME_LIMIT)
        self._sequence = 0

    @classmethod
    def inside(cls, descriptor: int) -> Netlink:
        """By a socket that another process opened, in the namespace where that was.

        Raises SocketNeededError where the descriptor is no such socket. It stays open.
        """
        try:
            opened = Socket(fileno=posix.dup(descriptor))
        except OSError as error:  # ENOTSOCK
            raise SocketNeededError("it is not a socket") from error
        if (opened.family, opened.proto) != (_socket.AF_NETLINK, _socket.NETLINK_ROUTE):
            opened.close()
            raise SocketNeededError("it is not a netlink socket")
        return cls(_prepared(opened))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def batch(self, requests: Sequence[Request]) -> list[Message]:
        """Send all requests, wait for the last; the replies (to GETs), in order.

        Raises KernelError for the first that was refused, after all were attempted.
        """
        replies: list[Message] = []
        failures: list[KernelError] = []
        for part in _parts(requests):
            self._exchange(part, replies, failures)
        if failures:
            raise first_of(failures)
        return replies

    def dump(self, request: Request) -> list[Message]:
        """All the objects that a GET with NLM_F_DUMP lists. Raises KernelError."""
        for _attempt in range(_DUMP_ATTEMPTS):
            objects, consistent = self._dump_once(request)
            if consistent:
                return objects
        raise request.refused(errno.EAGAIN, "the list changed during every attempt to read it")

    def _exchange(
        self, part: Sequence[Request], replies: list[Message], failures: list[KernelError]
    ) -> None:
        first = self._sequence + 1
        self._sequence += len(part)
        last = self._sequence
        data = b"".join(
            message.encode(
                request.type,
                request.flags | (uapi.NLM_F_ACK if first + place == last else 0),
                first + place,
                request.body,
            )
            for place, request in enumerate(part)
        )
        self._send(data, part[-1])
        while True:
            for answer in self._receive(part[-1]):
                if not first <= answer.sequence <= last:
                    continue  # the late answer to an exchange that was given up
                if answer.type != uapi.NLMSG_ERROR:
                    replies.append(answer)
                    continue
                request = part[answer.sequence - first]
                number, words = message.error_of(answer)
                if number and number not in request.harmless:
                    failures.append(request.refused(number, words))
                if answer.sequence == last:
                    return

    def _dump_once(self, request: Request) -> tuple[list[Message], bool]:
        self._sequence += 1
        flags = request.flags | uapi.NLM_F_DUMP
        self._send(message.encode(request.type, flags, self._sequence, request.body), request)
        objects: list[Message] = []
        consistent = True
        while True:
            for answer in self._receive(request):
                if answer.sequence != self._sequence:
                    continue
                consistent = consistent and not answer.flags & uapi.NLM_F_DUMP_INTR
                if answer.type in (uapi.NLMSG_ERROR, uapi.NLMSG_DONE):
                    number, words = message.error_of(answer)
                    if number:
                        raise request.refused(number, words)
                    return objects, consistent
                objects.append(answer)

    def _send(self, data: bytes, request: Request) -> None:
        try:
            self._socket.send(data)
        except TimeoutError as error:
            raise request.refused(errno.ETIMEDOUT, "the kernel took no message") from error
        except OSError as error:
            raise request.refused(error.errno or errno.EIO, "") from error

    def _receive(self, request: Request) -> list[Message]:
        try:
            return list(message.decode(self._socket.recv(_RECEIVE_SIZE)))
        except TimeoutError as error:
            words = f"the kernel did not answer within {TIME_LIMIT:g} seconds"
            raise request.refused(errno.ETIMEDOUT, words) from error
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                self._drain()
                raise NetlinkOverrunError("the kernel's answers overran our buffer") from error
            raise request.refused(error.errno or errno.EIO, "") from error

    def _drain(self) -> None:
        """Discard what has arrived: it would leave no room for the next answer."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while self._socket.recv(_RECEIVE_SIZE):
                pass
        self._socket.settimeout(TIME_LIMIT)


class LinkEvents:
    """The kernel's announcements of links and of filters (RTNLGRP_LINK, RTNLGRP_TC)."""

    def __init__(self) -> None:
        self._socket = _open(uapi.RTMGRP_LINK | uapi.RTMGRP_TC)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor for a selector: readable when `take` has something to return."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def take(self) -> list[Message]:
        """The announcements since the last call, without waiting.

        Raises NetlinkOverrunError when some of it was lost.
        """
        announced: list[Message] = []
        while True:
            try:
                announced += message.decode(self._socket.recv(_RECEIVE_SIZE))
            except BlockingIOError:
                return announced
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise NetlinkOverrunError("link events were lost") from error
                raise KernelError("read", "link events", error.errno or errno.EIO) from error


def _open(groups: int) -> Socket:
    """A bound rtnetlink socket that gets extended error texts and no copies of its requests."""
    kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC
    opened = None
    try:
        opened = _prepared(Socket(_socket.AF_NETLINK, kind, _socket.NETLINK_ROUTE))
        opened.bind((0, groups))
    except OSError as error:
        if opened is not None:
            opened.close()
        raise KernelError("open", "a netlink socket", error.errno or errno.EIO) from error
    return opened


def _prepared(opened: Socket) -> Socket:
    opened.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_EXT_ACK, 1)
    opened.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_CAP_ACK, 1)
    _enlarge(opened)
    return opened


def _enlarge(opened: Socket) -> None:
    """Make room for a burst of answers; beyond the system's limit only with CAP_NET_ADMIN."""
    try:
        opened.setsockopt(_socket.SOL_SOCKET, uapi.SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except PermissionError:
        opened.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, _RECEIVE_BUFFER)


def _parts(requests: Sequence[Request]) -> list[list[Request]]:
    """The requests in order, cut so that no send exceeds the limits (but by one that is tied)."""
    parts: list[list[Request]] = []
    room = 0
    for request in requests:
        size = len(request.body) + 20  # header and padding
        tied = bool(parts) and parts[-1][-1].tied
        if not tied and (size > room or len(parts[-1]) >= _PART_LIMIT):
            parts.append([])
            room = _SEND_LIMIT
        parts[-1].append(request)
        room -= size
    return parts
