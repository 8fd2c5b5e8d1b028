"""The kernel's modules loaded with parameters of their own.

In a kernel that has them built in (the lab's own) they can be neither unloaded nor loaded anew: a
test that needs that is skipped, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.host import run, wipe

MAX_HOPS = Path("/sys/module/can_gw/parameters/max_hops")


def unload(module: str) -> None:
    """Take a module out of the kernel, or skip the test where it is a part of it."""
    if run("modinfo", "-F", "filename", module).strip() == "(builtin)":
        pytest.skip(f"{module} is built into this kernel and cannot be unloaded")
    run("rmmod", module)


def _reloaded(module: str, *parameters: str) -> None:
    """Load the module again; it must not be in use."""
    wipe()
    unload(module)
    run("modprobe", module, *parameters)


@pytest.fixture(params=["max_hops=1", "max_hops=2", "max_hops=3"])
def hops(_clean: None, request: pytest.FixtureRequest) -> Iterator[int]:
    """can-gw with this limit."""
    given: str = request.param
    if MAX_HOPS.exists() and MAX_HOPS.read_text().strip() == given[-1]:
        yield int(given[-1])  # as it is, also where it is built in
        return
    _reloaded("can_gw", given)
    yield int(given[-1])
    _reloaded("can_gw")


@pytest.fixture
def echoing(_clean: None) -> Iterator[None]:
    """Vcans that echo by themselves."""
    _reloaded("vcan", "echo=1")
    yield
    _reloaded("vcan")
