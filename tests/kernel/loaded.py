"""The kernel's modules loaded with parameters of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.world import run, wipe


def _reloaded(module: str, *parameters: str) -> None:
    """The module anew; nobody may use it."""
    wipe()
    run("rmmod", module)
    run("modprobe", module, *parameters)


@pytest.fixture(params=["max_hops=1", "max_hops=2", "max_hops=3"])
def hops(_clean: None, request: pytest.FixtureRequest) -> Iterator[int]:
    """can-gw with this limit."""
    given: str = request.param
    _reloaded("can_gw", given)
    yield int(given[-1])
    _reloaded("can_gw")


@pytest.fixture
def echoing(_clean: None) -> Iterator[None]:
    """Vcans that echo by themselves."""
    _reloaded("vcan", "echo=1")
    yield
    _reloaded("vcan")
