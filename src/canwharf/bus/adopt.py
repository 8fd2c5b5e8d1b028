"""Adoption: networks and endpoints that only the engine or the kernel has go into the state.

Rules:

- The engine lists networks with their options. A network with invalid options is reported, and the
  others are adopted all the same.
- The alias of a pair has its endpoint, its network's id and bus, and the name in the container, but
  no other settings. A network from an alias is provisional until the engine lists it; the endpoints
  keep their names in the containers, and the filters that they have.
- Where an earlier version forgot the policies, the engine's list has those of its networks. Those
  of an endpoint are nowhere: filters that the kernel has of it stay. If it has but the marks, all
  may pass; a container without those was started by that version, which knows no words of its own.
- Nothing is written here: the service writes the new state as soon as it can.
"""

from __future__ import annotations

from canwharf.bus import adapter, describe, events, interfaces, options
from canwharf.bus.events import Event
from canwharf.bus.model import CLOSED, EVERYTHING, OPEN, Endpoint, Network, Policy, Settings, State
from canwharf.bus.observed import Observed
from canwharf.errors import CanwharfError, ConflictError
from canwharf.kernel.firewall import NO_FIREWALL
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import TypeAlias

# Network -> its options, as the engine lists them.
Known: TypeAlias = "Mapping[str, Mapping[str, object]]"
Ask: TypeAlias = "Callable[[], Known | None]"  # None: the engine does not answer


class Adopted(NamedTuple):
    """The new state, and the events to report.

    `provisional` are the networks that are known only from the alias of a pair.
    """

    state: State
    provisional: frozenset[str]
    events: tuple[Event, ...]


def networks(
    state: State, provisional: frozenset[str], listed: Known, observe: Callable[[], Observed]
) -> Adopted:
    """Adopt the networks that the state lacks, or has provisionally."""
    reports: list[Event] = []
    for id, requested in listed.items():
        forgotten = id in state.networks and state.networks[id].settings.policy is None
        if id in state.networks and id not in provisional and not forgotten:
            continue
        reports += describe.ignored(id, requested)
        try:
            if forgotten and id not in provisional:
                network = _with_policy(state.networks[id], requested)
            else:
                network = _network(state, id, options.without_unknown(requested), observe())
        except CanwharfError as error:
            reports.append(Event(events.NETWORK_NOT_ADOPTED, {"network": id, "error": str(error)}))
            continue
        state = state.with_network(network)
        provisional -= {id}
        fields = {"network": id, "interface": network.settings.interface}
        told = events.POLICY_FOUND if forgotten else events.NETWORK_ADOPTED
        reports.append(Event(told, fields))
    return Adopted(state, provisional, tuple(reports))


def _with_policy(old: Network, requested: Mapping[str, object]) -> Network:
    """A network with its policy of these options. Raises OptionError."""
    given = {each: requested[each] for each in options.POLICY_OPTIONS if each in requested}
    return _settled(
        old._replace(settings=old.settings._replace(policy=options.parse_policy(given)))
    )


def _settled(network: Network) -> Network:
    """A network whose policy is known now: if all may pass, none of its endpoints need say so."""
    if network.settings.policy != OPEN:
        return network
    endpoints = {
        id: each._replace(policy=OPEN) if each.policy == EVERYTHING else each
        for id, each in network.endpoints.items()
    }
    return network._replace(endpoints=endpoints)


def agreed(old: Network, settings: Settings) -> Network:
    """A network of which an engine tells the settings again: a forgotten policy is one of these.

    Raises ConflictError if they are others.
    """
    known = settings._replace(physical=old.settings.physical)
    if old.settings not in (known, known._replace(policy=None)):
        raise ConflictError(f"network {old.id} exists with other options")
    return old if old.settings == known else _settled(old._replace(settings=known))


def forgotten(state: State, observed: Observed) -> State:
    """The state with what the kernel's filters tell of endpoints without a record.

    Only for a file that an earlier version wrote: by now, such a filter may have been deleted.
    """
    for network in map(state.networks.__getitem__, state.forgotten):
        for id, each in network.endpoints.items():
            link = observed.link(state.port(network, id).name)
            index = link.ifindex if link else 0
            if each.policy is None and observed.firewall(index) == NO_FIREWALL:
                own = EVERYTHING if observed.marks(index).whole else OPEN
                state = state.with_endpoint(network.id, id, each._replace(policy=own))
    return state


def _network(state: State, id: str, requested: Mapping[str, object], observed: Observed) -> Network:
    """The network with these options. Raises OptionError."""
    settings = options.parse_network(requested)
    kind = options.parse_type(requested)
    settings = _typed(settings, kind, state, observed)
    old = state.networks.get(id)
    if old is None:
        return Network(id, settings, {})
    if old.settings.physical and kind != "virtual":
        settings = settings._replace(physical=True)
    new = _settled(Network(id, settings, old.endpoints))
    return new.with_ifnames({each: old.ifname_of(each) for each in old.endpoints})


def pairs(
    state: State,
    provisional: frozenset[str],
    observed: Observed,
    removals: Collection[str],
    lost: bool,
) -> Adopted:
    """Adopt the endpoints whose pair exists and that the state lacks, and their networks.

    Only those whose pair is in a container, unless the whole state was `lost`: a pair with both
    ends on the host is a leftover. Pairs among the `removals` are not adopted. A missing bus
    interface is taken for an unplugged adapter: a vcan does not disappear by itself.
    """
    reports: list[Event] = []
    unsure = _policies_used(state, observed)
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
            policy = None if unsure else OPEN
            settings = Settings(owner.bus, prefix, name=owner.ifname.name, policy=policy)
            network = Network(owner.network, _typed(settings, kind, state, observed), {})
            provisional |= {owner.network}
        # The words of a policy were in the state alone: the kernel's filters stay, if it has some.
        own: Policy | None = OPEN if network.settings.policy == OPEN else EVERYTHING
        if observed.firewall(link.ifindex) != NO_FIREWALL:
            own = None
        ifnames = {owner.endpoint: owner.ifname}
        state = state.with_network(network.with_ifnames(ifnames, own))
        fields = {"network": owner.network, "endpoint": owner.endpoint, "interface": link.name}
        reports.append(Event(events.ENDPOINT_ADOPTED, fields))
    return Adopted(state, provisional, tuple(reports))


def recreated(state: State, observed: Observed) -> Endpoint:
    """An endpoint of which a Join tells no more than the id.

    Where policies are in use, it may have had one that forbids more than its network's: it may
    neither send nor receive until its container starts again.
    """
    return Endpoint(policy=CLOSED if _policies_used(state, observed) else OPEN)


def _policies_used(state: State, observed: Observed) -> bool:
    return state.has_policies or observed.has_firewalls


def _typed(settings: Settings, kind: str, state: State, observed: Observed) -> Settings:
    """These settings with the type of the interface."""
    interface = settings.interface
    return adapter.typed(settings, kind, observed.link(interface), state.bus(interface))
