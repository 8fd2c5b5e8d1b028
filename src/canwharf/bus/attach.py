"""Attach and detach: the calls of runtimes that know no networks, as use cases of the service.

Theory of operation. Docker makes a network, then an endpoint, then joins it, and says when each is
gone. Podman and CNI say one thing only: this container gets an interface. So an attachment makes
what it needs of all three, and undoes it if it fails. Nothing says when a network is gone, or that
a container ended while no daemon ran: the `Collector` finds both.

Rules:

- An attachment that exists already is replaced: after a power cut there was no detach.
- The interface has an exact name from its start. Without a wish it is the lowest free number
  behind the prefix: the number that an engine counts includes its IP networks.
- A network's options may be others than before, as its removal is not told: without endpoints it
  is made anew.
- To detach is to make sure that nothing is left: what is unknown is no error.
- A host end's name is a remainder of ids that a user can choose. Where it is another endpoint's,
  the attachment is refused before anything is done: to undo it would delete that interface.
"""

from __future__ import annotations

import errno

from canwharf.bus import adapter, events, handover, naming, options, rootless
from canwharf.bus.handover import Inside
from canwharf.bus.maintain import PATIENCE
from canwharf.bus.model import Attachment, Network
from canwharf.bus.plan import plan
from canwharf.bus.service import Service
from canwharf.bus.steps import Scope
from canwharf.errors import CanwharfError, ConflictError, KernelError
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PREFIX = "can"  # what a user looks for in a container
_NAMES = {"can.name", "can.ifname", "vxcan.peer"}  # the options that name the interface there
_NAMED = ("/run/netns/", "/var/run/netns/")  # where the namespaces of root's containers are
_FIRST = 1.0  # seconds after which the kernel may be read: first calls come before
NOWHERE = Inside()
_NUMBERS = range(100)  # of one prefix in one container


class Caller(NamedTuple):
    """The process that makes a runtime's call, as the kernel tells of it.

    `descriptor` is that of the container's network namespace, which came along (-1: none did), and
    `socket` that of a netlink socket in it. `uid` is the id of a user without root; None: root
    calls.
    """

    descriptor: int = -1
    uid: int | None = None
    socket: int = -1

    @property
    def inside(self) -> Inside:
        """The way into the container."""
        return Inside(self.descriptor, self.socket)

    @property
    def namespace(self) -> str:
        """A path to the descriptor; empty without one."""
        return f"/proc/self/fd/{self.descriptor}" if self.descriptor >= 0 else ""

    def engine(self, name: str) -> str:
        """An engine's name in ids: each user's is another."""
        return name if self.uid is None else rootless.engine_of(name, self.uid)


def attach(service: Service, wanted: Attachment, caller: Caller, path: str) -> str:
    """Give a container its interface; the name of that.

    `path` is the one that the caller has for the container's namespace: root's is opened, if no
    descriptor came along. Raises CanwharfError, after all that it did is undone.
    """
    namespace = caller.namespace
    if caller.uid is None:
        namespace = namespace or path
    else:
        rootless.check(service, wanted, caller.descriptor, caller.uid)
    if options.parse_network(wanted.options).adapter.moved:
        own = options.parse_endpoint(wanted.requested)
        options.check_moved(own._replace(ifname=None))  # a name is possible here
        caller.inside.check()
    detach(service, [wanted.network], wanted.endpoint, caller.inside)
    _check_host_end(service, wanted)
    known = wanted.network in service.state.networks
    try:
        _make_network(service, wanted)
        if service.state.networks[wanted.network].settings.adapter.moved:
            return handover.give(service, wanted, caller.inside)
        name = _join(service, wanted, namespace)
    except Exception:
        _undo(service, wanted, known)
        raise
    # For maintenance, which makes a lost pair again: not the number of a process, which may be
    # another's later.
    if caller.uid is None and path.startswith(_NAMED):
        service.pending.namespaces[naming.host_end(wanted.network, wanted.endpoint)] = path
    return name


def detach(service: Service, networks: list[str], endpoint: str, inside: Inside = NOWHERE) -> None:
    """Remove a container's interfaces on these networks, under whatever name it had then.

    An adapter comes back from `inside`, the container (see `handover`). Raises CanwharfError, the
    first, after all are tried; SocketNeededError before anything is done.
    """
    for network in networks:
        if any(_same(service, network, endpoint)):
            handover.take_back(service, service.state.networks[network], inside)
    failed: CanwharfError | None = None
    for network in networks:
        for each in list(_same(service, network, endpoint)):
            try:
                service.delete_endpoint(network, each)
            except CanwharfError as error:
                failed = failed or error
    if failed:
        raise failed


def is_whole(service: Service, wanted: Attachment) -> bool:
    """Whether a container is on this network, with all its rules. Raises KernelError."""
    network = service.state.networks.get(wanted.network)
    if network is None or wanted.endpoint not in network.endpoints:
        return False
    name = service.state.port(network, wanted.endpoint).name
    bus = service.state.bus(network.settings.interface)
    observed = service.observe()
    if network.settings.adapter.moved:
        return adapter.is_moved(network.settings.interface, observed)
    link = observed.link(name)
    needed = plan(service.state.driver, [bus] if bus else [], observed, Scope({name})).steps
    return link is not None and link.peer_away and not needed


def _same(service: Service, network: str, endpoint: str) -> Iterator[str]:
    """The endpoints of a network with the identity of this one: a container can be renamed."""
    known = service.state.networks.get(network)
    identity = naming.identity_of(endpoint)
    for each in known.endpoints if known else ():
        if naming.identity_of(each) == identity:
            yield each


def _check_host_end(service: Service, wanted: Attachment) -> None:
    """Refuse an attachment whose host end would have another endpoint's name.

    Raises ConflictError.
    """
    name = naming.host_end(wanted.network, wanted.endpoint)
    for interface in service.state.interfaces():
        bus = service.state.bus(interface)
        if bus and name in bus.host_ends:
            raise ConflictError(
                f"the interface of endpoint {wanted.endpoint} would have the name of another "
                f"endpoint's, on the bus {interface}: give the container another name"
            )


def _make_network(service: Service, wanted: Attachment) -> None:
    """Make the network. One without endpoints that contradicts it may be gone at its engine.

    Raises CanwharfError.
    """
    given = dict(wanted.options)
    if not _NAMES & given.keys():
        given["can.name"] = _PREFIX
    settings = options.parse_network(given)
    for each in filter(_is_idle, list(service.state.networks.values())):
        if each.id == wanted.network:
            gone = each.settings != settings._replace(physical=each.settings.physical)
        else:
            moved = settings.adapter.moved or each.settings.adapter.moved  # for one network alone
            same = not moved and each.settings.adapter.options in ({}, settings.adapter.options)
            gone = each.settings.interface == settings.interface and not same
        if gone:
            service.delete_network(each.id)
    service.create_network(wanted.network, given)


def _is_idle(network: Network) -> bool:
    return naming.is_implied(network.id) and not network.endpoints


def _join(service: Service, wanted: Attachment, namespace: str) -> str:
    """Join with the wished name, or with the lowest free number. Raises CanwharfError."""
    ifname = options.parse_endpoint(wanted.requested).ifname
    ifname = ifname or service.state.networks[wanted.network].default_ifname
    if ifname.name:
        _join_as(service, wanted, ifname.name, namespace)
        return ifname.name
    taken = set(_names(service, wanted))
    for number in _NUMBERS:
        name = f"{ifname.prefix}{number}"
        if name in taken:
            continue
        try:
            _join_as(service, wanted, name, namespace)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
        else:
            return name
    taken_all = f"{ifname.prefix}{_NUMBERS[0]} to {ifname.prefix}{_NUMBERS[-1]}"
    raise ConflictError(f"all of {taken_all} are taken in the container")


def _names(service: Service, wanted: Attachment) -> Iterator[str]:
    """The names that a container's interfaces on other networks of its engine have."""
    engine = naming.engine_of(wanted.network)
    for network in service.state.networks.values():
        if naming.engine_of(network.id) == engine:
            for each in _same(service, network.id, wanted.endpoint):
                yield network.ifname_of(each).name


def _join_as(service: Service, wanted: Attachment, name: str, namespace: str) -> None:
    others = {option: wanted.requested[option] for option in wanted.requested.keys() - _NAMES}
    service.create_endpoint(wanted.network, wanted.endpoint, {**others, "can.ifname": name})
    service.join(wanted.network, wanted.endpoint, namespace)


class Collector:
    """Removes what these engines never say is gone.

    That is an endpoint whose pair is gone, as its namespace took it along while no daemon ran, and
    a network that had no endpoint for PATIENCE, unless its engine still has it (`recorded`).
    """

    def __init__(self, service: Service, recorded: Callable[[str], bool]) -> None:
        self._service = service
        self._recorded = recorded
        self._begin_at: float | None = None
        self._since: dict[str, float] = {}  # idle networks: seen first at (monotonic seconds)

    def run(self, now: float) -> float | None:
        """Remove what is due; when there is more to do (monotonic seconds), or None."""
        networks = [
            each for each in self._service.state.networks.values() if naming.is_implied(each.id)
        ]
        self._begin_at = now + _FIRST if self._begin_at is None else self._begin_at
        if now < self._begin_at and networks:
            return self._begin_at
        for network in networks:
            if network.endpoints:
                self._forget(network)
        idle = [each.id for each in filter(_is_idle, self._service.state.networks.values())]
        self._since = {each: self._since.get(each, now) for each in idle}
        due = []
        for id, first in self._since.items():
            if now < first + PATIENCE:
                due.append(first + PATIENCE)
            elif not self._recorded(id):
                self._remove(id)
        return min(due, default=None)

    def _forget(self, network: Network) -> None:
        """Remove the endpoints whose pair is gone: no call is at work on them now."""
        state = self._service.state
        try:
            observed = self._service.observe()
            moved, interface = network.settings.adapter.moved, network.settings.interface
            for endpoint in network.endpoints:
                pair = observed.link(state.port(network, endpoint).name)
                if not adapter.is_moved(interface, observed) if moved else pair is None:
                    fields = {"network": network.id, "endpoint": endpoint}
                    self._service.say(events.ENDPOINT_COLLECTED, **fields)
                    self._service.delete_endpoint(network.id, endpoint)
        except CanwharfError as error:
            self._service.say(events.ENDPOINTS_NOT_LOOKED_FOR, error=str(error))

    def _remove(self, network: str) -> None:
        try:
            self._service.delete_network(network)
        except CanwharfError as error:
            fields = {"interface": network, "error": str(error)}
            self._service.say(events.BUS_NOT_REPAIRED, **fields)


def _undo(service: Service, wanted: Attachment, known: bool) -> None:
    """Remove what a failed attachment made. A failure is only reported: the first error counts."""
    try:
        service.delete_endpoint(wanted.network, wanted.endpoint)
        network = service.state.networks.get(wanted.network)
        if network and not known and _is_idle(network):
            service.delete_network(wanted.network)
    except CanwharfError as error:
        fields = {"interface": wanted.network, "error": str(error)}
        service.say(events.CALL_NOT_UNDONE, **fields)
