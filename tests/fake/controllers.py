"""The controller of an adapter in the fake kernel: bit rates, modes, and the word no."""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.fake import wire
from tests.fake.links import Refusal

# linux/can/netlink.h
_BITTIMING, _STATE, _CTRLMODE, _RESTART_MS, _DATA_BITTIMING = 1, 4, 5, 6, 9
_BITRATE_CONST, _CTRLMODE_EXT, _SUPPORTED = 13, 17, 1
_FD = 0x20
_TIMING, _MODE = struct.Struct("=8I"), struct.Struct("=II")
_STOPPED, _ACTIVE = 4, 0


@dataclass(frozen=True)
class FakeController:
    """What can_dev knows of an adapter (drivers/net/can/dev/netlink.c)."""

    rates: tuple[int, ...] = (125000, 250000, 500000)
    supported: int = 0x2  # listen-only
    bitrate: int = 0
    sample_point: int = 750  # the only one that its clock allows
    dbitrate: int = 0
    modes: int = 0
    restart_ms: int = 0

    @property
    def mtu(self) -> int:
        """That of the link."""
        return 72 if self.modes & _FD else 16

    def changed(self, data: Mapping[int, bytes], up: bool) -> FakeController:
        """It with what IFLA_INFO_DATA asks for (can_changelink). Raises Refusal."""
        if up:
            raise Refusal(errno.EBUSY)
        mask, flags = _MODE.unpack(data.get(_CTRLMODE, bytes(_MODE.size)))
        if flags & ~self.supported:
            raise Refusal(errno.EOPNOTSUPP)
        bitrate = self._rate(data.get(_BITTIMING), self.bitrate)
        return replace(
            self,
            modes=(self.modes & ~mask) | flags,
            bitrate=bitrate,
            dbitrate=self._rate(data.get(_DATA_BITTIMING), self.dbitrate),
            restart_ms=wire.number(data.get(_RESTART_MS, wire.u32(self.restart_ms))),
        )

    def body(self, up: bool) -> bytes:
        """As the kernel tells it (can_fill_info)."""
        supported = wire.attribute(_SUPPORTED, wire.u32(self.supported))
        found = {
            _STATE: wire.u32(_ACTIVE if up else _STOPPED),
            _CTRLMODE: _MODE.pack(0, self.modes),
            _RESTART_MS: wire.u32(self.restart_ms),
            _BITRATE_CONST: b"".join(map(wire.u32, self.rates)),
            _CTRLMODE_EXT: supported,
        }
        if self.bitrate:
            found[_BITTIMING] = _TIMING.pack(self.bitrate, self.sample_point, 0, 0, 0, 0, 0, 0)
        if self.dbitrate:
            found[_DATA_BITTIMING] = _TIMING.pack(self.dbitrate, 0, 0, 0, 0, 0, 0, 0)
        return b"".join(wire.attribute(kind, value) for kind, value in found.items())

    def _rate(self, data: bytes | None, before: int) -> int:
        if data is None:
            return before
        rate = int(_TIMING.unpack(data)[0])
        if rate not in self.rates:
            raise Refusal(errno.EINVAL, f"bitrate {rate} bps not supported")
        return rate
