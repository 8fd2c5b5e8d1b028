"""Adoption: what the engine and the kernel know and the state does not, taken into the state.

Rules:

- The engine tells networks with their options. One of them that cannot be understood is reported
  and does not keep the others from being adopted.
- The alias of a pair tells its endpoint, and all of its network but the other settings. These are
  the endpoint's own, provisionally, until the engine tells the network's. Then the endpoints are
  called in their containers as before.
- Nothing is written here: what is adopted is in memory, and on disk as soon as it can be written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from canwharf.bus import adapter, describe, events, interfaces, options
from canwharf.bus.events import Event
from canwharf.bus.model import Network, Settings, State
from canwharf.bus.observed import Observed
from canwharf.errors import CanwharfError

Known = Mapping[str, Mapping[str, object]]  # network -> its options, as the engine tells them


class Adopted(NamedTuple):
    """A state with what was adopted, and what is to be reported.

    `provisional` are the networks of which only the alias of a pair is known.
    """

    state: State
    provisional: frozenset[str]
    events: tuple[Event, ...]


def networks(
    state: State, provisional: frozenset[str], known: Known, observe: Callable[[], Observed]
) -> Adopted:
    """Adopt the networks that the state does not have, or has provisionally."""
    told: list[Event] = []
    for id, given in known.items():
        if id in state.networks and id not in provisional:
            continue
        told += describe.ignored(id, given)
        try:
            network = _network(state, id, options.without_unknown(given), observe())
        except CanwharfError as error:
            told.append(Event(events.NETWORK_NOT_ADOPTED, {"network": id, "error": str(error)}))
            continue
        state = state.with_network(network)
        provisional -= {id}
        fields = {"network": id, "interface": network.settings.interface}
        told.append(Event(events.NETWORK_ADOPTED, fields))
    return Adopted(state, provisional, tuple(told))


def _network(state: State, id: str, given: Mapping[str, object], observed: Observed) -> Network:
    """The network with these options. Raises OptionError."""
    settings = options.parse_network(given)
    kind = options.parse_type(given)
    settings = _typed(settings, kind, state, observed)
    old = state.networks.get(id)
    if old is None:
        return Network(id, settings, {})
    if old.settings.physical and kind != "virtual":
        settings = settings._replace(physical=True)
    new = Network(id, settings, old.endpoints)
    return new.with_ifnames({each: old.ifname_of(each) for each in old.endpoints})


def pairs(
    state: State,
    provisional: frozenset[str],
    observed: Observed,
    removals: Collection[str],
    lost: bool,
) -> Adopted:
    """Adopt the endpoints that the kernel holds and the state does not have, and their networks.

    Only those whose pair is in a container, unless all was `lost`: a pair that has both its ends
    on the host is a leftover. One of the `removals` is none of them. A bus interface that is not
    there is taken for an adapter that is unplugged: a vcan does not go by itself.
    """
    told: list[Event] = []
    for owner, link in interfaces.pairs(observed):
        network = state.networks.get(owner.network)
        if network is not None and owner.endpoint in network.endpoints:
            continue
        if link.name in removals or not (link.peer_away or lost):
            continue
        if network is None:
            prefix = owner.ifname.prefix or options.DEFAULT_PREFIX
            there = observed.link(owner.bus) or state.bus(owner.bus)
            kind = "auto" if there else "physical"
            settings = Settings(owner.bus, prefix, name=owner.ifname.name)
            network = Network(owner.network, _typed(settings, kind, state, observed), {})
            provisional |= {owner.network}
        ifnames = {owner.endpoint: owner.ifname}
        state = state.with_network(network.with_ifnames(ifnames))
        fields = {"network": owner.network, "endpoint": owner.endpoint, "interface": link.name}
        told.append(Event(events.ENDPOINT_ADOPTED, fields))
    return Adopted(state, provisional, tuple(told))


def _typed(settings: Settings, kind: str, state: State, observed: Observed) -> Settings:
    """These settings for what the interface is now."""
    interface = settings.interface
    return adapter.typed(settings, kind, observed.link(interface), state.bus(interface))
