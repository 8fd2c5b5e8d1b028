"""The desired state: networks and endpoints as frozen values, and their buses. Pure.

Rules:

- Networks with the same host interface are one bus.
- A state is never changed, only replaced: the old one stays, to go back to.
- Ports (the host-side interfaces of a bus) are derived from the state, never stored.
"""

from __future__ import annotations

from canwharf.bus import fault, naming
from canwharf.bus.fault import Fault
from canwharf.bus.naming import (
    NO_SPAN,
    AdapterOwner,
    BusOwner,
    EndpointOwner,
    HubOwner,
    Ifname,
    ImpairmentOwner,
    Owner,
    Span,
)
from canwharf.kernel.can import CanSettings
from canwharf.kernel.impairment import PERFECT, Impairment
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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


class Policy(NamedTuple):
    """Which frames a container may send and receive, and how many a second it may send.

    Canonical texts of the options can.send, can.receive and can.rate (`ids`); empty: not given.
    """

    send: str = ""
    receive: str = ""
    rate: str = ""

    def over(self, default: Policy) -> Policy:
        """Each word of this one or, where it is not given, that of the default."""
        return Policy(*(own or other for own, other in zip(self, default, strict=True)))


OPEN = Policy()
EVERYTHING = Policy("all", "all", "off")  # whatever the network's is
CLOSED = Policy("none", "none")
UNKNOWN = Policy("unknown", "unknown")  # to be shown: its record was lost


class Endpoint(NamedTuple):
    """An endpoint's options, validated: the name of its interface; None: that of its network.

    `policy` has the words that are its own; None: its record was lost, and what the kernel has of
    it stays. `injected` are faults on purpose in what it sends.
    """

    ifname: Ifname | None = None
    policy: Policy | None = OPEN
    injected: tuple[Fault, ...] = ()


class Target(NamedTuple):
    """Where a container's end is made: the descriptor of its namespace, its name there.

    For %d in the name the kernel puts the lowest number that is free.
    """

    namespace: int
    name: str


class Settings(NamedTuple):
    """A network's options, validated: the host interface's name, the container's prefix.

    `name`, if it is not empty, is the exact name of the container's interface, `policy` is that of
    containers without words of their own; None: its record was lost, and they are closed until the
    engine tells it. `impairment` is what a virtual bus does to frames on purpose. `physical` says
    that the interface was an adapter when the network was created. That stays so: while the adapter
    is unplugged, no vcan is made under its name.
    """

    interface: str
    prefix: str
    physical: bool = False
    adapter: Adapter = Adapter()
    name: str = ""
    policy: Policy | None = OPEN
    impairment: Impairment = PERFECT
    span: Span = NO_SPAN


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

    def policy_of(self, endpoint: str) -> Policy | None:
        """What this endpoint may send and receive; None: as the kernel has it."""
        own = self.endpoints.get(endpoint, Endpoint()).policy
        default = CLOSED if self.settings.policy is None else self.settings.policy
        return None if own is None else own.over(default)

    def with_ifnames(self, ifnames: Mapping[str, Ifname], policy: Policy | None = OPEN) -> Network:
        """This network with these endpoints added or replaced, and their interfaces' names.

        `policy` is for those that are added.
        """
        endpoints = dict(self.endpoints)
        for id, ifname in ifnames.items():
            requested = None if ifname == self.default_ifname else ifname
            old = endpoints.get(id, Endpoint(policy=policy))
            endpoints[id] = old._replace(ifname=requested)
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
    bus interface itself. `policy` is a container's; None: what the kernel has of it stays.
    `injected` are the faults in what it sends.
    """

    name: str
    owner: Owner
    container: str = ""
    policy: Policy | None = None
    injected: tuple[Fault, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Its own, and those of the ifbs in which faults let frames wait."""
        return frozenset((self.name, *fault.delays(self.name, self.injected)))


class Hub(NamedTuple):
    """The two ends of a pair of ours on the host: what enters at `entry` comes out at `exit`."""

    entry: Port
    exit: Port


class Bus(NamedTuple):
    """A bus: its interface, and the host ends of its endpoints by their name.

    The interface of a `physical` bus is an adapter, which cannot be made. The bus of an adapter
    that moves into its container has no other ports and no hub. `ifb` is there where frames have an
    `impairment`.
    """

    interface: Port
    host_ends: Mapping[str, Port]
    physical: bool = False
    adapter: Adapter = Adapter()
    hub: Hub | None = None
    ifb: Port | None = None
    impairment: Impairment = PERFECT
    span: Span = NO_SPAN

    @property
    def endpoints(self) -> Collection[Port]:
        """The ports of its endpoints."""
        return self.host_ends.values()

    @property
    def names(self) -> frozenset[str]:
        """The names of all its interfaces on the host, the hub's two and the ifbs among them."""
        return self.shared.union(self.host_ends, self.delays)

    @property
    def delays(self) -> Mapping[str, str]:
        """The names of host ends, by those of the ifbs in which their faults let frames wait."""
        faulty = (port for port in self.host_ends.values() if port.injected)
        return {ifb: port.name for port in faulty for ifb in port.names - {port.name}}

    @property
    def shared(self) -> frozenset[str]:
        """The names of the interfaces that are no container's: its own, the hub's two, the ifb."""
        ports = (self.interface, *(self.hub or ()), self.ifb)
        return frozenset(port.name for port in ports if port)

    def has(self, name: str) -> bool:
        """Whether one of its interfaces on the host has this name."""
        delayed = naming.is_delay(name) and name in self.delays
        return delayed or name in self.host_ends or name in self.shared


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
        kept = dict(old.endpoints)
        kept.pop(endpoint, None)
        return self.with_network(old._replace(endpoints=kept))

    @property
    def has_policies(self) -> bool:
        """Whether a container may not send or receive everything, by what is known."""
        networks = self.networks.values()
        own = (each.policy for net in networks for each in net.endpoints.values())
        return any(each not in (None, OPEN) for each in own) or any(
            net.settings.policy != OPEN for net in networks
        )

    @property
    def forgotten(self) -> list[str]:
        """The ids of the networks of which it is not known what their containers may."""
        return [id for id, net in self.networks.items() if net.settings.policy is None]

    @property
    def has_faults(self) -> bool:
        """Whether there is a fault on purpose in what a container sends."""
        networks = self.networks.values()
        return any(each.injected for net in networks for each in net.endpoints.values())

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

    def shared(self, interface: str) -> frozenset[str]:
        """The names of the interfaces of this bus that are no container's; empty without a bus."""
        bus = self.bus(interface)
        return bus.shared if bus else frozenset()

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
            return Bus(port, {}, physical, adapter)
        owner = AdapterOwner(self.driver) if physical else BusOwner(self.driver)
        host_ends: Mapping[str, Port] = {}
        for each in sharing:
            ports = _host_ends(self.driver, each)
            host_ends = {**host_ends, **ports} if host_ends else ports
        hub = Hub(*(_hub_end(self.driver, interface, end) for end in ("in", "out")))
        span = next((each.settings.span for each in sharing if each.settings.span.name), NO_SPAN)
        bus = Bus(Port(interface, owner), host_ends, physical, adapter, hub, span=span)
        troubled = (each.settings.impairment for each in sharing if each.settings.impairment.any)
        impairment = PERFECT if physical else next(troubled, PERFECT)
        if impairment == PERFECT:
            return bus
        name = naming.ifb(self.driver, interface)
        port = Port(name, ImpairmentOwner(self.driver, interface))
        return bus._replace(ifb=port, impairment=impairment)

    def port(self, network: Network, endpoint: str) -> Port:
        """The host end of an endpoint's pair."""
        return _host_end(self.driver, network, endpoint)


class _HostEnds:
    """The host ends of one network's endpoints, as of the last state.

    A call needs those of its whole bus, a thousand, and a state differs from the last in one.
    """

    def __init__(self, driver: str, id: str) -> None:
        self._driver = driver
        self._id = id  # of the network
        self._network: Network | None = None
        self._ports: Mapping[str, Port] = {}

    def ports(self, network: Network) -> Mapping[str, Port]:
        """The host ends of this network's endpoints by their name."""
        last = self._network
        if network is last:
            return self._ports
        ports = dict(self._ports)
        if last is None or last.settings != network.settings:
            last, ports = network._replace(endpoints={}), {}
        old, new = last.endpoints, network.endpoints
        for endpoint in old.keys() - new.keys():
            del ports[naming.host_end(self._id, endpoint)]
        for endpoint in [id for id, each in new.items() if old.get(id) is not each]:
            port = _host_end(self._driver, network, endpoint)
            ports[port.name] = port
        self._network, self._ports = network, ports
        return ports


_MOST = 1 << 10  # networks; a machine has fewer
_of_network: dict[tuple[str, str], _HostEnds] = {}


def _host_ends(driver: str, network: Network) -> Mapping[str, Port]:
    """The host ends of a network's endpoints by their name."""
    key = driver, network.id
    if key not in _of_network:
        if len(_of_network) >= _MOST:
            _of_network.clear()
        _of_network[key] = _HostEnds(*key)
    return _of_network[key].ports(network)


def _host_end(driver: str, network: Network, endpoint: str) -> Port:
    bus, ifname = network.settings.interface, network.ifname_of(endpoint)
    return Port(
        naming.host_end(network.id, endpoint),
        EndpointOwner(driver, network.id, endpoint, bus, ifname),
        naming.container_end(network.id, endpoint),
        network.policy_of(endpoint),
        network.endpoints.get(endpoint, Endpoint()).injected,
    )


def _hub_end(driver: str, bus: str, end: str) -> Port:
    return Port(naming.hub_end(driver, bus, end), HubOwner(driver, bus, end))
