"""Which guest these tests run in."""

from __future__ import annotations

import os

import pytest

from tests.world.fixtures import board, fresh, pytest_runtest_makereport, shared

__all__ = ["board", "fresh", "pytest_runtest_makereport", "shared"]


@pytest.fixture(scope="session")
def suite() -> str:
    """The lab's suite."""
    return os.environ.get("CANWHARF_SUITE", "trixie")
