"""What must be true after each step."""

from __future__ import annotations

from collections import Counter

from hypothesis.stateful import invariant

from canwharf.bus import naming
from canwharf.bus.model import OPEN, State
from canwharf.bus.naming import format_alias
from tests.unit.bus.host.base import Base
from tests.unit.bus.host.policies import may


class Truth(Base):
    """Compares the fake kernel with the model."""

    @invariant()
    def all_is_well(self) -> None:
        if self.unnoticed or not hasattr(self, "daemon"):
            return
        assert self.daemon.maintenance.repair()
        self.daemon.service.save()
        self._forget_foreign_rules()
        state = self.daemon.service.state
        assert self.kernel.flushes == 0
        assert self._on_disk() == state
        assert {id: each.settings.interface for id, each in state.networks.items()} == self.networks
        for link, told in self.foreign_links.items():
            assert link.told() == told
            assert link in self.kernel.links()
        there = Counter(self.kernel.rules)
        for kept, number in Counter(foreign.rule for foreign in self.foreign_rules).items():
            assert there[kept] >= number
        self._assert_nothing_left_over(state)
        for interface in state.interfaces():
            self._assert_bus(state, interface)
        applied = len(self.kernel.applied)
        assert self.daemon.maintenance.repair()
        assert self.kernel.applied[applied:] == [], "it does not come to rest"

    def _assert_nothing_left_over(self, state: State) -> None:
        wanted = {port.name: port for port in self._ports(state)}
        ours = set(self._ours())
        assert ours <= wanted.keys()
        for name in ours:
            assert (self.kernel.link(name).up, self.kernel.link(name).alias) == (
                True,
                format_alias(wanted[name].owner),
            )
        inside = {wanted[name].container for name in ours}
        assert {name for name in self.kernel.names() if name.startswith("cwc")} <= inside
        indexes = {link.index for link in self.kernel.links()}
        kept = Counter(foreign.rule for foreign in self.foreign_rules)
        members = {self.kernel.link(name).index for name in wanted if name in self.kernel.names()}
        for each in Counter(self.kernel.rules) - kept:
            assert {each.source, each.destination} <= indexes & members, "a rule of ours"

    def _assert_bus(self, state: State, interface: str) -> None:
        bus = state.bus(interface)
        assert bus is not None
        names = self.kernel.names()
        assert bus.physical == self._physical(interface)
        assert interface in names or bus.physical
        assert not (bus.physical and interface in self._ours())
        running = {
            naming.host_end(*whose)
            for whose in self._running()
            if self.networks[whose[0]] == interface
        }
        assert running <= names & {port.name for port in bus.endpoints}
        if self.tampered:
            return
        members = {name: self.kernel.link(name) for name in self.daemon.present(interface)}
        # Of one that the engine forgot, the pair may still be there, and its policy counts.
        whose = {naming.host_end(*each): each for each in (*self.policies, *self.endpoints)}
        policies = {
            name: self.policies.get(whose[name]) if name in whose else OPEN for name in members
        }
        for sender in members.values():
            arrived = self.kernel.deliveries(sender.name)
            for receiver in members.values():
                for kind in ("classic", "fd", "errors"):
                    carried = sender.carries(kind == "fd") and receiver.carries(kind == "fd")
                    if kind == "errors" and bus.physical:
                        carried = carried and sender.name == interface
                    sends = may(policies[sender.name], "send", kind)
                    hears = may(policies[receiver.name], "receive", kind)
                    if None in (sends, hears):
                        continue
                    unsure = {whose.get(sender.name), whose.get(receiver.name)} & self.unrecorded
                    if unsure and sends and hears:
                        continue  # it may be closed
                    wanted = int(carried and receiver is not sender and bool(sends and hears))
                    assert arrived[receiver.name, kind] == wanted, (
                        sender.name,
                        receiver.name,
                        kind,
                    )
