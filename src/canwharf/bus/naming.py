"""Names: what Linux accepts, and how ids become interface names and aliases. Pure.

Rules:

- The names of a pair depend only on the ids, so that any later daemon finds the pair again, and on
  each of their digits: ids with the same first characters get different names.
- An alias has the owner of an interface: `canwharf DRIVER bus` on a host interface that we made,
  `canwharf DRIVER endpoint NETWORK ENDPOINT BUS PREFIX` on the host end of a pair, or, where the
  other end has exactly this name, `… BUS NAME exact`. DRIVER is our name in the
  container engine; an interface with another driver's alias is not ours.
- `canwharf DRIVER hub BUS in` and `… out` are on the two ends of a bus's hub, `canwharf DRIVER
  impairment BUS` on the ifb that delays and loses a bus's frames on purpose, `canwharf DRIVER delay
  HOST_END MICROSECONDS` on the one in which frames wait that a fault delays.
- `canwharf DRIVER adapter` is on an adapter that we set up, `canwharf DRIVER adapter NAME` on one
  that moves into a container and may come back under another name. Neither is ours to delete.
- A network of an engine that never says when one is removed is implied by its endpoints: its id
  has a dot, and begins with its engine's name (`podman.drive`). Its endpoints' ids begin with a
  name for people, and end with a dot and twelve digits of what identifies them at the engine.
- An interface without exactly such an alias is foreign. One with it is known by it, under any name:
  a renamed host end is still its endpoint's.
"""

from __future__ import annotations

from canwharf.kernel.link import Link
from canwharf.kernel.uapi import IFNAMSIZ
from canwharf.record import NamedTuple

MAX_NAME = IFNAMSIZ - 1
MAX_PREFIX = MAX_NAME - 1  # the engine appends an index of one digit at least
MAX_ID = 64  # Docker's ids are 64 hex digits, Swarm's 25 letters and digits

# Names of ours in a sentence for a user, and what stands there in their place.
_INTERNAL = {
    r"(?:(?:the )?interface (?:pair )?)?\bcw[hc][0-9a-f]{12}\b": "a container's interface",
    r"(?:(?:the )?(?:interface pair|interface|hub) )?\bcw[io][0-9a-f]{12}\b": "the hub of a bus",
    r"(?:(?:the )?interface )?\bcw[bd][0-9a-f]{12}\b": "the ifb of a bus",
}
_HOST_END, _CONTAINER_END, _HUB_IN, _HUB_OUT = "cwh", "cwc", "cwi", "cwo"
_IFB, _DELAY = "cwb", "cwd"
_HOST_NAMES = (_HOST_END, _HUB_IN, _HUB_OUT, _IFB, _DELAY)
_PRIME = (1 << 48) - 59  # the largest prime of 12 hex digits
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_DRIVER_CHARACTERS = _ID_CHARACTERS | frozenset("/:")  # a managed plugin's: somebody/vxcan:latest


class Ifname(NamedTuple):
    """The name of an interface in its container.

    Either the exact `name`, or `prefix` and a number: the lowest that is free in the container.
    """

    prefix: str = ""
    name: str = ""

    @property
    def pattern(self) -> str:
        """As the kernel takes it, which puts a number in place of %d (dev_alloc_name)."""
        return self.name or f"{self.prefix}%d"


class Span(NamedTuple):
    """The span of a bus, by its name on all hosts; empty: none. `max_age` is in ms, 0: no limit."""

    name: str = ""
    max_age: int = 500


NO_SPAN = Span()


class BusOwner(NamedTuple):
    """The owner of a host interface that we made for a bus."""

    driver: str


class AdapterOwner(NamedTuple):
    """The owner of an adapter that we set up; `name` is its own, if it moves into a container."""

    driver: str
    name: str = ""


class EndpointOwner(NamedTuple):
    """The owner of a pair's host end: enough to restore the endpoint without any state."""

    driver: str
    network: str
    endpoint: str
    bus: str
    ifname: Ifname

    def is_endpoint(self, driver: str, network: str, endpoint: str) -> bool:
        """Whether it is this endpoint, with any name in the container."""
        return (self.driver, self.network, self.endpoint) == (driver, network, endpoint)


class HubOwner(NamedTuple):
    """The owner of one end of the pair that is a bus's hub: `end` is "in" or "out"."""

    driver: str
    bus: str
    end: str


class ImpairmentOwner(NamedTuple):
    """The owner of the ifb through which the frames of a bus's containers go."""

    driver: str
    bus: str


class DelayOwner(NamedTuple):
    """The owner of the ifb in which frames wait that faults delay; `delay` is in microseconds."""

    driver: str
    host_end: str
    delay: str


Owner = BusOwner | AdapterOwner | EndpointOwner | HubOwner | ImpairmentOwner | DelayOwner


def format_alias(owner: Owner) -> str:
    """The alias of this owner."""
    match owner:
        case BusOwner(driver):
            return f"canwharf {driver} bus"
        case AdapterOwner(driver, name):
            return f"canwharf {driver} adapter {name}".rstrip()
        case HubOwner(driver, bus, end):
            return f"canwharf {driver} hub {bus} {end}"
        case ImpairmentOwner(driver, bus):
            return f"canwharf {driver} impairment {bus}"
        case DelayOwner(driver, host_end, delay):
            return f"canwharf {driver} delay {host_end} {delay}"
        case EndpointOwner(driver, network, endpoint, bus, ifname):
            name = f"{ifname.name} exact" if ifname.name else ifname.prefix
            return f"canwharf {driver} endpoint {network} {endpoint} {bus} {name}"


def owner_of(link: Link) -> Owner | None:
    """The owner in a link's alias; None if it is no alias of this project."""
    return parse_alias(link.alias)


def parse_alias(alias: str) -> Owner | None:  # noqa: PLR0911 (one for each owner)
    """The owner in an alias; None if it is no alias of this project."""
    match alias.split(" "):
        case ["canwharf", driver, "bus"]:
            return BusOwner(driver)
        case ["canwharf", driver, "adapter", *name] if len(name) < 2 and all(name):
            return AdapterOwner(driver, *name)
        case ["canwharf", driver, "hub", bus, ("in" | "out") as end]:
            return HubOwner(driver, bus, end)
        case ["canwharf", driver, "impairment", bus]:
            return ImpairmentOwner(driver, bus)
        case ["canwharf", driver, "delay", host_end, delay]:
            return DelayOwner(driver, host_end, delay)
        case ["canwharf", driver, "endpoint", network, endpoint, bus, name, *exact] if exact in (
            [],
            ["exact"],
        ):
            ifname = Ifname(name=name) if exact else Ifname(name)
            return EndpointOwner(driver, network, endpoint, bus, ifname)
    return None


def group_of(driver: str) -> int:
    """The group of the links that we make: marks one that has no alias yet as ours."""
    return 0x63770000 + int.from_bytes(driver.encode()) % 0xFFF1


def host_end(network: str, endpoint: str) -> str:
    """The name of a pair's end that stays on the host: `cwh` and 12 digits."""
    return f"{_HOST_END}{_digits(network, endpoint)}"


def hub_end(driver: str, bus: str, end: str) -> str:
    """The name of one end of a bus's hub: `cwi` or `cwo`, and 12 digits."""
    return f"{_HUB_IN if end == 'in' else _HUB_OUT}{_digits(driver, bus)}"


def ifb(driver: str, bus: str) -> str:
    """The name of the ifb of a bus: `cwb`, and 12 digits."""
    return f"{_IFB}{_digits(driver, bus)}"


def delay(host_end: str, microseconds: int) -> str:
    """The name of the ifb in which frames of a host end wait so long: `cwd`, and 12 digits."""
    return f"{_DELAY}{_digits(host_end, str(microseconds))}"


def is_delay(name: str) -> bool:
    """Whether it is named like such an ifb."""
    return name.startswith(_DELAY)


def renamed_from(link: Link, driver: str) -> str:
    """The name with which a host end, a hub's end or an ifb was made, if it has another one now.

    Empty where it is no such end of this driver, or has a name as we make them.
    """
    if len(link.name) == MAX_NAME and link.name.startswith(_HOST_NAMES):
        return ""
    match owner_of(link):
        case EndpointOwner(of, network, endpoint) if of == driver:
            return host_end(network, endpoint)
        case HubOwner(of, bus, end) if of == driver:
            return hub_end(driver, bus, end)
        case ImpairmentOwner(of, bus) if of == driver:
            return ifb(driver, bus)
        case DelayOwner(of, sender, microseconds) if of == driver and microseconds.isdecimal():
            return delay(sender, int(microseconds))
    return ""


def container_end(network: str, endpoint: str) -> str:
    """The name of a pair's other end until it is moved into its container."""
    return f"{_CONTAINER_END}{_digits(network, endpoint)}"


def without_internal(text: str) -> str:
    """A text for a user, without the names of interfaces of ours."""
    import re  # noqa: PLC0415 (for an error only)

    for pattern, words in _INTERNAL.items():
        text = re.sub(pattern, words, text)
    return text


def is_hardware_like(name: str) -> bool:
    """Whether the kernel names adapters like this: can0, slcan0."""
    number = name.removeprefix("sl").removeprefix("can")
    return number.isascii() and number.isdigit() and name in (f"can{number}", f"slcan{number}")


def is_id(text: str) -> bool:
    """Whether this can be an id: it stands in an alias of limited length, between spaces."""
    return 0 < len(text) <= MAX_ID and _ID_CHARACTERS.issuperset(text)


def implied_network(engine: str, name: str) -> str:
    """The id of an engine's network that is implied by its endpoints."""
    id = f"{engine}.{name}"
    return id if is_id(id) else f"{engine}.{_remainder(name)}"


def part(text: str) -> str:
    """A part between the dots of such an id: the text, or twelve digits of it."""
    fits = is_id(text) and "." not in text and len(text) <= (MAX_ID - MAX_NAME) // 2
    return text if fits else _remainder(text)


def implied_endpoint(label: str, *identity: str) -> str:
    """The id of an endpoint of such a network, from a name for people and its identity."""
    named = "".join(each if each in _ID_CHARACTERS else "-" for each in label)
    return f"{named[: MAX_ID - 13]}.{_remainder('/'.join(identity))}"


def is_implied(network: str) -> bool:
    """Whether the network of this id is implied by its endpoints: Docker's ids have no dot."""
    return "." in network


def engine_of(network: str) -> str:
    """The engine's name in the id of an implied network; of a user's, with the user's id."""
    return network.partition(".")[0]


def label_of(endpoint: str) -> str:
    """The name for people in the id of an endpoint of an implied network."""
    return endpoint.rpartition(".")[0]


def identity_of(endpoint: str) -> str:
    """The digits in such an id that identify the endpoint at its engine."""
    return endpoint.rpartition(".")[2]


def is_driver(text: str) -> bool:
    """Whether this can be a driver's name: it stands in an alias, like an id."""
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
    """Twelve digits of two ids: the remainder by a prime, as ids are random but must not be cut."""
    return _remainder(f"{network}/{endpoint}")


def _remainder(text: str) -> str:
    return f"{int.from_bytes(text.encode()) % _PRIME:012x}"
