"""canwharf over the fake kernel: everything of the daemon but its sockets and its loop.

Also plays the container engine's part of a container's life: after Join it moves the interface.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from weakref import finalize

from canwharf.bus.adopt import Known
from canwharf.bus.events import Event, EventType
from canwharf.bus.maintain import PATIENCE, Maintenance
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Joined, Service
from canwharf.bus.store import Store
from canwharf.errors import NetlinkOverrunError
from tests.fake.kernel import FakeKernel

DRIVER = "canwharf"


class Daemon:
    """One life of the daemon on a host. Start another one over the same kernel after its end."""

    def __init__(self, directory: Path, kernel: FakeKernel, boot: str = "boot-1") -> None:
        self.directory = directory
        self.kernel = kernel
        self.boot = boot
        self.events: list[Event] = []
        self.store = Store(str(directory))
        self.store._boot = boot
        self.store.acquire()
        # Thousands of them live in one run of the tests, and few are ended.
        self._unlock = finalize(self, os.close, self.store._lock)
        state, self.left_behind = self.store.load(DRIVER)
        self.reconciler = Reconciler(kernel, kernel, DRIVER)
        self.engine: Known | None = None  # what it tells of its networks, if anything
        self.asked = 0
        self.service = Service(state, self.store, self.reconciler, self.events.append, self.ask)
        self.maintenance = Maintenance(self.service, self.reconciler, self.ask)
        self._now = 0.0  # monotonic seconds

    def ask(self) -> Known | None:
        """Ask the engine."""
        self.asked += 1
        return self.engine

    def resync(self) -> bool:
        """A look for orphans, as late after the last one as makes one; whether there is another."""
        self._now += PATIENCE
        return self.maintenance.resync(self._now) is not None

    def said(self, type: EventType) -> list[Event]:
        """The events of this type so far."""
        return [event for event in self.events if event.type == type]

    def end(self) -> None:
        """The process ends: the lock is free, announcements for it are lost."""
        self._unlock()
        with suppress(NetlinkOverrunError):
            self.kernel.take()

    def restarted(self) -> Daemon:
        """The next life of the daemon, in the same boot."""
        self.end()
        return Daemon(self.directory, self.kernel, self.boot)

    def run_container(self, network: str, endpoint: str) -> Joined:
        """`docker run`: create, join, move the interface."""
        self.service.create_endpoint(network, endpoint, {})
        return self.start_container(network, endpoint)

    def start_container(self, network: str, endpoint: str) -> Joined:
        """The part of `docker run` from Join on."""
        joined = self.service.join(network, endpoint)
        self.kernel.move(joined.interface, endpoint, new_name=f"{joined.prefix}0")
        return joined

    def port(self, network: str, endpoint: str) -> str:
        """The name of an endpoint's host end."""
        return self.service.describe(network, endpoint)["canwharf.interface"]

    def present(self, interface: str) -> list[str]:
        """The members of a bus that are there, by their host-side interfaces; not its hub."""
        bus = self.service.state.bus(interface)
        assert bus is not None
        names = [port.name for port in (bus.interface, *bus.endpoints)]
        return [name for name in names if name in self.kernel.names()]

    def hub(self, interface: str) -> tuple[str, str]:
        """The names of the two ends of a bus's hub, the entry first, whether they are there."""
        bus = self.service.state.bus(interface)
        assert bus is not None
        assert bus.hub is not None
        return bus.hub.entry.name, bus.hub.exit.name

    def assert_exactly_once(self, interface: str) -> None:
        """Every frame from every member arrives once at every other one, and nowhere else.

        So none comes back to its sender, whichever shape the bus has.

        Error frames too, but on an adapter: there they come from it alone.
        """
        bus = self.service.state.bus(interface)
        assert bus is not None
        members = [self.kernel.link(name) for name in self.present(interface)]
        for sender in members:
            kinds = ["classic", "fd"] if sender.carries(True) else ["classic"]
            if not bus.physical or (sender.name == interface and bus.adapter.errors):
                kinds.append("errors")
            expected = Counter(
                (receiver.name, kind)
                for receiver in members
                for kind in kinds
                if receiver is not sender
                and sender.carries(kind == "fd")
                and receiver.carries(kind == "fd")
            )
            assert self.kernel.deliveries(sender.name) == expected, sender.name
