"""What the kernel tests are made of.

Namespaces as containers, a daemon without Docker, and the kernel's state as the field's own
tools tell it.

Rules:

- What is asserted about the kernel comes from `cangw`, `ip`, sysfs or real frames, not from the
  code under test.
- A container is a network namespace that lives as long as a descriptor of ours; interfaces are
  moved into it and named there as Docker does.
- Every wait is for an event and has a limit.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Self

from canwharf.bus import naming
from canwharf.bus.events import Event, EventType
from canwharf.bus.maintain import Maintenance
from canwharf.bus.model import State
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Joined, Service
from canwharf.bus.store import Store
from canwharf.errors import StateError
from canwharf.kernel import link, message, uapi
from canwharf.kernel.netlink import LinkEvents, Netlink, Request
from tests import rules
from tests.frames import HOST, Member, Report, entered, exchange
from tests.rules import Rules, full_mesh

LIMIT = 20.0  # seconds: nothing here takes one
DRIVER = "canwharf"
GROUP = naming.group_of(DRIVER)
PREFIX = "can"
SYS_NET = Path("/sys/class/net")

_CLONE_NEWNET = 0x40000000
_IFLA_OPERSTATE, _IFLA_NET_NS_FD, _IFLA_CARRIER = 16, 28, 33
_IF_OPER_UP = b"\6"

_libc = ctypes.CDLL(None, use_errno=True)


def run(*words: str, input: str = "", check: bool = True) -> str:
    """What a program prints; a failure is an error with its words."""
    done = subprocess.run(
        words, input=input, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)}: status {done.returncode}: {done.stderr}")
    return done.stdout


def ip(words: str) -> str:
    """Run `ip`, with the words as on a command line."""
    return run("ip", *words.split())


def shown(name: str) -> dict[str, Any]:
    """What `ip` says of an interface of the host."""
    answer: list[dict[str, Any]] = json.loads(run("ip", "-d", "-j", "link", "show", name))
    return answer[0]


def can_interfaces() -> set[str]:
    """The names of the host's CAN interfaces."""
    return {path.name for path in SYS_NET.iterdir() if _hardware(path) == str(uapi.ARPHRD_CAN)}


def _hardware(path: Path) -> str:
    try:
        return (path / "type").read_text().strip()
    except OSError:  # it went away with a dying namespace
        return ""


def index_of(name: str) -> int:
    """An interface's index."""
    return socket.if_nametoindex(name)


def cangw_lines() -> list[str]:
    """The gateway's rules in cangw's words, without their counters."""
    listed = run("cangw", "-L", check=False)  # its status says nothing
    return [line.split("#")[0].strip() for line in listed.splitlines() if "cangw -A" in line]


def gateway_rules() -> Rules:
    """The gateway's rules of our form, and how often each is there."""
    return rules.parse(cangw_lines())[0]


def wipe() -> None:
    """Delete every CAN interface of the host, and with them every gateway rule."""
    names = can_interfaces()
    if names:
        with requests() as netlink:
            netlink.batch([_delete(name) for name in names])  # of a pair one end is gone by then
    assert can_interfaces() == set()


def wait_until(done: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait for link announcements until something has become true."""
    events = LinkEvents()
    try:
        deadline = monotonic() + limit
        while not done():
            left = deadline - monotonic()
            assert left > 0, "waited in vain"
            # Some things are not announced, or elsewhere, so look again now and then.
            select.select([events], [], [], min(left, 0.01))
            events.take()
    finally:
        events.close()


def wait_for_carrier(*namespaces: str) -> None:
    """Wait until all pairs there let frames through.

    When one end comes up, the kernel opens the other for sending a little later (linkwatch), and
    drops what is sent to it until then. The operational state tells when it has.
    """
    wait_until(lambda: all(_carrying(namespace) for namespace in namespaces))


def _carrying(namespace: str) -> bool:
    with entered(namespace), requests() as netlink:
        ask = Request(uapi.RTM_GETLINK, uapi.NLM_F_REQUEST, link._info(), "list", "links")
        for answer in netlink.dump(ask):
            told = message.attributes(answer.body, 16)  # behind struct ifinfomsg
            carrier, state = told.get(_IFLA_CARRIER), told.get(_IFLA_OPERSTATE)
            one = link.parse(answer)
            if one.kind == "vxcan" and one.up and carrier == b"\1" and state != _IF_OPER_UP:
                return False
    return True


@contextmanager
def requests() -> Iterator[Netlink]:
    """A netlink socket of this thread's namespace."""
    netlink = Netlink()
    try:
        yield netlink
    finally:
        netlink.close()


def make_vcans(*names: str, alias: str = "x") -> None:
    """Make vcans of ours, up and with an alias."""
    with requests() as netlink:
        netlink.batch([link.make_vcan(name, GROUP) for name in names])
        netlink.batch([link.claim(index_of(name), name, alias) for name in names])


def make_pair(host: str, container: str, alias: str = "x") -> None:
    """Make a pair of ours, up and with an alias."""
    with requests() as netlink:
        netlink.batch([link.make_pair(host, container, GROUP)])
        netlink.batch([link.claim(index_of(host), host, alias)])


class Container:
    """A network namespace with no process in it."""

    def __init__(self) -> None:
        made: list[int] = []

        def make() -> None:
            if _libc.unshare(_CLONE_NEWNET) == 0:  # of this thread alone
                made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        [self._fd] = made
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"

    def take(self, interface: str, name: str) -> None:
        """Move an interface of the host in here, name it, and bring it up, as Docker does."""
        index = index_of(interface)
        with requests() as netlink:
            netlink.batch([_move(index, self._fd, name)])
        with entered(self.path), requests() as netlink:
            netlink.batch([_set_up(index_of(name), name)])
        wait_for_carrier(HOST, self.path)

    def give_back(self, name: str, interface: str) -> None:
        """Move an interface to the host under another name, as Docker does after Leave."""
        host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with entered(self.path), requests() as netlink:
                netlink.batch([_move(index_of(name), host, interface)])
        finally:
            os.close(host)

    def index_of(self, name: str) -> int:
        """An interface's index in here."""
        with entered(self.path):
            return index_of(name)

    def links(self) -> dict[str, link.Link]:
        """The interfaces in here."""
        with entered(self.path), requests() as netlink:
            return {each.name: each for each in link.links(netlink)}

    def member(self, name: str) -> Member:
        """An interface in here as a member of a bus."""
        return Member(self.path, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the namespace; the kernel removes its interfaces a little later."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Daemon:
    """All of canwharf but Docker's protocol, on the real kernel."""

    def __init__(self, directory: str, driver: str = DRIVER, adopt: bool = False) -> None:
        self.events: list[Event] = []
        self.store = Store(directory)
        self.store.acquire()
        try:
            state, self.left = self.store.load(driver)
        except StateError:
            self.store.set_aside()
            state, self.left = State(driver, {}), 0
        self.netlink = Netlink()
        self.announcements = LinkEvents()
        self.reconciler = Reconciler(self.netlink, self.announcements, driver)
        self.service = Service(state, self.store, self.reconciler, self.events.append)
        self.maintenance = Maintenance(self.service, self.reconciler, lambda: None)
        if adopt:
            self.service.adopt_pairs(lost=True)

    def close(self) -> None:
        """What the end of the process does."""
        self.netlink.close()
        self.announcements.close()
        os.close(self.store._lock)

    def said(self, type: EventType) -> list[Event]:
        """The events of this type so far."""
        return [event for event in self.events if event.type == type]

    def complaints(self) -> list[Event]:
        """What was reported as more than information."""
        return [event for event in self.events if event.level != "info"]


class Site:
    """A machine: a daemon with its state directory, and containers that come and go."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self.daemon = Daemon(self._directory)
        self.containers: dict[tuple[str, str], Container] = {}

    @property
    def service(self) -> Service:
        """The daemon's use cases."""
        return self.daemon.service

    def network(self, id: str, interface: str = "vcan0", prefix: str = PREFIX) -> None:
        """Create a network."""
        self.service.create_network(id, {"can.interface": interface, "can.name": prefix})

    def create(self, network: str, endpoint: str) -> None:
        """What Docker asks for first."""
        self.service.create_endpoint(network, endpoint, {})

    def join(self, network: str, endpoint: str) -> None:
        """Join, and move the interface into a container, as Docker does."""
        self.settle(network, endpoint, self.service.join(network, endpoint))

    def settle(self, network: str, endpoint: str, joined: Joined) -> None:
        """Move what was joined into its container."""
        container = self.containers.setdefault((network, endpoint), Container())
        container.take(joined.interface, joined.prefix + "0")

    def place(self, network: str, endpoint: str, name: str, at: Container | None = None) -> None:
        """Start a container whose interface has exactly this name; `at` is one that runs."""
        self.service.create_endpoint(network, endpoint, {"can.ifname": name})
        self.join_placed(network, endpoint, at)

    def join_placed(self, network: str, endpoint: str, at: Container | None = None) -> None:
        """Join in a container, whose interface the engine does not touch."""
        container = at or self.containers.get((network, endpoint)) or Container()
        try:
            joined = self.service.join(network, endpoint, container.path)
        except BaseException:
            if container not in self.containers.values():
                container.close()
            raise
        assert joined.placed
        self.containers[network, endpoint] = container

    def start(self, network: str, *endpoints: str) -> None:
        """Start containers, one after the other."""
        for endpoint in endpoints:
            self.create(network, endpoint)
            self.join(network, endpoint)

    def stop(self, network: str, endpoint: str) -> None:
        """Stop a container in Docker's order."""
        self.service.leave(network, endpoint)
        placed = self.service.state.networks[network].called(endpoint).name
        with self.containers.pop((network, endpoint)) as container:
            if not placed:
                container.give_back(PREFIX + "0", naming.container_end(network, endpoint))
        self.service.delete_endpoint(network, endpoint)

    def die(self, network: str, endpoint: str) -> None:
        """Let a container's namespace die without a word to the daemon."""
        self.containers.pop((network, endpoint)).close()
        # It leaves sysfs when all is done and announced; it cannot be used well before that.
        wait_until(lambda: not (SYS_NET / self.port(network, endpoint)).exists())

    def restart(self, before: Callable[[], None] = lambda: None, adopt: bool = False) -> None:
        """Throw the daemon away and start another; `before` is what happens in between.

        `adopt` says that it is to rebuild a lost state, as `canwharf serve` does.
        """
        self.daemon.close()
        before()
        self.daemon = Daemon(self._directory, adopt=adopt)

    def power_cut(self) -> None:
        """All that the kernel held is gone, only the disk is left; a daemon starts."""

        def cut() -> None:
            for container in self.containers.values():
                container.close()
            self.containers.clear()
            wipe()
            state = Path(self._directory) / "state.json"
            content = json.loads(state.read_text())
            content["boot"] = "an earlier boot"
            state.write_text(json.dumps(content))

        self.restart(cut)

    def port(self, network: str, endpoint: str) -> str:
        """The host end of an endpoint's pair."""
        return naming.host_end(network, endpoint)

    def ports(self, interface: str = "vcan0") -> list[str]:
        """The host-side interfaces of a bus: its own and those of all that run on it."""
        networks = self.service.state.networks
        return [
            interface,
            *(
                self.port(network, endpoint)
                for network, endpoint in self.containers
                if networks[network].settings.interface == interface
            ),
        ]

    def members(self, interface: str = "vcan0") -> list[Member]:
        """The same bus as its members see it: the host, and each container's interface.

        They are all ready to talk.
        """
        wait_for_carrier(HOST, *(container.path for container in self.containers.values()))
        networks = self.service.state.networks
        return [
            Member(HOST, interface),
            *(
                container.member(called.name or called.prefix + "0")
                for (network, endpoint), container in self.containers.items()
                for called in [networks[network].called(endpoint)]
                if networks[network].settings.interface == interface
            ),
        ]

    def assert_whole(self, interface: str = "vcan0", classic_only: Sequence[str] = ()) -> Report:
        """One virtual bus is as it should be: the rules of a full mesh, and exactly-once frames."""
        assert gateway_rules() == full_mesh(self.ports(interface), classic_only)
        report = exchange(self.members(interface), errors=True)
        assert report.faults == []
        return report

    def close(self) -> None:
        """Give everything back; what the kernel holds is for `wipe`."""
        self.daemon.close()
        for container in self.containers.values():
            container.close()


def _delete(name: str) -> Request:
    body = link._info() + message.attribute(uapi.IFLA_IFNAME, message.text(name))
    gone = frozenset({errno.ENODEV})
    return Request(uapi.RTM_DELLINK, uapi.NLM_F_REQUEST, body, "delete", name, gone)


def _set_up(index: int, name: str) -> Request:
    return Request(uapi.RTM_NEWLINK, uapi.NLM_F_REQUEST, link._info(index, up=True), "up", name)


def _move(index: int, namespace: int, name: str) -> Request:
    body = (
        link._info(index)
        + message.attribute(_IFLA_NET_NS_FD, message.u32(namespace))
        + message.attribute(uapi.IFLA_IFNAME, message.text(name))
    )
    return Request(uapi.RTM_NEWLINK, uapi.NLM_F_REQUEST, body, "move", name)
