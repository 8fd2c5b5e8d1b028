"""The host's interfaces: ours, another daemon's, and those that can be a bus. Pure.

Rules:

- An interface is ours if it has an alias of this driver, or no alias and our group: the process
  died after it made the interface and before it could set the alias.
- A pair is known by the alias of its host end, under any name.
"""

from __future__ import annotations

from canwharf.bus.naming import (
    AdapterOwner,
    BusOwner,
    DelayOwner,
    EndpointOwner,
    HubOwner,
    ImpairmentOwner,
    group_of,
    owner_of,
)
from canwharf.bus.observed import Observed
from canwharf.kernel.link import Link


def is_ours(link: Link, driver: str) -> bool:
    """Whether we made this link: only then may it be changed or deleted."""
    if not link.alias:
        return link.group == group_of(driver)
    owner = owner_of(link)
    return (
        isinstance(owner, BusOwner | EndpointOwner | HubOwner | ImpairmentOwner | DelayOwner)
        and owner.driver == driver
    )


def is_set_up(link: Link, driver: str) -> bool:
    """Whether this is an adapter that we configured, and that has its original name."""
    owner = owner_of(link)
    return (
        isinstance(owner, AdapterOwner) and owner.driver == driver and owner.name in ("", link.name)
    )


def is_host_end(link: Link) -> bool:
    """Whether this is the host end of an endpoint's pair or a hub's, of whichever driver."""
    return isinstance(owner_of(link), EndpointOwner | HubOwner)


def bus_fault(name: str, observed: Observed) -> str:
    """Why the interface of this name cannot be a bus; empty if it can, or can be made."""
    link = observed.link(name)
    if link is None and (other := observed.other(name)):
        return f"it is another name (altname) of the interface {other.name}: give that one"
    if link is not None and not link.can:
        return "it exists and is not a CAN interface"
    if link is not None and is_host_end(link):
        return "it is an end of an interface pair of canwharf"
    return ""


def other_driver(name: str, observed: Observed) -> str:
    """The driver of another daemon that has a bus on the interface of this name; or empty.

    The containers of two drivers would receive no frames from each other.
    """
    for link in observed.links():
        match owner_of(link):
            case BusOwner(driver) | AdapterOwner(driver) if (
                link.name == name and driver != observed.driver
            ):
                return driver
            case EndpointOwner(driver, bus=bus) if bus == name and driver != observed.driver:
                return driver
    return ""


def pairs(observed: Observed) -> list[tuple[EndpointOwner, Link]]:
    """The host ends of all our pairs, with the owners in their aliases."""
    owners = ((owner_of(link), link) for link in observed.links())
    return [
        (owner, link)
        for owner, link in owners
        if isinstance(owner, EndpointOwner) and owner.driver == observed.driver
    ]


def unused(observed: Observed) -> frozenset[str]:
    """The names of all links of ours that are not in use by a container.

    They include the adapters that we configured, by their original name, and pairs without an
    alias, whose Join was not completed; and hubs, even if an end was moved away.
    """
    names = set()
    for link in observed.links():
        owner = owner_of(link)
        if isinstance(owner, AdapterOwner) and owner.driver == observed.driver:
            names.add(owner.name or link.name)
        elif is_ours(link, observed.driver) and (
            isinstance(owner, HubOwner) or not (link.peer_away and link.alias)
        ):
            names.update(observed.names(link)[-1:])
    return frozenset(names)
