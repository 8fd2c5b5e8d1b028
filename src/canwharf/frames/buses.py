"""What is known of the buses whose frames are read: their nodes, bit rate and condition.

Theory of operation. The sources of a capture say which containers are on which bus, the state what
each may receive and how fast a virtual bus is, the kernel what an adapter is set to. The daemon is
not asked. It is read again when somebody wants to know: nothing here is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from canwharf.bus.model import State
from canwharf.bus.store import Store
from canwharf.frames.frame import HOST, WIRE
from canwharf.frames.matrix import Node
from canwharf.frames.sources import Source
from canwharf.kernel import link
from canwharf.kernel.link import Link
from canwharf.kernel.netlink import Netlink
from canwharf.record import NamedTuple


class BusFacts(NamedTuple):
    """A bus, by the name that its frames have.

    `bitrate` and `dbitrate` are in bit/s, of the adapter or of can.bandwidth; 0 is not limited.
    `condition` is the adapter's (`error-active`, `bus-off`), or `up`, `down`, `gone`.
    """

    bus: str
    nodes: tuple[Node, ...] = ()
    bitrate: int = 0
    dbitrate: int = 0
    condition: str = ""

    @property
    def ill(self) -> bool:
        """Whether its condition is none in which frames pass."""
        return self.condition in ("down", "gone", "bus-off", "stopped", "sleeping")


class Buses:
    """Reads the state and the kernel."""

    def __init__(self, driver: str, state_dir: str) -> None:
        """Raises KernelError."""
        self._driver = driver
        self._store = Store(state_dir)
        self._netlink = Netlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._netlink.close()

    def read(self, sources: Iterable[Source]) -> dict[str, BusFacts]:
        """The buses of these sources, by name. Raises CanwharfError."""
        state = self._store.load(self._driver)[0]
        links = {each.name: each for each in link.links(self._netlink)}
        found: dict[str, BusFacts] = {}
        for source in sources:
            facts = found.get(source.bus)
            if facts is None:
                facts = _facts(source, state, links.get(source.interface))
            found[source.bus] = facts._replace(nodes=(*facts.nodes, *_nodes(source, state)))
        return found


def _facts(source: Source, state: State, at: Link | None) -> BusFacts:
    """A bus as yet without nodes."""
    if at is None:
        return BusFacts(source.bus, condition="gone")
    if at.controller:
        settings = at.controller
        condition = settings.state_name.lower() if at.up else "down"
        return BusFacts(source.bus, (), settings.bitrate, settings.dbitrate, condition)
    bus = state.bus(source.interface)
    bandwidth = bus.impairment.bandwidth if bus else 0
    return BusFacts(source.bus, (), bandwidth, condition="up" if at.up else "down")


def _nodes(source: Source, state: State) -> list[Node]:
    """The node at a source: a container, or an adapter's wire."""
    if not source.endpoint:
        return [] if source.sender == HOST else [Node(source.bus, WIRE)]
    for network in state.networks.values():
        if source.endpoint in network.endpoints:
            policy = network.policy_of(source.endpoint)  # None: not known, so all may be let in
            return [Node(source.bus, source.sender, policy.receive if policy else "")]
    return [Node(source.bus, source.sender)]
