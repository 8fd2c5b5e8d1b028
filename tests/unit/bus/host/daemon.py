"""What happens to the daemon: restarts, the passing of time, power cuts."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.unit.bus.host.base import (
    FAULTS,
    INTERFACE,
    Base,
    Fault,
)


class Life(Base):
    """One life of the daemon after the other."""

    @rule()
    def restart(self) -> None:
        self.unnoticed = False
        self.daemon = self.daemon.restarted()
        self._give_up_lost()

    @rule(fault=FAULTS, name=INTERFACE)
    def repair_fails(self, fault: Fault, name: str) -> None:
        """Maintenance meets a fault, whatever it was about to do; it raises nothing."""
        if name in self.kernel.names() and self._is_ours(self.kernel.link(name)):
            self.kernel.delete_link(name)
        # Of the daemon that is there then: after a crash it is another one.
        repair = lambda: self.daemon.maintenance.repair()  # noqa: E731, PLW0108
        self._call(fault._replace(again=False), repair)

    @rule()
    def look(self) -> None:
        """A grace period has passed. Who was not in doubt before the last one is not collected."""
        fresh = self._known_endpoints() & (self.endpoints.keys() - self.doubted)
        self.daemon.resync()
        self.tampered = self.unnoticed = False
        assert fresh <= self._known_endpoints()
        self.doubted = self._known_endpoints() - set(self._running())

    @rule()
    def look_twice(self) -> None:
        """And nothing but time passed: who has no container now is collected."""
        self.look()
        self.look()
        assert self._known_endpoints() == set(self._running())

    @rule(garbled=st.booleans(), asked=st.permutations(range(4)))
    def state_is_lost(self, garbled: bool, asked: list[int]) -> None:
        """The daemon starts without its state, as `canwharf serve` does; the engine helps."""
        if self.unnoticed:  # a policy whose filters were deleted is in neither place any more
            self.policies.update(dict.fromkeys(self._running()))
        self.unnoticed = False
        self.daemon.end()
        path = Path(self.daemon.store.path)
        if garbled and path.exists():
            path.write_text("{")
            self.daemon.store.set_aside()
        path.unlink(missing_ok=True)
        self.daemon = Daemon(Path(self.directory), self.kernel, self.daemon.boot)
        self._give_up_lost()
        names = [f"n{number}" for number in asked if f"n{number}" in self.networks]
        known = {name: self._options(name, self.networks[name]) for name in names}
        self.daemon.service.adopt_networks(known)
        self.daemon.service.adopt_pairs(lost=True)
        self.daemon.service.save()
        self.unrecorded |= self.policies.keys()
        self.physical.clear()
        if self._adapters():
            self.physical = {id for id, each in self.networks.items() if each == "can0"}

    @rule()
    def power_cut(self) -> None:
        """All that the kernel held is gone, and what the engine knew of endpoints."""
        self.boot += 1
        self.daemon.end()
        adapter = self._adapters()
        self.kernel = FakeKernel(reuse_indexes=self.reuse)
        self.daemon = Daemon(Path(self.directory), self.kernel, f"boot-{self.boot}")
        self.endpoints.clear()
        self.policies.clear()
        self.unrecorded.clear()
        assert self._known_endpoints() == set()
        self.foreign_links.clear()
        self.foreign_rules.clear()
        self.tampered = self.unnoticed = False
        if adapter:
            self._plug()
