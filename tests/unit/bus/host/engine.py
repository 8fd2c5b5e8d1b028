"""The container engine, whose memory is the model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from canwharf.bus import naming
from tests.fake.links import HOST
from tests.unit.bus.host.base import (
    ENDPOINTS,
    FAULTS,
    INTERFACE,
    NETWORKS,
    NOTICES,
    WORDS,
    Base,
    Fault,
)


class Engine(Base):
    """Makes and removes networks, endpoints and containers."""

    @rule(network=NETWORKS, interface=INTERFACE, fault=FAULTS, words=WORDS)
    def create_network(
        self, network: str, interface: str, fault: Fault, words: dict[str, str]
    ) -> None:
        if network not in self.networks:
            self.words[network] = words if self._can_filter() else {}
        interface = self.networks.get(network, interface)  # Swarm creates it again and again
        options = self._options(network, interface)
        blocked = self._blocked(interface) or self._other_driver(interface)
        call = lambda: self.daemon.service.create_network(network, options)  # noqa: E731
        if self._call(fault, call, blocked):
            if network not in self.networks and self._on_adapter(interface):
                self.physical.add(network)
            self.networks[network] = interface

    @precondition(lambda self: self._empty_networks())
    @rule(data=st.data(), fault=FAULTS)
    def delete_network(self, data: st.DataObject, fault: Fault) -> None:
        """The engine itself refuses one that has endpoints."""
        network = data.draw(st.sampled_from(self._empty_networks()))
        self._forget(fault, lambda: self.daemon.service.delete_network(network))
        del self.networks[network]
        self.physical.discard(network)

    @precondition(lambda self: self.networks)
    @rule(data=st.data(), endpoint=ENDPOINTS, fault=FAULTS, words=WORDS)
    def create_endpoint(
        self, data: st.DataObject, endpoint: str, fault: Fault, words: dict[str, str]
    ) -> None:
        whose = (data.draw(st.sampled_from(sorted(self.networks))), endpoint)
        if whose not in self.endpoints:
            self._create_endpoint(whose, fault, words if self._can_filter() else {})

    @precondition(lambda self: self.endpoints)
    @rule(data=st.data(), fault=FAULTS, moved=st.booleans(), early=st.booleans())
    def join(self, data: st.DataObject, fault: Fault, moved: bool, early: bool) -> None:
        """Also one whose container died, and once more one that has joined."""
        self._join(data.draw(st.sampled_from(sorted(self.endpoints))), fault, moved, early)

    @precondition(lambda self: self.networks)
    @rule(data=st.data(), endpoint=ENDPOINTS, early=st.booleans(), words=WORDS)
    def run(self, data: st.DataObject, endpoint: str, early: bool, words: dict[str, str]) -> None:
        whose = (data.draw(st.sampled_from(sorted(self.networks))), endpoint)
        if not self.endpoints.get(whose):
            self._create_endpoint(whose, Fault(), words if self._can_filter() else {})
            self._join(whose, Fault(), early=early)

    @precondition(lambda self: self.endpoints)
    @rule(data=st.data(), fault=FAULTS)
    def delete_endpoint(self, data: st.DataObject, fault: Fault) -> None:
        whose = data.draw(st.sampled_from(sorted(self.endpoints)))
        namespace = self.endpoints[whose]
        if namespace:
            self.daemon.service.leave(*whose)
            for inside in self.kernel.links(namespace):
                if whose in self.moved:
                    back = naming.container_end(*whose)
                    self.kernel.move(inside.name, HOST, namespace, back)
            self.endpoints[whose] = ""
        self._forget(fault, lambda: self.daemon.service.delete_endpoint(*whose))
        del self.endpoints[whose]

    @precondition(lambda self: self._running())
    @rule(data=st.data(), notice=NOTICES)
    def container_dies(self, data: st.DataObject, notice: str) -> None:
        whose = data.draw(st.sampled_from(self._running()))
        self.kernel.kill_namespace(self.endpoints[whose])
        self.endpoints[whose] = ""
        self._happened(notice)

    @precondition(lambda self: self.endpoints)
    @rule(data=st.data())
    def engine_forgets(self, data: st.DataObject) -> None:
        """It died, and its containers with it: no call for this endpoint will ever come."""
        whose = data.draw(st.sampled_from(sorted(self.endpoints)))
        if self.endpoints.pop(whose):
            self.kernel.kill_namespace(self._namespace(whose))
