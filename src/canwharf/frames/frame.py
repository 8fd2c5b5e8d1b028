"""One CAN frame: when it came, on which bus, and who sent it. Pure.

Source: linux/can.h (struct can_frame, struct canfd_frame).
"""

from __future__ import annotations

from canwharf.kernel import uapi
from canwharf.record import NamedTuple

HOST, WIRE = "host", "wire"  # senders that are no container
BRS, ESI = 0x01, 0x02  # flags of a CAN FD frame: bit rate switch, error state indicator


class Frame(NamedTuple):
    """A frame as it entered its bus.

    - `time`: when the host received it, in nanoseconds since the epoch (CLOCK_REALTIME).
    - `bus`: the network's name; the interface's, where several networks share it or have no name.
    - `sender`: the container's name; HOST for a program on the host, WIRE for a real adapter's bus.
    - `can_id`: the id with the flags CAN_EFF_FLAG, CAN_RTR_FLAG and CAN_ERR_FLAG of linux/can.h.
    - `data`: up to 8 bytes, 64 of a CAN FD frame. A remote frame has none: the zeros are as many
      as the bytes that it asks for.
    - `fd`: None for classic CAN, else the flags BRS and ESI of a CAN FD frame.
    """

    time: int
    bus: str
    sender: str
    can_id: int
    data: bytes
    fd: int | None = None

    @property
    def id(self) -> int:
        """The id alone, of 11 or 29 bits; of an error frame, the classes of the error."""
        mask = uapi.CAN_EFF_MASK if self.can_id & _LONG else uapi.CAN_SFF_MASK
        return self.can_id & mask

    @property
    def extended(self) -> bool:
        """Whether the id has 29 bits."""
        return bool(self.can_id & uapi.CAN_EFF_FLAG)

    @property
    def remote(self) -> bool:
        """Whether it asks for data."""
        return bool(self.can_id & uapi.CAN_RTR_FLAG)

    @property
    def error(self) -> bool:
        """Whether it is a report of the adapter, which was never on the wire."""
        return bool(self.can_id & uapi.CAN_ERR_FLAG)


_LONG = uapi.CAN_EFF_FLAG | uapi.CAN_ERR_FLAG
