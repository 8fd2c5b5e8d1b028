"""Any life of a host: after each step, and what the daemon does by itself, all is as it should be.

Theory of operation. The machine plays the container engine, whose memory is the model, the
machine's operator, its power switch and everybody else on the host. After each step the daemon
has its turn (`Maintenance.repair`), and then the fake kernel is compared with the model.

Rules:

- A call may meet a fault: a refused message, a full disk, the end of the process after any send
  or just after the state was written. The engine then repeats the call or gives it up; it cannot
  give up a deletion, or what may have been written down.
- Rules that somebody changes are not announced: frames are counted again after the next look.
- How many lives are tried, and how long they are, is the profile's (tests/unit/conftest.py).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canwharf.bus import naming
from canwharf.bus.model import Port, State
from canwharf.errors import CanwharfError, StateError
from canwharf.kernel import namespace as namespaces
from tests.fake import wire
from tests.fake.daemon import DRIVER, Daemon
from tests.fake.kernel import HOST, Crash, FakeKernel
from tests.fake.links import FakeLink, FakeRule

INTERFACE = st.sampled_from(["vcan0", "vcan1", "can0"])  # the last is an adapter's
FOREIGN = ("can7", "vcan1", "cwh00000000000f")
OTHERS = (  # alias and group of what is not ours
    ("", 0),
    ("", naming.group_of("other")),
    ("mine", naming.group_of(DRIVER)),
    ("canwharf other bus", naming.group_of("other")),
    ("canwharf other endpoint n0 e0 vcan0 can", 0),
)
NETWORKS = st.sampled_from([f"n{number}" for number in range(4)])
ENDPOINTS = st.sampled_from([f"e{number}" for number in range(3)])
# A network that asks for an exact name, and an endpoint that does on every network.
EXACT_NETWORK, EXACT_ENDPOINT, EXACT = "n3", "e2", {"can.ifname": "exact"}


NOTICES = st.sampled_from(["", "later", "lost", "lost, later", "lost in part, later"])


class Fault(NamedTuple):
    """What happens during one call: refused messages, a crash after so many sends, the disk."""

    refused: tuple[int, ...] = ()
    sends: int = 0
    disk: str = ""  # "full", or "crash": the process ends just after the state was written
    again: bool = False  # whether the engine repeats what a crash left unanswered


FAULTS = st.just(Fault()) | st.one_of(
    st.builds(Fault, sends=st.integers(1, 3), again=st.booleans()),
    st.builds(Fault, refused=st.tuples(st.integers(1, 12))),
    st.builds(Fault, refused=st.tuples(st.integers(1, 12), st.integers(1, 30))),
    st.builds(Fault, disk=st.sampled_from(["full", "crash"])),
)


class Foreign(NamedTuple):
    """A rule of somebody else, and the links that it is between."""

    rule: FakeRule
    ends: tuple[FakeLink, FakeLink]


class Host(RuleBasedStateMachine):
    """One machine with its engine, from its first boot on."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.boot = 0
        self.networks: dict[str, str] = {}  # id -> bus interface
        # (network, endpoint) -> the namespace of its container; empty while there is none
        self.endpoints: dict[tuple[str, str], str] = {}
        self.foreign_links: dict[FakeLink, tuple[object, ...]] = {}
        self.foreign_rules: list[Foreign] = []
        self.physical: set[str] = set()  # networks whose interface was an adapter when they came
        self.doubted: set[tuple[str, str]] = set()  # endpoints without container at the last look
        self.tampered = False  # somebody changed rules of ours, and nobody has looked since
        self.unnoticed = False  # the daemon has not had its turn since something happened
        self.patches = ExitStack()
        self.patches.enter_context(mock.patch.object(os, "fsync"))  # no power cut is so real
        self.patches.enter_context(mock.patch.object(namespaces, "opened", self._opened))

    @initialize(
        reuse=st.booleans(),
        mtu=st.sampled_from([16, 72]),
        interfaces=st.lists(INTERFACE, min_size=1, max_size=3),
        containers=st.integers(0, 2),
    )
    def begin(self, reuse: bool, mtu: int, interfaces: list[str], containers: int) -> None:
        self.reuse, self.mtu = reuse, mtu
        self.kernel = FakeKernel(reuse_indexes=reuse)
        self.daemon = Daemon(Path(self.directory), self.kernel, "boot-0")
        self._plug()
        for number, interface in enumerate(interfaces):
            self.create_network(f"n{number}", interface, Fault())
            for place in range(containers):
                self._create_endpoint((f"n{number}", f"e{place}"), Fault())
                self._join((f"n{number}", f"e{place}"), Fault(), moved=True)

    def teardown(self) -> None:
        if hasattr(self, "daemon"):
            self.daemon.end()
        self.patches.close()
        shutil.rmtree(self.directory)

    # The engine.

    @rule(network=NETWORKS, interface=INTERFACE, fault=FAULTS)
    def create_network(self, network: str, interface: str, fault: Fault) -> None:
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
    @rule(data=st.data(), endpoint=ENDPOINTS, fault=FAULTS)
    def create_endpoint(self, data: st.DataObject, endpoint: str, fault: Fault) -> None:
        whose = (data.draw(st.sampled_from(sorted(self.networks))), endpoint)
        if whose not in self.endpoints:
            self._create_endpoint(whose, fault)

    @precondition(lambda self: self.endpoints)
    @rule(data=st.data(), fault=FAULTS, moved=st.booleans())
    def join(self, data: st.DataObject, fault: Fault, moved: bool) -> None:
        """Also one whose container died, and once more one that has joined."""
        self._join(data.draw(st.sampled_from(sorted(self.endpoints))), fault, moved)

    @precondition(lambda self: self.networks)
    @rule(data=st.data(), endpoint=ENDPOINTS)
    def run(self, data: st.DataObject, endpoint: str) -> None:
        whose = (data.draw(st.sampled_from(sorted(self.networks))), endpoint)
        if not self.endpoints.get(whose):
            self._create_endpoint(whose, Fault())
            self._join(whose, Fault(), moved=True)

    @precondition(lambda self: self.endpoints)
    @rule(data=st.data(), fault=FAULTS)
    def delete_endpoint(self, data: st.DataObject, fault: Fault) -> None:
        whose = data.draw(st.sampled_from(sorted(self.endpoints)))
        namespace = self.endpoints[whose]
        if namespace:
            self.daemon.service.leave(*whose)
            (inside,) = self.kernel.links(namespace)
            if inside.name != EXACT["can.ifname"]:
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

    # The daemon.

    @rule()
    def restart(self) -> None:
        self.unnoticed = False
        self.daemon = self.daemon.restarted()

    @rule(fault=FAULTS, name=INTERFACE)
    def repair_fails(self, fault: Fault, name: str) -> None:
        """Maintenance meets a fault, whatever it was about to do; it raises nothing."""
        if name in self.kernel.names() and self._is_ours(self.kernel.link(name)):
            self.kernel.delete_link(name)
        self._call(fault._replace(again=False), self.daemon.maintenance.repair)

    @rule()
    def look(self) -> None:
        """A grace period has passed. Who was not in doubt before the last one is not collected."""
        fresh = self._known_endpoints() & (self.endpoints.keys() - self.doubted)
        self.daemon.maintenance.resync()
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
        self.unnoticed = False
        self.daemon.end()
        path = Path(self.daemon.store.path)
        if garbled and path.exists():
            path.write_text("{")
            self.daemon.store.set_aside()
        path.unlink(missing_ok=True)
        self.daemon = Daemon(Path(self.directory), self.kernel, self.daemon.boot)
        names = [f"n{number}" for number in asked if f"n{number}" in self.networks]
        known = {name: self._options(name, self.networks[name]) for name in names}
        self.daemon.service.adopt_networks(known)
        self.daemon.service.adopt_pairs(lost=True)
        self.daemon.service.save()
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
        assert self._known_endpoints() == set()
        self.foreign_links.clear()
        self.foreign_rules.clear()
        self.tampered = self.unnoticed = False
        if adapter:
            self._plug()

    # Everybody else.

    @precondition(lambda self: self._ours())
    @rule(data=st.data(), how=st.sampled_from(["delete", "down"]), notice=NOTICES)
    def link_of_ours_is_changed(self, data: st.DataObject, how: str, notice: str) -> None:
        name = data.draw(st.sampled_from(self._ours()))
        if how == "down":
            self.kernel.set_up(name, up=False)
            self._happened(notice)
            return
        inside = self.kernel.link(name).peer
        self.kernel.delete_link(name)
        for whose, namespace in self.endpoints.items():
            if inside and namespace and namespace == inside.namespace:
                self.endpoints[whose] = ""
        self._happened(notice)

    @precondition(lambda self: self._rules())
    @rule(data=st.data(), how=st.sampled_from(["delete", "double", "flush"]))
    def rules_are_changed(self, data: st.DataObject, how: str) -> None:
        ours = self._rules()
        self.tampered = True
        if how == "flush":
            self.kernel.rules = [each for each in self.kernel.rules if each not in ours]
            return
        one = ours[data.draw(st.integers(0, len(ours) - 1))]
        if how == "double":
            self.kernel.rules.insert(0, one)
        else:
            self.kernel.rules.remove(one)

    @rule(
        name=st.sampled_from(FOREIGN),
        mtu=st.sampled_from([16, 72]),
        up=st.booleans(),
        whose=st.sampled_from(OTHERS),
    )
    def foreign_link(self, name: str, mtu: int, up: bool, whose: tuple[str, int]) -> None:
        if name in self.kernel.names():
            return
        alias, group = whose
        made = self.kernel.add_link(name, "vcan", mtu=mtu, up=up, alias=alias, group=group)
        self.foreign_links[made] = made.told()

    @precondition(lambda self: self.foreign_links)
    @rule(data=st.data(), how=st.sampled_from(["delete", "up", "down", "classic"]))
    def foreign_link_changes(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(link.name for link in self.foreign_links)))
        one = self.kernel.link(name)
        if how == "delete":
            self.kernel.delete_link(name)
            del self.foreign_links[one]
            return
        if how == "classic":
            one.mtu = 88 - one.mtu
        self.kernel.set_up(name, up=how != "down")
        self.foreign_links[one] = one.told()

    @rule(data=st.data(), fd=st.booleans())
    def foreign_rule(self, data: st.DataObject, fd: bool) -> None:
        """A filtered one between any two links, or one of our form where one end is no bus's."""
        links = [link for link in self.kernel.links() if link.hardware == wire.CAN]
        if len(links) < 2:
            return
        numbers = st.integers(0, len(links) - 1)
        pair = st.tuples(numbers, numbers).filter(lambda both: both[0] != both[1])
        source, destination = (links[number] for number in data.draw(pair))
        plain = "can7" in (source.name, destination.name) and data.draw(st.booleans())
        more = b"" if plain else wire.attribute(wire.FILTER, bytes(8))
        made = self.kernel.add_rule(source.name, destination.name, fd=fd, more=more)
        self.foreign_rules.append(Foreign(made, (source, destination)))

    @precondition(lambda self: "can0" not in self.kernel.names())
    @rule()
    def adapter_comes(self) -> None:
        self._plug()

    @precondition(lambda self: self._adapters())
    @rule(unplugged=st.booleans(), notice=NOTICES)
    def adapter_goes(self, unplugged: bool, notice: str) -> None:
        """For good, or into a container that ends."""
        (one,) = self._adapters()
        if unplugged:
            self.kernel.delete_link("can0")
            del self.foreign_links[one]
        else:
            self.foreign_rules = [each for each in self.foreign_rules if one not in each.ends]
            up = one.up
            self.kernel.move("can0", "elsewhere")
            self.kernel.kill_namespace("elsewhere")
            self.kernel.set_up("can0", up=up)  # by whoever did before
        self._happened(notice)

    # What must be true after each step.

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
                wanted[name].alias,
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
        for sender in members.values():
            arrived = self.kernel.deliveries(sender.name)
            for receiver in members.values():
                for kind in ("classic", "fd", "errors"):
                    carried = sender.carries(kind == "fd") and receiver.carries(kind == "fd")
                    if kind == "errors" and bus.physical:
                        carried = carried and sender.name == interface
                    wanted = int(carried and receiver is not sender)
                    assert arrived[receiver.name, kind] == wanted, (
                        sender.name,
                        receiver.name,
                        kind,
                    )

    # How it works.

    def _create_endpoint(self, whose: tuple[str, str], fault: Fault) -> None:
        own = EXACT if whose[1] == EXACT_ENDPOINT else {}
        if self._call(fault, lambda: self.daemon.service.create_endpoint(*whose, own)):
            self.endpoints.setdefault(whose, "")

    def _join(self, whose: tuple[str, str], fault: Fault, moved: bool) -> None:
        blocked = self._blocked(self.networks[whose[0]])
        space = self._namespace(whose)
        went = self._call(fault, lambda: self.daemon.service.join(*whose, f"/ns/{space}"), blocked)
        inside = self.kernel.links(space)
        if inside or not went:
            # Made in there, perhaps half; or made anew, and that failed.
            self.endpoints[whose] = space if inside else ""
        elif moved:
            self.endpoints[whose] = space
            self.kernel.move(naming.container_end(*whose), space, new_name="can0")

    def _options(self, network: str, interface: str) -> dict[str, str]:
        return {"can.interface": interface, **(EXACT if network == EXACT_NETWORK else {})}

    def _opened(self, path: str, what: str) -> AbstractContextManager[int]:
        """Of the kernel of this boot."""
        return self.kernel.opened(path, what)

    def _blocked(self, interface: str) -> bool:
        """Whether it is the end of a pair of another driver."""
        return any(
            link.name == interface and " endpoint " in link.alias for link in self.foreign_links
        )

    def _other_driver(self, interface: str) -> bool:
        """Whether another driver has its bus there."""
        return any(
            (link.alias == "canwharf other bus" and link.name == interface)
            or (link.alias.endswith(" vcan0 can") and interface == "vcan0")
            for link in self.foreign_links
        )

    def _physical(self, interface: str) -> bool:
        return any(self.networks[network] == interface for network in self.physical)

    def _on_adapter(self, interface: str) -> bool:
        return self._physical(interface) or (interface == "can0" and bool(self._adapters()))

    def _namespace(self, whose: tuple[str, str]) -> str:
        return "-".join(whose)

    def _forget(self, fault: Fault, call: Callable[[], object]) -> None:
        """Make a call after which the engine forgets what it was about, whatever the answer."""
        self._call(fault._replace(again=True), call)

    def _happened(self, notice: str) -> None:
        """Whether the daemon's turn comes before the next step, and what it is told."""
        self.unnoticed = "later" in notice
        if "lost" in notice:
            self.kernel.overrun(keep=int("part" in notice))

    def _call(self, fault: Fault, call: Callable[[], object], blocked: bool = False) -> bool:
        """Make a call that meets a fault; whether the engine takes it for done.

        `blocked` says that it is refused even without a fault.
        """
        self.unnoticed = False
        for place in fault.refused:
            self.kernel.refuse(place)
        if fault.sends:
            self.kernel.crash_after(fault.sends)
        try:
            with self._disk(fault.disk):
                call()
        except CanwharfError:
            assert blocked or fault.refused or fault.disk == "full"
            return False
        except Crash:
            self.kernel.stop_faults()
            self.daemon = self.daemon.restarted()
            if fault.again or fault.disk:
                self.daemon.maintenance.repair()
                call()
                return True
            return False
        finally:
            self.kernel.stop_faults()
        return True

    @contextmanager
    def _disk(self, fault: str) -> Iterator[None]:
        save = self.daemon.store.save

        def full(_state: State) -> None:
            raise StateError("write", "it", "No space left on device")

        def crash(state: State) -> None:
            save(state)
            raise Crash

        with ExitStack() as stack:
            if fault:
                instead = full if fault == "full" else crash
                stack.enter_context(mock.patch.object(self.daemon.store, "save", instead))
            yield

    def _empty_networks(self) -> list[str]:
        return sorted(self.networks.keys() - {network for network, _endpoint in self.endpoints})

    def _running(self) -> list[tuple[str, str]]:
        return sorted(whose for whose, namespace in self.endpoints.items() if namespace)

    def _ours(self) -> list[str]:
        return sorted(link.name for link in self.kernel.links() if self._is_ours(link))

    def _rules(self) -> list[FakeRule]:
        """The gateway's rules but foreign ones."""
        kept = [foreign.rule for foreign in self.foreign_rules]
        return [each for each in self.kernel.rules if each not in kept]

    def _on_disk(self) -> State:
        return self.daemon.store.load(DRIVER)[0]

    def _known_endpoints(self) -> set[tuple[str, str]]:
        state = self.daemon.service.state
        return {(id, each) for id, network in state.networks.items() for each in network.endpoints}

    def _ports(self, state: State) -> list[Port]:
        buses = [bus for interface in state.interfaces() if (bus := state.bus(interface))]
        return [port for bus in buses for port in bus.ports]

    def _is_ours(self, link: FakeLink) -> bool:
        if not link.alias:
            return link.group == naming.group_of(DRIVER)
        return link.alias.startswith(f"canwharf {DRIVER} ")

    def _adapters(self) -> list[FakeLink]:
        return [link for link in self.foreign_links if link.name == "can0"]

    def _plug(self) -> None:
        made = self.kernel.add_link("can0", "can", mtu=self.mtu)
        self.foreign_links[made] = made.told()

    def _forget_foreign_rules(self) -> None:
        """They go with their links, as in the kernel."""
        there = self.kernel.links()
        self.foreign_rules = [
            each for each in self.foreign_rules if all(end in there for end in each.ends)
        ]


TestHost = Host.TestCase
TestHost.settings = settings(
    max_examples=2 * settings().max_examples,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
