"""A bus made by hand of what `kernel` has: a linear one with a hub, or a mesh.

Each step of a container's coming and going can be done alone, and looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from canwharf.kernel import gateway, traffic_control
from canwharf.kernel.gateway import FRAMES, Rule
from canwharf.kernel.netlink import Netlink
from canwharf.kernel.request import Request
from canwharf.kernel.traffic_control import NOTHING, Marks, Port
from tests.filters import delete
from tests.kernel.site import make_pair, make_vcans
from tests.world.container import Container
from tests.world.host import index_of, run, wait_for_carrier
from tests.world.member import HOST, Member

Step = tuple[str, list[Request]]


class Bus:
    """A bus interface and the containers' host ends, joined as the shape says."""

    def __init__(self, stack: ExitStack, netlink: Netlink, name: str = "a") -> None:
        self._stack = stack
        self._netlink = netlink
        self.name = name
        self.ports: list[Port] = []
        self.containers: list[Container] = []
        make_vcans(name)
        self.index = index_of(name)

    def take(self, container: Container | None = None, ifname: str = "can0") -> Port:
        """A container's pair, not joined to anything yet; `container` is one of another bus."""
        host, inside = f"{self.name}h{len(self.ports)}", f"{self.name}c{len(self.ports)}"
        make_pair(host, inside)
        inhabitant = container or Container()
        self._stack.callback(inhabitant.close)
        inhabitant.take(inside, ifname)
        self.containers.append(inhabitant)
        self.ports.append(Port(index_of(host), host))
        return self.ports[-1]

    def join(self, container: Container | None = None, ifname: str = "can0") -> Port:
        """A container that is joined to all others."""
        port = self.take(container, ifname)
        for _name, requests in self.coming(port):
            self._netlink.batch(requests)
        return port

    def coming(self, port: Port) -> list[Step]:
        """The steps of a container's coming, in their order."""
        raise NotImplementedError

    def members(self, *ifnames: str) -> list[Member]:
        """The host and the containers; their interfaces are named can0 or as told."""
        wait_for_carrier(HOST, *(container.path for container in self.containers))
        inside = zip(self.containers, ifnames or ("can0",) * len(self.containers), strict=True)
        return [Member(HOST, self.name), *(each.member(name) for each, name in inside)]


class Linear(Bus):
    """A pair of the host's is the hub: what enters `in` comes out of `out`."""

    def __init__(self, stack: ExitStack, netlink: Netlink, name: str = "a") -> None:
        super().__init__(stack, netlink, name)
        make_pair(f"{name}in", f"{name}out")
        self.hub = index_of(f"{name}in"), index_of(f"{name}out")
        self.classifier = traffic_control.probe(netlink, Port(self.hub[0], f"{name}in")).classifier

    def coming(self, port: Port) -> list[Step]:
        """The filters first, the way back to the container last."""
        filters = traffic_control.add(port, self.classifier)
        index = port.ifindex
        return [
            *(("filters", [request]) for request in filters),
            ("to the hub", rules(index, self.hub[0])),
            ("to the bus interface", rules(index, self.index, echo=True)),
            ("from the bus interface", rules(self.index, index)),
            ("from the hub", rules(self.hub[1], index)),
        ]

    def going(self, port: Port, found: Marks) -> list[Step]:
        """The reverse."""
        filters = delete(port, found)
        index = port.ifindex
        return [
            ("from the hub", rules(self.hub[1], index, there=False)),
            ("from the bus interface", rules(self.index, index, there=False)),
            ("to the bus interface", rules(index, self.index, echo=True, there=False)),
            ("to the hub", rules(index, self.hub[0], there=False)),
            *(("filters", [request]) for request in filters),
        ]

    def marks(self, port: Port) -> Marks:
        """What there is of a port's filters."""
        return traffic_control.find(self._netlink).get(port.ifindex, NOTHING)

    def restore(self, port: Port) -> None:
        """Add what is missing."""
        self._netlink.batch(traffic_control.add(port, self.classifier, self.marks(port)))


class Mesh(Bus):
    """Rules between each two: the shape where a module is missing."""

    def coming(self, port: Port) -> list[Step]:
        """Rules to and from each that is there."""
        step = rules(port.ifindex, self.index, echo=True) + rules(self.index, port.ifindex)
        for other in self.ports:
            if other != port:
                step += rules(port.ifindex, other.ifindex) + rules(other.ifindex, port.ifindex)
        return [("rules", step)]


def rules(source: int, destination: int, echo: bool = False, there: bool = True) -> list[Request]:
    """Add, or delete, the rules for all frames of one direction."""
    make = gateway.add if there else gateway.delete
    return [make(Rule(source, destination, frames, echo), "by hand") for frames in FRAMES]


def forwarding(container: Container, ifnames: Sequence[str] = ("can0", "can1")) -> None:
    """Let a container forward between its two interfaces, both ways, with echo, as its user would.

    Its rules end with it or by `cangw -F` in it.
    """
    for source, destination in (ifnames, ifnames[::-1]):
        for options in ("", "-X", "-f 0:3FFFFFFF"):
            words = f"cangw -A -s {source} -d {destination} -e {options}"
            run("nsenter", f"--net={container.path}", *words.split())


def dropped(netlink: Netlink, ports: Iterable[Port]) -> int:
    """How many frames can-gw lost on the way to these."""
    indexes = {port.ifindex for port in ports}
    entries = gateway.entries(netlink)
    return sum(entry.dropped for entry in entries if entry.rule.destination in indexes)
