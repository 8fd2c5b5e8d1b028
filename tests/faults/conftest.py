"""A board for the tests that share one, and where the figures go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.guest import Guest
from tests.world.fixtures import board, fresh, pytest_runtest_makereport, shared

__all__ = ["board", "fresh", "pytest_runtest_makereport", "shared"]

SUITE = os.environ.get("CANWHARF_SUITE", "sid")

Keep = Callable[[str, object], None]


@pytest.fixture(scope="session")
def suite() -> str:
    """The lab's suite."""
    return SUITE


@pytest.fixture(scope="session")
def keep() -> Keep:
    """Keeps figures for docs/reliability.md in the folder CANWHARF_FIGURES, if that is set."""
    folder = os.environ.get("CANWHARF_FIGURES")

    def write(name: str, figures: object) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            Path(folder, f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")

    return write


@pytest.fixture(scope="session")
def bare() -> Iterator[Guest]:
    """A guest in which neither Docker nor canwharf runs."""
    with Guest(SUITE) as guest:
        yield guest
