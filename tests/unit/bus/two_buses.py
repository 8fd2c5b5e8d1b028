"""Two buses of two containers each."""

from __future__ import annotations

import pytest

from tests.fake.daemon import Daemon


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """Two buses of two containers each."""
    for number in ("1", "2"):
        daemon.service.create_network(f"n{number}", {"vxcan.id": number})
        daemon.run_container(f"n{number}", f"e{number}a")
        daemon.run_container(f"n{number}", f"e{number}b")
    daemon.maintenance.repair()
    daemon.events.clear()
    return daemon


def assert_whole(daemon: Daemon) -> None:
    for interface in ("vcan1", "vcan2"):
        assert len(daemon.present(interface)) == 3
        daemon.assert_exactly_once(interface)
