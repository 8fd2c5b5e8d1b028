"""The interfaces at which frames enter a bus, and whose they are.

Theory of operation. A container's frames come in at the host end of its pair. Nothing else does,
as what is forwarded to a container is not echoed there. So the interface tells the sender. Whose
it is stands in its alias. What programs on the host send, and what comes from the wire, is seen at
the bus interface. The hub's pair is no source: what passes there has been seen at a host end.

Rules:

- Nothing is asked of the daemon, which may be stopped: aliases and the state file tell all but
  names. These come from the container engine, which is asked when a sender has none yet.
- The kernel announces links that come and go. An adapter that is plugged in again, and a container
  that starts again, are new links.
- A container named like a sender that is none (`host`, `wire`) is shown as `container/host`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from canwharf.bus import naming
from canwharf.bus.model import State
from canwharf.bus.naming import BusOwner, EndpointOwner, HubOwner, owner_of
from canwharf.bus.report import NAMELESS, Names
from canwharf.bus.store import Store
from canwharf.errors import CanwharfError, MessageError, NetlinkOverrunError
from canwharf.frames.frame import HOST, WIRE
from canwharf.kernel import link, traffic_control, uapi
from canwharf.kernel.link import Link
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.kernel.traffic_control import NOTHING, WHOLE
from canwharf.record import NamedTuple

Ask = Callable[[], Names | None]
Load = Callable[[], State]

_FILTERS = (uapi.RTM_NEWTFILTER, uapi.RTM_DELTFILTER, uapi.RTM_DELQDISC)
_SHORT = 12  # digits of an id, as Docker shows them
_PATIENCE = 1.0  # seconds between two questions to an engine that does not know a name yet


class Source(NamedTuple):
    """An interface at which frames enter a bus.

    `interface` is the bus's, `bus` its name for people, `sender` the container's name. At a bus
    interface the sender is HOST if it is `virtual`, else WIRE or HOST, as each frame tells.
    `endpoint` is a container's, empty of a bus interface. `named`: the engine told the name.
    `marked`: its forwarded frames can be told from others; so it is, except for a container of an
    adapter whose bus is a mesh.
    """

    ifindex: int
    interface: str
    bus: str
    sender: str
    endpoint: str = ""
    virtual: bool = True
    named: bool = True
    marked: bool = True


class Sources:
    """All sources of the buses of a driver, or of some of them."""

    def __init__(
        self,
        driver: str,
        state_dir: str,
        ask: Ask = lambda: None,
        buses: Iterable[str] = (),
        *,
        load: Load | None = None,
    ) -> None:
        """`buses` are what a user calls them: an interface, a network's name or its id.

        `load` gives the state in the place of its file, which only root can read.

        Raises CanwharfError if there is no such bus, or the kernel or the state cannot be read.
        """
        self._driver = driver
        self._state = load or (lambda: Store(state_dir).load(driver)[0])
        self._ask = ask
        self._names = Names({}, {})
        self._asked = 0.0  # monotonic seconds
        self._told = False
        self._netlink = Netlink()
        self.events = LinkEvents()  # first: what changes from here on is announced
        self._links: Mapping[int, tuple[str, str]] = {}  # name and alias of all CAN links
        self.wanted: Mapping[str, str] = {}  # the interface by what the user calls it
        self._adapters = False  # whether a bus has one
        self._only: frozenset[str] | None = None
        self.ask()
        words = list(buses)
        if words:
            buses_now = _buses(self._driver, self._state(), self._read_links())
            self.wanted = {word: self._interface(word, buses_now) for word in words}
            self._only = frozenset(self.wanted.values())

    def close(self) -> None:
        """Close the sockets."""
        self.events.close()
        self._netlink.close()

    def ask(self) -> bool:
        """Ask the engine for names, unless that was a moment ago; whether it was asked."""
        now = monotonic()
        if self._asked and now - self._asked < _PATIENCE:
            return False
        self._asked = now
        if told := self._ask():  # what it told once stays: a container that ended has sent frames
            self._told = True
            self._names = Names(
                {**self._names.networks, **told.networks},
                {**self._names.containers, **told.containers},
            )
        return True

    def read(self) -> list[Source]:
        """The sources there are now. Raises CanwharfError."""
        links = self._read_links()
        buses = _buses(self._driver, self._state(), links)
        by_name = {each.name: each for each in links if each.can and not _is_end(each)}
        found: list[Source] = []
        self._adapters = False
        for interface, networks in buses.items():
            if self._only is not None and interface not in self._only:
                continue
            label = self._label(interface, networks)
            if at := by_name.get(interface):
                virtual = at.kind == "vcan"
                self._adapters |= not virtual
                sender = HOST if virtual else WIRE
                found.append(Source(at.ifindex, interface, label, sender, virtual=virtual))
        marks = traffic_control.find(self._netlink) if self._adapters else None
        for each in links:
            owner = owner_of(each)
            if not isinstance(owner, EndpointOwner) or owner.driver != self._driver:
                continue
            if owner.bus in buses and (self._only is None or owner.bus in self._only):
                name, named = self._sender(owner)
                label = self._label(owner.bus, buses[owner.bus])
                marked = marks is None or marks.get(each.ifindex, NOTHING).mark == WHOLE
                found.append(
                    Source(
                        *(each.ifindex, owner.bus, label, name, owner.endpoint),
                        named=named,
                        marked=marked,
                    )
                )
        return found

    def changed(self) -> bool:
        """Whether the kernel announced a CAN link that came, went, or has another name or alias."""
        try:
            announced = self.events.take()
        except NetlinkOverrunError:
            return True
        changed = False
        for message in announced:
            try:
                index = link.announced(message)
                if not index:
                    changed |= self._adapters and message.type in _FILTERS
                    continue
                gone = message.type == uapi.RTM_DELLINK
                now = None if gone else link.parse(message)
            except MessageError:
                return True
            if gone:
                changed |= index in self._links
            elif now is not None and now.can:
                changed |= self._links.get(index) != (now.name, now.alias)
        return changed

    def _read_links(self) -> list[Link]:
        links = link.links(self._netlink)
        self._links = {each.ifindex: (each.name, each.alias) for each in links if each.can}
        return links

    def _interface(self, word: str, buses: Mapping[str, frozenset[str]]) -> str:
        """The interface of the bus that a user calls so. Raises CanwharfError."""
        found = [each for each, networks in buses.items() if word in self._words(each, networks)]
        if len(found) > 1:  # one's interface is another's network, or Docker has two of one name
            raise CanwharfError(
                f"{word} stands for several buses ({', '.join(found)}): give the id of a network"
            )
        if not found:
            there = ", ".join(sorted(self._label(*each) for each in buses.items())) or "none"
            unnamed = "" if self._told else NAMELESS
            raise CanwharfError(f"there is no bus {word}; there are: {there}{unnamed}")
        bus = self._state().bus(found[0])
        if bus and bus.adapter.moved:
            raise CanwharfError(
                f"the adapter of {word} is in its container (can.mode=move), and its frames are "
                "not seen on the host: run candump in the container"
            )
        return found[0]

    def _words(self, interface: str, networks: Iterable[str]) -> set[str]:
        """What a user may call a bus."""
        names = (self._names.networks.get(id, id) for id in networks)
        return {interface, *networks, *(id[:_SHORT] for id in networks), *names}

    def _label(self, interface: str, networks: Iterable[str]) -> str:
        """A bus's name for people."""
        ids = list(networks)
        if len(ids) != 1:
            return interface
        return self._names.networks.get(ids[0]) or (
            ids[0] if naming.is_implied(ids[0]) else interface
        )

    def _sender(self, owner: EndpointOwner) -> tuple[str, bool]:
        """A container's name, and whether it is known."""
        if naming.is_implied(owner.network):
            name = naming.label_of(owner.endpoint)
        elif not (name := self._names.containers.get(owner.endpoint, "")):
            return unnamed(owner.endpoint), False
        return (f"container/{name}" if name in (HOST, WIRE) else name), True


def unnamed(endpoint: str) -> str:
    """What the sender is called whose container's name is not known."""
    return f"endpoint {endpoint[:_SHORT]}"


def _buses(driver: str, state: State, links: Iterable[Link]) -> dict[str, frozenset[str]]:
    """The networks of each bus interface, by the state and by what is in the kernel."""
    found: dict[str, set[str]] = defaultdict(set)
    for id, network in state.networks.items():
        found[network.settings.interface].add(id)
    for each in links:
        match owner_of(each):
            case EndpointOwner(of, of_network, bus=bus) if of == driver:
                found[bus].add(of_network)
            case HubOwner(of, bus) if of == driver:
                found.setdefault(bus, set())
            case BusOwner(of) if of == driver:
                found.setdefault(each.name, set())
    return {interface: frozenset(networks) for interface, networks in sorted(found.items())}


def _is_end(at: Link) -> bool:
    return isinstance(owner_of(at), EndpointOwner | HubOwner)
