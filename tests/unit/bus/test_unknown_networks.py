"""A call about a network that we have lost: Docker knows it, if it can be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.bus.adopt import Known
from canwharf.bus.maintain import GRACE
from canwharf.errors import UnknownNetworkError
from tests.fake.daemon import Daemon

ALL: Known = {"n1": {"can.name": "can"}, "idle": {"can.interface": "vcan5"}}


@pytest.fixture
def lost(daemon: Daemon) -> Daemon:
    """The boot after the state file went: neither the kernel nor Docker tells anything yet."""
    daemon.service.create_network("n1", ALL["n1"])
    daemon.service.create_network("idle", ALL["idle"])
    for name in ("vcan0", "vcan5"):
        daemon.kernel.delete_link(name)
    Path(daemon.store.path).unlink()
    later = daemon.restarted()
    later.service.state = later.service.state._replace(complete=False)
    return later


def test_a_container_starts_as_soon_as_docker_tells_of_its_network(lost: Daemon) -> None:
    """No restart of canwharf is needed, and the other networks are back, too."""
    with pytest.raises(UnknownNetworkError, match="start the container again when Docker runs"):
        lost.service.create_endpoint("n1", "e1", {})
    lost.engine = ALL
    lost.run_container("n1", "e1")
    lost.assert_exactly_once("vcan0")
    lost.maintenance.run(0.0, active=True)
    assert "vcan5" in lost.kernel.names()
    assert lost.store.load("canwharf")[0].complete


def test_a_network_that_docker_does_not_know_is_an_error_that_says_so(lost: Daemon) -> None:
    lost.engine = ALL
    with pytest.raises(UnknownNetworkError, match="Docker knows no such network"):
        lost.service.join("another", "e1")
    lost.service.create_endpoint("n1", "e1", {})
    assert lost.asked == 1, "all that it told is known"


def test_docker_is_asked_without_a_call_at_growing_intervals(lost: Daemon) -> None:
    """The bus interfaces are back soon after Docker serves; without Docker, all comes to rest."""
    now, due = 0.0, lost.maintenance.run(0.0, active=False)
    times = []
    while due is not None and now < 10_000:
        before, now = lost.asked, due
        due = lost.maintenance.run(now, active=False)
        if lost.asked > before:
            times.append(now)
    assert due is None
    assert times[:3] == [5.0, 15.0, 35.0]
    assert times[-1] < 2_000
    again = lost.restarted()
    again.service.state = again.service.state._replace(complete=False)
    again.engine = ALL
    again.maintenance.run(0.0, active=False)
    again.maintenance.run(5.0, active=False)
    assert {"vcan0", "vcan5"} <= again.kernel.names()
    assert again.maintenance.run(GRACE, active=False) is None
