"""The host's interfaces: which are ours, which are another daemon's, which can be a bus. Pure.

Rules:

- An interface is ours if it bears an alias of this driver, or no alias at all and our group: it
  was made, and the process died before it could give the alias.
- A pair is known by the alias of its host end, under whatever name that is.
"""

from __future__ import annotations

from canwharf.bus.naming import AdapterOwner, BusOwner, EndpointOwner, group_of, owner_of
from canwharf.bus.observed import Observed
from canwharf.kernel.link import Link


def is_ours(link: Link, driver: str) -> bool:
    """Whether we made this link: only then may it be changed or deleted."""
    if not link.alias:
        return link.group == group_of(driver)
    owner = owner_of(link)
    return isinstance(owner, BusOwner | EndpointOwner) and owner.driver == driver


def is_set_up(link: Link, driver: str) -> bool:
    """Whether this is an adapter that we set up, under its own name."""
    owner = owner_of(link)
    return (
        isinstance(owner, AdapterOwner) and owner.driver == driver and owner.name in ("", link.name)
    )


def is_host_end(link: Link) -> bool:
    """Whether this is the host end of an endpoint's pair, of whichever driver."""
    return isinstance(owner_of(link), EndpointOwner)


def bus_fault(name: str, observed: Observed) -> str:
    """Why the interface of this name cannot be a bus; empty if it can, or can be made."""
    link = observed.link(name)
    if link is None and (other := observed.other(name)):
        return f"it is another name (altname) of the interface {other.name}: give that one"
    if link is not None and not link.can:
        return "it exists and is not a CAN interface"
    if link is not None and is_host_end(link):
        return "it is the host end of a container's interface pair"
    return ""


def other_driver(name: str, observed: Observed) -> str:
    """The driver of another daemon that has a bus on the interface of this name; or empty.

    Containers of two drivers would not hear each other.
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
    """The host ends of all our pairs, and what their aliases say."""
    owners = ((owner_of(link), link) for link in observed.links())
    return [
        (owner, link)
        for owner, link in owners
        if isinstance(owner, EndpointOwner) and owner.driver == observed.driver
    ]


def unused(observed: Observed) -> frozenset[str]:
    """The names of all links of ours that are not in use by a container.

    Adapters that we set up are among them, by their own name if that is not the one they have.
    So is a pair without an alias, wherever its other end is: the Join that made it was not
    completed.
    """
    names = set()
    for link in observed.links():
        owner = owner_of(link)
        if isinstance(owner, AdapterOwner) and owner.driver == observed.driver:
            names.add(owner.name or link.name)
        elif is_ours(link, observed.driver) and not (link.peer_away and link.alias):
            names.update(observed.names(link)[-1:])
    return frozenset(names)
