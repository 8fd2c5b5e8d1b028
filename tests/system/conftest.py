"""Which guest these tests run in."""

from __future__ import annotations

import os

import pytest

from tests.world.fixtures import board, fresh, pytest_runtest_makereport, shared

__all__ = ["board", "fresh", "pytest_runtest_makereport", "shared"]


def pytest_configure(config: pytest.Config) -> None:
    """The marker of what `make test` leaves to `make test-matrix`."""
    config.addinivalue_line("markers", "long: not in `make test`, which is to take 20 minutes")


@pytest.fixture(scope="session")
def suite() -> str:
    """The lab's suite."""
    return os.environ.get("CANWHARF_SUITE", "trixie")
