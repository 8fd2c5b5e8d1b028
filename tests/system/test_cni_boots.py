"""A node whose power is cut: containerd makes its pods' sandboxes again, in a guest of sid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.faults.bench import PATIENCE, start_impatient, wait_interfaces
from tests.world.board import UP
from tests.world.engines import Engines

BOTH = "canwharf/buses=can0=vcan0,can1=drive"
ONE = "canwharf/buses=can0=drive"
BUSES = {"vcan0": {}, "drive": {"can.interface": "vcan1"}}
RESULTS = "/persist/cni/results"  # libcni's, one file for each attachment


@pytest.fixture
def node() -> Iterator[Engines]:
    with Guest("sid") as guest:
        board = Engines(guest)
        board.start()
        board.start_containerd(buses=BUSES)
        yield board


def test_pods_are_on_their_buses_after_a_power_cut(node: Engines) -> None:
    """A kubelet makes the sandboxes anew, and says late, or never, that the old ones are gone."""
    old = {name: node.pod(name, each)[0] for name, each in (("two", BOTH), ("one", ONE))}
    gone, lost = node.pod("gone", BOTH)[0], node.pod("lost", ONE)[0]
    node.reboot_after_power_cut()
    # What a cut leaves of a file that was just written: with it libcni asks no plugin for a DEL.
    node.sh(f"truncate -s 0 {RESULTS}/*{lost}*")
    node.daemon.wait_for("forgot endpoints of an earlier boot endpoints=6", UP)
    node.boot_containerd(buses=BUSES)
    every = ["gone", "lost", "one", "two"]
    assert node.cri("list").split() == [f"{name}=False" for name in every]

    new = {name: node.pod(f"{name}/1", each) for name, each in (("two", BOTH), ("one", ONE))}
    two, one = new["two"][1], new["one"][1]
    buses = ("host:vcan0", f"{two}:can0", "--members", "host:vcan1", f"{two}:can1", f"{one}:can0")
    node.assert_exactly_once(*buses)
    for sandbox in (*old.values(), gone):
        node.cri(f"stop {sandbox}")
        node.cri(f"stop {sandbox}")
        node.cri(f"remove {sandbox}")
    node.assert_exactly_once(*buses)
    assert len(node.endpoints()) == 3

    for sandbox, _namespace in new.values():
        node.cri(f"stop {sandbox}")
        node.cri(f"remove {sandbox}")
    assert node.endpoints() == []
    # The buses go when no pod has used them for a while: they are implied by their endpoints.
    assert node.interfaces() == ["vcan0", "vcan1"]
    node.end_daemon("TERM")
    start_impatient(node)
    wait_interfaces(node, 0, 5 * PATIENCE)
