"""The sockets of a source: the frames that enter a bus there, and no others.

Theory of operation. On a host end a raw socket receives the container's frames and nothing else. On
a bus interface it also receives the frames that the gateway forwarded to it from containers, and
these have been seen at a host end. Three things tell them:

- On a linear bus each forwarded frame bears its host end's mark (`kernel.traffic_control`). A
  filter of the socket ends those in the kernel.
- A frame of a program on this host has MSG_DONTROUTE. On a vcan nothing else enters.
- An adapter of a mesh receives the echo of a forwarded frame, which looks like one from the wire.
  But before that the frame was on its way out, where a packet socket sees it: an echo takes one
  such frame away, and what finds none is from the wire.

Rules:

- The sockets only listen: nothing is changed in the kernel, so a crash leaves nothing behind.
- A frame whose echo has not come within PATIENCE is not waited for: the adapter did not send it.
- A frame that a program on the host sends with a mark of its own (SO_MARK) is not shown.

Source: net/can/af_can.c (can_send), net/can/raw.c (raw_rcv), linux/filter.h, linux/if_packet.h.
"""

from __future__ import annotations

import ctypes
import errno
import socket
from collections import deque
from struct import Struct
from time import time_ns

from canwharf.errors import KernelError
from canwharf.frames.filters import Filter
from canwharf.frames.frame import HOST, Frame
from canwharf.frames.receive import MOST, Received, Receiver, decode
from canwharf.frames.sources import Source
from canwharf.kernel import uapi
from canwharf.lean import suppress

BUFFER = 8 * 1024 * 1024  # bytes; some 18,000 classic frames
PATIENCE = 10_000_000_000  # nanoseconds
_CALLS = 64  # of one socket, before the others have their turn

_SO_ATTACH_FILTER, _SO_MEMINFO, _SO_TIMESTAMPNS_NEW = 26, 55, 64  # asm-generic/socket.h
_DROPS = Struct("=32xI")  # SK_MEMINFO_DROPS, the last of nine words (linux/sock_diag.h)
_CAN_RAW_ERR_FILTER, _CAN_RAW_JOIN_FILTERS = 2, 6  # linux/can/raw.h
_ERRORS = Struct("=I")
_INSTRUCTION = Struct("=HBBI")  # struct sock_filter
_PROGRAM = Struct("@HP")  # struct sock_fprog
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # LD|W|ABS, JMP|JEQ|K, RET|K
_PACKET_TYPE, _MARK = 0xFFFFF004, 0xFFFFF014  # SKF_AD_OFF and SKF_AD_PKTTYPE, SKF_AD_MARK
_WHOLE = 0xFFFFFFFF
_UNMARKED = (
    (_LOAD, 0, 0, _MARK),
    (_EQUAL, 0, 1, 0),
    (_RETURN, 0, 0, _WHOLE),
    (_RETURN, 0, 0, 0),
)
_UNMARKED_OUTGOING = (
    (_LOAD, 0, 0, _PACKET_TYPE),
    (_EQUAL, 0, 3, 4),  # PACKET_OUTGOING
    (_LOAD, 0, 0, _MARK),
    (_EQUAL, 0, 1, 0),
    (_RETURN, 0, 0, _WHOLE),
    (_RETURN, 0, 0, 0),
)


class Listener:
    """A source's sockets. `gone` says that its interface was deleted, and all has been read."""

    def __init__(self, source: Source, which: Filter) -> None:
        """Raises KernelError; its errno is ENODEV where the interface has just gone."""
        self.source = source
        self.gone = False
        self._sent = None if source.endpoint or source.virtual else _Sent(source)
        try:
            self._socket = _raw(source, which)
        except BaseException:
            self.close_sent()
            raise
        self.fileno = self._socket.fileno

    def close(self) -> None:
        """Close the sockets."""
        self._socket.close()
        self.close_sent()

    def close_sent(self) -> None:
        """Close the second socket, if there is one."""
        if self._sent:
            self._sent.close()

    @property
    def lost(self) -> int:
        """The frames so far for which there was no room, as they were not read in time."""
        return _drops(self._socket) + (self._sent.lost if self._sent else 0)

    def read(self, receiver: Receiver) -> list[Frame]:
        """The frames that have come, in order. Raises KernelError."""
        received: list[Received] = []
        for _call in range(_CALLS):
            before = len(received)
            try:
                received += receiver.receive(self.fileno())
            except BlockingIOError:
                break
            except OSError as error:
                self._failed(error)
                continue  # behind the error there may be frames
            if len(received) - before < MOST:
                break
        return self._entered(received) if received else []

    def _failed(self, error: OSError) -> None:
        """What a socket tells of its interface. Raises KernelError for all else."""
        if error.errno in (errno.ENODEV, errno.ENXIO):
            self.gone = True
        elif error.errno != errno.ENETDOWN:
            raise _refused("read frames of", self.source.interface, error) from error
        if self._sent:
            self._sent.forget()

    def _entered(self, received: list[Received]) -> list[Frame]:
        """Of these, the frames that enter the bus here, with their senders."""
        source, make, own = self.source, Frame._make, socket.MSG_DONTROUTE
        bus, sender = source.bus, source.sender
        if source.endpoint:  # a program on the host that sends here sends to the container alone
            return [
                make((time, bus, sender, can_id, data, fd))
                for time, can_id, data, fd, flags in received
                if not flags & own
            ]
        if self._sent is None:
            return [
                make((time, bus, HOST, can_id, data, fd))
                for time, can_id, data, fd, flags in received
                if flags & own
            ]
        found = []
        self._sent.read()
        for time, can_id, data, fd, flags in received:
            is_echo = self._sent.take(can_id, data)
            if flags & own or not is_echo:
                who = HOST if flags & own else sender
                found.append(Frame(time, bus, who, can_id, data, fd))
        return found


class _Sent:
    """The frames without a mark on their way out of an adapter, until their echo comes."""

    def __init__(self, source: Source) -> None:
        self._pending: dict[tuple[int, bytes], deque[int]] = {}
        self._order: deque[tuple[int, tuple[int, bytes]]] = deque()
        what = f"a packet socket on {source.interface}"
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        except OSError as error:
            hint = "it needs CAP_NET_RAW, which root has"
            raise KernelError("open", what, error.errno or errno.EIO, "", hint) from error
        try:
            self._socket.setblocking(False)
            _attach(self._socket, _UNMARKED_OUTGOING)
            _enlarge(self._socket)
            self._socket.bind((socket.if_indextoname(source.ifindex), uapi.ETH_P_ALL))
        except OSError as error:
            self._socket.close()
            raise _refused("open", what, error) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def lost(self) -> int:
        """The frames for which there was no room; their echo will be taken for the wire's."""
        return _drops(self._socket)

    def read(self) -> None:
        """Learn what was sent. Raises KernelError."""
        now = time_ns()
        with suppress(BlockingIOError):
            while True:
                try:
                    data = self._socket.recv(uapi.CANFD_MTU)
                except OSError as error:
                    if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
                        raise
                    continue
                key = decode(data)
                self._pending.setdefault(key, deque()).append(now)
                self._order.append((now, key))
        while self._order and self._order[0][0] < now - PATIENCE:
            sent, key = self._order.popleft()
            if (times := self._pending.get(key)) and times[0] <= sent:
                self._forget_one(key)

    def take(self, can_id: int, data: bytes) -> bool:
        """Whether this is an echo; the frame is not waited for any more."""
        if (can_id, data) not in self._pending:
            return False
        self._forget_one((can_id, data))
        return True

    def forget(self) -> None:
        """Wait for none of them any more: the adapter is down."""
        self._pending.clear()
        self._order.clear()

    def _forget_one(self, key: tuple[int, bytes]) -> None:
        times = self._pending[key]
        times.popleft()
        if not times:
            del self._pending[key]


def _raw(source: Source, which: Filter) -> socket.socket:
    """A raw socket of the source's interface. Raises KernelError."""
    what = f"a raw CAN socket on the bus {source.bus}"
    try:
        opened = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    except OSError as error:
        raise _refused("open", what, error) from error
    try:
        if not source.endpoint:
            _attach(opened, _UNMARKED)
        _enlarge(opened)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS_NEW, 1)
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, which.packed)
        errors = _ERRORS.pack(which.errors)
        opened.setsockopt(socket.SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, errors)
        if which.join:
            opened.setsockopt(socket.SOL_CAN_RAW, _CAN_RAW_JOIN_FILTERS, 1)
        opened.bind((socket.if_indextoname(source.ifindex),))
    except OSError as error:
        opened.close()
        raise _refused("open", what, error) from error
    return opened


def _enlarge(opened: socket.socket) -> None:
    """Room for what comes while Python is busy; beyond the system's limit with CAP_NET_ADMIN."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, uapi.SO_RCVBUFFORCE, BUFFER)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)


def _attach(opened: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    """Let a program of the kernel's filter language decide which frames the socket gets."""
    code = b"".join(_INSTRUCTION.pack(*each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    given = _PROGRAM.pack(len(program), ctypes.addressof(buffer))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, given)


def _drops(opened: socket.socket) -> int:
    return int(_DROPS.unpack(opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _DROPS.size))[0])


def _refused(operation: str, what: str, error: OSError) -> KernelError:
    return KernelError(operation, what, error.errno or errno.EIO)
