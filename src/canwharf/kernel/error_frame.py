"""An error frame to a container, as its controller's driver would make it.

Sources: drivers/net/can/dev/dev.c (can_restart), can_bus_off of the drivers; linux/can/error.h.
"""

from __future__ import annotations

import _socket
import errno
from struct import Struct

from canwharf.errors import KernelError, no_module
from canwharf.kernel import uapi
from canwharf.lean import Socket

BUS_OFF, RESTARTED = 0x40, 0x100  # CAN_ERR_BUSOFF, CAN_ERR_RESTARTED
_FRAME = Struct("=IB3x8x")  # struct can_frame; of an error frame the length is CAN_ERR_DLC
_LENGTH = 8
_SOL_CAN_RAW, _LOOPBACK = 101, 3  # linux/can/raw.h


def send(interface: str, what: int) -> None:
    """Send it into a host end, so that the container alone receives it. Raises KernelError."""
    try:
        with Socket(uapi.AF_CAN, _socket.SOCK_RAW, _socket.CAN_RAW) as opened:
            opened.setsockopt(_SOL_CAN_RAW, _LOOPBACK, 0)  # the gateway would forward an echo
            opened.bind((interface,))
            opened.send(_FRAME.pack(uapi.CAN_ERR_FLAG | what, _LENGTH))
    except OSError as error:
        number = error.errno or 0
        hint = no_module("can_raw") if number == errno.EPROTONOSUPPORT else ""
        raise KernelError("send", f"an error frame to {interface}", number, hint=hint) from error
