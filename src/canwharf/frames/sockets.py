"""The socket of a source: the frames that enter a bus there.

Theory of operation. On a host end a raw socket receives the container's frames and nothing else. On
a bus interface it also receives the frames that the gateway forwarded to it from containers, and
these have been seen at a host end. Three things tell them:

- On a linear bus each forwarded frame bears its host end's mark (`kernel.traffic_control`). A
  filter of the socket ends those in the kernel.
- A frame of a program on this host has MSG_DONTROUTE. On a vcan nothing else enters.
- The echoes of an adapter of a mesh are told by their originals (`echoes`).

Rules:

- The socket only listens: nothing is changed in the kernel, so a crash leaves nothing behind.
- No privilege is needed, but for more room than the system's limit (net.core.rmem_max).
- A frame that a program on the host sends with a mark of its own (SO_MARK) is not shown.

Source: net/can/af_can.c (can_send), net/can/raw.c (raw_rcv), linux/filter.h.
"""

from __future__ import annotations

import ctypes
import errno
import socket
from collections.abc import Sequence
from struct import Struct

from canwharf.errors import KernelError
from canwharf.frames.batch import Batch
from canwharf.frames.filters import Filter
from canwharf.frames.frame import HOST, Frame
from canwharf.frames.receive import MOST, Received, Receiver
from canwharf.frames.sources import Source
from canwharf.frames.transmit import packed
from canwharf.kernel import uapi

BUFFER = 8 * 1024 * 1024  # bytes; some 18,000 classic frames
GONE = (errno.ENODEV, errno.ENXIO)  # there is no such interface any more
_DONTWAIT = int(socket.MSG_DONTWAIT)  # an enumeration would compute in Python
_CALLS = 64  # of one socket, before the others have their turn

_SO_ATTACH_FILTER, _SO_MEMINFO, _SO_TIMESTAMPNS_NEW = 26, 55, 64  # asm-generic/socket.h
_DROPS = Struct("=32xI")  # SK_MEMINFO_DROPS, the last of nine words (linux/sock_diag.h)
_CAN_RAW_ERR_FILTER, _CAN_RAW_JOIN_FILTERS = 2, 6  # linux/can/raw.h
_ERRORS = Struct("=I")
_INSTRUCTION = Struct("=HBBI")  # struct sock_filter
_PROGRAM = Struct("@HP")  # struct sock_fprog
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # LD|W|ABS, JMP|JEQ|K, RET|K
_MARK, _ALL = 0xFFFFF014, 0xFFFFFFFF  # SKF_AD_OFF + SKF_AD_MARK; all bytes
_UNMARKED = (
    (_LOAD, 0, 0, _MARK),
    (_EQUAL, 0, 1, 0),
    (_RETURN, 0, 0, _ALL),
    (_RETURN, 0, 0, 0),
)


class Listener:
    """A source's socket. `gone` says that its interface was deleted, and all has been read."""

    def __init__(self, source: Source, which: Filter) -> None:
        """Raises KernelError; its errno is one of GONE where the interface has just gone."""
        self.source = source
        self.gone = False
        self._which = which
        self._until: int | None = None
        self._socket = _raw(source, which)
        self.fileno, self._send = self._socket.fileno, self._socket.send

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def lost(self) -> int:
        """The frames so far for which there was no room, as they were not read in time."""
        told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _DROPS.size)
        return int(_DROPS.unpack(told)[0])

    def narrow(self, until: int | None) -> None:
        """Of frames that are no error frames, take only those before this time; None: all again.

        Raises KernelError.
        """
        if until == self._until:
            return
        self._until = until
        packed = self._which.packed if until is None else b""
        try:
            self._socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, packed)
        except OSError as error:
            if error.errno not in GONE:
                raise _refused("filter frames of", self.source.bus, error) from error

    def send(self, frame: Frame) -> bool:
        """Send a frame there, which `read` does not have then; false: there is no room now.

        Raises KernelError.
        """
        try:
            self._send(packed(frame), _DONTWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return False
            too_long = frame.fd is not None and error.errno == errno.EINVAL
            hint = "it carries no CAN FD frames" * too_long
            raise _refused("send a frame on", self.source.interface, error, hint) from error
        return True

    def send_many(self, batch: Batch, frames: Sequence[Frame]) -> int:
        """How many of the first of these could be sent there at once; the rest is for `send`."""
        return batch.send(self.fileno(), frames)

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
        if (until := self._until) is not None:
            received = [each for each in received if each[0] < until or each[1] & uapi.CAN_ERR_FLAG]
        return self._entered(received) if received else []

    def _failed(self, error: OSError) -> None:
        """What a socket tells of its interface. Raises KernelError for all else."""
        if error.errno in GONE:
            self.gone = True
        elif error.errno != errno.ENETDOWN:
            raise _refused("read frames of", self.source.bus, error) from error

    def _entered(self, received: list[Received]) -> list[Frame]:
        """Of these, the frames that enter the bus here, with their senders."""
        source, make = self.source, Frame._make
        own = int(socket.MSG_DONTROUTE)  # an enumeration would compute in Python
        bus, sender = source.bus, source.sender
        if source.endpoint:  # a program on the host that sends here sends to the container alone
            return [
                make((time, bus, sender, can_id, data, fd))
                for time, can_id, data, fd, flags in received
                if not flags & own
            ]
        return [
            make((time, bus, HOST if flags & own else sender, can_id, data, fd))
            for time, can_id, data, fd, flags in received
            if flags & own or not source.virtual
        ]


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
        # What is sent waits here, and not in an adapter's queue, where it would take the room of
        # what containers send. The kernel makes it its least: some six frames.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 0)
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


def _refused(operation: str, what: str, error: OSError, hint: str = "") -> KernelError:
    return KernelError(operation, what, error.errno or errno.EIO, hint=hint)
