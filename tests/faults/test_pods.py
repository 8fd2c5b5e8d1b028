"""A node on which pods come and go: nothing is left of a hundred."""

from __future__ import annotations

from lab.guest import Guest
from tests.world.engines import Engines

POD = "can0=vcan0,can1=drive"
BUSES = {"vcan0": {}, "drive": {"can.interface": "vcan1"}}


def test_a_hundred_pods_up_and_down() -> None:
    """Five at a time, each on two buses, and one that stays and misses no frame."""
    with Guest("sid") as guest:
        node = Engines(guest)
        node.start()
        node.start_containerd(buses=BUSES)
        stays, namespace = node.pod("stays", f"canwharf/buses={POD}")
        life = (
            f"for round in $(seq 20); do id=$(python3 -m tests.world.cri run p$0-$round "
            f"canwharf/buses={POD}) && python3 -m tests.world.cri stop $id && "
            "python3 -m tests.world.cri remove $id || exit 255; done"
        )
        node.sh(f"cd /repo && seq 5 | xargs -P 5 -n 1 sh -c '{life}'", timeout=1500)
        node.assert_exactly_once(
            *("host:vcan0", f"{namespace}:can0"), *("--members", "host:vcan1", f"{namespace}:can1")
        )
        assert len(node.endpoints()) == 2
        assert len([each for each in node.interfaces() if each.startswith("cwh")]) == 2
        node.cri(f"stop {stays}")
        node.cri(f"remove {stays}")
        node.clean()
