"""What should be: networks and endpoints as frozen values, and the buses that follow. Pure.

Rules:

- The host interface is what makes a bus: networks that name the same one are one bus.
- A state is never changed, only replaced; whoever holds the old one can go back to it.
- Ports (the host-side interfaces of a bus) are derived from the state, never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from canwharf.bus import naming
from canwharf.bus.naming import AdapterOwner, BusOwner, EndpointOwner, Ifname, Owner
from canwharf.kernel.can import CanSettings


class Adapter(NamedTuple):
    """What a network asks of its adapter, validated: `options` are the options that say so.

    `errors` says that its error frames reach the containers, `moved` that the adapter itself goes
    into the one container, `force` that settings of somebody else are overridden.
    """

    settings: CanSettings = CanSettings()
    errors: bool = True
    moved: bool = False
    force: bool = False
    options: Mapping[str, str] = {}


class Endpoint(NamedTuple):
    """An endpoint's options, validated: the name of its interface; None: as its network says."""

    ifname: Ifname | None = None


class Target(NamedTuple):
    """Where a container's end is made: the descriptor of its namespace, its name there."""

    namespace: int
    name: str


class Settings(NamedTuple):
    """A network's options, validated: the host interface's name, the container's prefix.

    `name`, if there is one, is what the container's interface is called exactly.

    `physical` says that the interface was a real adapter when the network was made. It is one
    for ever: while it is unplugged, nothing else is made under its name.
    """

    interface: str
    prefix: str
    physical: bool = False
    adapter: Adapter = Adapter()
    name: str = ""


class Network(NamedTuple):
    """A network: its id, its settings, and its endpoints by id, with what each asks for."""

    id: str
    settings: Settings
    endpoints: Mapping[str, Endpoint]

    @property
    def default_ifname(self) -> Ifname:
        """The interface's name in the container of an endpoint that asks for none."""
        if self.settings.name:
            return Ifname(name=self.settings.name)
        return Ifname(self.settings.prefix)

    def ifname_of(self, endpoint: str) -> Ifname:
        """The interface's name in the container of this endpoint."""
        return self.endpoints.get(endpoint, Endpoint()).ifname or self.default_ifname

    def with_ifnames(self, ifnames: Mapping[str, Ifname]) -> Network:
        """This network with endpoints whose interfaces have these names, its own or others."""
        endpoints = dict(self.endpoints)
        for id, ifname in ifnames.items():
            requested = None if ifname == self.default_ifname else ifname
            endpoints[id] = endpoints.get(id, Endpoint())._replace(ifname=requested)
        return self._replace(endpoints=endpoints)


class Port(NamedTuple):
    """One host-side interface of a bus.

    `container` is the name of the pair's other end while that is on the host; empty for the
    bus interface itself.
    """

    name: str
    owner: Owner
    container: str = ""


class Bus(NamedTuple):
    """All that belongs together: the bus interface and its endpoints' ports.

    A `physical` bus has an adapter for its interface, which nobody can make. An adapter that is
    moved into its container has no other ports.
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
    """All that should be there, under the name by which the container engine knows us.

    `complete` is False after a loss, until the engine has told what it still knows.
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

    def has_exact(self, prefix: str) -> bool:
        """Whether a container's interface has a whole name that begins like this."""
        return any(
            network.ifname_of(endpoint).name.startswith(prefix)
            for network in self.networks.values()
            for endpoint in network.endpoints
        )

    def interfaces(self) -> list[str]:
        """The names of all bus interfaces, each once."""
        return list(dict.fromkeys(each.settings.interface for each in self.networks.values()))

    def bus(self, interface: str) -> Bus | None:
        """The bus on a host interface; None where no network names it."""
        sharing = [each for each in self.networks.values() if each.settings.interface == interface]
        if not sharing:
            return None
        physical = any(each.settings.physical for each in sharing)
        asking = (each.settings.adapter for each in sharing if each.settings.adapter.options)
        adapter = next(asking, Adapter())
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
