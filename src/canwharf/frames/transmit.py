"""Frames from the host onto a bus: each container and the wire receive them, once.

Source: linux/can.h (struct can_frame, struct canfd_frame).
"""

from __future__ import annotations

import errno
import socket
from struct import Struct

from canwharf.errors import KernelError
from canwharf.frames.frame import Frame

_FRAME, _FD_FRAME = Struct("=IBBBB8s"), Struct("=IBBBB64s")


class Transmitter:
    """A socket on a bus's interface, which hears nothing."""

    def __init__(self, interface: str) -> None:
        """Raises KernelError."""
        self._interface = interface
        try:
            self._socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        except OSError as error:
            raise self._failed("open a socket on", error) from error
        try:
            self._socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
            self._socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, b"")
            self._socket.bind((interface,))
            self._socket.setblocking(False)  # a send that waits for an adapter has no end
        except OSError as error:
            self._socket.close()
            raise self._failed("open a socket on", error) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def send(self, frame: Frame) -> bool:
        """Send it; False where an adapter's queue is full. Raises KernelError."""
        try:
            self._socket.send(packed(frame))
        except BlockingIOError:  # the socket's own queue, where the adapter's is a long one
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return False
            too_long = frame.fd is not None and error.errno == errno.EINVAL
            hint = "it carries no CAN FD frames" * too_long
            raise self._failed("send a frame on", error, hint) from error
        return True

    def _failed(self, operation: str, error: OSError, hint: str = "") -> KernelError:
        return KernelError(operation, self._interface, error.errno or errno.EIO, hint=hint)


def packed(frame: Frame) -> bytes:
    """As the kernel takes it."""
    _time, _bus, _sender, can_id, data, fd = frame
    if fd is None:
        return _FRAME.pack(can_id, len(data), 0, 0, 0, data)
    return _FD_FRAME.pack(can_id, len(data), fd, 0, 0, data)
