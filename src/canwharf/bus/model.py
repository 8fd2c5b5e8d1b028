"""The desired state: networks and endpoints as frozen values, and their buses. Pure.

Rules:

- Networks with the same host interface are one bus.
- A state is never changed, only replaced: the old one stays, to go back to.
- Ports (the host-side interfaces of a bus) are derived from the state, never stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from canwharf.bus import naming
from canwharf.bus.naming import AdapterOwner, BusOwner, EndpointOwner, Ifname, Owner
from canwharf.kernel.can import CanSettings
from canwharf.record import NamedTuple

_IP_PREFIX = "eth"  # with which Docker names the interfaces of its own networks


class Adapter(NamedTuple):
    """A network's settings of its adapter, validated; `options` are their canonical texts.

    `errors` says that its error frames reach the containers, `moved` that the adapter itself moves
    into the one container, `force` that other settings are overwritten while it is up.
    """

    settings: CanSettings = CanSettings()
    errors: bool = True
    moved: bool = False
    force: bool = False
    options: Mapping[str, str] = {}


class Endpoint(NamedTuple):
    """An endpoint's options, validated: the name of its interface; None: that of its network."""

    ifname: Ifname | None = None


class Target(NamedTuple):
    """Where a container's end is made: the descriptor of its namespace, its name there.

    For %d in the name the kernel puts the lowest number that is free.
    """

    namespace: int
    name: str


class Settings(NamedTuple):
    """A network's options, validated: the host interface's name, the container's prefix.

    `name`, if it is not empty, is the exact name of the container's interface. `physical` says that
    the interface was an adapter when the network was created. That stays so: while the adapter is
    unplugged, no vcan is made under its name.
    """

    interface: str
    prefix: str
    physical: bool = False
    adapter: Adapter = Adapter()
    name: str = ""


class Network(NamedTuple):
    """A network: its id, its settings, and its endpoints by id."""

    id: str
    settings: Settings
    endpoints: Mapping[str, Endpoint]

    @property
    def default_ifname(self) -> Ifname:
        """The interface's name in the container of an endpoint without one."""
        if self.settings.name:
            return Ifname(name=self.settings.name)
        return Ifname(self.settings.prefix)

    def ifname_of(self, endpoint: str) -> Ifname:
        """The interface's name in the container of this endpoint."""
        return self.endpoints.get(endpoint, Endpoint()).ifname or self.default_ifname

    def with_ifnames(self, ifnames: Mapping[str, Ifname]) -> Network:
        """This network with these endpoints added or replaced, and their interfaces' names."""
        endpoints = dict(self.endpoints)
        for id, ifname in ifnames.items():
            requested = None if ifname == self.default_ifname else ifname
            endpoints[id] = endpoints.get(id, Endpoint())._replace(ifname=requested)
        return self._replace(endpoints=endpoints)


class Attachment(NamedTuple):
    """A container that is to be attached to an implied network (see `naming`).

    `network` and `endpoint` are the ids of both, `options` and `requested` their options.
    """

    network: str
    endpoint: str
    options: Mapping[str, object]
    requested: Mapping[str, object]


class Port(NamedTuple):
    """One host-side interface of a bus.

    `container` is the name of the pair's other end while that is on the host; empty for the
    bus interface itself.
    """

    name: str
    owner: Owner
    container: str = ""


class Bus(NamedTuple):
    """A bus: its interface and the ports of its endpoints.

    The interface of a `physical` bus is an adapter, which cannot be made. The bus of an adapter
    that moves into its container has no other ports.
    """

    interface: Port
    endpoints: tuple[Port, ...]
    physical: bool = False
    adapter: Adapter = Adapter()

    @property
    def ports(self) -> tuple[Port, ...]:
        """All ports, the bus interface first."""
        return (self.interface, *self.endpoints)


class State(NamedTuple):
    """All networks of a driver.

    `complete` is False after a loss, until the engine has listed its networks.
    """

    driver: str
    networks: Mapping[str, Network]
    complete: bool = True

    def with_network(self, network: Network) -> State:
        """This state with a network added or replaced."""
        return self._replace(networks={**self.networks, network.id: network})

    def without_network(self, network: str) -> State:
        """This state without a network."""
        kept = {id: value for id, value in self.networks.items() if id != network}
        return self._replace(networks=kept)

    def with_endpoint(self, network: str, endpoint: str, settings: Endpoint) -> State:
        """This state with an endpoint added to one of its networks."""
        old = self.networks[network]
        return self.with_network(old._replace(endpoints={**old.endpoints, endpoint: settings}))

    def without_endpoint(self, network: str, endpoint: str) -> State:
        """This state without one endpoint."""
        old = self.networks[network]
        kept = {id: each for id, each in old.endpoints.items() if id != endpoint}
        return self.with_network(old._replace(endpoints=kept))

    def endpoints(self) -> frozenset[str]:
        """The ids of all endpoints."""
        return frozenset(id for network in self.networks.values() for id in network.endpoints)

    def numbered_by_engine(self, prefix: str) -> bool:
        """Whether the engine itself moves interfaces with this prefix into containers.

        Of an IP network, or adapters of ours: it counts only those that it moves, and would come
        upon one that was put in place.
        """
        return prefix == _IP_PREFIX or any(
            network.settings.adapter.moved and network.settings.prefix == prefix
            for network in self.networks.values()
        )

    def interfaces(self) -> list[str]:
        """The names of all bus interfaces, each once."""
        return list(dict.fromkeys(each.settings.interface for each in self.networks.values()))

    def bus(self, interface: str) -> Bus | None:
        """The bus on a host interface; None if no network has it."""
        sharing = [each for each in self.networks.values() if each.settings.interface == interface]
        if not sharing:
            return None
        physical = any(each.settings.physical for each in sharing)
        settings = (each.settings.adapter for each in sharing if each.settings.adapter.options)
        adapter = next(settings, Adapter())
        if adapter.moved:
            port = Port(interface, AdapterOwner(self.driver, interface))
            return Bus(port, (), physical, adapter)
        owner = AdapterOwner(self.driver) if physical else BusOwner(self.driver)
        ports = tuple(self.port(each, endpoint) for each in sharing for endpoint in each.endpoints)
        return Bus(Port(interface, owner), ports, physical, adapter)

    def port(self, network: Network, endpoint: str) -> Port:
        """The host end of an endpoint's pair."""
        bus, ifname = network.settings.interface, network.ifname_of(endpoint)
        return Port(
            naming.host_end(network.id, endpoint),
            EndpointOwner(self.driver, network.id, endpoint, bus, ifname),
            naming.container_end(network.id, endpoint),
        )
