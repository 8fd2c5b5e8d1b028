"""The host that the machine acts on, what may go wrong during a call, and the model."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from canwharf.bus import naming
from canwharf.bus.model import Policy, Port, State
from canwharf.bus.options import parse_policy
from canwharf.errors import CanwharfError, StateError
from canwharf.kernel import namespace as namespaces
from tests.fake.answers import Crash
from tests.fake.daemon import DRIVER, Daemon
from tests.fake.filters import MODULES
from tests.fake.kernel import FakeKernel
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

WORDS = st.sampled_from(
    [
        *({}, {}, {"can.send": "none"}, {"can.receive": "none"}, {"can.send": "100"}),
        {"can.send": "none", "can.receive": "none"},
        {"can.send": "all", "can.receive": "all"},
        {"can.receive": "~7E0", "can.rate": "100"},
    ]
)

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
    """A foreign rule, and the links that it is between."""

    rule: FakeRule
    ends: tuple[FakeLink, FakeLink]


class Base(RuleBasedStateMachine):
    """What the machine knows of the host, and how a call meets a fault."""

    kernel: FakeKernel
    daemon: Daemon
    reuse: bool
    mtu: int

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.boot = 0
        self.networks: dict[str, str] = {}  # id -> bus interface
        # (network, endpoint) -> the namespace of its container; empty while there is none
        self.endpoints: dict[tuple[str, str], str] = {}
        self.words: dict[str, dict[str, str]] = {}  # of networks
        # endpoint -> what it may, by its own words and its network's; None: not known
        self.policies: dict[tuple[str, str], Policy | None] = {}
        self.unrecorded: set[tuple[str, str]] = set()  # endpoints whose own words were lost
        self.moved: set[tuple[str, str]] = set()  # into its container by the engine
        self.starting = ""  # the namespace of a container that joins
        self.foreign_links: dict[FakeLink, tuple[object, ...]] = {}
        self.foreign_rules: list[Foreign] = []
        self.physical: set[str] = set()  # networks whose interface was an adapter when they came
        self.doubted: set[tuple[str, str]] = set()  # endpoints without container at the last look
        self.tampered = False  # rules or filters were changed, and there was no resync since
        self.unnoticed = False  # the daemon has not had its turn since something happened
        self.patches = ExitStack()
        self.patches.enter_context(mock.patch.object(os, "fsync"))  # no power cut is so real
        self.patches.enter_context(mock.patch.object(namespaces, "opened", self._opened))

    def teardown(self) -> None:
        if hasattr(self, "daemon"):
            self.daemon.end()
        self.patches.close()
        shutil.rmtree(self.directory)

    def _create_endpoint(
        self, whose: tuple[str, str], fault: Fault, words: Mapping[str, str] = {}
    ) -> None:
        own = {**words, **(EXACT if whose[1] == EXACT_ENDPOINT else {})}
        if self._call(fault, lambda: self.daemon.service.create_endpoint(*whose, own)):
            self.endpoints.setdefault(whose, "")
            network = parse_policy(self.words.get(whose[0], {}))
            self.policies[whose] = parse_policy(words).over(network)
            self.unrecorded.discard(whose)

    def _join(
        self, whose: tuple[str, str], fault: Fault, moved: bool = True, early: bool = False
    ) -> None:
        """`early`: the namespace is there, as of a new engine; otherwise it moves the end later."""
        blocked = self._blocked(self.networks[whose[0]])
        if whose not in self._known_endpoints():
            self.policies[whose] = None  # its record is lost
        space = self._namespace(whose)
        if early or EXACT_NETWORK in whose or EXACT_ENDPOINT in whose:
            self.starting = space
        went = self._call(fault, lambda: self.daemon.service.join(*whose, f"/ns/{space}"), blocked)
        self.starting = ""
        inside = self.kernel.links(space)
        if inside or not went:
            # Made in there, perhaps half; or made anew, and that failed. What is half made for an
            # endpoint without a record goes with the next recovery, if undoing it failed, too.
            network = self.daemon.service.state.networks.get(whose[0])
            known = went or (network is not None and whose[1] in network.endpoints)
            self.endpoints[whose] = space if inside and known else ""
            self.moved.discard(whose)
        elif moved:
            self.endpoints[whose] = space
            self.moved.add(whose)
            self.kernel.move(naming.container_end(*whose), space, new_name="can0")

    def _options(self, network: str, interface: str) -> dict[str, str]:
        exact = EXACT if network == EXACT_NETWORK else {}
        return {"can.interface": interface, **exact, **self.words.get(network, {})}

    def _opened(self, path: str, what: str) -> AbstractContextManager[int]:
        """Of the kernel of this boot, while its container runs, or starts."""
        alive = {self.starting, *self.endpoints.values()} - {""}
        return self.kernel.opened(path if path.removeprefix("/ns/") in alive else "", what)

    def _give_up_lost(self) -> None:
        """A lost pair comes back only while the daemon knows the namespace."""
        known = self.daemon.service.pending.namespaces
        for whose, namespace in self.endpoints.items():
            there = namespace and self.kernel.links(namespace)
            if not there and naming.host_end(*whose) not in known:
                self.endpoints[whose] = ""

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
            self._give_up_lost()
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
        """All ports of ours: those of the hubs too, if there are to be hubs."""
        buses = [bus for interface in state.interfaces() if (bus := state.bus(interface))]
        hubs = [bus.hub for bus in buses if bus.hub and self._linear()]
        return [port for bus in buses for port in (bus.interface, *bus.endpoints)] + [
            port for hub in hubs for port in hub
        ]

    def _can_filter(self) -> bool:
        """Whether the kernel has all modules."""
        return self.kernel.modules >= MODULES

    def _linear(self) -> bool:
        """Whether the daemon makes linear buses now."""
        return self.daemon.reconciler.observe().linear

    def _hub_ends(self) -> list[str]:
        """The ends of our hubs that are on the host, under whatever name."""
        return [name for name in self._ours() if " hub " in self.kernel.link(name).alias]

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
