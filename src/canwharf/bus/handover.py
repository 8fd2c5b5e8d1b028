"""can.mode=move for runtimes that move no interface: the adapter goes into a container, and back.

Theory of operation. To give an adapter away, a namespace's descriptor is enough. To take it back,
and to see the names that are taken there, requests must come from inside. The daemon may not enter:
that would take CAP_SYS_ADMIN, which its unit has not. A runtime's executable may. So a call about
such an adapter is answered by SocketNeededError: the executable enters, and makes the call again
with a netlink socket of the namespace. From that, the daemon has the namespace, too.

Rules:

- A name that is taken in the container is told before the adapter leaves.
- An adapter in there is known by its alias, which it keeps, and is hardware: a container could give
  the alias to a virtual interface of its own.
- Where nobody can enter any more, the kernel brings the adapter back when the namespace ends.
"""

from __future__ import annotations

from canwharf.bus import options
from canwharf.bus.model import Attachment, Network
from canwharf.bus.naming import AdapterOwner, Ifname, owner_of
from canwharf.bus.service import Service
from canwharf.errors import ConflictError, NamespaceError, SocketNeededError
from canwharf.kernel import link, namespace
from canwharf.kernel.link import VIRTUAL, Link
from canwharf.kernel.netlink import Netlink
from canwharf.record import NamedTuple


class Inside(NamedTuple):
    """A container's network namespace, and a netlink socket in it, as descriptors (-1: none)."""

    namespace: int = -1
    socket: int = -1

    def check(self) -> None:
        """Tell first what is missing. Raises NamespaceError, SocketNeededError, KernelError."""
        if self.namespace < 0:
            raise NamespaceError("the adapter", "", "the engine named none")
        self.enter().close()

    def enter(self) -> Netlink:
        """What speaks to the kernel from inside. Raises SocketNeededError, KernelError."""
        if self.socket < 0:
            raise SocketNeededError("requests must come from inside of the container")
        return Netlink.inside(self.socket)


def give(service: Service, wanted: Attachment, inside: Inside) -> str:
    """Move the adapter of a network into a container; its name there.

    `inside` was checked. Raises CanwharfError.
    """
    network = service.state.networks[wanted.network]
    interface = network.settings.interface
    requests = inside.enter()
    try:
        taken = {each.name for each in link.links(requests)}
    finally:
        requests.close()
    ifname = options.parse_endpoint(wanted.requested).ifname or network.default_ifname
    name = _free(ifname, taken)
    if not name or name in taken:
        raise ConflictError(
            f"cannot move the adapter {interface}: {name or ifname.prefix} is taken in the "
            "container; give it a name of its own there"
        )
    service.create_endpoint(network.id, wanted.endpoint, {})
    service.join(network.id, wanted.endpoint)
    adapter = service.observe().link(interface)
    if adapter:  # else it was unplugged, just now
        service.requests.batch([link.move(adapter, inside.namespace, name, up=True)])
    return name


def take_back(service: Service, network: Network, inside: Inside) -> None:
    """Move a network's adapter from its container to the host, if it is in there.

    Raises KernelError, SocketNeededError.
    """
    interface, moved = network.settings.interface, network.settings.adapter.moved
    if not moved or inside.namespace < 0 or service.observe().link(interface):
        return
    requests = inside.enter()
    try:
        owner = AdapterOwner(service.state.driver, interface)
        found = [each for each in link.links(requests) if _is_adapter(each, owner)]
        with namespace.own() as host:
            requests.batch([link.move(each, host, interface, up=False) for each in found])
    finally:
        requests.close()


def _free(ifname: Ifname, taken: set[str]) -> str:
    """The wished name, or the lowest free one behind the prefix; empty if there is none."""
    numbered = (f"{ifname.prefix}{number}" for number in range(100))
    return ifname.name or next((each for each in numbered if each not in taken), "")


def _is_adapter(found: Link, owner: AdapterOwner) -> bool:
    return found.can and found.kind not in VIRTUAL and owner_of(found) == owner
