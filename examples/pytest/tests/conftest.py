"""The engine of each test: a container of the image that is made of ../engine."""

from functools import cache
from pathlib import Path

import docker
import pytest

from canwharf.testing import Bus

ENGINE = Path(__file__).parents[1] / "engine"


@pytest.fixture
def engine(bus: Bus) -> str:
    """The engine, which can hear; its name as a sender."""
    bus.run(image(), name="engine")
    bus.expect(sender="engine")
    return "engine"


@cache
def image() -> str:
    """Build the image, once a session."""
    docker.from_env().images.build(path=str(ENGINE), tag="engine", rm=True)
    return "engine"
