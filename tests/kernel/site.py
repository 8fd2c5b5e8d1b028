"""A machine for the kernel tests: a daemon in this process, and containers that come and go.

It looks like tests/faults/site.py and differs on purpose: there the daemon is a process that can be
killed, asked over its socket; here a test reaches into it, which is fast, and sees its errors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from canwharf.bus import naming
from canwharf.bus.events import Event, EventType
from canwharf.bus.maintain import PATIENCE, Maintenance
from canwharf.bus.model import State
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Joined, Service
from canwharf.bus.store import Store
from canwharf.errors import StateError
from canwharf.kernel import link
from canwharf.kernel.netlink import LinkEvents, Netlink
from tests.world.container import Container
from tests.world.frames import Report, exchange
from tests.world.host import (
    SYS_NET,
    gateway_rules,
    index_of,
    requests,
    run,
    wait_for_carrier,
    wait_until,
    wipe,
)
from tests.world.member import HOST, Member
from tests.world.rules import linear

DRIVER = "canwharf"
GROUP = naming.group_of(DRIVER)
PREFIX = "can"


def shown(name: str) -> dict[str, Any]:
    """What `ip` says of an interface of the host."""
    answer: list[dict[str, Any]] = json.loads(run("ip", "-d", "-j", "link", "show", name))
    return answer[0]


def make_vcans(*names: str, alias: str = "x") -> None:
    """Make vcans of ours, up and with an alias."""
    with requests() as netlink:
        netlink.batch([link.make_vcan(name, GROUP) for name in names])
        netlink.batch([link.bring_up(index_of(name), name, alias) for name in names])


def make_pair(host: str, container: str, alias: str = "x") -> None:
    """Make a pair of ours, up and with an alias."""
    with requests() as netlink:
        netlink.batch([link.make_pair(host, container, GROUP)])
        netlink.batch([link.bring_up(index_of(host), host, alias)])


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
        self._now = 0.0  # monotonic seconds
        if adopt:
            self.service.adopt_pairs(lost=True)

    def close(self) -> None:
        """What the end of the process does."""
        self.netlink.close()
        self.announcements.close()
        os.close(self.store._lock)

    def resync(self) -> bool:
        """A look for orphans, as late after the last one as makes one; whether there is another."""
        self._now += PATIENCE
        return self.maintenance.resync(self._now) is not None

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
        placed = self.service.state.networks[network].ifname_of(endpoint).name
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
                for called in [networks[network].ifname_of(endpoint)]
                if networks[network].settings.interface == interface
            ),
        ]

    def assert_whole(self, interface: str = "vcan0", classic_only: Sequence[str] = ()) -> Report:
        """One virtual bus is as it should be: the rules of a full mesh, and exactly-once frames."""
        assert gateway_rules() == linear(self.ports(interface), classic_only)
        report = exchange(self.members(interface), errors=True)
        assert report.faults == []
        return report

    def close(self) -> None:
        """Give everything back; what the kernel holds is for `wipe`."""
        self.daemon.close()
        for container in self.containers.values():
            container.close()
