"""What the tests of real adapters are made of.

An adapter that is plugged in, what `ip` says of it, and programs that receive error frames too.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic

import pytest

from canwharf.kernel import uapi
from canwharf.kernel.netlink import LinkEvents
from tests.kernel.site import Site, shown
from tests.world.adapter import Adapter
from tests.world.host import LIMIT, cangw_lines
from tests.world.member import Member, raw_socket
from tests.world.plugging import Wire, virtual

N, M = "n" * 64, "m" * 64
NAME = "motor"  # none that the kernel gives
RATE = "500000"

_CAN_RAW_ERR_FILTER = 2  # linux/can/raw.h

Plug = Callable[..., Adapter]


@pytest.fixture
def plug(stack: ExitStack) -> Plug:
    """Plugs in an adapter; it is pulled out at the end."""

    def made(name: str = NAME, bitrate: int = 0) -> Adapter:
        adapter = Adapter(name, bitrate)
        stack.callback(adapter.remove)
        return adapter

    return made


@pytest.fixture
def _never_virtual() -> Iterator[None]:
    """Nobody made a virtual interface of the adapter's name during the test."""
    events = LinkEvents()
    yield
    made = [found for name in (NAME, "can0") for found in virtual(events, name)]
    events.close()
    assert made == []


never_virtual = pytest.mark.usefixtures("_never_virtual")


def make(site: Site, network: str = N, **options: str) -> None:
    """A network on the adapter; the options without `can.`, and with `_` for `-`."""
    given = {"interface": NAME, "name": "can", "bitrate": RATE, **options}
    named = {f"can.{name.replace('_', '-')}": value for name, value in given.items() if value}
    site.service.create_network(network, named)


def settings(name: str = NAME) -> dict[str, object]:
    """What `ip` says of an adapter's settings."""
    told = shown(name)
    data = told["linkinfo"]["info_data"]
    return {
        "up": "UP" in told["flags"],
        "bitrate": data.get("bittiming_bitrate", 0),  # of an adapter with a list of rates
        "modes": data.get("ctrlmode", []),
        "txqueuelen": told["txqlen"],
    }


UP = {"up": True, "bitrate": 500000, "modes": [], "txqueuelen": 10}


class Ear:
    """A program in a container that receives all frames, error frames too."""

    def __init__(self, member: Member) -> None:
        self._socket = raw_socket(member)
        every = struct.pack("=I", uapi.CAN_ERR_MASK)
        self._socket.setsockopt(socket.SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, every)
        self._socket.settimeout(LIMIT)

    def say(self, id: int) -> None:
        self._socket.send(struct.pack("=IB3x8x", id, 0))

    def until(self, last: int) -> list[int]:
        """The ids of all frames up to this one; error frames are the negative of their class."""
        heard: list[int] = []
        deadline = monotonic() + LIMIT
        while not heard or heard[-1] != last:
            assert monotonic() < deadline
            [id] = struct.unpack_from("=I", self._socket.recv(72))
            heard.append(-(id & uapi.CAN_ERR_MASK) if id & uapi.CAN_ERR_FLAG else id)
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ears(stack: ExitStack) -> Callable[[Site], list[Ear]]:
    """A program in each container of the bus."""

    def opened(site: Site) -> list[Ear]:
        made = [Ear(member) for member in site.members(NAME)[1:]]
        for ear in made:
            stack.callback(ear.close)
        return made

    return opened


def assert_on_the_wire(site: Site, adapter: Adapter) -> None:
    """Frames from the wire arrive once in each container, theirs once there and on the wire."""
    with Wire(site.members(adapter.name)[1:]) as wire:
        assert wire.check(adapter) == []


def error_rules() -> int:
    """How many gateway rules pass error frames."""
    return sum("-f 000:3FFFFFFF" in line for line in cangw_lines())
