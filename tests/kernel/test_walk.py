"""Random walks on the real kernel, over both shapes of a bus: sequences that no other test has.

The vocabulary is that of tests/unit/bus/test_machine.py, which walks much further on a fake kernel.
Each walk is told by its seed; after each step, all buses are whole and nothing is left over.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from canwharf.kernel import traffic_control
from canwharf.kernel.request import Requests
from canwharf.kernel.traffic_control import Ability
from tests.kernel.site import Site
from tests.world.frames import exchange
from tests.world.host import (
    can_interfaces,
    gateway_rules,
    hubs,
    index_of,
    ip,
    requests,
    run,
    wait_until,
)
from tests.world.rules import linear, mesh

STEPS = 30
BUSES = ("vcan0", "vcan1")
PROBE = traffic_control.probe
LACKING = Ability("", ("cls_fw",))


class Walk:
    """One machine, and what a container engine believes of it."""

    def __init__(self, site: Site, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lacking = False  # a module that a hub needs
        monkeypatch.setattr(traffic_control, "probe", self._probe)
        self.site = site
        self.random = random.Random(seed)
        self.networks: dict[str, str] = {}
        self.count = 0
        self.exact: list[tuple[str, str]] = []  # those that were started with an exact name
        self.told: list[str] = []

    def new(self, letter: str) -> str:
        """An id that was never there; ids share their first characters."""
        self.count += 1
        return f"{letter * 40}{self.count:024d}"

    def steps(self) -> list[Callable[[], None]]:
        """What can be done now."""
        possible = [self.create, self.restart]
        if self.networks:
            possible += [
                self.start,
                self.start,
                self.delete,
                self.cut,
                self.lose_bus,
                self.set_down,
            ]
        if self.site.containers:
            possible += [self.reshape]
            possible += [self.stop, self.die, self.join_again, self.lose_rule, self.double_rule]
            possible += [self.age_rule]
        return possible

    def create(self) -> None:
        """`docker network create`, on a bus of its own or on one that is there."""
        network = self.new("n")
        self.networks[network] = self.random.choice(BUSES)
        self.site.network(network, self.networks[network])

    def delete(self) -> None:
        """`docker network rm`, if it has no endpoint."""
        network = self.random.choice(list(self.networks))
        if all(used != network for used, _endpoint in self.site.containers):
            del self.networks[network]
            self.site.service.delete_network(network)

    def start(self) -> None:
        """`docker run`, every other one with an exact name."""
        if len(self.site.containers) >= 5:
            return
        network, endpoint = self.random.choice(list(self.networks)), self.new("e")
        if self.count % 2:
            self.site.place(network, endpoint, "exact")
            self.exact.append((network, endpoint))
        else:
            self.site.start(network, endpoint)

    def join_again(self) -> None:
        """An answer was lost: a pair in a container is made anew."""
        alive = [whose for whose in self.exact if whose in self.site.containers]
        if alive:
            self.site.join_placed(*self.random.choice(alive))

    def stop(self) -> None:
        """`docker rm -f`."""
        self.site.stop(*self.random.choice(list(self.site.containers)))

    def die(self) -> None:
        """A container dies; the engine says so, or never mentions it again."""
        network, endpoint = self.random.choice(list(self.site.containers))
        self.site.die(network, endpoint)
        if self.random.random() < 0.5:
            self.site.service.leave(network, endpoint)
            self.site.service.delete_endpoint(network, endpoint)

    def restart(self) -> None:
        """A crash of the daemon."""
        self.site.restart()

    def cut(self) -> None:
        """A power cut; one in three, or nothing would ever grow."""
        if self.random.random() < 0.3:
            self.site.power_cut()

    def lose_bus(self) -> None:
        """Somebody deletes a bus interface."""
        ip(f"link delete {self.random.choice(list(self.networks.values()))}")

    def set_down(self) -> None:
        """Somebody sets a bus interface down."""
        ip(f"link set {self.random.choice(list(self.networks.values()))} down")

    def lose_rule(self) -> None:
        """Somebody deletes a rule; the kernel does not announce it, the look finds it."""
        self.cangw("-D")

    def double_rule(self) -> None:
        """Somebody adds one of our rules once more."""
        self.cangw("-A")

    def age_rule(self) -> None:
        """Somebody adds one as earlier versions had them."""
        self.cangw("-A", "-e", "-i")

    def reshape(self) -> None:
        """A module for the hub goes, and nothing that needs it is left; or it is there again."""
        self.lacking = not self.lacking
        if self.lacking:
            self.lose_filters()
        if self.random.random() < 0.5:
            self.site.restart()
        assert not self.site.daemon.maintenance.sync().faults, self.told

    def lose_filters(self) -> None:
        """Somebody deletes clsact at every host end and hub."""
        ends = [port for bus in BUSES for port in self.site.ports(bus)[1:]]
        for name in (*ends, *hubs()):
            run("tc", "qdisc", "delete", "dev", name, "clsact", check=False)
        with requests() as netlink:  # for a moment a dump still has them
            wait_until(lambda: not traffic_control.find(netlink))

    def _probe(self, netlink: Requests, port: traffic_control.Port) -> Ability:
        return LACKING if self.lacking else PROBE(netlink, port)

    def cangw(self, what: str, *form: str) -> None:
        """Add or delete the classic rule between a container's host end and its bus interface."""
        network, endpoint = self.random.choice(list(self.site.containers))
        ends = (self.site.port(network, endpoint), self.networks[network])
        there = self.random.random() < 0.5
        source, destination = ends if there else ends[::-1]
        options = form or (("-e",) if there else ()) + ("-i", "-l", "1")
        run("cangw", what, "-s", source, "-d", destination, *options, check=False)
        self.site.daemon.resync()

    def take(self) -> None:
        """One step, and what must be true after it."""
        step = self.random.choice(self.steps())
        self.told.append(step.__name__)
        step()
        assert self.site.daemon.maintenance.repair(), self.told
        buses = sorted(set(self.networks.values()))
        wanted: Counter[object] = Counter()
        for bus in buses:
            wanted.update((mesh if self.lacking else linear)(self.site.ports(bus)))
        assert Counter(gateway_rules()) == wanted, self.told
        ports = {port for bus in buses for port in self.site.ports(bus)}
        assert can_interfaces() == ports, self.told
        assert set(self.site.service.state.networks) == set(self.networks), self.told


@pytest.mark.parametrize("seed", range(6))
def test_after_every_step_all_is_whole(
    site: Site, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = Walk(site, seed, monkeypatch)
    for _step in range(STEPS):
        walk.take()
    buses = sorted(set(walk.networks.values()))
    if buses:
        assert exchange(*(site.members(bus) for bus in buses)).faults == [], walk.told
    assert all(index_of(bus) for bus in buses)
