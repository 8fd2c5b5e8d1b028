"""A bus with two containers."""

from __future__ import annotations

import pytest

from tests.fake.daemon import Daemon


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """Two containers on one bus."""
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    return daemon
