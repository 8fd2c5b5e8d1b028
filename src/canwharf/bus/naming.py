"""Names: what Linux accepts, and how ids become interface names and aliases. Pure.

Rules:

- The names of a pair depend on the ids alone, so that any later daemon finds the pair again, and
  on every digit of them: ids that share their first characters get different names.
- An alias says whose an interface is: `canwharf DRIVER bus` on a host interface that we made,
  `canwharf DRIVER endpoint NETWORK ENDPOINT BUS PREFIX` on the host end of a pair, or, where the
  other end has exactly this name, `… BUS NAME exact`. DRIVER is the name that the container
  engine knows us by; what bears another driver's alias is not ours.
- `canwharf DRIVER adapter` is on an adapter that we set up, `canwharf DRIVER adapter NAME` on one
  that moves into a container and may come back under another name. Neither is ours to delete.
- What is not exactly such an alias belongs to somebody else. What has one is known by it, under
  whatever name: a host end that was renamed is still its endpoint's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from canwharf.kernel.link import Link
from canwharf.kernel.uapi import IFNAMSIZ

MAX_NAME = IFNAMSIZ - 1
MAX_PREFIX = MAX_NAME - 1  # the engine appends an index of one digit at least
MAX_ID = 64  # Docker's ids are 64 hex digits, Swarm's 25 letters and digits

_INTERNAL = re.compile(r"(?:(?:the )?interface (?:pair )?)?\bcw[hc][0-9a-f]{12}\b")
_HARDWARE = re.compile(r"(?:can|slcan)[0-9]+")
_HOST_END = "cwh"
_PRIME = (1 << 48) - 59  # the largest prime of 12 hex digits
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_DRIVER_CHARACTERS = _ID_CHARACTERS | frozenset("/:")  # a managed plugin's: somebody/vxcan:latest


class Ifname(NamedTuple):
    """What an interface is called in its container.

    `name` exactly, or else `prefix` and an index that the engine appends.
    """

    prefix: str = ""
    name: str = ""


class BusOwner(NamedTuple):
    """The owner of a host interface that we made for a bus."""

    driver: str


class AdapterOwner(NamedTuple):
    """The owner of an adapter that we set up; `name` is its own, if it moves into a container."""

    driver: str
    name: str = ""


class EndpointOwner(NamedTuple):
    """The owner of a pair's host end: enough to know the endpoint again without any state."""

    driver: str
    network: str
    endpoint: str
    bus: str
    ifname: Ifname

    def is_endpoint(self, driver: str, network: str, endpoint: str) -> bool:
        """Whether it is this endpoint, whatever its interface is called in the container."""
        return (self.driver, self.network, self.endpoint) == (driver, network, endpoint)


Owner = BusOwner | AdapterOwner | EndpointOwner


def format_alias(owner: Owner) -> str:
    """The alias that tells of this owner."""
    match owner:
        case BusOwner(driver):
            return f"canwharf {driver} bus"
        case AdapterOwner(driver, name):
            return f"canwharf {driver} adapter {name}".rstrip()
        case EndpointOwner(driver, network, endpoint, bus, ifname):
            name = f"{ifname.name} exact" if ifname.name else ifname.prefix
            return f"canwharf {driver} endpoint {network} {endpoint} {bus} {name}"


def owner_of(link: Link) -> Owner | None:
    """The owner that an interface's alias tells; None where it is no alias of this project."""
    return parse_alias(link.alias)


def parse_alias(alias: str) -> Owner | None:
    """The owner that an alias tells; None where it is no alias of this project."""
    match alias.split(" "):
        case ["canwharf", driver, "bus"]:
            return BusOwner(driver)
        case ["canwharf", driver, "adapter"]:
            return AdapterOwner(driver)
        case ["canwharf", driver, "adapter", name] if name:
            return AdapterOwner(driver, name)
        case ["canwharf", driver, "endpoint", network, endpoint, bus, prefix]:
            return EndpointOwner(driver, network, endpoint, bus, Ifname(prefix))
        case ["canwharf", driver, "endpoint", network, endpoint, bus, name, "exact"]:
            return EndpointOwner(driver, network, endpoint, bus, Ifname(name=name))
    return None


def group_of(driver: str) -> int:
    """The group of the links that we make: tells one without an alias from somebody else's."""
    return 0x63770000 + int.from_bytes(driver.encode()) % 0xFFF1


def host_end(network: str, endpoint: str) -> str:
    """The name of a pair's end that stays on the host: `cwh` and 12 digits."""
    return f"{_HOST_END}{_digits(network, endpoint)}"


def renamed_from(link: Link, driver: str) -> str:
    """The name with which the host end of a pair was made, if it has another one now.

    Empty where it is no host end of this driver, or has a name as we make them.
    """
    if len(link.name) == MAX_NAME and link.name.startswith(_HOST_END):
        return ""
    owner = owner_of(link)
    if not isinstance(owner, EndpointOwner) or owner.driver != driver:
        return ""
    return host_end(owner.network, owner.endpoint)


def container_end(network: str, endpoint: str) -> str:
    """The name of a pair's other end until it is moved into its container."""
    return f"cwc{_digits(network, endpoint)}"


def without_internal(text: str) -> str:
    """A sentence for a user, who has never heard of the names of a pair's ends."""
    return _INTERNAL.sub("a container's interface", text)


def is_hardware_like(name: str) -> bool:
    """Whether the kernel itself gives an adapter such a name: can0, slcan0."""
    return _HARDWARE.fullmatch(name) is not None


def is_id(text: str) -> bool:
    """Whether this can be an id: it stands in an alias of limited length, between spaces."""
    return 0 < len(text) <= MAX_ID and _ID_CHARACTERS.issuperset(text)


def is_driver(text: str) -> bool:
    """Whether an engine can know us by this name; it stands in aliases, too."""
    return 0 < len(text) <= MAX_ID and _DRIVER_CHARACTERS.issuperset(text)


def name_fault(name: str, longest: int = MAX_NAME) -> str:
    """Why Linux would refuse this interface name, or this beginning of one; or empty.

    Sources: net/core/dev.c (dev_valid_name), net/ipv4/devinet.c (sysctl_dev_name_is_allowed).
    """
    if not name:
        return "it is empty"
    if len(name) > longest:
        return f"it has {len(name)} characters, at most {longest} fit"
    if name in (".", "..") or (longest == MAX_NAME and name in ("all", "default")):
        return "Linux reserves it"
    for character in name:
        if character in "/:%" or not "!" <= character <= "~":
            return f"it contains {character!r}; letters, digits and most ASCII signs are right"
    return ""


def _digits(network: str, endpoint: str) -> str:
    """A remainder is all the hashing that this needs: ids are random, only never to be cut."""
    return f"{int.from_bytes(f'{network}/{endpoint}'.encode()) % _PRIME:012x}"
